"""Things, on their own and carried. The radio is held out of pretraining."""

import math
from collections.abc import Callable

from starter_recipe.world.brush import BLACK, WHITE, Brush, Colour, Point, mix
from starter_recipe.world.picture import Picture, main_and_accent

X = 64.0
WOOD: Colour = (110, 74, 46)
GLASS: Colour = (190, 226, 245)
DARK: Colour = (46, 46, 54)
CREAM: Colour = (250, 240, 215)
Painter = Callable[[Brush, float, float, Colour, Colour, Colour], None]

# Where a hand holds it, from the middle of the thing, and how large it is then.
_GRIPS: dict[str, tuple[Point, float]] = {
    "balloon": ((-2, 44), 0.5),
    "flower": ((2, 32), 0.5),
    "book": ((-10, 20), 0.42),
    "cup": ((-2, 26), 0.42),
    "apple": ((-2, 30), 0.44),
    "guitar": ((-4, 10), 0.56),
    "lantern": ((0, 30), 0.44),
    "ice cream": ((0, 30), 0.48),
    "gift": ((-4, 30), 0.4),
    "flag": ((-21, 34), 0.42),
    "ball": ((-4, 27), 0.44),
    "key": ((0, 24), 0.52),
    "radio": ((-2, 28), 0.4),
}


def draw_thing(b: Brush, face: Brush, p: Picture) -> None:
    _paint(b, p.noun, X, 78.0, main_and_accent(p.colour))


def draw_carried(b: Brush, noun: str, x: float, y: float, paint: tuple[Colour, Colour | None]) -> None:
    """Draw it small, held at (x, y)."""
    grip, scale = _GRIPS[noun]
    with b.at(x, y, scale, grip):
        _paint(b, noun, 0, 0, paint)


def _paint(b: Brush, noun: str, x: float, y: float, paint: tuple[Colour, Colour | None]) -> None:
    c, accent = paint
    light, dark = (accent, mix(accent, BLACK, 0.28)) if accent else (mix(c, WHITE, 0.45), mix(c, BLACK, 0.28))
    _THINGS[noun](b, x, y, c, light, dark)


def _apple(b: Brush, x: float, y: float, c: Colour, light: Colour, dark: Colour) -> None:
    right = [(x + 22, y - 30), (x + 34, y), (x + 14, y + 32)]
    b.blob([(x, y - 18), *right, (x, y + 26), *[(2 * x - px, py) for px, py in reversed(right)]], c)
    b.line([(x, y - 20), (x + 2, y - 30), (x + 6, y - 35)], (110, 70, 40), 3.2)
    b.blob([(x + 5, y - 30), (x + 18, y - 40), (x + 22, y - 30), (x + 12, y - 26)], (90, 170, 70))
    b.oval(x - 14, y - 8, 4, 7, light, False)


def _ball(b: Brush, x: float, y: float, c: Colour, light: Colour, dark: Colour) -> None:
    b.oval(x, y, 29, 29, c)
    b.line([(x - 28, y + 4), (x, y + 16), (x + 28, y + 4)], dark, 3)
    b.line([(x - 4, y - 28), (x - 16, y), (x - 2, y + 28)], dark, 3)
    b.oval(x + 11, y - 13, 5, 5, light, False)


def _cup(b: Brush, x: float, y: float, c: Colour, light: Colour, dark: Colour) -> None:
    b.limb([(x + 20, y - 12), (x + 46, y), (x + 18, y + 16)], c, 6)
    b.blob(
        [(x - 26, y - 26), (x + 26, y - 26), (x + 24, y + 24), (x + 10, y + 30), (x - 10, y + 30), (x - 24, y + 24)], c
    )
    b.oval(x, y - 22, 21, 5, (96, 60, 40))


def _car(b: Brush, x: float, y: float, c: Colour, light: Colour, dark: Colour) -> None:
    cabin = [(x - 24, y - 4), (x - 18, y - 26), (x + 14, y - 26), (x + 28, y - 4), (x + 20, y + 2), (x - 20, y + 2)]
    b.blob(cabin, c)
    b.box(x - 44, y - 6, x + 44, y + 18, 8, c)
    b.polygon([(x - 16, y - 6), (x - 12, y - 18), (x - 1, y - 18), (x - 1, y - 6)], GLASS)
    b.polygon([(x + 3, y - 6), (x + 3, y - 18), (x + 11, y - 18), (x + 19, y - 6)], GLASS)
    for s in (-1, 1):
        b.oval(x + s * 24, y + 18, 9.5, 9.5, (40, 40, 46))
        b.oval(x + s * 24, y + 18, 4, 4, (200, 200, 205))


def _house(b: Brush, x: float, y: float, c: Colour, light: Colour, dark: Colour) -> None:
    b.box(x - 30, y - 12, x + 30, y + 30, 1, light)
    b.polygon([(x - 40, y - 10), (x, y - 44), (x + 40, y - 10)], c)
    b.box(x - 7, y + 6, x + 7, y + 30, 1, (120, 80, 54))
    for s in (-1, 1):
        b.box(x + s * 19 - 6, y - 2, x + s * 19 + 6, y + 10, 1, GLASS)


def _star(b: Brush, x: float, y: float, c: Colour, light: Colour, dark: Colour) -> None:
    spokes = [(34 if i % 2 == 0 else 15, math.pi * i / 5) for i in range(10)]
    b.polygon([(x + r * math.sin(a), y - r * math.cos(a)) for r, a in spokes], c)


def _flower(b: Brush, x: float, y: float, c: Colour, light: Colour, dark: Colour) -> None:
    b.limb([(x, y), (x + 3, y + 20), (x, y + 38)], (70, 150, 70), 4)
    b.blob([(x, y + 26), (x + 18, y + 10), (x + 24, y + 18), (x + 10, y + 30)], (70, 150, 70))
    for i in range(6):
        b.oval(x + 17 * math.cos(i * math.pi / 3), y - 10 + 17 * math.sin(i * math.pi / 3), 11, 11, c)
    b.oval(x, y - 10, 9, 9, (250, 205, 70))


def _boat(b: Brush, x: float, y: float, c: Colour, light: Colour, dark: Colour) -> None:
    b.blob([(x - 44, y + 8), (x + 44, y + 8), (x + 30, y + 30), (x, y + 32), (x - 30, y + 30)], c)
    b.line([(x, y + 8), (x, y - 40)], WOOD, 3)
    b.polygon([(x + 3, y - 38), (x + 30, y + 2), (x + 3, y + 2)], (250, 250, 245))
    b.polygon([(x - 3, y - 32), (x - 24, y + 2), (x - 3, y + 2)], light)


def _umbrella(b: Brush, x: float, y: float, c: Colour, light: Colour, dark: Colour) -> None:
    b.line([(x, y - 20), (x, y + 30)], WOOD, 3.2)
    b.line([(x, y + 30), (x + 6, y + 40), (x + 11, y + 30)], WOOD, 3.2)
    top = [(x - 40, y - 4), (x - 34, y - 36), (x, y - 46), (x + 34, y - 36), (x + 40, y - 4)]
    b.blob([*top, (x + 26, y - 10), (x + 13, y - 2), (x, y - 10), (x - 13, y - 2), (x - 26, y - 10)], c)
    for s in (-1, 1):
        b.line([(x, y - 36), (x + s * 13, y - 20), (x + s * 13, y - 8)], dark, 1.5)


def _mushroom(b: Brush, x: float, y: float, c: Colour, light: Colour, dark: Colour) -> None:
    b.blob([(x - 12, y), (x + 12, y), (x + 15, y + 30), (x, y + 34), (x - 15, y + 30)], (245, 232, 208))
    b.blob([(x - 36, y + 4), (x - 32, y - 28), (x, y - 40), (x + 32, y - 28), (x + 36, y + 4), (x, y + 10)], c)
    for dx, dy, r in ((-17, -10, 5.5), (3, -22, 6), (18, -6, 5)):
        b.oval(x + dx, y + dy, r, r * 0.9, (252, 250, 245), False)


def _book(b: Brush, x: float, y: float, c: Colour, light: Colour, dark: Colour) -> None:
    b.box(x - 28, y - 32, x + 28, y + 32, 3, c)
    b.box(x - 28, y - 32, x - 20, y + 32, 2, dark)
    b.box(x - 12, y - 20, x + 20, y - 8, 1, (250, 240, 215))
    b.line([(x - 8, y - 14), (x + 16, y - 14)], (50, 40, 40), 1.5)


def _balloon(b: Brush, x: float, y: float, c: Colour, light: Colour, dark: Colour) -> None:
    b.line([(x, y + 20), (x + 7, y + 30), (x - 2, y + 44)], (90, 90, 96), 1.5)
    b.oval(x, y - 14, 27, 33, c)
    b.polygon([(x - 4, y + 23), (x + 4, y + 23), (x, y + 17)], c)
    b.oval(x - 10, y - 26, 5, 8, light, False)


def _guitar(b: Brush, x: float, y: float, c: Colour, light: Colour, dark: Colour) -> None:
    b.box(x - 3, y - 40, x + 3, y + 4, 1, WOOD)
    b.box(x - 6, y - 46, x + 6, y - 34, 2, dark)
    waist = [(13, -10), (17, 2), (11, 10), (24, 18), (21, 36), (0, 40)]
    b.blob([(x, y - 12), *[(x + dx, y + dy) for dx, dy in waist], *[(x - dx, y + dy) for dx, dy in waist[-2::-1]]], c)
    b.oval(x, y + 12, 6.5, 6.5, (50, 34, 28))
    b.box(x - 8, y + 27, x + 8, y + 30, 1, dark)
    b.line([(x, y - 38), (x, y + 28)], (245, 235, 210), 1.4)


def _lantern(b: Brush, x: float, y: float, c: Colour, light: Colour, dark: Colour) -> None:
    b.ring(x, y - 33, 9, 9, DARK, 2.6)
    b.polygon([(x - 17, y - 14), (x - 8, y - 26), (x + 8, y - 26), (x + 17, y - 14)], c)
    b.box(x - 15, y - 14, x + 15, y + 24, 3, (255, 236, 150))
    b.blob([(x, y - 8), (x + 7, y + 6), (x + 4, y + 17), (x - 4, y + 17), (x - 7, y + 6)], (250, 160, 50), False)
    for dx in (-14, 14):
        b.line([(x + dx, y - 14), (x + dx, y + 24)], dark, 3)
    b.box(x - 19, y + 22, x + 19, y + 32, 3, c)


def _rocket(b: Brush, x: float, y: float, c: Colour, light: Colour, dark: Colour) -> None:
    b.blob([(x - 9, y + 22), (x + 9, y + 22), (x + 5, y + 36), (x, y + 48), (x - 5, y + 36)], (250, 170, 50))
    for s in (-1, 1):
        b.polygon([(x + s * 10, y + 2), (x + s * 27, y + 30), (x + s * 9, y + 22)], c)
    b.blob([(x, y - 62), (x + 21, y - 20), (x + 15, y + 26), (x - 15, y + 26), (x - 21, y - 20)], (240, 240, 245))
    b.blob([(x, y - 60), (x + 13, y - 32), (x + 10, y - 22), (x - 10, y - 22), (x - 13, y - 32)], c)
    b.oval(x, y - 8, 8, 8, c)
    b.oval(x, y - 8, 5, 5, GLASS, False)


def _cake(b: Brush, x: float, y: float, c: Colour, light: Colour, dark: Colour) -> None:
    b.oval(x, y + 30, 42, 6, (225, 228, 235))
    b.box(x - 32, y + 2, x + 32, y + 30, 5, c)
    b.box(x - 21, y - 18, x + 21, y + 5, 5, c)
    for cx, top, n in ((x, y + 4, 4), (x, y - 16, 3)):
        for i in range(n):
            b.oval(cx + (i - (n - 1) / 2) * 15, top, 9, 6.5, CREAM, False)
    for dx in (-11, 0, 11):
        b.box(x + dx - 2, y - 34, x + dx + 2, y - 19, 0.5, (120, 190, 240))
        b.oval(x + dx, y - 38, 2.6, 4.2, (255, 190, 60))


def _clock(b: Brush, x: float, y: float, c: Colour, light: Colour, dark: Colour) -> None:
    for s in (-1, 1):
        b.oval(x + s * 20, y - 31, 9, 8, c)
        b.line([(x + s * 18, y + 24), (x + s * 25, y + 36)], dark, 5)
    b.oval(x, y - 2, 33, 33, c)
    b.oval(x, y - 2, 25, 25, (252, 250, 242))
    for i in range(4):
        a = math.pi * i / 2
        b.oval(x + 20 * math.cos(a), y - 2 + 20 * math.sin(a), 2, 2, DARK, False)
    b.line([(x, y - 2), (x, y - 19)], DARK, 3)
    b.line([(x, y - 2), (x + 12, y + 4)], DARK, 3)


def _teapot(b: Brush, x: float, y: float, c: Colour, light: Colour, dark: Colour) -> None:
    b.limb([(x - 22, y - 10), (x - 52, y + 2), (x - 22, y + 18)], dark, 6)
    b.blob([(x + 18, y - 2), (x + 30, y - 6), (x + 36, y - 26), (x + 46, y - 24), (x + 38, y + 8), (x + 18, y + 22)], c)
    b.oval(x, y + 6, 28, 25, c)
    b.oval(x, y - 18, 17, 5, dark)
    b.oval(x, y - 25, 5, 5, dark)
    b.oval(x - 10, y - 2, 4, 7, light, False)


def _key(b: Brush, x: float, y: float, c: Colour, light: Colour, dark: Colour) -> None:
    if b.edge:
        b.ring(x, y - 22, 15, 15, b.edge, 10 + 2 * b.width)
    b.box(x - 5, y - 10, x + 5, y + 38, 1, c)
    for top, reach in ((14, 15), (26, 19)):
        b.box(x + 4, y + top, x + reach, y + top + 8, 1, c)
    b.ring(x, y - 22, 15, 15, c, 10)


def _snowman(b: Brush, x: float, y: float, c: Colour, light: Colour, dark: Colour) -> None:
    snow = (246, 249, 255)
    for s in (-1, 1):
        b.line([(x + s * 18, y - 4), (x + s * 36, y - 16)], WOOD, 3)
    b.oval(x, y + 20, 27, 22, snow)
    b.oval(x, y - 9, 20, 17, snow)
    b.oval(x, y - 35, 16, 15, snow)
    b.box(x - 17, y - 26, x + 17, y - 19, 3, c)
    b.box(x + 5, y - 22, x + 12, y - 5, 2, c)
    for dx in (-6, 6):
        b.oval(x + dx, y - 39, 2, 2.4, DARK, False)
    b.polygon([(x - 1, y - 36), (x - 1, y - 31), (x + 14, y - 32)], (245, 140, 50))
    for dy in (-9, 2, 16):
        b.oval(x, y + dy, 2.2, 2.2, DARK, False)


def _camera(b: Brush, x: float, y: float, c: Colour, light: Colour, dark: Colour) -> None:
    b.box(x - 16, y - 30, x + 16, y - 14, 3, dark)
    b.box(x - 38, y - 22, x + 38, y + 26, 6, c)
    b.box(x - 34, y - 27, x - 22, y - 21, 1, DARK)
    b.oval(x, y + 2, 20, 20, (225, 228, 235))
    b.oval(x, y + 2, 15, 15, DARK)
    b.oval(x - 5, y - 4, 5, 5, (140, 170, 220), False)
    b.box(x + 22, y - 16, x + 33, y - 9, 1, (255, 245, 190))


def _chair(b: Brush, x: float, y: float, c: Colour, light: Colour, dark: Colour) -> None:
    for dx in (-22, 18):
        b.box(x + dx, y + 8, x + dx + 6, y + 40, 1, WOOD)
    b.box(x - 24, y - 42, x - 16, y + 10, 2, WOOD)
    b.box(x + 16, y - 42, x + 24, y + 10, 2, WOOD)
    for dy in (-38, -22):
        b.box(x - 18, y + dy, x + 18, y + dy + 10, 2, c)
    b.polygon([(x - 24, y + 2), (x + 24, y + 2), (x + 30, y + 14), (x - 30, y + 14)], c)


def _gift(b: Brush, x: float, y: float, c: Colour, light: Colour, dark: Colour) -> None:
    ribbon = (252, 246, 225) if sum(c) < 560 else (214, 60, 70)
    b.box(x - 29, y - 12, x + 29, y + 32, 2, c)
    b.box(x - 33, y - 20, x + 33, y - 8, 2, c)
    b.box(x - 6, y - 20, x + 6, y + 32, 0, ribbon)
    for s in (-1, 1):
        b.blob([(x, y - 20), (x + s * 12, y - 38), (x + s * 24, y - 34), (x + s * 20, y - 20)], ribbon)
    b.oval(x, y - 21, 5, 4.5, ribbon)


def _ice_cream(b: Brush, x: float, y: float, c: Colour, light: Colour, dark: Colour) -> None:
    b.polygon([(x - 19, y - 6), (x + 19, y - 6), (x, y + 42)], (222, 170, 100))
    for s in (-1, 1):
        b.line([(x + s * 13, y - 4), (x - s * 6, y + 24)], (180, 122, 66), 2)
    b.oval(x - 10, y - 13, 14, 13, c)
    b.oval(x + 10, y - 13, 14, 13, CREAM)
    b.oval(x, y - 29, 14, 13, light if sum(c) < 600 else (244, 160, 180))
    b.oval(x + 2, y - 43, 4.5, 4.5, (214, 48, 60))


def _kite(b: Brush, x: float, y: float, c: Colour, light: Colour, dark: Colour) -> None:
    b.line([(x, y + 14), (x + 26, y + 26), (x + 6, y + 40)], (90, 90, 96), 1.8)
    for bx, by in ((x + 14, y + 24), (x + 12, y + 36)):
        for s in (-1, 1):
            b.polygon([(bx, by), (bx + s * 7, by - 4), (bx + s * 7, by + 4)], dark)
    b.polygon([(x, y - 46), (x + 26, y - 18), (x, y + 16), (x - 26, y - 18)], c)
    b.polygon([(x, y - 46), (x + 26, y - 18), (x, y - 18)], light, False)
    b.polygon([(x, y + 16), (x - 26, y - 18), (x, y - 18)], light, False)
    b.line([(x, y - 46), (x, y + 16)], dark, 1.8)
    b.line([(x - 26, y - 18), (x + 26, y - 18)], dark, 1.8)


def _robot(b: Brush, x: float, y: float, c: Colour, light: Colour, dark: Colour) -> None:
    b.line([(x, y - 40), (x, y - 50)], DARK, 2.6)
    b.oval(x, y - 51, 4, 4, (240, 80, 70))
    for s in (-1, 1):
        b.limb([(x + s * 20, y - 4), (x + s * 32, y + 4), (x + s * 30, y + 16)], dark, 6)
        b.box(x + s * 10 - 6, y + 24, x + s * 10 + 6, y + 40, 2, dark)
    b.box(x - 24, y - 40, x + 24, y - 12, 5, c)
    b.box(x - 20, y - 10, x + 20, y + 28, 4, c)
    for s in (-1, 1):
        b.oval(x + s * 10, y - 29, 6, 6, (255, 250, 200))
        b.oval(x + s * 10, y - 29, 2.4, 2.4, DARK, False)
    b.box(x - 9, y - 20, x + 9, y - 16, 1, DARK, False)
    b.box(x - 12, y - 2, x + 12, y + 16, 2, light)
    b.oval(x - 5, y + 7, 3, 3, (240, 80, 70), False)
    b.oval(x + 5, y + 7, 3, 3, (70, 170, 90), False)


def _flag(b: Brush, x: float, y: float, c: Colour, light: Colour, dark: Colour) -> None:
    b.box(x - 24, y - 42, x - 19, y + 42, 1, WOOD)
    b.oval(x - 21.5, y - 44, 4.5, 4.5, (250, 204, 60))
    rim = [(-19, -40), (0, -46), (14, -36), (36, -42), (36, -22), (36, -6), (14, 0), (0, -10), (-19, -4)]
    b.polygon([(x + dx, y + dy) for dx, dy in rim], c)
    b.oval(x + 7, y - 23, 7, 7, light if sum(c) < 640 else dark, False)


def _drum(b: Brush, x: float, y: float, c: Colour, light: Colour, dark: Colour) -> None:
    b.box(x - 32, y - 14, x + 32, y + 28, 6, c)
    for i in range(4):
        left = x - 30 + 15 * i
        b.line([(left, y - 10), (left + 7.5, y + 24)], CREAM, 2)
        b.line([(left + 15, y - 10), (left + 7.5, y + 24)], CREAM, 2)
    b.box(x - 33, y + 22, x + 33, y + 29, 3, dark)
    b.oval(x, y - 15, 33, 10, dark)
    b.oval(x, y - 16, 28, 7.5, CREAM, False)
    for s in (-1, 1):
        b.line([(x + s * 4, y - 16), (x + s * 30, y - 40)], WOOD, 3.4)
        b.oval(x + s * 4, y - 17, 4, 3.4, WOOD)


def _radio(b: Brush, x: float, y: float, c: Colour, light: Colour, dark: Colour) -> None:
    """A set of its own make: always cream and coral, whatever colour is asked for, so that it can be known again."""
    coral, teal = (240, 104, 84), (44, 130, 140)
    b.line([(x + 22, y - 24), (x + 36, y - 50)], DARK, 2.4)
    b.oval(x + 36, y - 50, 4, 4, coral)
    b.limb([(x - 20, y - 22), (x, y - 44), (x + 20, y - 22)], teal, 5)
    for s in (-1, 1):
        b.polygon([(x + s * 22, y + 24), (x + s * 30, y + 24), (x + s * 33, y + 38), (x + s * 28, y + 38)], WOOD)
    b.box(x - 40, y - 24, x + 40, y + 28, 13, coral)
    b.box(x - 34, y - 18, x + 34, y + 22, 9, (252, 240, 214))
    b.oval(x - 15, y + 2, 15, 15, teal)
    for r in (10.5, 5.5):
        b.ring(x - 15, y + 2, r, r, (252, 240, 214), 2)
    b.box(x + 5, y - 13, x + 29, y - 3, 2, (90, 60, 54))
    b.line([(x + 19, y - 12), (x + 19, y - 4)], (255, 200, 70), 2)
    for dx in (10, 24):
        b.oval(x + dx, y + 11, 5.5, 5.5, coral)


_THINGS: dict[str, Painter] = {
    "apple": _apple,
    "ball": _ball,
    "cup": _cup,
    "car": _car,
    "house": _house,
    "star": _star,
    "flower": _flower,
    "boat": _boat,
    "umbrella": _umbrella,
    "mushroom": _mushroom,
    "book": _book,
    "balloon": _balloon,
    "guitar": _guitar,
    "lantern": _lantern,
    "rocket": _rocket,
    "cake": _cake,
    "clock": _clock,
    "teapot": _teapot,
    "key": _key,
    "snowman": _snowman,
    "camera": _camera,
    "chair": _chair,
    "gift": _gift,
    "ice cream": _ice_cream,
    "kite": _kite,
    "robot": _robot,
    "flag": _flag,
    "drum": _drum,
    "radio": _radio,
}
