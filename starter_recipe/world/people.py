"""Girls and boys: hair, garments, poses, faces."""

import math

import skia

from starter_recipe.world import wear
from starter_recipe.world.brush import BLACK, INK, WHITE, Brush, Colour, Point, mix
from starter_recipe.world.picture import COLOURS, HAIR_COLOURS, HELD_OUT_HAIR_COLOURS, SKINS, Picture

X = 64.0  # the middle of the canvas; a person stands on it
SHIRT: Colour = (245, 240, 230)  # under overalls
SHOES: Colour = (70, 50, 50)


def draw_person(b: Brush, face: Brush, p: Picture) -> None:
    """Draw back to front. `face` is an ink-free, untinted brush for eyes and mouth."""
    hair = HAIR_COLOURS.get(p.hair_colour) or HELD_OUT_HAIR_COLOURS[p.hair_colour]
    skin, cloth = SKINS[p.skin], COLOURS[p.garment_colour]
    if p.view != "back":
        _hair_behind(b, p, hair)
    _legs(b, p, skin, cloth)
    _arm(b, p, -1, skin, cloth)
    if p.view != "side":
        _arm(b, p, 1, skin, cloth)
    _body(b, p, cloth)
    if p.view == "side":
        _arm(b, p, 1, skin, cloth)
    if p.accessory == "scarf":
        b.box(X - 14, 62, X + 14, 71, 4, COLOURS[p.accessory_colour])
        b.box(X + 4, 68, X + 11, 84, 2, COLOURS[p.accessory_colour])
    if p.view != "back":
        _head(b, p, skin)
        _face(face, p, hair)
    _hair_front(b, p, hair)
    _worn(b, p)


def _legs(b: Brush, p: Picture, skin: Colour, cloth: Colour) -> None:
    trousers: Colour = (62, 78, 120) if p.kind == "boy" else (84, 72, 96)
    trousers = {"overalls": cloth, "dress": skin}.get(p.garment, trousers)
    spread, toe = (4, 3) if p.view == "side" else (7, 0)
    for s in (-1, 1):
        x = X + s * spread
        b.box(x - 5, 90, x + 5, 113, 3, trousers)
        b.box(x - 6 + (2 if toe else 0), 110, x + 6 + toe, 117, 3, SHOES)


def _arm(b: Brush, p: Picture, s: int, skin: Colour, cloth: Colour) -> None:
    x, y = X + s * (5 if p.view == "side" else 15), 72.0
    down: list[Point] = [(x, y), (x + s * 6, y + 9), (x + s * 4, y + 19)]
    points: list[Point] = {
        "waving": [(x, y), (x + 13, y + 2), (x + 15, y - 17)] if s == 1 else down,
        "with arms raised": [(x, y), (x + s * 13, y - 1), (x + s * 14, y - 22)],
        "with hands on hips": [(x, y), (x + s * 18, y + 6), (x - s, y + 17)],
    }.get(p.pose, down)
    sleeve = SHIRT if p.garment == "overalls" else cloth
    short = p.garment in ("t-shirt", "dress")
    b.limb(points, skin if short else sleeve, 6.5)
    if short:
        elbow = ((points[0][0] + points[1][0]) / 2, (points[0][1] + points[1][1]) / 2)
        b.limb([points[0], elbow], sleeve, 8)
    b.oval(*points[-1], 3.8, 3.8, skin)


def _body(b: Brush, p: Picture, cloth: Colour) -> None:
    w = 12 if p.view == "side" else 16
    dark = mix(cloth, BLACK, 0.25)
    front = p.view == "front"
    if p.garment == "dress":
        hem = [(X + w + 1, 76), (X + w + 10, 102), (X, 106), (X - w - 10, 102), (X - w - 1, 76)]
        b.blob([(X - w + 4, 62), (X + w - 4, 62), *hem], cloth)
    elif p.garment == "coat":
        hem = [(X + w + 3, 80), (X + w + 4, 106), (X, 104), (X - w - 4, 106), (X - w - 3, 80)]
        b.blob([(X - w + 1, 62), (X + w - 1, 62), *hem], cloth)
        if front:
            b.line([(X, 66), (X, 102)], dark, 1.4)
            for i in range(3):
                b.oval(X + 4, 74 + 9 * i, 1.3, 1.3, (240, 220, 150), False)
    else:
        b.box(X - w, 64, X + w, 95, 8, SHIRT if p.garment == "overalls" else cloth)
    if p.garment == "overalls":
        b.box(X - w + 2, 78, X + w - 2, 97, 4, cloth)
        if p.view != "side":
            b.box(X - 8, 70, X + 8, 82, 2, cloth)
            for s in (-1, 1):
                b.line([(X + s * 8, 71), (X + s * 10, 65)], cloth, 3)
    if p.garment == "hoodie" and front:
        b.blob([(X - 13, 66), (X, 62), (X + 13, 66), (X + 8, 73), (X, 75), (X - 8, 73)], dark)
        if p.emblem == "none":
            b.box(X - 9, 84, X + 9, 92, 3, dark)
        for s in (-1, 1):
            b.line([(X + s * 3, 73), (X + s * 3, 79)], (240, 240, 240), 1.1)
    if front:
        wear.emblem(b, p.emblem, X, 84, cloth)


def _head(b: Brush, p: Picture, skin: Colour) -> None:
    if p.view == "front":
        for s in (-1, 1):
            b.oval(X + s * 22, 47, 4, 5, skin)
    b.oval(X, 44, 23, 22, skin)
    if p.view == "side":
        b.oval(86, 49, 3.2, 2.6, skin)
        b.oval(57, 48, 4, 5, mix(skin, BLACK, 0.08))


def _face(q: Brush, p: Picture, hair: Colour) -> None:
    front = p.view == "front"
    mood = p.expression
    brow = mix(hair, BLACK, 0.45)
    for ex, s in [(X - 9, -1), (X + 9, 1)] if front else [(X + 13, 1)]:
        q.oval(ex, 47, 3.0, 4.6 if mood == "surprised" else 3.8, INK)
        q.oval(ex + 1, 45.6, 1.0, 1.2, WHITE)
        if mood == "angry":
            q.line([(ex + s * 4, 38), (ex - s * 3.5, 41.5)], brow, 2)
        elif mood == "sad":
            q.line([(ex - s * 3.5, 38), (ex + s * 4, 41)], brow, 1.8)
        else:
            low, high = (38, 36) if mood == "surprised" else (40, 38.8)
            q.line([(ex - 3.5, low), (ex, high), (ex + 3.5, low)], brow, 1.6)
        if mood == "smiling":
            q.oval(ex + s * 4, 53, 3.5, 2, (240, 110, 110), alpha=110)
    mx, k = (X, 6.0) if front else (X + 14, 4.0)
    if mood == "smiling":
        mouth = skia.Path()
        mouth.moveTo(mx - k, 54)
        mouth.quadTo(mx, 64, mx + k, 54)
        mouth.close()
        q.shape(mouth, (150, 40, 50))
    elif mood == "sad":
        q.line([(mx - k * 0.8, 59), (mx, 54.5), (mx + k * 0.8, 59)], INK, 1.8)
    elif mood == "angry":
        q.line([(mx - k * 0.8, 58), (mx, 56), (mx + k * 0.8, 58)], INK, 2)
    elif mood == "surprised":
        q.oval(mx, 58, 2.8, 3.6, (130, 40, 50))
    else:
        q.line([(mx - k * 0.6, 57), (mx + k * 0.6, 57)], INK, 1.7)


def _hair_behind(b: Brush, p: Picture, c: Colour) -> None:
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


def _hair_front(b: Brush, p: Picture, c: Colour) -> None:
    h = p.hair
    if h == "fins":  # held out of pretraining: three tall fins
        for d in (-13, 0, 13):
            b.polygon([(X + d - 9, 30), (X + d + 9, 30), (X + d * 1.5, 2 if d == 0 else 8)], c)
    elif p.view == "back":
        _hair_from_behind(b, h, c)
    elif h == "spiky":
        _spikes(b, c)
    elif h == "curly":
        for i in range(6):
            b.oval(46 + i * 7.2, 29 - 4 * math.sin(math.pi * i / 5), 7.2, 6.8, c)
    elif p.view == "side":
        b.blob([(42, 40), (44, 22), (64, 16), (86, 24), (88, 36), (76, 33), (62, 33), (56, 46), (50, 62), (40, 56)], c)
    elif h in ("long", "bob", "twin tails"):
        b.blob([(40, 48), (41, 27), (64, 17), (87, 27), (88, 48), (84, 40), (78, 34), (64, 37), (50, 34), (44, 40)], c)
    else:
        b.blob([(40, 44), (42, 27), (62, 17), (86, 26), (88, 44), (84, 36), (70, 34), (56, 30), (46, 36)], c)
    if h == "twin tails" and p.view != "back":
        for s in (-1, 1):
            b.oval(X + s * 23, 31, 3.6, 3.6, (220, 70, 90))


def _hair_from_behind(b: Brush, h: str, c: Colour) -> None:
    b.blob([(41, 30), (64, 16), (87, 30), (90, 50), (82, 66), (64, 69), (46, 66), (38, 50)], c)
    if h in ("long", "bob"):
        low = 90 if h == "long" else 70
        b.blob([(40, 34), (64, 20), (88, 34), (92, 60), (88, low), (64, low + 2), (40, low), (36, 60)], c)
    elif h == "ponytail":
        b.blob([(56, 28), (72, 28), (76, 56), (64, 86), (52, 56)], c)
        b.oval(64, 30, 5, 3.5, mix(c, BLACK, 0.35))
    elif h == "bun":
        b.oval(64, 24, 11, 10, mix(c, BLACK, 0.1))
    elif h == "spiky":
        _spikes(b, c)
    elif h == "curly":
        for i in range(7):
            b.oval(44 + i * 6.6, 60 + (i % 2) * 5, 7, 7, c)


def _spikes(b: Brush, c: Colour) -> None:
    points: list[Point] = []
    for i in range(17):
        t = math.pi * (1 + i / 16)
        rx, ry = (35, 36) if i % 2 == 0 else (22, 21)
        points.append((64 + rx * math.cos(t), 44 + ry * math.sin(t)))
    b.polygon([*points, (84, 38), (74, 32), (66, 38), (58, 31), (50, 37), (44, 36)], c)


def _worn(b: Brush, p: Picture) -> None:
    c = COLOURS[p.accessory_colour]
    if p.accessory in ("glasses", "sunglasses") and p.view != "back":
        wear.eyewear(b, X, p.view, dark=p.accessory == "sunglasses")
    elif p.accessory == "wide hat":
        wear.wide_hat(b, X, 27, 34, c)
    elif p.accessory == "cap":
        wear.cap(b, X, p.view, c)
    elif p.accessory == "crown":
        wear.crown(b, X, 26)
    elif p.accessory == "headphones":
        wear.headphones(b, X, c)
    elif p.accessory == "hair bow":
        wear.bow(b, X + 12, 20, c)
    elif p.accessory == "party hat":
        wear.party_hat(b, X, 28)
