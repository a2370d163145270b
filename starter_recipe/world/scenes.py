"""Places and times of day."""

import random

import skia

from starter_recipe.world.brush import WHITE, Brush, Colour, mix, paint_colour
from starter_recipe.world.picture import COLOURS, Picture

SKIES: dict[str, tuple[Colour, Colour]] = {
    "day": ((120, 190, 240), (205, 232, 250)),
    "sunset": ((236, 120, 90), (255, 205, 130)),
    "night": ((18, 24, 62), (48, 58, 110)),
}
SCENE_TINTS: dict[str, Colour | None] = {"day": None, "sunset": (1.0, 0.86, 0.76), "night": (0.52, 0.58, 0.82)}


def draw_scene(canvas: skia.Canvas, p: Picture, style: str, rng: random.Random) -> None:
    if p.scene == "plain":
        Brush(canvas, "flat").box(-2, -2, 130, 130, 0, mix(COLOURS[p.backdrop], WHITE, 0.45), False)
        return
    brush = Brush(canvas, style, SCENE_TINTS[p.time], 1.0)
    if p.scene != "room":
        _sky(canvas, p.time, rng)
    _PAINTERS[p.scene](brush, p, style, rng)


def _sky(canvas: skia.Canvas, time: str, r: random.Random) -> None:
    top, low = SKIES[time]
    shader = skia.GradientShader.MakeLinear(
        [skia.Point(0, 0), skia.Point(0, 100)], [paint_colour(top), paint_colour(low)]
    )
    canvas.drawRect(skia.Rect.MakeLTRB(0, 0, 128, 128), skia.Paint(Shader=shader))
    light = Brush(canvas, "flat")
    x, y = r.uniform(14, 114), r.uniform(10, 26)
    if time == "night":
        for _ in range(18):
            light.oval(r.uniform(0, 128), r.uniform(0, 70), 0.8, 0.8, (255, 255, 225))
        light.oval(x, y, 9, 9, (250, 245, 210))
        light.oval(x + 4, y - 2, 8, 8, mix(top, low, y / 100))
    elif time == "sunset":
        light.oval(x, r.uniform(50, 70), 13, 13, (255, 238, 150))
    else:
        light.oval(x, y, 9, 9, (255, 236, 120))
        for _ in range(2):
            cx, cy = r.uniform(0, 128), r.uniform(14, 44)
            for d in (-8, 0, 8):
                light.oval(cx + d, cy - (3 if d == 0 else 0), 8, 5.5, WHITE)


def _forest(b: Brush, p: Picture, style: str, r: random.Random) -> None:
    b.box(-4, 84, 132, 140, 0, (92, 158, 72))
    for x in [r.uniform(-4, 132) for _ in range(6)]:
        y, h = r.uniform(80, 94), r.uniform(44, 66)
        green = (40 + r.random() * 30, 115 + r.random() * 35, 60.0)
        b.box(x - 3, y - 12, x + 3, y, 1, (110, 74, 46))
        b.polygon([(x - 16, y - 10), (x + 16, y - 10), (x, y - h * 0.62)], green)
        b.polygon([(x - 12, y - h * 0.4), (x + 12, y - h * 0.4), (x, y - h)], mix(green, WHITE, 0.1))


def _beach(b: Brush, p: Picture, style: str, r: random.Random) -> None:
    b.box(-4, 62, 132, 96, 0, (52, 152, 205))
    for _ in range(6):
        x, y = r.uniform(0, 120), r.uniform(66, 88)
        b.line([(x, y), (x + 5, y - 2), (x + 10, y)], (190, 228, 245), 1.2)
    dunes = [(-10, 92), (30, 88 + r.uniform(-4, 4)), (90, 96 + r.uniform(-4, 4)), (140, 88), (140, 150), (-10, 150)]
    b.blob(dunes, (243, 218, 160))
    x = r.choice([14, 112])
    b.limb([(x, 100), (x + 4, 70), (x + 8, 42)], (140, 98, 60), 4)
    for dx, dy in ((-18, 4), (-12, -9), (12, -9), (20, 3), (4, 14)):
        leaf = [(x + 8, 42), (x + 8 + dx * 0.5, 36 + dy), (x + 8 + dx, 44 + dy), (x + 8 + dx * 0.5, 42 + dy * 0.8)]
        b.blob(leaf, (60, 150, 75))


def _city(b: Brush, p: Picture, style: str, r: random.Random) -> None:
    x = -6.0
    windows = Brush(b.canvas, style, None if p.time == "night" else b.tint, 1.0)
    pane = (255, 232, 130) if p.time == "night" else (215, 235, 250)
    while x < 130:
        w, h = r.uniform(16, 28), r.uniform(34, 78)
        b.box(x, 100 - h, x + w, 104, 0, mix((120, 128, 150), (190, 160, 150), r.random()))
        y = 105 - h
        while y < 94:
            wx = x + 4
            while wx < x + w - 4:
                if r.random() < 0.75:
                    windows.box(wx, y, wx + 3, y + 4, 0, pane, False)
                wx += 6
            y += 9
        x += w
    b.box(-4, 100, 132, 140, 0, (96, 98, 106))
    for dash in range(0, 128, 24):
        b.box(dash, 113, dash + 12, 115, 0, (240, 240, 225), False)


def _mountains(b: Brush, p: Picture, style: str, r: random.Random) -> None:
    peaks = (
        (r.uniform(0, 30), r.uniform(52, 68)),
        (r.uniform(90, 128), r.uniform(48, 66)),
        (r.uniform(40, 80), r.uniform(60, 76)),
    )
    for x, h in peaks:
        b.polygon([(x - 46, 98), (x, 98 - h), (x + 46, 98)], (128, 138, 162))
        cap = [(x - 14, 98 - h * 0.7), (x, 98 - h), (x + 14, 98 - h * 0.7)]
        b.polygon([*cap, (x + 6, 98 - h * 0.76), (x, 98 - h * 0.68), (x - 6, 98 - h * 0.76)], (248, 250, 255))
    b.blob([(-20, 92), (40, 90), (90, 98), (150, 88), (150, 150), (-20, 150)], (236, 242, 250))


def _room(b: Brush, p: Picture, style: str, r: random.Random) -> None:
    b.box(-4, -4, 132, 98, 0, r.choice([(250, 226, 190), (206, 226, 240), (236, 208, 216), (214, 232, 206)]))
    b.box(-4, 96, 132, 140, 0, (178, 126, 84))
    top, low = SKIES[p.time]
    x = r.choice([8, 84])
    window = Brush(b.canvas, style, None, 1.0)
    window.box(x - 2, 16, x + 38, 58, 0, (120, 84, 58))
    window.box(x, 18, x + 36, 56, 0, mix(top, low, 0.5))
    window.box(x + 17, 18, x + 19, 56, 0, (120, 84, 58))
    window.box(x, 36, x + 36, 38, 0, (120, 84, 58))
    x = 92 - x if x < 50 else 14
    b.box(x, 34, x + 24, 98, 1, (150, 100, 64))
    for shelf in range(3):
        for book in range(4):
            spine = r.choice([(200, 70, 60), (60, 110, 180), (230, 180, 70), (80, 150, 90)])
            b.box(x + 2 + book * 5.2, 39 + shelf * 20, x + 6.4 + book * 5.2, 52 + shelf * 20, 0, spine)


def _desert(b: Brush, p: Picture, style: str, r: random.Random) -> None:
    back = [(-20, 84), (30, 76 + r.uniform(-6, 6)), (80, 90), (150, 74), (150, 150), (-20, 150)]
    b.blob(back, (232, 186, 110))
    b.blob([(-20, 104), (40, 108), (90, 96), (150, 106), (150, 150), (-20, 150)], (222, 170, 92))
    for x in (r.uniform(4, 30), r.uniform(98, 124)):
        y = r.uniform(94, 104)
        b.limb([(x, y), (x, y - 30)], (66, 140, 80), 7)
        b.limb([(x, y - 12), (x - 9, y - 13), (x - 9, y - 22)], (66, 140, 80), 4.5)
        b.limb([(x, y - 16), (x + 9, y - 16), (x + 9, y - 26)], (66, 140, 80), 4.5)


def _meadow(b: Brush, p: Picture, style: str, r: random.Random) -> None:
    back = [(-20, 80), (30, 70 + r.uniform(-6, 6)), (80, 84), (150, 68), (150, 150), (-20, 150)]
    b.blob(back, (150, 205, 100))
    b.blob([(-20, 100), (40, 96), (90, 104), (150, 94), (150, 150), (-20, 150)], (124, 190, 84))
    for _ in range(12):
        x, y = r.uniform(0, 128), r.uniform(92, 126)
        petal = r.choice([(250, 120, 150), (255, 225, 90), (250, 250, 250), (190, 130, 230)])
        b.oval(x, y, 2.4, 2.4, petal)
        b.oval(x, y, 0.9, 0.9, (250, 200, 60), False)


_PAINTERS = {
    "forest": _forest,
    "beach": _beach,
    "city": _city,
    "mountains": _mountains,
    "room": _room,
    "desert": _desert,
    "meadow": _meadow,
}
