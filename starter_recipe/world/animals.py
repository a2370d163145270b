"""Animals: a head that tells which one it is, on a body that sits, walks or sleeps."""

from starter_recipe.world import wear
from starter_recipe.world.brush import BLACK, INK, WHITE, Brush, Colour, mix
from starter_recipe.world.picture import COLOURS, Picture, main_and_accent

X = 64.0
BELLY: Colour = (250, 250, 250)
BEAK: Colour = (245, 160, 50)
PINK: Colour = (244, 160, 170)
WOOL_FACE: Colour = (235, 205, 178)
ANTLER: Colour = (140, 98, 62)
# Where the middle of the head goes and how large it is, by pose.
_HEADS = {"standing": (64.0, 50.0, 1.0), "walking": (42.0, 58.0, 0.88), "sleeping": (40.0, 94.0, 0.8)}


def draw_animal(b: Brush, face: Brush, p: Picture) -> None:
    k = p.noun
    c, accent = main_and_accent(p.colour)
    light, dark = (accent, mix(accent, BLACK, 0.3)) if accent else (mix(c, WHITE, 0.55), mix(c, BLACK, 0.3))
    _BODIES[p.pose](b, k, c, light)
    x, y, scale = _HEADS[p.pose]
    with b.at(x, y, scale, (X, 50)):
        _behind_head(b, k, c, dark)
        _head(b, k, c, dark)
        _features(b, face, k, c, light)
        _eyes(face, k, asleep=p.pose == "sleeping")
        _animal_wear(b, p)
    if p.pose == "sleeping":
        for zx, zy, r in ((70, 62, 5), (82, 46, 6.5)):
            face.line([(zx - r, zy - r), (zx + r, zy - r), (zx - r, zy + r), (zx + r, zy + r)], (110, 110, 140), 2.4)


def _sits(b: Brush, k: str, c: Colour, light: Colour) -> None:
    if k in ("penguin", "owl", "duck"):
        b.oval(X, 88, 25, 29, c)
        b.oval(X, 92, 16, 21, BELLY if k == "penguin" else light, False)
        for s in (-1, 1):
            b.oval(X + s * 26, 86, 5 if k == "penguin" else 7, 15, c if k == "penguin" else mix(c, BLACK, 0.18))
            b.oval(X + s * 9, 116, 8, 4, BEAK)
        if k == "owl":
            for y in (84, 93, 102):
                for dx in (-8, 0, 8):
                    b.line([(X + dx - 3, y), (X + dx, y + 3.5), (X + dx + 3, y)], mix(c, BLACK, 0.2), 1.5)
        return
    _tail(b, k, c, X + 18, 104)
    if k == "sheep":
        b.cloud(X, 94, 24, 22, 9, c)
    else:
        b.oval(X, 94, 21, 22, c)
        b.oval(X, 98, 12, 14, light, False)
    for s in (-1, 1):
        if k == "frog":
            b.oval(X + s * 23, 104, 9, 12, c)
            b.oval(X + s * 24, 115, 13, 4.5, mix(c, BLACK, 0.12))
        b.oval(X + s * 12, 114, 8, 5, WOOL_FACE if k == "sheep" else c)


def _walks(b: Brush, k: str, c: Colour, light: Colour) -> None:
    shade = mix(c, BLACK, 0.16)
    wide = 6.5 if k == "elephant" else 5.0
    _tail(b, k, c, X + 28, 92)
    for x, colour in ((X - 6, shade), (X + 30, shade), (X - 18, c), (X + 18, c)):
        b.box(x - wide, 94, x + wide, 117, 3, colour if k != "sheep" else WOOL_FACE)
    if k == "sheep":
        b.cloud(X + 8, 88, 32, 18, 11, c)
    else:
        b.oval(X + 8, 88, 33, 18, c)
        b.oval(X + 6, 98, 22, 7, light, False)


def _sleeps(b: Brush, k: str, c: Colour, light: Colour) -> None:
    b.oval(X + 4, 116, 46, 4, (60, 60, 60), False, alpha=60)
    _tail(b, k, c, X + 26, 112)
    if k == "sheep":
        b.cloud(X + 14, 97, 34, 20, 11, c)
    else:
        b.oval(X + 14, 97, 36, 20, c)
        b.oval(X + 22, 102, 18, 11, light, False)
    for x in (X + 6, X + 30):
        b.oval(x, 114, 10, 4.5, WOOL_FACE if k == "sheep" else c)


_BODIES = {"standing": _sits, "walking": _walks, "sleeping": _sleeps}


def _tail(b: Brush, k: str, c: Colour, x: float, y: float) -> None:
    """Rises from (x, y) on the right."""
    if k in ("cat", "fox", "dog"):
        b.limb([(x, y), (x + 22, y), (x + 20, y - 24)], c, 8 if k == "fox" else 5)
    if k == "fox":
        b.oval(x + 20, y - 24, 5, 6, BELLY)
    elif k == "lion":
        b.limb([(x, y), (x + 22, y), (x + 20, y - 22)], c, 4)
        b.oval(x + 20, y - 25, 6, 7, mix(c, BLACK, 0.4))
    elif k in ("mouse", "elephant"):
        b.limb([(x, y), (x + 24, y + 4), (x + 24, y - 16)], PINK if k == "mouse" else c, 2.6)
    elif k == "pig":
        b.ring(x + 6, y - 8, 5, 5, mix(c, BLACK, 0.2), 2.8)
    elif k == "deer":
        b.oval(x + 4, y, 6, 6, BELLY)


def _behind_head(b: Brush, k: str, c: Colour, dark: Colour) -> None:
    if k == "lion":
        b.cloud(X, 50, 38, 35, 12, dark)
    for s in (-1, 1):
        if k in ("cat", "fox"):
            b.polygon([(X + s * 8, 32), (X + s * 27, 36), (X + s * 23, 8)], c)
            b.polygon([(X + s * 13, 30), (X + s * 23, 32), (X + s * 21, 16)], PINK, False)
        elif k == "bunny":
            b.oval(X + s * 11, 14, 6.5, 19, c)
            b.oval(X + s * 11, 15, 3, 13, (244, 170, 180), False)
        elif k in ("bear", "lion"):
            b.oval(X + s * 19, 26, 8.5, 8.5, c)
            b.oval(X + s * 19, 26, 4.5, 4.5, dark, False)
        elif k == "mouse":
            b.oval(X + s * 25, 29, 15, 15, c)
            b.oval(X + s * 25, 29, 10, 10, PINK, False)
        elif k == "elephant":
            ear = [(20, 32), (44, 26), (51, 46), (44, 68), (24, 66)]
            b.blob([(X + s * dx, y) for dx, y in ear], c)
            b.oval(X + s * 35, 48, 8, 13, mix(c, (244, 160, 170), 0.5), False)
        elif k == "owl":
            b.polygon([(X + s * 8, 34), (X + s * 26, 40), (X + s * 25, 15)], dark)
        elif k == "deer":
            b.limb([(X + s * 9, 30), (X + s * 13, 16), (X + s * 20, 2)], ANTLER, 3.6)
            b.limb([(X + s * 13, 18), (X + s * 20, 16), (X + s * 29, 8)], ANTLER, 3.2)
            b.blob([(X + s * 18, 36), (X + s * 36, 26), (X + s * 44, 34), (X + s * 24, 48)], c)
        elif k == "sheep":
            b.blob([(X + s * 20, 42), (X + s * 36, 40), (X + s * 40, 50), (X + s * 22, 52)], WOOL_FACE)
        elif k == "frog":
            b.oval(X + s * 16, 32, 11, 11, c)
    if k == "duck":
        b.blob([(X - 6, 32), (X - 8, 20), (X + 2, 14), (X + 12, 16), (X + 4, 22), (X + 6, 32)], c)


def _head(b: Brush, k: str, c: Colour, dark: Colour) -> None:
    if k == "frog":
        b.oval(X, 52, 30, 20, c)
        return
    if k == "sheep":
        b.oval(X, 53, 21, 22, WOOL_FACE)
        b.cloud(X, 33, 22, 13, 8, c)
        return
    b.oval(X, 50, 27, 23, c)
    for s in (-1, 1):
        if k == "dog":
            b.blob([(X + s * dx, y) for dx, y in ((16, 30), (30, 34), (34, 56), (28, 66), (22, 50))], dark)
        elif k == "pig":
            b.blob([(X + s * dx, y) for dx, y in ((6, 30), (18, 20), (34, 22), (27, 44), (20, 40))], dark)


def _features(b: Brush, q: Brush, k: str, c: Colour, light: Colour) -> None:
    """Muzzle, beak or trunk, nose and mouth."""
    if k == "fox":
        b.polygon([(X - 24, 54), (X, 70), (X + 24, 54), (X, 58)], BELLY, False)
    elif k == "penguin":
        for s in (-1, 1):
            b.oval(X + s * 8, 50, 10, 12, BELLY, False)
        b.polygon([(X - 5, 55), (X + 5, 55), (X, 62)], BEAK)
    elif k == "owl":
        for s in (-1, 1):
            b.oval(X + s * 11, 48, 12, 12, BELLY)
        b.polygon([(X - 5, 54), (X + 5, 54), (X, 65)], BEAK)
    elif k == "duck":
        bill = BEAK if abs(c[1] - BEAK[1]) + abs(c[2] - BEAK[2]) > 60 else (255, 232, 120)
        b.blob([(X - 20, 56), (X, 51), (X + 20, 56), (X + 23, 64), (X, 70), (X - 23, 64)], bill)
        q.line([(X - 13, 61.5), (X, 64.5), (X + 13, 61.5)], (190, 105, 30), 1.5)
    elif k == "pig":
        b.oval(X, 59, 12, 8.5, mix(c, (240, 120, 150), 0.45))
        for s in (-1, 1):
            q.oval(X + s * 4.5, 59, 2, 3.2, (110, 50, 60))
    elif k == "elephant":
        b.limb([(X, 56), (X + 3, 78), (X - 12, 92)], c, 11)
        for y in (66, 73, 80):
            q.line([(X - 3.5, y), (X + 5, y)], mix(c, BLACK, 0.28), 1.5)
    elif k == "frog":
        q.line([(X - 20, 56), (X, 70), (X + 20, 56)], INK, 2)
        for s in (-1, 1):
            q.oval(X + s * 22, 53, 4, 2.6, (240, 130, 130), alpha=120)
    elif k in ("bear", "dog", "lion", "deer"):
        b.oval(X, 58, 10, 8, light, False)
    if k not in ("penguin", "owl", "duck", "pig", "elephant", "frog"):
        _nose_and_mouth(q, k)


def _nose_and_mouth(q: Brush, k: str) -> None:
    pink = k in ("cat", "bunny", "sheep", "mouse")
    q.oval(X, 55, *((4.2, 3.4) if k in ("mouse", "lion", "deer") else (3.2, 2.4)), (230, 110, 130) if pink else INK)
    for s in (-1, 1):
        q.line([(X, 57), (X + s * 3, 61), (X + s * 6, 60)], INK, 1.3)
        if k in ("cat", "mouse"):
            q.line([(X + s * 14, 56), (X + s * 27, 54)], INK, 0.9)
            q.line([(X + s * 14, 58), (X + s * 27, 60)], INK, 0.9)


def _eyes(q: Brush, k: str, asleep: bool) -> None:
    for s in (-1, 1):
        x, y = {"frog": (16, 30), "owl": (11, 48)}.get(k, (10, 48))
        ex = X + s * x
        if asleep:
            q.line([(ex - 4.5, y), (ex, y + 5), (ex + 4.5, y)], INK, 2)
            continue
        if k == "frog":
            q.oval(ex, y, 7, 7, BELLY)
        large = 1.45 if k in ("owl", "frog") else 1.0
        q.oval(ex, y, 3 * large, 4 * large, INK)
        q.oval(ex + 1, y - 1.5, 1 * large, 1.2 * large, WHITE)


def _animal_wear(b: Brush, p: Picture) -> None:
    c = COLOURS[p.accessory_colour]
    top = 27 if p.noun == "frog" else 31
    match p.accessory:
        case "crown":
            wear.crown(b, X, top)
        case "wide hat":
            wear.wide_hat(b, X, top, 30, c)
        case "top hat":
            wear.top_hat(b, X, top + 1, c)
        case "flower crown":
            wear.flower_crown(b, X, top + 5, c)
        case "sunglasses":
            wear.eyewear(b, X, "front", dark=True)
        case "scarf":
            b.box(X - 19, 68, X + 19, 77, 4, c)
            b.box(X + 5, 74, X + 13, 92, 2, c)
        case "bow tie":
            wear.bow(b, X, 74, c)
        case "hair bow":
            wear.bow(b, X + 14, 28, c)
        case "party hat":
            wear.party_hat(b, X, 31)
        case _:
            pass
