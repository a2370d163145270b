"""The room that a picture's shape leaves for drawing."""

from collections.abc import Sequence
from dataclasses import dataclass

from starter_recipe.world.brush import Colour, Point

UNITS = 128.0  # the square picture's side; the ground of every picture ends at y = 128
NARROWEST = 96.0  # units of width that a figure needs
SKIES: dict[str, tuple[Colour, Colour]] = {
    "day": ((120, 190, 240), (205, 232, 250)),
    "sunset": ((236, 120, 90), (255, 205, 130)),
    "night": ((18, 24, 62), (48, 58, 110)),
}


@dataclass(frozen=True)
class Stage:
    """x runs from 0 to `width`, y from `top` (0 or less) down to 128; a unit is `scale` pixels.

    A wide picture shows more of the place to both sides, a tall one more of the sky: nothing is squashed.
    """

    width: float
    top: float
    scale: float

    @property
    def all(self) -> tuple[float, float, float, float]:
        """Left, top, right and bottom of a box that covers everything."""
        return -2, self.top - 2, self.width + 2, UNITS + 2

    def x(self, across: float) -> float:
        """Where a thing stands that stands at `across` in the square."""
        return across * (self.width / UNITS)

    def spread(self, points: Sequence[Point]) -> list[Point]:
        """A line of hills or shore, drawn for the square, stretched to the width."""
        return [(self.x(x), y) for x, y in points]

    def count(self, in_the_square: int) -> int:
        """How many there are at the same density."""
        return round(in_the_square * self.width / UNITS)


def stage_of(width: int, height: int) -> Stage:
    """The stage of a picture of `width` × `height` pixels."""
    scale = min(height / UNITS, width / NARROWEST)
    return Stage(width / scale, UNITS - height / scale, scale)
