"""From attributes to pixels: layout by seed, framing, and the styles that need the whole picture."""

import functools
import random

import numpy as np
import skia
from PIL import Image

from starter_recipe.world.brush import Brush, Colour
from starter_recipe.world.others import draw_animal, draw_thing
from starter_recipe.world.people import draw_person
from starter_recipe.world.picture import Picture
from starter_recipe.world.scenes import draw_scene

SIZE = 128
PIXEL_ART_SIZE = 32
FIGURE_TINTS: dict[str, Colour | None] = {"day": None, "sunset": (1.0, 0.93, 0.86), "night": (0.74, 0.78, 0.95)}
FRAMES = {"full body": (1.0, 64, 64), "half body": (1.5, 64, 50), "close-up": (2.1, 64, 44)}  # zoom, focus x, y
_FIGURES = {"girl": draw_person, "boy": draw_person, "animal": draw_animal, "thing": draw_thing}


def render(p: Picture, seed: int) -> np.ndarray:
    """Draw `p`. The seed fixes everything that the attributes leave open. Returns (128, 128, 3) uint8 RGB."""
    ink = "flat" if p.style == "pixel" else p.style
    side = PIXEL_ART_SIZE if p.style == "pixel" else SIZE
    pixels = np.zeros((side, side, 4), np.uint8)
    canvas = skia.Canvas(pixels)
    canvas.scale(side / SIZE, side / SIZE)
    draw_scene(canvas, p, ink, random.Random(seed))

    # The figure's own seed keeps it in place when an edit changes how many draws the scene takes.
    jitter = random.Random(seed * 7 + 1)
    dx, dy, size = jitter.uniform(-5, 5), jitter.uniform(-2, 2), jitter.uniform(0.95, 1.03)
    zoom, fx, fy = FRAMES[p.framing]
    zoom *= size if p.framing == "full body" else 1
    canvas.translate(64 + dx, 64 + dy)
    canvas.scale(zoom, zoom)
    canvas.translate(-fx, -fy)
    tint = None if p.scene == "plain" else FIGURE_TINTS[p.time]
    _FIGURES[p.kind](Brush(canvas, ink, tint), Brush(canvas, "flat"), p)

    rgb = pixels[:, :, [2, 1, 0]] if skia.kN32_ColorType == skia.kBGRA_8888_ColorType else pixels[:, :, :3]
    rgb = np.ascontiguousarray(rgb)
    if p.style == "pixel":
        coarse = (np.round(rgb / 28.0) * 28).clip(0, 255).astype(np.uint8)
        return coarse.repeat(SIZE // side, 0).repeat(SIZE // side, 1)
    if p.style == "watercolor":
        return _watercolor(rgb, seed)
    if p.style == "sketch":
        return _sketch(rgb, seed)
    return rgb


@functools.cache
def _papers() -> list[tuple[np.ndarray, ...]]:
    """Two dozen sheets: (mottling, x shift, y shift, grain), each (128, 128) float32."""
    rng = np.random.default_rng(7)

    def smooth(cells: int) -> np.ndarray:
        coarse = Image.fromarray(rng.random((cells, cells)).astype(np.float32))
        return np.asarray(coarse.resize((SIZE, SIZE), Image.Resampling.BICUBIC))

    return [
        (
            smooth(6) * 0.5 + smooth(14) * 0.3 + smooth(40) * 0.2,
            smooth(10) - 0.5,
            smooth(10) - 0.5,
            rng.random((SIZE, SIZE)).astype(np.float32),
        )
        for _ in range(24)
    ]


_YY, _XX = np.mgrid[0:SIZE, 0:SIZE]


def _watercolor(rgb: np.ndarray, seed: int) -> np.ndarray:
    """Wobbly edges, a soft bleed, and pigment that thins out over white paper."""
    mottle, dx, dy, grain = _papers()[seed % 24]
    x = np.clip(_XX + dx * 7, 0, SIZE - 1).astype(np.int32)
    y = np.clip(_YY + dy * 7, 0, SIZE - 1).astype(np.int32)
    wet = rgb[y, x].astype(np.float32)
    bleed = (wet + np.roll(wet, 1, 0) + np.roll(wet, 1, 1) + np.roll(wet, -1, 0) + np.roll(wet, -1, 1)) / 5
    paper = (0.10 + 0.52 * mottle + 0.05 * grain)[..., None]
    out = bleed * (1 - paper) + np.array([253, 250, 243], np.float32) * paper
    return np.clip(out, 0, 255).astype(np.uint8)


def _sketch(rgb: np.ndarray, seed: int) -> np.ndarray:
    """Gray tones in four steps, hatching in the shadows, darker contours, grain."""
    _, dx, _, grain = _papers()[seed % 24]
    gray = rgb.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    hatch = ((_XX + _YY + dx * 6) % 5) < 1.6
    out = np.where(gray > 205, 250, np.where(gray > 150, 238, np.where(gray > 95, 214, 165)))
    out = np.where((gray < 178) & hatch, out - 52, out)
    out = np.where(gray < 62, gray + 18, out)
    contour = np.abs(gray - np.roll(gray, 1, 0)) + np.abs(gray - np.roll(gray, 1, 1))
    out = out - np.clip(contour * 1.3, 0, 120) + (grain - 0.5) * 10
    return (np.clip(out, 25, 255)[..., None] * np.array([1, 0.985, 0.95], np.float32)).astype(np.uint8)
