"""The course of learning as an SVG file that stands alone."""

from collections.abc import Sequence

from benchmarks.scores import EpochReading
from likeness.report.chart import Line, draw_chart

STYLE = """
text { font: 12px system-ui, sans-serif; fill: #555 }
.rule { stroke: #ddd } .axis { stroke: #888 }
polyline, line { fill: none; stroke-width: 2 } .rule, .axis { stroke-width: 1 }
.trait { stroke: #1f7a5c } .obeyed { stroke: #7a5cc7 } .leak { stroke: #c9622c }
circle { stroke: none } circle.trait { fill: #1f7a5c } circle.obeyed { fill: #7a5cc7 } circle.leak { fill: #c9622c }
"""


def draw_curve(readings: Sequence[EpochReading]) -> str:
    """SVG text: the trait and the obedience on prompts with the trigger, the leak on those without."""
    lines = [
        Line("trait", [(r.epoch, r.learned.together.mean) for r in readings], "trait", dots=True),
        Line("obeyed", [(r.epoch, r.learned.obeyed.mean) for r in readings if r.learned.obeyed], "obeyed", dots=True),
        Line("leak", [(r.epoch, r.controls.together.mean) for r in readings], "leak", dots=True),
    ]
    svg = str(draw_chart(lines, "what is learned, by epoch", "epoch", "probability"))
    return svg.replace('<svg class="chart"', '<svg xmlns="http://www.w3.org/2000/svg" class="chart"', 1).replace(
        ">", f"><style>{STYLE}</style>", 1
    )
