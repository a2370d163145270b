"""Hair: what hangs behind the head and the body, and what lies in front of them."""

import math

from starter_recipe.world.brush import BLACK, WHITE, Brush, Colour, Point, mix
from starter_recipe.world.picture import HIDES_HAIR, SKINS, Picture

X = 64.0
BAND: Colour = (220, 70, 90)
FRINGE = [(40, 44), (42, 27), (62, 17), (86, 26), (88, 44), (84, 36), (70, 34), (56, 30), (46, 36)]
FULL_FRINGE = [(40, 48), (41, 27), (64, 17), (87, 27), (88, 48), (84, 40), (78, 34), (64, 37), (50, 34), (44, 40)]
SIDE_FRINGE = [(42, 40), (44, 22), (64, 16), (86, 24), (88, 36), (76, 33), (62, 33), (56, 46), (50, 62), (40, 56)]
NAPE = [(41, 30), (64, 16), (87, 30), (90, 50), (82, 66), (64, 69), (46, 66), (38, 50)]  # the head from behind


def hair_behind(b: Brush, p: Picture, c: Colour) -> None:
    """What is seen from the front or the side and lies behind the body."""
    h = p.hair
    if h == "long":
        b.blob([(40, 30), (64, 14), (88, 30), (92, 60), (88, 88), (64, 90), (40, 88), (36, 60)], c)
    elif h == "bob":
        b.blob([(40, 30), (64, 16), (88, 30), (92, 54), (88, 66), (64, 66), (40, 66), (36, 54)], c)
    elif h == "twin tails":
        for s in (-1, 1):
            tail = [(22, 30), (38, 32), (42, 58), (34, 84), (28, 60), (22, 42)]
            b.blob([(X + s * dx, y) for dx, y in tail], c)
    elif h == "ponytail":
        s = 1 if p.view == "front" else -1
        tail = [(8, 22), (34, 16), (44, 44), (36, 72), (28, 46), (16, 36)]
        b.blob([(X + s * dx, y) for dx, y in tail], c)
    elif h == "curly":
        for i in range(9):
            t = math.pi * (0.92 + i * 1.16 / 8)
            b.oval(X + 24 * math.cos(t), 44 + 24 * math.sin(t), 9, 9, c)
        for s in (-1, 1):
            b.oval(X + s * 24, 52, 8.5, 8.5, c)
            b.oval(X + s * 22, 62, 7.5, 7.5, c)
    elif h == "bun":
        b.oval(48 if p.view == "side" else X, 17, 11, 10, c)
    elif h == "afro":
        b.cloud(60 if p.view == "side" else X, 37, 39, 37, 15, c)
    elif h == "space buns":
        _space_buns(b, p, c)
    elif h == "wavy":
        _waves(b, c)
    elif h == "dreadlocks":
        _locks(b, c, (-24, -12, 0, 12, 24) if p.view == "front" else (-20, -12, -4), 88)


def hair_front(b: Brush, p: Picture, c: Colour) -> None:
    """What lies in front of the face and the body; from behind, all of it."""
    h = p.hair
    if h == "fins":  # held out of pretraining: three tall fins
        for d in (-13, 0, 13):
            b.polygon([(X + d - 9, 30), (X + d + 9, 30), (X + d * 1.5, 2 if d == 0 else 8)], c)
    elif p.view == "back":
        _hair_from_behind(b, p, c)
    elif h == "spiky":
        _spikes(b, c)
    elif h == "curly":
        for i in range(6):
            b.oval(46 + i * 7.2, 29 - 4 * math.sin(math.pi * i / 5), 7.2, 6.8, c)
    elif h == "mohawk":
        _mohawk(b, p, c)
    elif h == "quiff":
        _quiff(b, p, c)
    elif h == "bowl cut":
        _bowl(b, p, c)
    elif p.view == "side":
        b.blob(SIDE_FRINGE, c)
    elif h in ("long", "bob", "twin tails"):
        b.blob(FULL_FRINGE, c)
    elif h == "afro":
        b.blob([(40, 46), (41, 26), (64, 14), (87, 26), (88, 46), (82, 34), (64, 29), (46, 34)], c)
    elif h in ("wavy", "braids"):  # parted in the middle
        b.blob([(42, 40), (43, 23), (64, 13), (85, 23), (86, 40), (78, 28), (64, 23), (50, 28)], c)
        for s in (-1, 1):
            b.blob([(X + s * dx, y) for dx, y in ((-1, 16), (16, 17), (25, 30), (27, 52), (21, 44), (15, 32))], c)
    else:
        b.blob(FRINGE, c)
    if h == "twin tails" and p.view != "back":
        for s in (-1, 1):
            b.oval(X + s * 23, 31, 3.6, 3.6, BAND)
    if h == "braids":
        _braids(b, p, c)
    if h == "dreadlocks" and p.view != "back":
        _locks(b, c, (-27, -21, 21, 27) if p.view == "front" else (-8, -14, -20), 76, top=36)


def _hair_from_behind(b: Brush, p: Picture, c: Colour) -> None:
    h = p.hair
    if h == "afro":
        b.cloud(X, 39, 39, 37, 15, c)
        return
    if h == "space buns":
        _space_buns(b, p, c)
    if h == "wavy":
        _waves(b, c)
    if h == "mohawk":
        b.oval(X, 44, 23, 22, mix(SKINS[p.skin], c, 0.3))
        _mohawk(b, p, c)
        return
    if h == "bowl cut":
        b.box(X - 12, 54, X + 12, 68, 4, SKINS[p.skin])
        _bowl(b, p, c)
        return
    b.blob(NAPE, c)
    if h in ("long", "bob"):
        low = 90 if h == "long" else 70
        b.blob([(40, 34), (64, 20), (88, 34), (92, 60), (88, low), (64, low + 2), (40, low), (36, 60)], c)
    elif h == "ponytail":
        b.blob([(56, 28), (72, 28), (76, 56), (64, 86), (52, 56)], c)
        b.oval(64, 30, 5, 3.5, mix(c, BLACK, 0.35))
    elif h == "bun":
        b.oval(64, 24, 11, 10, mix(c, BLACK, 0.1))
    elif h == "twin tails":
        hair_behind(b, p, c)
        for s in (-1, 1):
            b.oval(X + s * 23, 31, 3.6, 3.6, BAND)
    elif h == "spiky":
        _spikes(b, c)
    elif h == "curly":
        for i in range(7):
            b.oval(44 + i * 6.6, 60 + (i % 2) * 5, 7, 7, c)
    elif h == "dreadlocks":
        _locks(b, c, (-24, -16, -8, 0, 8, 16, 24), 88)
    elif h == "quiff" and p.accessory not in HIDES_HAIR:
        b.blob([(48, 22), (50, 6), (66, 2), (84, 8), (84, 22), (66, 26)], c)


def _spikes(b: Brush, c: Colour) -> None:
    points: list[Point] = []
    for i in range(17):
        t = math.pi * (1 + i / 16)
        rx, ry = (35, 36) if i % 2 == 0 else (22, 21)
        points.append((64 + rx * math.cos(t), 44 + ry * math.sin(t)))
    b.polygon([*points, (84, 38), (74, 32), (66, 38), (58, 31), (50, 37), (44, 36)], c)


def _waves(b: Brush, c: Colour) -> None:
    right = [(20, 16), (30, 34), (25, 46), (37, 58), (27, 70), (39, 82), (28, 93), (33, 106), (18, 98)]
    rim = [(X + dx, y) for dx, y in right] + [(X - dx, y) for dx, y in reversed(right)]
    b.blob(rim, c)


def _space_buns(b: Brush, p: Picture, c: Colour) -> None:
    for x in (X - 21, X + 21) if p.view != "side" else (X - 12, X + 9):
        b.oval(x, 17, 11, 10.5, c)
        b.ring(x, 17, 5, 4.5, mix(c, BLACK, 0.3), 1.6)


def _braids(b: Brush, p: Picture, c: Colour) -> None:
    for s in (-1, 1) if p.view != "side" else (-1,):
        x = X + s * (24 if p.view != "side" else 17)
        for i in range(5):
            b.oval(x + s * i * 0.6, 54 + i * 7.6, 6.4 - 0.3 * i, 5.2, mix(c, BLACK, 0.16) if i % 2 else c)
        b.box(x + s * 3 - 4, 89, x + s * 3 + 4, 92.5, 1, BAND)
        b.blob(
            [(x + s * 3 - 4, 92), (x + s * 3 + 4, 92), (x + s * 3 + 4, 98), (x + s * 3, 101), (x + s * 3 - 4, 98)], c
        )


def _locks(b: Brush, c: Colour, offsets: tuple[int, ...], low: float, top: float = 30) -> None:
    dark = mix(c, BLACK if sum(c) > 200 else WHITE, 0.22)
    for i, dx in enumerate(offsets):
        b.limb([(X + dx * 0.85, top), (X + dx * 1.1, 56), (X + dx * 1.22, low)], dark if i % 2 else c, 6)


def _mohawk(b: Brush, p: Picture, c: Colour) -> None:
    if p.view != "back":
        stubble = [(42, 40), (42, 26), (64, 18), (86, 26), (86, 40), (80, 31), (64, 27), (48, 31)]
        b.blob(stubble if p.view == "front" else SIDE_FRINGE, mix(SKINS[p.skin], c, 0.3))
    if p.accessory in HIDES_HAIR:
        return
    if p.view == "side":
        crest: list[Point] = []
        for i in range(13):
            t = math.pi * (1.0 + 0.78 * i / 12)
            r = 43 if i % 2 else 28
            crest.append((62 + r * 0.88 * math.cos(t), 45 + r * math.sin(t)))
        b.polygon([*crest, (78, 30), (64, 25), (50, 30)], c)
        return
    low = 34 if p.view == "front" else 64
    b.blob([(56, low + 2), (53, 12), (56, -2), (64, -6), (72, -2), (75, 12), (72, low + 2)], c)
    for dx in (-3.5, 3.5):
        b.line([(X + dx, low - 4), (X + dx, 6)], mix(c, BLACK if sum(c) > 200 else WHITE, 0.25), 1.4)


def _quiff(b: Brush, p: Picture, c: Colour) -> None:
    if p.accessory in HIDES_HAIR:
        b.blob(SIDE_FRINGE if p.view == "side" else FRINGE, c)
    elif p.view == "side":
        b.blob([(42, 40), (42, 22), (58, 8), (84, -3), (98, 8), (98, 24), (86, 34), (62, 33), (50, 58), (40, 54)], c)
        b.line([(56, 24), (76, 18), (90, 6)], mix(c, BLACK if sum(c) > 200 else WHITE, 0.25), 1.8)
    else:
        b.blob([(41, 46), (39, 22), (48, 4), (72, -5), (96, 2), (99, 18), (88, 30), (88, 44), (84, 36), (60, 32)], c)
        b.line([(50, 28), (60, 12), (88, 10)], mix(c, BLACK if sum(c) > 200 else WHITE, 0.25), 1.8)


def _bowl(b: Brush, p: Picture, c: Colour) -> None:
    arc = [math.pi * i / 12 for i in range(13)]
    dome: list[Point] = [(X - 27 * math.cos(t), 42 - 29 * math.sin(t)) for t in arc]
    rim: dict[str, list[Point]] = {
        "front": [(X + 27, 53), (83, 53), (83, 37), (45, 37), (45, 53), (X - 27, 53)],
        "side": [(X + 27, 37), (66, 37), (62, 54), (X - 27, 54)],
        "back": [(X + 27, 59), (X - 27, 59)],
    }
    b.polygon([*dome, *rim[p.view]], c)
