"""Animals and things."""

import math

from starter_recipe.world import wear
from starter_recipe.world.brush import BLACK, INK, WHITE, Brush, Colour, mix
from starter_recipe.world.picture import COLOURS, Picture

X = 64.0
BELLY: Colour = (250, 250, 250)
BEAK: Colour = (245, 160, 50)
WOOD: Colour = (110, 74, 46)
GLASS: Colour = (190, 226, 245)


def draw_animal(b: Brush, face: Brush, p: Picture) -> None:
    k, c = p.noun, COLOURS[p.colour]
    light, dark = mix(c, WHITE, 0.55), mix(c, BLACK, 0.3)
    if k == "penguin":
        b.oval(X, 88, 25, 29, c)
        b.oval(X, 92, 16, 21, BELLY, False)
        for s in (-1, 1):
            b.oval(X + s * 26, 86, 5, 15, c)
            b.oval(X + s * 9, 116, 8, 4, BEAK)
    else:
        if k in ("cat", "fox", "dog"):
            b.limb([(X + 18, 104), (X + 40, 104), (X + 38, 80)], c, 8 if k == "fox" else 5)
        if k == "fox":
            b.oval(X + 38, 80, 5, 6, BELLY)
        b.oval(X, 94, 21, 22, c)
        b.oval(X, 98, 12, 14, light, False)
        for s in (-1, 1):
            b.oval(X + s * 12, 114, 8, 5, c)
    _ears(b, k, c, dark)
    b.oval(X, 50, 27, 23, c)
    if k == "dog":
        for s in (-1, 1):
            b.blob([(X + s * dx, y) for dx, y in ((16, 30), (30, 34), (34, 56), (28, 66), (22, 50))], dark)
    _muzzle(b, face, k, light)
    _animal_wear(b, p)


def _ears(b: Brush, k: str, c: Colour, dark: Colour) -> None:
    for s in (-1, 1):
        if k in ("cat", "fox"):
            b.polygon([(X + s * 8, 32), (X + s * 27, 36), (X + s * 23, 8)], c)
            b.polygon([(X + s * 13, 30), (X + s * 23, 32), (X + s * 21, 16)], (244, 160, 170), False)
        elif k == "bunny":
            b.oval(X + s * 11, 14, 6.5, 19, c)
            b.oval(X + s * 11, 15, 3, 13, (244, 170, 180), False)
        elif k == "bear":
            b.oval(X + s * 19, 26, 8.5, 8.5, c)
            b.oval(X + s * 19, 26, 4.5, 4.5, dark, False)


def _muzzle(b: Brush, q: Brush, k: str, light: Colour) -> None:
    if k == "fox":
        b.polygon([(X - 24, 54), (X, 70), (X + 24, 54), (X, 58)], BELLY, False)
    elif k == "penguin":
        for s in (-1, 1):
            b.oval(X + s * 8, 50, 10, 12, BELLY, False)
    elif k in ("bear", "dog"):
        b.oval(X, 58, 10, 8, light, False)
    for s in (-1, 1):
        q.oval(X + s * 10, 48, 3, 4, INK)
        q.oval(X + s * 10 + 1, 46.5, 1, 1.2, WHITE)
    if k == "penguin":
        b.polygon([(X - 5, 55), (X + 5, 55), (X, 62)], BEAK)
        return
    q.oval(X, 55, 3.2, 2.4, (230, 110, 130) if k in ("cat", "bunny") else INK)
    for s in (-1, 1):
        q.line([(X, 57), (X + s * 3, 61), (X + s * 6, 60)], INK, 1.3)
        if k == "cat":
            q.line([(X + s * 14, 56), (X + s * 27, 54)], INK, 0.9)
            q.line([(X + s * 14, 58), (X + s * 27, 60)], INK, 0.9)


def _animal_wear(b: Brush, p: Picture) -> None:
    c = COLOURS[p.accessory_colour]
    if p.accessory == "crown":
        wear.crown(b, X, 31)
    elif p.accessory == "wide hat":
        wear.wide_hat(b, X, 31, 30, c)
    elif p.accessory == "scarf":
        b.box(X - 19, 68, X + 19, 77, 4, c)
        b.box(X + 5, 74, X + 13, 92, 2, c)
    elif p.accessory == "hair bow":
        wear.bow(b, X + 14, 28, c)
    elif p.accessory == "party hat":
        wear.party_hat(b, X, 31)


def draw_thing(b: Brush, face: Brush, p: Picture) -> None:
    c = COLOURS[p.colour]
    _THINGS[p.noun](b, X, 78.0, c, mix(c, WHITE, 0.45), mix(c, BLACK, 0.28))


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


_THINGS = {
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
}
