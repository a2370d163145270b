"""What covers the body: one painter a garment, and what each leaves of arms and legs."""

from collections.abc import Callable

from starter_recipe.world import wear
from starter_recipe.world.brush import BLACK, WHITE, Brush, Colour, mix
from starter_recipe.world.picture import SKINS, Picture

X = 64.0
SHIRT: Colour = (245, 240, 230)  # under overalls, suits, aprons; over skirts
GOLD: Colour = (240, 220, 150)
WHITE_SLEEVES = ("overalls", "skirt", "apron")
SHORT_SLEEVES = ("t-shirt", "dress", "skirt")
BARE_LEGS = ("dress", "skirt", "kimono")
Painter = Callable[[Brush, Picture, Colour, float], None]


def draw_body(b: Brush, p: Picture, cloth: Colour) -> None:
    """The torso in its garment; half of its width depends on the side it is seen from."""
    w = 12 if p.view == "side" else 16
    _GARMENTS.get(p.garment, _shirt)(b, p, cloth, w)
    if p.view == "front":
        wear.emblem(b, p.emblem, X, 84, cloth)


def sleeve_colour(p: Picture, cloth: Colour) -> Colour | None:
    """None where the arms are bare."""
    if p.garment == "tank top":
        return None
    return SHIRT if p.garment in WHITE_SLEEVES else cloth


def leg_colour(p: Picture, cloth: Colour) -> Colour:
    if p.garment in ("overalls", "suit"):
        return cloth
    if p.garment in BARE_LEGS:
        return SKINS[p.skin]
    return (62, 78, 120) if p.kind == "boy" else (84, 72, 96)


def _shirt(b: Brush, p: Picture, c: Colour, w: float) -> None:
    b.box(X - w, 64, X + w, 95, 8, c)


def _dress(b: Brush, p: Picture, c: Colour, w: float) -> None:
    hem = [(X + w + 1, 76), (X + w + 10, 102), (X, 106), (X - w - 10, 102), (X - w - 1, 76)]
    b.blob([(X - w + 4, 62), (X + w - 4, 62), *hem], c)


def _coat(b: Brush, p: Picture, c: Colour, w: float) -> None:
    hem = [(X + w + 3, 80), (X + w + 4, 106), (X, 104), (X - w - 4, 106), (X - w - 3, 80)]
    b.blob([(X - w + 1, 62), (X + w - 1, 62), *hem], c)
    if p.view == "front":
        b.line([(X, 66), (X, 102)], mix(c, BLACK, 0.25), 1.4)
        for i in range(3):
            b.oval(X + 4, 74 + 9 * i, 1.3, 1.3, GOLD, False)


def _overalls(b: Brush, p: Picture, c: Colour, w: float) -> None:
    b.box(X - w, 64, X + w, 95, 8, SHIRT)
    b.box(X - w + 2, 78, X + w - 2, 97, 4, c)
    if p.view != "side":
        b.box(X - 8, 70, X + 8, 82, 2, c)
        for s in (-1, 1):
            b.line([(X + s * 8, 71), (X + s * 10, 65)], c, 3)


def _hoodie(b: Brush, p: Picture, c: Colour, w: float) -> None:
    _shirt(b, p, c, w)
    if p.view != "front":
        return
    dark = mix(c, BLACK, 0.25)
    b.blob([(X - 13, 66), (X, 62), (X + 13, 66), (X + 8, 73), (X, 75), (X - 8, 73)], dark)
    if p.emblem == "none":
        b.box(X - 9, 84, X + 9, 92, 3, dark)
    for s in (-1, 1):
        b.line([(X + s * 3, 73), (X + s * 3, 79)], (240, 240, 240), 1.1)


def _sweater(b: Brush, p: Picture, c: Colour, w: float) -> None:
    """A high collar, a ribbed hem and, without an emblem, a zigzag."""
    shade = mix(c, WHITE if sum(c) < 430 else BLACK, 0.35)
    b.box(X - w - 2, 63, X + w + 2, 96, 9, c)
    b.box(X - w - 1, 91, X + w + 1, 97, 2, shade)
    b.box(X - 9 if w > 12 else X - 7, 61, X + 9, 68, 3, shade)
    if p.emblem == "none":
        for y in (75, 83):
            b.line([(X - w + 5 * i, y + (3 if i % 2 else -2)) for i in range(int(2 * w / 5) + 1)], shade, 2.4)


def _tank_top(b: Brush, p: Picture, c: Colour, w: float) -> None:
    b.box(X - w, 64, X + w, 88, 8, SKINS[p.skin])
    inner = w - 3
    for s in (-1, 1):
        b.line([(X + s * (inner - 3), 76), (X + s * (inner - 4), 65)], c, 4)
    b.box(X - inner, 73, X + inner, 95, 4, c)


def _jacket(b: Brush, p: Picture, c: Colour, w: float) -> None:
    """Open over a white shirt, with light bands at collar and hem."""
    trim = mix(c, WHITE if sum(c) < 430 else BLACK, 0.45)
    b.box(X - w - 2, 63, X + w + 2, 96, 8, c)
    if p.view == "front":
        b.polygon([(X - 8, 63), (X + 8, 63), (X + 6, 95), (X - 6, 95)], SHIRT)
        for s in (-1, 1):
            b.polygon([(X + s * 3, 63), (X + s * 10, 62), (X + s * 12, 74), (X + s * 7, 72)], trim)
            b.box(min(X + s * 7, X + s * (w + 1)), 91, max(X + s * 7, X + s * (w + 1)), 96, 1, trim)
    else:
        b.box(X - w - 1, 91, X + w + 1, 96, 2, trim)


def _suit(b: Brush, p: Picture, c: Colour, w: float) -> None:
    b.box(X - w - 1, 63, X + w + 1, 98, 6, c)
    if p.view != "front":
        return
    dark = mix(c, BLACK, 0.35) if sum(c) > 200 else mix(c, WHITE, 0.25)
    b.polygon([(X - 9, 63), (X + 9, 63), (X, 84)], SHIRT)
    b.polygon([(X - 2.4, 66), (X + 2.4, 66), (X + 3, 77), (X, 82), (X - 3, 77)], (190, 50, 60))
    for s in (-1, 1):
        b.polygon([(X + s * 8, 62), (X + s * 13, 66), (X + s * 9, 75), (X, 85)], dark)
    b.oval(X, 89, 1.4, 1.4, GOLD, False)


def _skirt(b: Brush, p: Picture, c: Colour, w: float) -> None:
    """A pleated skirt with a white blouse."""
    b.box(X - w, 64, X + w, 88, 8, SHIRT)
    hem = [(X - w, 82), (X + w, 82), (X + w + 10, 103), (X - w - 10, 103)]
    b.polygon(hem, c)
    for i in (-2, -1, 0, 1, 2):
        b.line([(X + i * w / 3, 86), (X + i * (w + 10) / 3, 102)], mix(c, BLACK, 0.25), 1.3)
    b.box(X - w - 1, 80, X + w + 1, 85, 1, mix(c, BLACK, 0.25))


def _kimono(b: Brush, p: Picture, c: Colour, w: float) -> None:
    """A long robe, crossed at the chest, with a broad sash."""
    sash = mix(c, BLACK, 0.45) if sum(c) > 330 else mix(c, WHITE, 0.6)
    b.polygon([(X - w, 64), (X + w, 64), (X + w + 3, 109), (X - w - 3, 109)], c)
    if p.view == "front":
        b.line([(X + 11, 64), (X - 8, 84)], WHITE, 3.4)
        b.line([(X - 11, 64), (X + 2, 78)], WHITE, 3.4)
        b.line([(X + 3, 94), (X + 6, 108)], mix(c, BLACK, 0.25), 1.3)
    b.box(X - w - 1, 82, X + w + 1, 93, 1, sash)
    if p.view == "back":
        b.box(X - 9, 78, X + 9, 96, 3, sash)


def _poncho(b: Brush, p: Picture, c: Colour, w: float) -> None:
    """A wide cloak down to a point, with two bands and a fringe."""
    light = mix(c, WHITE, 0.6) if sum(c) < 480 else mix(c, BLACK, 0.35)
    b.box(X - w, 80, X + w, 95, 6, mix(c, BLACK, 0.45))
    r = w + 12
    b.polygon([(X - 9, 62), (X + 9, 62), (X + r, 87), (X, 104), (X - r, 87)], c)
    for d in (0, 8):
        k = (r - 4 - d) / r
        b.polygon(
            [(X - r * k, 86 - d), (X, 100 - d), (X + r * k, 86 - d), (X + r * k, 82.5 - d), (X, 96.5 - d),
             (X - r * k, 82.5 - d)], light, False,
        )  # fmt: skip


def _apron(b: Brush, p: Picture, c: Colour, w: float) -> None:
    b.box(X - w, 64, X + w, 95, 8, SHIRT)
    if p.view == "back":
        for s in (-1, 1):
            b.polygon([(X + s * 5, 82), (X + s * (w + 1), 82), (X + s * (w + 2), 106), (X + s * 10, 106)], c)
            b.line([(X + s * (w - 3), 66), (X + s * 3, 82)], c, 2.5)
        wear.bow(b, X, 83, c)
        return
    left = X - w + 3 if p.view == "front" else X - 2
    b.line([(left + 3, 72), (left + 1 if p.view == "front" else X + 2, 64)], c, 2.5)
    b.line([(X + w - 6, 72), (X + w - 5, 64)], c, 2.5)
    b.box(left, 71, X + w - 3, 86, 2, c)
    b.box(X - w - 1 if p.view == "front" else left, 81, X + w + 1, 106, 5, c)
    if p.view == "front":
        b.box(X - 8, 89, X + 8, 99, 3, mix(c, BLACK, 0.25))


_GARMENTS: dict[str, Painter] = {
    "dress": _dress,
    "coat": _coat,
    "overalls": _overalls,
    "hoodie": _hoodie,
    "sweater": _sweater,
    "tank top": _tank_top,
    "jacket": _jacket,
    "suit": _suit,
    "skirt": _skirt,
    "kimono": _kimono,
    "poncho": _poncho,
    "apron": _apron,
}
