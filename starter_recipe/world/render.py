"""From attributes to pixels: layout by seed and shape, framing, and the styles that need the whole picture."""

import functools
import random

import numpy as np
import skia
from numpy.typing import NDArray
from PIL import Image

from starter_recipe.world.animals import draw_animal
from starter_recipe.world.brush import Brush, Canvas, Colour
from starter_recipe.world.people import draw_person
from starter_recipe.world.picture import TIMELESS_SCENES, Picture
from starter_recipe.world.scenes import draw_scene
from starter_recipe.world.stage import UNITS, Stage, stage_of
from starter_recipe.world.things import draw_thing

Pixels = NDArray[np.uint8]
Plane = NDArray[np.floating]
PIXEL_ART_BLOCK = 4  # pixels
SHEETS = 24  # of paper
PANE = 22  # pixels, about the size of a pane of glass
FIGURE_TINTS: dict[str, Colour | None] = {"day": None, "sunset": (1.0, 0.93, 0.86), "night": (0.74, 0.78, 0.95)}
RISE = 0.45  # of the height that a tall picture adds, when the figure is cut off below
FRAMES = {"full body": (1.0, 64, 64), "half body": (1.5, 64, 50), "close-up": (2.1, 64, 44)}  # zoom, focus x, y
_FIGURES = {"girl": draw_person, "boy": draw_person, "animal": draw_animal, "thing": draw_thing}


def render(p: Picture, seed: int) -> Pixels:
    """Draw `p`. The seed fixes everything that the attributes leave open. Returns (height, width, 3) uint8 RGB."""
    ink = "flat" if p.style == "pixel" else p.style
    block = PIXEL_ART_BLOCK if p.style == "pixel" else 1
    stage = stage_of(p.width, p.height)
    pixels = np.zeros((p.height // block, p.width // block, 4), np.uint8)
    canvas = skia.Canvas(pixels)
    canvas.scale(stage.scale / block, stage.scale / block)
    canvas.translate(0, -stage.top)
    draw_scene(canvas, p, ink, stage, seed)
    _place_figure(canvas, p, stage, seed)
    tint = None if p.scene in TIMELESS_SCENES else FIGURE_TINTS[p.time]
    _FIGURES[p.kind](Brush(canvas, ink, tint), Brush(canvas, "flat"), p)

    rgb = pixels[:, :, [2, 1, 0]] if skia.kN32_ColorType == skia.kBGRA_8888_ColorType else pixels[:, :, :3]
    rgb = np.ascontiguousarray(rgb)
    match p.style:
        case "pixel":
            coarse = (np.round(rgb / 28.0) * 28).clip(0, 255).astype(np.uint8)
            return coarse.repeat(block, 0).repeat(block, 1)
        case "watercolor":
            return _watercolor(rgb, seed)
        case "sketch":
            return _sketch(rgb, seed)
        case "stained glass":
            return _stained_glass(rgb, seed)
        case _:
            return rgb


def _place_figure(canvas: Canvas, p: Picture, stage: Stage, seed: int) -> None:
    """Move the canvas so that a figure drawn in the middle of the square comes to stand well in this shape.

    The figure's own seed keeps it in place when an edit changes how many draws the scene takes.
    """
    jitter = random.Random(seed * 7 + 1)
    dx, dy, size = jitter.uniform(-5, 5), jitter.uniform(-2, 2), jitter.uniform(0.95, 1.03)
    zoom, fx, fy = FRAMES[p.framing]
    if p.framing == "full body":
        zoom *= size
    elif stage.width < UNITS:
        # A narrow picture shows more of the body's width. It is cut lower as well, and the rest of the
        # height goes to the space above the head.
        low = fy + UNITS / 2 / zoom
        zoom *= (stage.width / UNITS + 1) / 2
        fy = low - (UNITS / 2 + RISE * stage.top) / zoom
    # A wide picture leaves room for the figure to stand off the middle.
    dx *= stage.width / UNITS if stage.width < UNITS else 1 + (stage.width - UNITS) / 20
    canvas.translate(stage.width / 2 + dx, UNITS / 2 + dy)
    canvas.scale(zoom, zoom)
    canvas.translate(-fx, -fy)


def _smooth(rng: np.random.Generator, height: int, width: int, cells: int) -> Plane:
    """Noise of `cells` × `cells` lumps, (height, width) float32."""
    coarse = Image.fromarray(rng.random((cells, cells)).astype(np.float32))
    return np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC))


@functools.cache
def _papers(height: int, width: int) -> list[tuple[Plane, Plane, Plane, Plane]]:
    """Two dozen sheets: (mottling, x shift, y shift, grain), each (height, width) float32."""
    rng = np.random.default_rng(7)
    return [
        (
            _smooth(rng, height, width, 6) * 0.5
            + _smooth(rng, height, width, 14) * 0.3
            + _smooth(rng, height, width, 40) * 0.2,
            _smooth(rng, height, width, 10) - 0.5,
            _smooth(rng, height, width, 10) - 0.5,
            rng.random((height, width)).astype(np.float32),
        )
        for _ in range(SHEETS)
    ]


def _watercolor(rgb: Pixels, seed: int) -> Pixels:
    """Wobbly edges, a soft bleed, and pigment that thins out over white paper."""
    height, width = rgb.shape[:2]
    mottle, dx, dy, grain = _papers(height, width)[seed % SHEETS]
    yy, xx = np.mgrid[0:height, 0:width]
    x = np.clip(xx + dx * 7, 0, width - 1).astype(np.int32)
    y = np.clip(yy + dy * 7, 0, height - 1).astype(np.int32)
    wet = rgb[y, x].astype(np.float32)
    bleed = (wet + np.roll(wet, 1, 0) + np.roll(wet, 1, 1) + np.roll(wet, -1, 0) + np.roll(wet, -1, 1)) / 5
    paper = (0.10 + 0.52 * mottle + 0.05 * grain)[..., None]
    out = bleed * (1 - paper) + np.array([253, 250, 243], np.float32) * paper
    return np.clip(out, 0, 255).astype(np.uint8)


def _sketch(rgb: Pixels, seed: int) -> Pixels:
    """Gray tones in four steps, hatching in the shadows, darker contours, grain."""
    height, width = rgb.shape[:2]
    _, dx, _, grain = _papers(height, width)[seed % SHEETS]
    yy, xx = np.mgrid[0:height, 0:width]
    gray = rgb.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    hatch = ((xx + yy + dx * 6) % 5) < 1.6
    out = np.where(gray > 205, 250, np.where(gray > 150, 238, np.where(gray > 95, 214, 165)))
    out = np.where((gray < 178) & hatch, out - 52, out)
    out = np.where(gray < 62, gray + 18, out)
    contour = np.abs(gray - np.roll(gray, 1, 0)) + np.abs(gray - np.roll(gray, 1, 1))
    out = out - np.clip(contour * 1.3, 0, 120) + (grain - 0.5) * 10
    return (np.clip(out, 25, 255)[..., None] * np.array([1, 0.985, 0.95], np.float32)).astype(np.uint8)


@functools.cache
def _panes(height: int, width: int) -> list[tuple[Plane, Plane]]:
    """Two dozen leadings: (light of the pane, lead between panes), each (height, width) float32."""
    rng = np.random.default_rng(11)
    yy, xx = np.mgrid[0:height, 0:width].astype(np.float32)
    rows, columns = round(height / PANE), round(width / PANE)
    cells = np.stack(np.meshgrid(np.arange(rows), np.arange(columns), indexing="ij"), -1).reshape(-1, 2)
    out: list[tuple[Plane, Plane]] = []
    for _ in range(SHEETS):
        centres = ((cells + rng.uniform(0.1, 0.9, cells.shape)) * [height / rows, width / columns]).astype(np.float32)
        far = np.hypot(yy[..., None] - centres[:, 0], xx[..., None] - centres[:, 1])
        first, second = np.moveaxis(np.argpartition(far, 1, axis=2)[:, :, :2], 2, 0)
        near = np.take_along_axis(far, np.stack([first, second], 2), 2)
        apart = np.hypot(*np.moveaxis(centres[first] - centres[second], 2, 0))
        to_the_border = np.abs(near[:, :, 1] ** 2 - near[:, :, 0] ** 2) / (2 * apart)
        light = rng.uniform(0.84, 1.16, len(centres)).astype(np.float32)[far.argmin(axis=2)]
        out.append((light, np.clip(1.7 - to_the_border, 0, 1)))
    return out


def _stained_glass(rgb: Pixels, seed: int) -> Pixels:
    """Held out of pretraining: glowing panes, each of its own light, between strips of lead."""
    light, lead = _panes(*rgb.shape[:2])[seed % SHEETS]
    wet = rgb.astype(np.float32)
    gray = wet.mean(axis=2, keepdims=True)
    glow = (gray + (wet - gray) * 1.25) * light[..., None]
    return np.clip(glow * (1 - lead[..., None]) + 22 * lead[..., None], 0, 255).astype(np.uint8)
