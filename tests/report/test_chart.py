"""Charts as SVG."""

import re
import xml.etree.ElementTree as ElementTree

import pytest

from likeness.report.chart import MOST_POINTS, TOP, Line, draw_chart, thin, ticks


def polylines(svg: str) -> list[list[tuple[float, float]]]:
    ElementTree.fromstring(svg)  # well-formed
    found = re.findall(r'<polyline class="\w+" points="([^"]*)"', svg)
    return [[(float(x), float(y)) for x, y in (p.split(",") for p in points.split())] for points in found]


def test_lines_are_thinned_to_the_cap_and_keep_their_ends():
    many = [(step, 1 / (step + 1)) for step in range(20_000)]
    (points,) = polylines(draw_chart([Line("loss", many, "first")], "t", "step", "loss"))
    assert len(points) == MOST_POINTS == 500
    assert thin(many)[0] == many[0] and thin(many)[-1] == many[-1]
    assert thin(many[:7]) == many[:7]


def test_higher_values_stand_higher_and_later_ones_further_right():
    (points,) = polylines(draw_chart([Line("loss", [(1, 5.0), (2, 3.0), (3, 4.0)], "first")], "t", "step", "loss"))
    (x1, y1), (x2, y2), (x3, y3) = points
    assert x1 < x2 < x3
    assert y1 < y3 < y2  # SVG counts downwards


def test_a_spike_of_a_noisy_line_does_not_flatten_the_rest():
    calm = [(step, 0.4 + 0.1 * (step % 2)) for step in range(300)]
    spiked = [*calm, (300, 1000.0)]
    (points,) = polylines(draw_chart([Line("loss", spiked, "faint", noisy=True)], "t", "step", "loss"))
    assert max(y for _, y in points) - min(y for _, y in points[:-1]) > 100
    assert points[-1][1] < TOP, "it leaves the frame"


@pytest.mark.parametrize("points", [[(3, 0.5)], [(1, 0.5), (2, 0.5)], [(0, 0.0), (1, 1e-9)]])
def test_single_and_equal_values_can_be_drawn(points):
    assert len(polylines(draw_chart([Line("loss", points, "first")], "t", "step", "loss"))) == 1


def test_labels_are_escaped():
    svg = draw_chart([Line("<b>", [(0, 1), (1, 2)], "first")], '"><script>', "x & y", "loss")
    ElementTree.fromstring(svg)
    assert "<script" not in svg and "<b>" not in svg


def test_ticks_are_round_and_within():
    assert ticks(0, 1000) == [0, 200, 400, 600, 800, 1000]
    assert ticks(0.13, 0.47) == pytest.approx([0.2, 0.3, 0.4])
    assert ticks(0, 3, whole=True) == [0, 1, 2, 3]
