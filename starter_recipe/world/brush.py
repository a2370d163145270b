"""A thin drawing layer over skia: filled shapes, optional ink, one tint for the time of day."""

import math
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any

import skia

Canvas = Any  # skia has no types
Path = Any
Colour = tuple[float, float, float]
Point = tuple[float, float]

INK: Colour = (40, 28, 36)
WHITE: Colour = (255, 255, 255)
BLACK: Colour = (0, 0, 0)
EDGES: dict[str, Colour] = {"outline": (28, 24, 34), "sketch": (70, 70, 74), "stained glass": (18, 16, 26)}


def mix(a: Colour, b: Colour, t: float) -> Colour:
    """Blend from `a` (t = 0) to `b` (t = 1)."""
    return (a[0] * (1 - t) + b[0] * t, a[1] * (1 - t) + b[1] * t, a[2] * (1 - t) + b[2] * t)


def paint_colour(c: Colour, alpha: int = 255) -> int:
    r, g, b = (int(max(0, min(255, v))) for v in c)
    return skia.Color(r, g, b, alpha)


class Brush:
    """Draws shapes in units of a 128th of the square picture; in the inked styles every shape gets an edge."""

    def __init__(self, canvas: Canvas, style: str, tint: Colour | None = None, width: float = 1.5):
        self.canvas, self.style, self.tint, self.width = canvas, style, tint, width
        self.edge = EDGES.get(style)
        self._fill = skia.Paint(AntiAlias=True)
        self._line = skia.Paint(
            AntiAlias=True,
            Style=skia.Paint.kStroke_Style,
            StrokeJoin=skia.Paint.kRound_Join,
            StrokeCap=skia.Paint.kRound_Cap,
        )

    @contextmanager
    def at(self, x: float, y: float, scale: float = 1.0, about: Point = (0.0, 0.0)) -> Generator[None]:
        """Draw with `about` moved to (x, y) and everything `scale` times as large; lines keep their width."""
        width, self.width = self.width, self.width / scale
        self.canvas.save()
        self.canvas.translate(x, y)
        self.canvas.scale(scale, scale)
        self.canvas.translate(-about[0], -about[1])
        yield
        self.canvas.restore()
        self.width = width

    def _tinted(self, c: Colour) -> Colour:
        return c if self.tint is None else (c[0] * self.tint[0], c[1] * self.tint[1], c[2] * self.tint[2])

    def shape(self, path: Path, colour: Colour, ink: bool = True, alpha: int = 255) -> None:
        self._fill.setColor(paint_colour(self._tinted(colour), alpha))
        self.canvas.drawPath(path, self._fill)
        if self.edge and ink:
            self._line.setColor(paint_colour(self.edge))
            self._line.setStrokeWidth(self.width)
            self.canvas.drawPath(path, self._line)

    def oval(
        self, x: float, y: float, rx: float, ry: float, colour: Colour, ink: bool = True, alpha: int = 255
    ) -> None:
        path = skia.Path()
        path.addOval(skia.Rect.MakeLTRB(x - rx, y - ry, x + rx, y + ry))
        self.shape(path, colour, ink, alpha)

    def box(
        self, left: float, top: float, right: float, bottom: float, radius: float, colour: Colour, ink: bool = True
    ) -> None:
        path = skia.Path()
        path.addRRect(skia.RRect.MakeRectXY(skia.Rect.MakeLTRB(left, top, right, bottom), radius, radius))
        self.shape(path, colour, ink)

    def polygon(self, points: Sequence[Point], colour: Colour, ink: bool = True) -> None:
        path = skia.Path()
        path.addPoly([skia.Point(*p) for p in points], True)
        self.shape(path, colour, ink)

    def blob(self, points: Sequence[Point], colour: Colour, ink: bool = True) -> None:
        """A closed smooth curve that is steered by `points` and passes through their midpoints."""

        def middle(a: Point, b: Point) -> Point:
            return ((a[0] + b[0]) / 2, (a[1] + b[1]) / 2)

        path = skia.Path()
        path.moveTo(*middle(points[-1], points[0]))
        for i, p in enumerate(points):
            path.quadTo(*p, *middle(p, points[(i + 1) % len(points)]))
        path.close()
        self.shape(path, colour, ink)

    def cloud(self, x: float, y: float, rx: float, ry: float, bumps: int, colour: Colour) -> None:
        """A round shape with a bumpy rim: wool, manes, clouds of hair."""

        def rim(i: float, reach: float) -> Point:
            turn = 2 * math.pi * i / bumps
            return (x + reach * rx * math.cos(turn), y + reach * ry * math.sin(turn))

        path = skia.Path()
        path.moveTo(*rim(0, 0.95))
        for i in range(bumps):
            path.quadTo(*rim(i + 0.5, 1.24), *rim(i + 1, 0.95))
        path.close()
        self.shape(path, colour)

    def line(self, points: Sequence[Point], colour: Colour, width: float) -> None:
        """A stroke: straight through two or many points, one smooth bend through three."""
        path = skia.Path()
        path.moveTo(*points[0])
        if len(points) == 3:
            path.quadTo(*points[1], *points[2])
        else:
            for p in points[1:]:
                path.lineTo(*p)
        self._line.setColor(paint_colour(self._tinted(colour)))
        self._line.setStrokeWidth(width)
        self.canvas.drawPath(path, self._line)

    def ring(self, x: float, y: float, rx: float, ry: float, colour: Colour, width: float) -> None:
        self._line.setColor(paint_colour(self._tinted(colour)))
        self._line.setStrokeWidth(width)
        self.canvas.drawOval(skia.Rect.MakeLTRB(x - rx, y - ry, x + rx, y + ry), self._line)

    def limb(self, points: Sequence[Point], colour: Colour, width: float) -> None:
        """A thick stroke that carries its own ink edge."""
        if self.edge:
            tint, self.tint = self.tint, None
            self.line(points, self.edge, width + 1.6 * self.width)
            self.tint = tint
        self.line(points, colour, width)
