"""What people and animals wear on head, neck and chest."""

import math

from starter_recipe.world.brush import BLACK, Brush, Colour, mix

GOLD: Colour = (250, 204, 60)


def bow(b: Brush, x: float, y: float, c: Colour) -> None:
    for s in (-1, 1):
        b.polygon([(x, y), (x + s * 11, y - 7), (x + s * 11, y + 7)], c)
    b.oval(x, y, 3, 3, mix(c, BLACK, 0.25))


def crown(b: Brush, x: float, base: float, c: Colour = GOLD) -> None:
    up = base - 21
    b.polygon(
        [
            (x - 15, base),
            (x - 17, up + 3),
            (x - 8, up + 12),
            (x, up),
            (x + 8, up + 12),
            (x + 17, up + 3),
            (x + 15, base),
        ],
        c,
    )


def wide_hat(b: Brush, x: float, y: float, reach: float, c: Colour) -> None:
    b.oval(x, y, reach, 6.5, c)
    b.blob([(x - 18, y - 1), (x - 16, y - 19), (x, y - 23), (x + 16, y - 19), (x + 18, y - 1)], c)
    b.box(x - 17, y - 7, x + 17, y - 2, 1, mix(c, BLACK, 0.4))


def party_hat(b: Brush, x: float, y: float) -> None:
    """Held out of pretraining: a striped cone with a pompom."""
    tip, half = y - 30, 16
    b.polygon([(x - half, y), (x + half, y), (x, tip)], (70, 90, 220))
    for low, high in ((0.18, 0.38), (0.58, 0.78)):
        left, right = half * (1 - low), half * (1 - high)
        at_low, at_high = y - 30 * low, y - 30 * high
        b.polygon(
            [(x - left, at_low), (x + left, at_low), (x + right, at_high), (x - right, at_high)], (250, 220, 60), False
        )
    b.oval(x, tip, 5, 5, (240, 70, 140))


def cap(b: Brush, x: float, view: str, c: Colour) -> None:
    b.blob([(x - 24, 31), (x - 24, 14), (x, 8), (x + 24, 14), (x + 24, 31)], c)
    if view != "back":
        left, right = (x + 8, x + 40) if view == "side" else (x - 2, x + 30)
        b.box(left, 26, right, 31.5, 2.5, mix(c, BLACK, 0.2))


def headphones(b: Brush, x: float, c: Colour) -> None:
    b.line([(x - 24, 42), (x, -4), (x + 24, 42)], (40, 40, 48), 3.4)
    for s in (-1, 1):
        b.box(min(x + s * 20, x + s * 29), 38, max(x + s * 20, x + s * 29), 54, 4, c)


def eyewear(b: Brush, x: float, view: str, dark: bool) -> None:
    frame = (30, 30, 36)
    for ex in [x - 9, x + 9] if view == "front" else [x + 13]:
        if dark:
            b.box(ex - 7, 42, ex + 7, 52, 3, (20, 20, 26))
        else:
            b.ring(ex, 47.5, 6.5, 6.5, frame, 1.6)
    b.line([(x - 2.5, 46), (x + 2.5, 46)] if view == "front" else [(x + 6, 46), (x - 8, 44)], frame, 1.6)


def emblem(b: Brush, kind: str, x: float, y: float, garment: Colour) -> None:
    """A sign on the chest, light on dark cloth and dark on light cloth. The bolt is held out of pretraining."""
    light = sum(garment) > 430
    sign: Colour = (60, 60, 80) if light else (250, 246, 235)
    if kind == "bolt":
        bolt = [(3, -10), (-8, 1), (-1, 1), (-4, 11), (8, -2), (1, -2), (6, -10)]
        b.polygon([(x + dx, y + dy) for dx, dy in bolt], (255, 225, 60))
    elif kind == "heart":
        b.blob(
            [(x, y - 3), (x + 6, y - 9), (x + 9, y - 1), (x, y + 10), (x - 9, y - 1), (x - 6, y - 9)],
            (225, 60, 80) if light else (255, 150, 170),
        )
    elif kind == "star":
        spokes = [(8 if i % 2 == 0 else 3.6, math.pi * i / 5) for i in range(10)]
        b.polygon([(x + r * math.sin(a), y - r * math.cos(a)) for r, a in spokes], sign)
    elif kind == "dot":
        b.oval(x, y, 6.5, 6.5, sign)
    elif kind == "stripes":
        for dy in (-7, 0, 7):
            b.box(x - 13, y + dy - 1.6, x + 13, y + dy + 1.6, 0.5, sign, False)
