"""What people and animals wear on head, neck, chest and back."""

import math

from starter_recipe.world.brush import BLACK, WHITE, Brush, Colour, mix

GOLD: Colour = (250, 204, 60)


def on_the_head(b: Brush, accessory: str, x: float, view: str, c: Colour) -> None:
    """Draw it where it is worn on a person's head; nothing where it is worn elsewhere."""
    match accessory:
        case "glasses" | "sunglasses" | "eye patch" if view == "back":
            pass
        case "glasses" | "sunglasses":
            eyewear(b, x, view, dark=accessory == "sunglasses")
        case "eye patch":
            eye_patch(b, x, view)
        case "wide hat":
            wide_hat(b, x, 27, 34, c)
        case "cap":
            cap(b, x, view, c)
        case "crown":
            crown(b, x, 26)
        case "headphones":
            headphones(b, x, c)
        case "hair bow":
            bow(b, x + 12, 20, c)
        case "party hat":
            party_hat(b, x, 28)
        case "beanie":
            beanie(b, x, c)
        case "top hat":
            top_hat(b, x, 30, c)
        case "witch hat":
            witch_hat(b, x, 30, c)
        case "flower crown":
            flower_crown(b, x, 30, c)
        case "cat ears":
            cat_ears(b, x, c)
        case _:
            pass


def at_the_neck(b: Brush, accessory: str, x: float, view: str, c: Colour) -> None:
    """Draw it where it is worn over a person's chest; nothing where it is worn elsewhere."""
    match accessory:
        case "scarf":
            b.box(x - 14, 62, x + 14, 71, 4, c)
            b.box(x + 4, 68, x + 11, 84, 2, c)
        case "bow tie" if view != "back":
            bow(b, x + (0 if view == "front" else 9), 69, c)
        case "backpack" if view == "front":
            for s in (-1, 1):
                b.limb([(x + s * 10, 66), (x + s * 14, 76), (x + s * 13, 86)], mix(c, BLACK, 0.2), 3.4)
        case "cape" if view != "back":
            b.box(x - 13, 62, x + 13, 68.5, 3, mix(c, BLACK, 0.2))
            b.oval(x + (0 if view == "front" else 8), 66, 3, 3, GOLD)
        case _:
            pass


def on_the_back(b: Brush, accessory: str, x: float, view: str, c: Colour) -> None:
    """Draw it where it hangs behind a person; nothing where it is worn elsewhere."""
    dark = mix(c, BLACK, 0.3)
    if accessory == "backpack":
        left, right = {"front": (-22, 22), "side": (-30, -8), "back": (-17, 17)}[view]
        b.box(x + left, 65, x + right, 95, 8, c)
        if view == "back":
            b.box(x - 11, 80, x + 11, 91, 3, dark)
            b.line([(x - 15, 74), (x + 15, 74)], dark, 1.8)
    elif accessory == "cape":
        if view == "side":
            b.blob([(x + 4, 60), (x - 10, 62), (x - 26, 92), (x - 42, 114), (x - 6, 110), (x + 2, 84)], c)
            return
        b.blob([(x - 14, 61), (x + 14, 61), (x + 34, 78), (x + 40, 117), (x, 108), (x - 40, 117), (x - 34, 78)], c)
        for s in (-1, 1) if view == "back" else ():
            b.line([(x + s * 5, 74), (x + s * 10, 106)], dark, 1.6)
    elif accessory == "wings":
        for s in (-1, 1) if view != "side" else (-1,):
            upper = [(6, 72), (24, 50), (46, 44), (48, 62), (34, 78), (14, 80)]
            lower = [(6, 78), (26, 80), (42, 90), (36, 106), (20, 102)]
            b.blob([(x + s * dx, y) for dx, y in lower], mix(c, WHITE, 0.35))
            b.blob([(x + s * dx, y) for dx, y in upper], c)
            b.oval(x + s * 35, 61, 5, 5, mix(c, WHITE, 0.65), False)
            b.oval(x + s * 28, 93, 3.6, 3.6, dark, False)


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


def beanie(b: Brush, x: float, c: Colour) -> None:
    trim = mix(c, WHITE, 0.5) if sum(c) < 560 else mix(c, BLACK, 0.25)
    b.oval(x, 8.5, 5.5, 5.5, trim)
    b.blob([(x - 25, 32), (x - 25, 14), (x, 6), (x + 25, 14), (x + 25, 32)], c)
    b.box(x - 25, 24, x + 25, 33, 4, trim)


def top_hat(b: Brush, x: float, y: float, c: Colour) -> None:
    b.polygon([(x - 18, y - 26), (x + 18, y - 26), (x + 15, y), (x - 15, y)], c)
    b.box(x - 16, y - 9, x + 16, y - 3, 0, mix(c, WHITE, 0.65) if sum(c) < 250 else mix(c, BLACK, 0.55), False)
    b.box(x - 27, y - 3, x + 27, y + 2, 2.5, c)


def witch_hat(b: Brush, x: float, y: float, c: Colour) -> None:
    band = mix(c, WHITE, 0.6) if sum(c) < 250 else mix(c, BLACK, 0.5)
    b.polygon([(x - 20, y), (x - 8, y - 17), (x - 2, y - 26), (x + 21, y - 25), (x + 8, y - 18), (x + 20, y)], c)
    b.polygon([(x - 20, y), (x - 16, y - 6), (x + 17, y - 6), (x + 20, y)], band, False)
    b.box(x - 5, y - 8, x + 5, y + 1, 1, GOLD)
    b.oval(x, y + 1, 37, 4, c)


def flower_crown(b: Brush, x: float, y: float, c: Colour) -> None:
    for i in range(7):
        dx = -24 + 8 * i
        dy = -0.012 * (24 * 24 - dx * dx)
        b.oval(x + dx, y + dy + 3, 4, 2.4, (80, 150, 70), False)
        b.oval(x + dx, y + dy, 5.4, 5.4, c)
        b.oval(x + dx, y + dy, 2.1, 2.1, (250, 220, 110) if sum(c) < 500 else (200, 120, 40), False)


def cat_ears(b: Brush, x: float, c: Colour) -> None:
    b.line([(x - 24, 38), (x, -2), (x + 24, 38)], mix(c, BLACK, 0.3), 2.6)
    for s in (-1, 1):
        b.polygon([(x + s * 6, 20), (x + s * 26, 30), (x + s * 23, 4)], c)
        b.polygon([(x + s * 12, 21), (x + s * 22, 26), (x + s * 20.5, 11)], (250, 180, 190), False)


def eye_patch(b: Brush, x: float, view: str) -> None:
    black = (28, 26, 32)
    ex = x + (9 if view == "front" else 13)
    b.line([(x - 22, 44), (x + 2, 39), (x + 22, 30)], black, 1.8)
    b.blob([(ex - 8, 40), (ex + 8, 40), (ex + 8, 50), (ex, 57), (ex - 8, 50)], black)


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
    elif kind == "moon":
        b.blob(
            [(x + 3, y - 10), (x - 11, y - 7), (x - 11, y + 8), (x + 5, y + 11), (x - 1, y + 4), (x - 1, y - 4)], sign
        )
    elif kind == "flower":
        for i in range(5):
            a = 2 * math.pi * i / 5
            b.oval(x + 5.2 * math.sin(a), y - 5.2 * math.cos(a), 3.9, 3.9, sign, False)
        b.oval(x, y, 2.9, 2.9, (240, 150, 40), False)
    elif kind == "diamond":
        b.polygon([(x - 8, y - 7), (x + 8, y - 7), (x + 11, y - 2), (x, y + 10), (x - 11, y - 2)], (90, 190, 235))
        b.line([(x - 11, y - 2), (x + 11, y - 2)], (235, 248, 255), 1.2)
    elif kind == "stripes":
        for dy in (-7, 0, 7):
            b.box(x - 13, y + dy - 1.6, x + 13, y + dy + 1.6, 0.5, sign, False)
