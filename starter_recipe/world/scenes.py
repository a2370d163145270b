"""The sky, the time of day, and the places that have been in the world from the start."""

import random
from collections.abc import Callable

import skia

from starter_recipe.world import places
from starter_recipe.world.brush import WHITE, Brush, Canvas, Colour, mix, paint_colour
from starter_recipe.world.picture import COLOURS, TIMELESS_SCENES, Picture
from starter_recipe.world.stage import SKIES, Stage

SCENE_TINTS: dict[str, Colour | None] = {"day": None, "sunset": (1.0, 0.86, 0.76), "night": (0.52, 0.58, 0.82)}


NO_SKY = ("room", "kitchen", "library", "space", "underwater")


def draw_scene(canvas: Canvas, p: Picture, style: str, stage: Stage, seed: int) -> None:
    """Fill the whole stage. In a timeless scene the time of day changes nothing."""
    if p.scene == "plain":
        Brush(canvas, "flat").box(*stage.all, 0, mix(COLOURS[p.backdrop], WHITE, 0.45), False)
        return
    layout = random.Random(seed)
    if p.scene not in NO_SKY:
        _sky(canvas, p.time, stage, random.Random(seed))
        # The sky draws more or less often by the time of day. What stands below it must not move when the time changes.
        for _ in range(2 + 2 * stage.count(2)):
            layout.random()
    tint = None if p.scene in TIMELESS_SCENES else SCENE_TINTS[p.time]
    _PAINTERS[p.scene](Brush(canvas, style, tint, 1.0), p, stage, layout)


def _sky(canvas: Canvas, time: str, st: Stage, r: random.Random) -> None:
    top, low = SKIES[time]
    shader = skia.GradientShader.MakeLinear(
        [skia.Point(0, st.top), skia.Point(0, 100)], [paint_colour(top), paint_colour(low)]
    )
    canvas.drawRect(skia.Rect.MakeLTRB(*st.all), skia.Paint(Shader=shader))
    light = Brush(canvas, "flat")
    x, y = r.uniform(14, st.width - 14), st.top + r.uniform(10, 26)
    if time == "night":
        for _ in range(st.count(18)):
            light.oval(r.uniform(0, st.width), r.uniform(st.top, 70), 0.8, 0.8, (255, 255, 225))
        light.oval(x, y, 9, 9, (250, 245, 210))
        light.oval(x + 4, y - 2, 8, 8, mix(top, low, (y - st.top) / (100 - st.top)))
    elif time == "sunset":
        light.oval(x, r.uniform(50, 70), 13, 13, (255, 238, 150))
    else:
        light.oval(x, y, 9, 9, (255, 236, 120))
        for _ in range(st.count(2)):
            cx, cy = r.uniform(0, st.width), r.uniform(st.top + 14, 44)
            for d in (-8, 0, 8):
                light.oval(cx + d, cy - (3 if d == 0 else 0), 8, 5.5, WHITE)


def _forest(b: Brush, p: Picture, st: Stage, r: random.Random) -> None:
    b.box(-4, 84, st.width + 4, 140, 0, (92, 158, 72))
    for x in [r.uniform(-4, st.width + 4) for _ in range(st.count(6))]:
        y, h = r.uniform(80, 94), r.uniform(44, 66)
        green = (40 + r.random() * 30, 115 + r.random() * 35, 60.0)
        b.box(x - 3, y - 12, x + 3, y, 1, (110, 74, 46))
        b.polygon([(x - 16, y - 10), (x + 16, y - 10), (x, y - h * 0.62)], green)
        b.polygon([(x - 12, y - h * 0.4), (x + 12, y - h * 0.4), (x, y - h)], mix(green, WHITE, 0.1))


def _beach(b: Brush, p: Picture, st: Stage, r: random.Random) -> None:
    b.box(-4, 62, st.width + 4, 96, 0, (52, 152, 205))
    for _ in range(st.count(6)):
        x, y = r.uniform(0, st.width - 8), r.uniform(66, 88)
        b.line([(x, y), (x + 5, y - 2), (x + 10, y)], (190, 228, 245), 1.2)
    dunes = [(-10, 92), (30, 88 + r.uniform(-4, 4)), (90, 96 + r.uniform(-4, 4)), (140, 88), (140, 150), (-10, 150)]
    b.blob(st.spread(dunes), (243, 218, 160))
    x = st.x(r.choice([14, 112]))
    b.limb([(x, 100), (x + 4, 70), (x + 8, 42)], (140, 98, 60), 4)
    for dx, dy in ((-18, 4), (-12, -9), (12, -9), (20, 3), (4, 14)):
        leaf = [(x + 8, 42), (x + 8 + dx * 0.5, 36 + dy), (x + 8 + dx, 44 + dy), (x + 8 + dx * 0.5, 42 + dy * 0.8)]
        b.blob(leaf, (60, 150, 75))


def _city(b: Brush, p: Picture, st: Stage, r: random.Random) -> None:
    x = -6.0
    windows = Brush(b.canvas, b.style, None if p.time == "night" else b.tint, 1.0)
    pane = (255, 232, 130) if p.time == "night" else (215, 235, 250)
    while x < st.width + 2:
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
    b.box(-4, 100, st.width + 4, 140, 0, (96, 98, 106))
    for dash in range(0, int(st.width), 24):
        b.box(dash, 113, dash + 12, 115, 0, (240, 240, 225), False)


def _mountains(b: Brush, p: Picture, st: Stage, r: random.Random) -> None:
    peaks = (
        (r.uniform(0, 30), r.uniform(52, 68)),
        (r.uniform(90, 128), r.uniform(48, 66)),
        (r.uniform(40, 80), r.uniform(60, 76)),
    )
    for across, h in peaks if st.width < 150 else (*peaks, (r.uniform(20, 60), 40.0), (r.uniform(70, 120), 44.0)):
        x = st.x(across)
        b.polygon([(x - 46, 98), (x, 98 - h), (x + 46, 98)], (128, 138, 162))
        cap = [(x - 14, 98 - h * 0.7), (x, 98 - h), (x + 14, 98 - h * 0.7)]
        b.polygon([*cap, (x + 6, 98 - h * 0.76), (x, 98 - h * 0.68), (x - 6, 98 - h * 0.76)], (248, 250, 255))
    b.blob(st.spread([(-20, 92), (40, 90), (90, 98), (150, 88), (150, 150), (-20, 150)]), (236, 242, 250))


def _room(b: Brush, p: Picture, st: Stage, r: random.Random) -> None:
    b.box(
        -4,
        st.top - 4,
        st.width + 4,
        98,
        0,
        r.choice([(250, 226, 190), (206, 226, 240), (236, 208, 216), (214, 232, 206)]),
    )
    b.box(-4, 96, st.width + 4, 140, 0, (178, 126, 84))
    x = r.choice([8, 84])
    left = x < 50
    x = st.x(8) if left else st.width - st.x(8) - 36
    places.window(b, p.time, x, 18)
    x = st.width - st.x(20) - 24 if left else st.x(14)
    b.box(x, 34, x + 24, 98, 1, (150, 100, 64))
    for shelf in range(3):
        for book in range(4):
            spine = r.choice([(200, 70, 60), (60, 110, 180), (230, 180, 70), (80, 150, 90)])
            b.box(x + 2 + book * 5.2, 39 + shelf * 20, x + 6.4 + book * 5.2, 52 + shelf * 20, 0, spine)


def _desert(b: Brush, p: Picture, st: Stage, r: random.Random) -> None:
    back = [(-20, 84), (30, 76 + r.uniform(-6, 6)), (80, 90), (150, 74), (150, 150), (-20, 150)]
    b.blob(st.spread(back), (232, 186, 110))
    b.blob(st.spread([(-20, 104), (40, 108), (90, 96), (150, 106), (150, 150), (-20, 150)]), (222, 170, 92))
    for across in (r.uniform(4, 30), r.uniform(98, 124)):
        x = st.x(across)
        y = r.uniform(94, 104)
        b.limb([(x, y), (x, y - 30)], (66, 140, 80), 7)
        b.limb([(x, y - 12), (x - 9, y - 13), (x - 9, y - 22)], (66, 140, 80), 4.5)
        b.limb([(x, y - 16), (x + 9, y - 16), (x + 9, y - 26)], (66, 140, 80), 4.5)


def _meadow(b: Brush, p: Picture, st: Stage, r: random.Random) -> None:
    back = [(-20, 80), (30, 70 + r.uniform(-6, 6)), (80, 84), (150, 68), (150, 150), (-20, 150)]
    b.blob(st.spread(back), (150, 205, 100))
    b.blob(st.spread([(-20, 100), (40, 96), (90, 104), (150, 94), (150, 150), (-20, 150)]), (124, 190, 84))
    for _ in range(st.count(12)):
        x, y = r.uniform(0, st.width), r.uniform(92, 126)
        petal = r.choice([(250, 120, 150), (255, 225, 90), (250, 250, 250), (190, 130, 230)])
        b.oval(x, y, 2.4, 2.4, petal)
        b.oval(x, y, 0.9, 0.9, (250, 200, 60), False)


_PAINTERS: dict[str, Callable[[Brush, Picture, Stage, random.Random], None]] = {
    "forest": _forest,
    "beach": _beach,
    "city": _city,
    "mountains": _mountains,
    "room": _room,
    "desert": _desert,
    "meadow": _meadow,
    **places.PAINTERS,
}
