"""Line charts as SVG text: drawn once on the server, coloured by the page's style sheet, no script."""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeVar

from markupsafe import Markup, escape

WIDTH, HEIGHT = 480, 270  # of the drawing's own units; the page scales it
LEFT, RIGHT, TOP, BOTTOM = 58, 26, 34, 44
MOST_POINTS = 500  # per line
CUT = 0.01  # of a noisy line's values at either end may lie outside the frame

Point = tuple[float, float]
T = TypeVar("T")


class Line(NamedTuple):
    """One curve. `style` is its CSS class; `noisy` lets single spikes leave the frame; `dots` marks every point."""

    label: str
    points: Sequence[Point]
    style: str
    noisy: bool = False
    dots: bool = False


def thin(points: Sequence[T], most: int = MOST_POINTS) -> list[T]:
    """At most `most` of the points, evenly spaced, the first and the last among them."""
    if len(points) <= most:
        return list(points)
    return [points[round(i * (len(points) - 1) / (most - 1))] for i in range(most)]


def ticks(low: float, high: float, about: int = 5, whole: bool = False) -> list[float]:
    """Round values (1, 2 or 5 times a power of ten apart) within [low, high]; whole numbers where `whole`."""
    rough = (high - low) / about
    if rough <= 0:
        return [low]
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= rough)
    step = max(1.0, step) if whole else step
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [i * step for i in range(first, last + 1)]


def draw_chart(lines: Sequence[Line], title: str, x_label: str, y_label: str) -> Markup:
    """An SVG of the lines with axes, whole-number ticks below and a legend. At least one line must have a point."""
    xs = [x for line in lines for x, _ in line.points]
    x_low, x_high = _widened(min(xs), max(xs), 0)
    ranges = [_range([y for _, y in line.points], line.noisy) for line in lines if line.points]
    y_low, y_high = _widened(min(low for low, _ in ranges), max(high for _, high in ranges), 0.05)

    def x_at(x: float) -> float:
        return LEFT + (x - x_low) / (x_high - x_low) * (WIDTH - LEFT - RIGHT)

    def y_at(y: float) -> float:
        return HEIGHT - BOTTOM - (y - y_low) / (y_high - y_low) * (HEIGHT - TOP - BOTTOM)

    parts = [f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">']
    for y in ticks(y_low, y_high):
        parts.append(f'<line class="rule" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y_at(y):.1f}" y2="{y_at(y):.1f}"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y_at(y) + 4:.1f}" text-anchor="end">{y:.3g}</text>')
    for x in ticks(x_low, x_high, whole=True):
        parts.append(f'<text x="{x_at(x):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{x:,.0f}</text>')
    axis = HEIGHT - BOTTOM
    parts.append(f'<line class="axis" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{axis}" y2="{axis}"/>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(f'<text x="{middle}" y="{HEIGHT - 6}" text-anchor="middle">{escape(x_label)}</text>')
    parts.append(f'<text x="8" y="14">{escape(y_label)}</text>')
    parts += _legend(lines)
    # A nested svg clips what leaves the frame; clip-path would need an id, unique in the page.
    frame = f'x="{LEFT - 5}" y="{TOP}" width="{WIDTH - LEFT - RIGHT + 10}" height="{HEIGHT - TOP - BOTTOM}"'
    view = f'viewBox="{LEFT - 5} {TOP} {WIDTH - LEFT - RIGHT + 10} {HEIGHT - TOP - BOTTOM}"'
    parts.append(f"<svg {frame} {view}>")
    for line in lines:
        shown = [(x_at(x), y_at(y)) for x, y in thin(line.points)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in shown)
        parts.append(f'<polyline class="{line.style}" points="{path}"/>')
        if line.dots:
            parts += [f'<circle class="{line.style}" cx="{x:.1f}" cy="{y:.1f}" r="3.5"/>' for x, y in shown]
    return Markup("".join([*parts, "</svg></svg>"]))


def _legend(lines: Iterable[Line]) -> Iterable[str]:
    """Top right, read from left to right; widths are guessed since a text's is not known before it is drawn."""
    widths = [(line, 34 + 8.2 * len(line.label)) for line in lines]
    x = WIDTH - RIGHT - sum(width for _, width in widths)
    for line, width in widths:
        yield f'<line class="{line.style}" x1="{x:.0f}" x2="{x + 18:.0f}" y1="10" y2="10"/>'
        yield f'<text x="{x + 23:.0f}" y="14">{escape(line.label)}</text>'
        x += width


def _range(values: Sequence[float], noisy: bool) -> Point:
    ordered = sorted(values)
    cut = int(len(ordered) * CUT) if noisy else 0
    return ordered[cut], ordered[len(ordered) - 1 - cut]


def _widened(low: float, high: float, share: float) -> Point:
    """The range with some air at either end; a single value gets a range around it."""
    if low == high:
        return low - 0.5, high + 0.5
    return low - share * (high - low), high + share * (high - low)
