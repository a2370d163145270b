"""Girls and boys: poses, faces, and the order in which hair, garments and what is worn go over each other."""

import skia

from starter_recipe.world import wear
from starter_recipe.world.brush import BLACK, INK, WHITE, Brush, Colour, Point, mix
from starter_recipe.world.garments import SHORT_SLEEVES, draw_body, leg_colour, sleeve_colour
from starter_recipe.world.hair import hair_behind, hair_front
from starter_recipe.world.picture import (
    COLOURS,
    HAIR_COLOURS,
    HELD_OUT_HAIR_COLOURS,
    SKINS,
    Picture,
    can_hold,
    main_and_accent,
)
from starter_recipe.world.things import draw_carried

X = 64.0  # the middle of the figure
SHOES: Colour = (70, 50, 50)
HOLDING: list[Point] = [(X + 15, 72), (X + 25, 91), (X + 25, 78)]  # shoulder, elbow, hand
DROP = {"sitting": 13.0, "jumping": -9.0}  # how far the pose lowers head and body


def draw_person(b: Brush, face: Brush, p: Picture) -> None:
    """Draw back to front. `face` is an ink-free, untinted brush for eyes and mouth."""
    hair = HAIR_COLOURS.get(p.hair_colour) or HELD_OUT_HAIR_COLOURS[p.hair_colour]
    skin = SKINS[p.skin]
    cloth, accent = main_and_accent(p.garment_colour)
    if p.pose == "jumping":
        b.oval(X, 119, 20, 3, (60, 60, 60), False, alpha=90)  # the shadow that they left on the ground
    with b.at(0, DROP.get(p.pose, 0.0)):
        if p.view != "back":
            hair_behind(b, p, hair)
            wear.on_the_back(b, p.accessory, X, p.view, COLOURS[p.accessory_colour])
        _legs(b, p, skin, leg_colour(p, accent or cloth))
        sleeve = sleeve_colour(p, accent or cloth)
        _arm(b, p, -1, skin, sleeve)
        if p.view != "side":
            _arm(b, p, 1, skin, sleeve)
        draw_body(b, p, cloth)
        if p.view == "side":
            _arm(b, p, 1, skin, sleeve)
        wear.at_the_neck(b, p.accessory, X, p.view, COLOURS[p.accessory_colour])
        if p.view != "back":
            _head(b, p, skin)
            _face(face, p, hair)
        else:
            wear.on_the_back(b, p.accessory, X, p.view, COLOURS[p.accessory_colour])
        hair_front(b, p, hair)
        wear.on_the_head(b, p.accessory, X, p.view, COLOURS[p.accessory_colour])
        if p.pose == "thinking" and p.view != "back":
            _thinking_arm(b, p, skin, sleeve)
        if p.prop != "none" and can_hold(p):
            draw_carried(b, p.prop, *HOLDING[-1], main_and_accent(p.prop_colour))
            b.oval(*HOLDING[-1], 3.8, 3.8, skin)


def _legs(b: Brush, p: Picture, skin: Colour, trousers: Colour) -> None:
    side = p.view == "side"
    if p.pose == "sitting":
        for s in (-1, 1):
            knee = X + s * (36 if not side else 28)
            b.limb([(X + s * 6, 93), (knee, 93), (X + s * 4, 102)], trousers, 9)
            b.oval(X - s * 8, 102, 6.5, 4, SHOES)
        return
    if p.pose in ("running", "jumping", "dancing"):
        for s, (knee, foot) in zip((-1, 1), _LEGS[p.pose, side], strict=True):
            b.limb([(X + s * 5, 92), knee, foot], trousers, 9)
            b.oval(foot[0] + (3 if side else s * 2), foot[1] + 2, 6.5, 4, SHOES)
        return
    spread, toe = (4, 3) if side else (7, 0)
    for s in (-1, 1):
        x = X + s * spread
        b.box(x - 5, 90, x + 5, 113, 3, trousers)
        b.box(x - 6 + (2 if toe else 0), 110, x + 6 + toe, 117, 3, SHOES)


# Knee and foot of the left and the right leg; three points bend smoothly, so the knee lies outside of the curve.
_LEGS: dict[tuple[str, bool], tuple[tuple[Point, Point], tuple[Point, Point]]] = {
    ("running", False): (((X - 12, 106), (X - 9, 114)), ((X + 14, 98), (X + 15, 102))),
    ("running", True): (((X - 8, 106), (X - 27, 106)), ((X + 22, 92), (X + 20, 113))),
    ("jumping", False): (((X - 20, 102), (X - 19, 112)), ((X + 20, 102), (X + 19, 112))),
    ("jumping", True): (((X + 2, 108), (X - 17, 110)), ((X + 18, 96), (X + 10, 112))),
    ("dancing", False): (((X - 7, 104), (X - 7, 113)), ((X + 20, 100), (X + 30, 108))),
    ("dancing", True): (((X - 4, 104), (X - 4, 113)), ((X + 20, 98), (X + 28, 106))),
}


def _arm_points(p: Picture, s: int) -> list[Point]:
    """Shoulder, elbow and hand of the arm on the left (s = -1) or on the right."""
    x, y = X + s * (5 if p.view == "side" else 15), 72.0
    down: list[Point] = [(x, y), (x + s * 6, y + 9), (x + s * 4, y + 19)]
    up: list[Point] = [(x, y), (x + s * 13, y - 1), (x + s * 14, y - 22)]
    if p.prop != "none" and can_hold(p) and s == 1:
        return HOLDING
    match p.pose:
        case "waving":
            return [(x, y), (x + 13, y + 2), (x + 15, y - 17)] if s == 1 else down
        case "with arms raised" | "jumping":
            return up
        case "with hands on hips":
            return [(x, y), (x + s * 18, y + 6), (x - s, y + 17)]
        case "pointing":
            return [(x, y), (x + 10, y - 2), (x + 21, y - 7)] if s == 1 else down
        case "with arms stretched out":
            return [(x, y), (x + s * 11, y - 1), (x + s * 22, y - 1)]
        case "dancing":
            return up if s == -1 else [(x, y), (x + 18, y + 6), (x - 1, y + 17)]
        case "running":
            front = s == 1
            return [(x, y), (x + s * 9, y + 13), (x + (13 if front else -13), y + (0 if front else 9))]
        case "sitting":
            return [(x, y), (x + s * 8, y + 10), (x + s * 3, y + 19)]
        case _:
            return down


def _arm(b: Brush, p: Picture, s: int, skin: Colour, sleeve: Colour | None) -> None:
    if p.pose == "thinking" and p.view != "back" and s == 1:
        return  # it crosses the body and comes later
    points = _arm_points(p, s)
    short = p.garment in SHORT_SLEEVES
    b.limb(points, skin if short or sleeve is None else sleeve, 6.5)
    if short and sleeve is not None:
        elbow = ((points[0][0] + points[1][0]) / 2, (points[0][1] + points[1][1]) / 2)
        b.limb([points[0], elbow], sleeve, 8)
    if p.garment == "kimono" and sleeve is not None:
        b.limb([points[0], points[1]], sleeve, 11)
    b.oval(*points[-1], 3.8, 3.8, skin)
    if p.pose == "pointing" and s == 1:
        hand = points[-1]
        b.limb([hand, (hand[0] + 7, hand[1] - 2)], skin, 2.6)


def _thinking_arm(b: Brush, p: Picture, skin: Colour, sleeve: Colour | None) -> None:
    bare = sleeve is None or p.garment in SHORT_SLEEVES
    x = X + (15 if p.view == "front" else 4)
    hand = (X + 8, 67) if p.view == "front" else (X + 17, 67)
    b.limb([(x, 72), (x + 5, 86)], sleeve or skin, 7)
    b.limb([(x + 5, 86), hand], skin if bare else sleeve or skin, 6.5)
    b.oval(*hand, 4.2, 4.2, skin)
    b.limb([hand, (hand[0] - 3, hand[1] - 4)], skin, 2.6)


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
    brow = mix(hair, BLACK, 0.45)
    for ex, s in [(X - 9, -1), (X + 9, 1)] if front else [(X + 13, 1)]:
        _eye(q, ex, s, p.expression, brow)
    _mouth(q, *((X, 6.0) if front else (X + 14, 4.0)), p.expression)


def _eye(q: Brush, ex: float, s: int, mood: str, brow: Colour) -> None:
    """One eye with its brow; `s` is the side of the face that it is on."""
    if mood == "laughing":
        q.line([(ex - 4.2, 49.5), (ex, 41), (ex + 4.2, 49.5)], INK, 2)
        q.line([(ex - 3.5, 39.5), (ex, 37.8), (ex + 3.5, 39.5)], brow, 1.6)
    elif mood == "sleepy":
        q.line([(ex - 4.2, 47), (ex, 52.5), (ex + 4.2, 47)], INK, 2)
        q.line([(ex - 3.5, 41), (ex + 3.5, 41)], brow, 1.6)
    else:
        q.oval(ex, 47, 3.0, 4.6 if mood == "surprised" else 3.8, INK)
        q.oval(ex + 1, 45.6, 1.0, 1.2, WHITE)
        if mood == "angry":
            q.line([(ex + s * 4, 38), (ex - s * 3.5, 41.5)], brow, 2)
        elif mood == "sad":
            q.line([(ex - s * 3.5, 38), (ex + s * 4, 41)], brow, 1.8)
        else:
            low, high = (38, 36) if mood == "surprised" else (40, 38.8)
            q.line([(ex - 3.5, low), (ex, high), (ex + 3.5, low)], brow, 1.6)
    if mood in ("smiling", "laughing"):
        q.oval(ex + s * 4, 53, 3.5, 2, (240, 110, 110), alpha=110)


def _mouth(q: Brush, mx: float, k: float, mood: str) -> None:
    """At `mx`, half as wide as `k`."""
    if mood in ("smiling", "laughing"):
        wide, low = (k, 64) if mood == "smiling" else (k * 1.45, 72)
        mouth = skia.Path()
        mouth.moveTo(mx - wide, 54)
        mouth.quadTo(mx, low, mx + wide, 54)
        mouth.close()
        q.shape(mouth, (150, 40, 50))
        if mood == "laughing":
            q.box(mx - wide * 0.7, 54, mx + wide * 0.7, 56, 0.5, WHITE)
    elif mood == "sad":
        q.line([(mx - k * 0.8, 59), (mx, 54.5), (mx + k * 0.8, 59)], INK, 1.8)
    elif mood == "angry":
        q.line([(mx - k * 0.8, 58), (mx, 56), (mx + k * 0.8, 58)], INK, 2)
    elif mood == "surprised":
        q.oval(mx, 58, 2.8, 3.6, (130, 40, 50))
    elif mood == "sleepy":
        q.oval(mx + k * 0.2, 58.5, 2.2, 1.6, (130, 40, 50))
    else:
        q.line([(mx - k * 0.6, 57), (mx + k * 0.6, 57)], INK, 1.7)
