"""More places, in and out of doors. The tea garden is held out of pretraining."""

import random

from starter_recipe.world.brush import BLACK, WHITE, Brush, Colour, mix
from starter_recipe.world.picture import Picture
from starter_recipe.world.stage import SKIES, Stage

FRAME: Colour = (120, 84, 58)
BOOKS: tuple[Colour, ...] = (
    (200, 70, 60), (60, 110, 180), (230, 180, 70), (80, 150, 90), (150, 90, 160), (236, 226, 200), (220, 130, 70),
)  # fmt: skip
LIT: Colour = (255, 226, 120)


def window(b: Brush, time: str, x: float, y: float, w: float = 36, h: float = 38) -> None:
    """A window with its top left pane corner at (x, y); it shows the time of day, untinted."""
    top, low = SKIES[time]
    pane = Brush(b.canvas, b.style, None, 1.0)
    pane.box(x - 2, y - 2, x + w + 2, y + h + 2, 0, FRAME)
    pane.box(x, y, x + w, y + h, 0, mix(top, low, 0.5))
    pane.box(x + w / 2 - 1, y, x + w / 2 + 1, y + h, 0, FRAME)
    pane.box(x, y + h / 2 - 1, x + w, y + h / 2 + 1, 0, FRAME)


def _lit(b: Brush, p: Picture) -> Brush:
    """A brush for lamps and lit windows: at night they are not darkened."""
    return Brush(b.canvas, b.style, None, 1.0) if p.time == "night" else b


def _snow(b: Brush, p: Picture, st: Stage, r: random.Random) -> None:
    b.blob(
        st.spread([(-20, 84), (30, 70 + r.uniform(-5, 5)), (80, 86), (150, 70), (150, 150), (-20, 150)]),
        (214, 228, 244),
    )
    for _ in range(st.count(5)):
        x, y = r.uniform(-4, st.width + 4), r.uniform(86, 98)
        for w, low, high in ((17, 8, 34), (13, 26, 50), (8, 42, 62)):
            b.polygon([(x - w, y - low), (x + w, y - low), (x, y - high)], (62, 122, 104))
            b.polygon(
                [
                    (x - w * 0.55, y - high + (high - low) * 0.55),
                    (x + w * 0.55, y - high + (high - low) * 0.55),
                    (x, y - high),
                ],
                WHITE,
                False,
            )
    b.blob(st.spread([(-20, 100), (40, 94), (90, 104), (150, 92), (150, 150), (-20, 150)]), (246, 250, 255))
    flakes = Brush(b.canvas, "flat", b.tint and mix(b.tint, (1, 1, 1), 0.6))
    for _ in range(st.count(26)):
        flakes.oval(r.uniform(0, st.width), r.uniform(st.top, 124), 1.7, 1.7, WHITE)


def _farm(b: Brush, p: Picture, st: Stage, r: random.Random) -> None:
    b.blob(st.spread([(-20, 82), (50, 76), (150, 84), (150, 150), (-20, 150)]), (206, 190, 96))
    left = r.random() < 0.5
    x = st.x(28) if left else st.width - st.x(28)
    silo = x + (30 if left else -30)
    b.box(silo - 8, 40, silo + 8, 86, 2, (190, 196, 206))
    b.oval(silo, 40, 8.5, 7, (150, 158, 172))
    b.polygon([(x - 24, 52), (x - 14, 34), (x, 28), (x + 14, 34), (x + 24, 52)], (110, 54, 50))
    b.box(x - 22, 50, x + 22, 88, 0, (196, 62, 54))
    b.box(x - 11, 62, x + 11, 88, 0, (244, 238, 228))
    for s in (-1, 1):
        b.line([(x - s * 10, 63), (x + s * 10, 87)], (196, 62, 54), 2)
    _lit(b, p).box(x - 5, 40, x + 5, 48, 1, LIT if p.time == "night" else (244, 238, 228))
    b.box(-4, 88, st.width + 4, 140, 0, (118, 176, 76))
    for i in range(5):
        y = 98 + 7 * i
        b.line([(-2, y), (st.width + 2, y)], (134, 98, 62), 2.6)
    for x in range(4, int(st.width), 16):
        b.box(x - 1.6, 80, x + 1.6, 96, 1, (250, 246, 238))
    for y in (84, 90):
        b.box(-4, y, st.width + 4, y + 2.2, 0, (250, 246, 238))


def _castle(b: Brush, p: Picture, st: Stage, r: random.Random) -> None:
    stone, roof = (172, 174, 186), r.choice([(96, 110, 190), (190, 80, 80), (130, 90, 170)])
    b.blob(st.spread([(-20, 88), (40, 82), (90, 86), (150, 80), (150, 150), (-20, 150)]), (120, 180, 96))
    mid = st.width / 2
    b.box(mid - 46, 52, mid + 46, 96, 0, stone)
    for i in range(8):
        b.box(mid - 46 + 12.4 * i, 46, mid - 40 + 12.4 * i, 54, 0, stone)
    lamps = _lit(b, p)
    for dx, top in ((-44, 36), (44, 36), (-20, 24), (20, 24)):
        w = 11 if abs(dx) > 30 else 8
        b.box(mid + dx - w, top, mid + dx + w, 98, 0, mix(stone, WHITE, 0.18))
        b.polygon([(mid + dx - w - 4, top + 1), (mid + dx, top - 24), (mid + dx + w + 4, top + 1)], roof)
        lamps.box(mid + dx - 2.4, top + 10, mid + dx + 2.4, top + 19, 2, LIT if p.time == "night" else (70, 74, 96))
    b.box(mid - 11, 68, mid + 11, 98, 10, (92, 62, 46))
    b.blob([(mid - 11, 96), (mid + 11, 96), (mid + 30, 140), (mid - 30, 140)], (222, 200, 156))


def _space(b: Brush, p: Picture, st: Stage, r: random.Random) -> None:
    flat = Brush(b.canvas, "flat")
    flat.box(*st.all, 0, (26, 18, 58), False)
    flat.blob(
        st.spread([(-30, 20), (40, 34), (90, 10), (160, 30), (160, 60), (80, 52), (20, 74), (-30, 60)]), (56, 34, 96)
    )
    for i in range(st.count(40)):
        size = 1.5 if i % 5 == 0 else 0.8
        flat.oval(r.uniform(0, st.width), r.uniform(st.top, 96), size, size, (255, 250, 225))
    x, y = st.x(r.uniform(14, 30)), r.uniform(20, 34)
    b.oval(x, y, 13, 13, (240, 160, 90))
    b.limb([(x - 20, y + 6), (x + 2, y + 7), (x + 20, y - 5)], (250, 220, 160), 2.6)
    x, y = st.width - st.x(r.uniform(12, 26)), r.uniform(34, 56)
    b.oval(x, y, 9, 9, (90, 190, 200))
    b.oval(x - 3, y - 2, 3, 2.4, (130, 220, 200), False)
    b.blob(st.spread([(-20, 108), (30, 98), (100, 100), (150, 110), (150, 150), (-20, 150)]), (150, 148, 168))
    for _ in range(st.count(6)):
        x, y, w = r.uniform(4, st.width - 4), r.uniform(108, 124), r.uniform(5, 9)
        b.oval(x, y, w, w * 0.36, (116, 112, 138))


def _underwater(b: Brush, p: Picture, st: Stage, r: random.Random) -> None:
    flat = Brush(b.canvas, "flat")
    for i in range(6):
        share = i / 5
        top = st.top - 2 if i == 0 else st.top + i * (104 - st.top) / 6
        flat.box(-2, top, st.width + 2, 130, 0, mix((84, 204, 218), (18, 84, 140), share), False)
    b.blob(st.spread([(-20, 110), (40, 102), (90, 110), (150, 100), (150, 150), (-20, 150)]), (232, 212, 160))
    for _ in range(st.count(4)):
        x, h = r.uniform(2, st.width - 2), r.uniform(28, 50)
        b.limb([(x, 112), (x + 9, 112 - h / 2), (x - 3, 112 - h)], (46, 150, 96), 4.5)
    for side in (st.x(16), st.width - st.x(16)):
        x, coral = side + r.uniform(-8, 8), r.choice([(244, 116, 122), (250, 160, 80), (190, 110, 200)])
        for dx in (-9, 0, 9):
            b.limb([(x, 114), (x + dx * 0.6, 102), (x + dx * 1.5, 92 - (dx == 0) * 7)], coral, 5)
    for _ in range(st.count(4)):
        x, y, s = r.uniform(10, st.width - 10), r.uniform(st.top + 14, 84), r.choice((-1, 1))
        fish = r.choice([(252, 190, 60), (244, 110, 90), (240, 240, 250)])
        b.polygon([(x - s * 5, y), (x - s * 12, y - 5), (x - s * 12, y + 5)], fish)
        b.oval(x, y, 7, 4.4, fish)
        flat.oval(x + s * 3.5, y - 1, 1, 1, BLACK)
    for _ in range(st.count(10)):
        flat.ring(r.uniform(4, st.width - 4), r.uniform(st.top + 4, 100), 2.2, 2.2, (214, 244, 250), 1.1)


def _kitchen(b: Brush, p: Picture, st: Stage, r: random.Random) -> None:
    front = r.choice([(110, 176, 170), (228, 150, 120), (130, 160, 206), (240, 206, 120)])
    b.box(*st.all, 0, (250, 244, 230), False)
    for y in range(int(st.top) // 12 * 12, 84, 12):
        b.line([(-2, y), (st.width + 2, y)], (226, 216, 200), 1)
    for x in range(0, int(st.width) + 1, 12):
        b.line([(x, st.top), (x, 84)], (226, 216, 200), 1)
    left = r.random() < 0.5
    x = st.x(8) if left else st.width - st.x(8) - 36
    window(b, p.time, x, 20, 36, 34)
    x = st.width - st.x(8) - 38 if left else st.x(8)
    for dx in (0, 20):
        b.box(x + dx, 12, x + dx + 19, 42, 1, front)
        b.oval(x + dx + (15 if dx == 0 else 4), 34, 1.6, 1.6, (90, 80, 80), False)
    b.box(-4, 84, st.width + 4, 140, 0, front)
    b.box(-4, 80, st.width + 4, 87, 0, (150, 112, 84))
    for i in range(int(st.width / 32) + 1):
        b.box(32 * i + 2, 92, 32 * i + 30, 124, 1, mix(front, WHITE, 0.25))
        b.oval(32 * i + 26, 104, 1.6, 1.6, (90, 80, 80), False)
    x += 19
    b.box(x - 13, 66, x + 13, 80, 3, (196, 70, 66))
    b.box(x - 15, 64, x + 15, 68, 1, (120, 44, 48))


def _library(b: Brush, p: Picture, st: Stage, r: random.Random) -> None:
    b.box(*st.all, 0, (112, 72, 50), False)
    x = 3.0
    gap = st.x(r.choice([14, 78]))
    spines = Brush(b.canvas, "flat", b.tint)
    while x < st.width:
        if gap <= x < gap + 12:
            window(b, p.time, x + 3, 22, 30, 40)
            x += 40
            continue
        for shelf in range(int(st.top) // 24, 4):
            base = 24 + shelf * 24
            b.box(x, base - 20, x + 18, base, 0, (70, 44, 34))
            left = x + 1
            while left < x + 15:
                w, h = r.uniform(2.8, 4.6), r.uniform(12, 17.5)
                spines.box(left, base - h, min(left + w, x + 17.4), base, 0, r.choice(BOOKS), False)
                left += w + 0.5
        x += 21
    b.box(-4, 98, st.width + 4, 140, 0, (164, 60, 66))
    b.box(-4, 98, st.width + 4, 102, 0, (96, 60, 42))
    b.oval(st.width / 2, 122, 46, 7, (226, 180, 110))


def _harbour(b: Brush, p: Picture, st: Stage, r: random.Random) -> None:
    b.box(-4, 64, st.width + 4, 112, 0, (60, 136, 176))
    left = r.random() < 0.5
    x = st.x(17) if left else st.width - st.x(17)
    b.blob([(x - 26, 68), (x - 10, 60), (x + 12, 60), (x + 26, 68), (x + 10, 76), (x - 14, 76)], (120, 116, 112))
    for i in range(5):
        w, y = 9 - 0.7 * i, 62 - 9 * i
        b.polygon(
            [(x - w, y), (x + w, y), (x + w - 0.7, y - 9), (x - w + 0.7, y - 9)], WHITE if i % 2 else (206, 58, 58)
        )
    _lit(b, p).box(x - 5, 9, x + 5, 18, 1, LIT)
    b.polygon([(x - 8, 10), (x, 2), (x + 8, 10)], (70, 70, 86))
    side = 1 if left else -1
    for dx, y, hull in ((40, 76, (240, 150, 60)), (78, 84, (70, 90, 160))):
        bx = x + side * st.x(dx)
        b.line([(bx, y), (bx, y - 36)], (96, 70, 52), 2)
        b.polygon([(bx + 2, y - 34), (bx + 18, y - 6), (bx + 2, y - 6)], (250, 248, 240))
        b.blob([(bx - 22, y - 3), (bx + 22, y - 3), (bx + 15, y + 9), (bx - 15, y + 9)], hull)
    for _ in range(st.count(5)):
        x, y = r.uniform(0, st.width - 8), r.uniform(70, 98)
        b.line([(x, y), (x + 5, y - 2), (x + 10, y)], (180, 220, 236), 1.2)
    b.box(-4, 102, st.width + 4, 140, 0, (176, 134, 92))
    for x in range(8, int(st.width) + 8, 16):
        b.line([(x, 103), (x, 130)], (128, 92, 62), 1.6)
        b.box(x - 3, 92, x + 3, 106, 1, (110, 78, 54))


def _playground(b: Brush, p: Picture, st: Stage, r: random.Random) -> None:
    b.blob(st.spread([(-20, 84), (40, 78), (90, 84), (150, 76), (150, 150), (-20, 150)]), (136, 200, 104))
    b.blob(st.spread([(-10, 108), (50, 100), (120, 102), (140, 120), (60, 132), (-10, 130)]), (240, 214, 150))
    left = r.random() < 0.5
    s, x = (1, st.x(20)) if left else (-1, st.width - st.x(20))
    for dx in (-9, 9):
        b.box(x + dx - 1.6, 44, x + dx + 1.6, 104, 0, (70, 110, 200))
    for y in (60, 72, 84, 96):
        b.box(x - 9, y, x + 9, y + 2.4, 0, (70, 110, 200))
    b.polygon([(x - 14, 38), (x, 24), (x + 14, 38)], (240, 190, 60))
    b.limb([(x + s * 8, 52), (x + s * 22, 66), (x + s * 40, 104)], (226, 70, 64), 7)
    x = st.width - x - s * 4
    for dx in (-20, 20):
        b.limb([(x + dx * 0.7, 44), (x + dx, 102)], (150, 90, 180), 3.4)
    b.limb([(x - 15, 44), (x + 15, 44)], (150, 90, 180), 3.4)
    for dx in (-6, 6):
        b.line([(x + dx, 45), (x + dx + s * 3, 86)], (80, 80, 90), 1.4)
    b.box(x - 9 + s * 3, 86, x + 9 + s * 3, 89.5, 1, (240, 160, 50))


def _tea_garden(b: Brush, p: Picture, st: Stage, r: random.Random) -> None:
    """Always the same place: a red bridge over a pond, a pagoda, cherry trees; only small things vary."""
    mid, pink = st.width / 2, (250, 178, 204)
    b.blob(st.spread([(-20, 84), (40, 78), (90, 82), (150, 76), (150, 150), (-20, 150)]), (150, 196, 140))
    x = st.x(98) + r.uniform(-3, 3)
    lamps = _lit(b, p)
    for i in range(3):
        w, y = 15 - 3 * i, 82 - 20 * i
        b.box(x - w + 4, y - 14, x + w - 4, y, 0, (236, 222, 196))
        lamps.box(x - 3, y - 11, x + 3, y - 3, 1, LIT if p.time == "night" else (120, 70, 60))
        b.polygon(
            [(x - w - 7, y - 12), (x - w + 3, y - 21), (x + w - 3, y - 21), (x + w + 7, y - 12), (x, y - 14)],
            (60, 92, 110),
        )
    b.line([(x, 21), (x, 10)], (200, 160, 60), 2.2)
    for across, y in ((14, 94), (124, 98)):
        tx = st.x(across) + r.uniform(-3, 3)
        b.limb([(tx, y), (tx + 3, y - 20), (tx - 2, y - 40)], (104, 70, 66), 5)
        for dx, dy, size in ((-13, -40, 12), (12, -42, 13), (0, -54, 14), (-2, -36, 10)):
            b.oval(tx + dx, y + dy, size, size * 0.8, mix(pink, WHITE, 0.25 * (dx > 0)))
    b.blob(
        [(mid - 70, 112), (mid - 40, 100), (mid + 40, 100), (mid + 70, 112), (mid + 40, 140), (mid - 40, 140)],
        (96, 178, 190),
    )
    for dx, dy in ((-46, 116), (-28, 122), (44, 118), (30, 124)):
        b.oval(mid + dx + r.uniform(-3, 3), dy, 5, 2, (90, 160, 90))
    b.limb([(mid - 64, 108), (mid, 84), (mid + 64, 108)], (178, 48, 44), 7)
    b.limb([(mid - 60, 94), (mid, 70), (mid + 60, 94)], (214, 66, 54), 3.4)
    for dx in (-54, -36, -18, 0, 18, 36, 54):
        y = 96 - 12 * (1 - (dx / 64) ** 2)
        b.line([(mid + dx, y - 13), (mid + dx, y + 10)], (214, 66, 54), 3)
    petals = Brush(b.canvas, "flat", b.tint)
    for _ in range(st.count(9)):
        petals.oval(r.uniform(0, st.width), r.uniform(st.top + 10, 120), 1.6, 1.2, pink)


PAINTERS = {
    "snow": _snow,
    "farm": _farm,
    "castle": _castle,
    "space": _space,
    "underwater": _underwater,
    "kitchen": _kitchen,
    "library": _library,
    "harbour": _harbour,
    "playground": _playground,
    "tea garden": _tea_garden,
}
