"""The scorecard as rows to show: which epoch, why, and by what measures."""

from typing import Any, NamedTuple, cast

from likeness.events import VerdictGiven

# Key in a verdict's rows, heading, what it says. Only columns that were measured are shown.
COLUMNS = (
    ("held_out_loss", "held-out loss", "Loss on pictures kept out of training, at fixed noise. Lower is better."),
    ("train_loss", "training loss", "The same on training pictures. It falls on while pictures are learned by heart."),
    ("likeness", "likeness", "How like the training pictures the test pictures are, 0 to 1."),
    ("followed", "followed", "How far edits go the way of the training pairs, -1 to 1."),
    ("preserved", "preserved", "How much edits leave alone of what the training pairs leave alone, 0 to 1."),
    ("change", "change", "How much edits change, the training pairs being 1."),
    ("prompt", "prompt", "How well prompts are followed, beside the base. It falls by itself as the subject changes."),
    ("diversity", "diversity", "How different the test pictures are from each other; the base's are 1."),
    ("leak", "leak", "How far pictures without the trigger moved towards the training pictures; 0: not at all."),
    ("drift", "drift", "How far pictures without the trigger moved from the base's, 0 to 1."),
    ("copied", "copied", "Share of test pictures that repeat a training picture."),
    ("closeness", "closeness", "Correlation with the nearest training picture; copies are above 0.9."),
    ("composition", "composition", "Mean correlation with all training pictures; high where one takes over."),
)  # fmt: skip


class Cell(NamedTuple):
    text: str  # '–' where it was not measured
    noise: str  # '' where it is not known


class Row(NamedTuple):
    epoch: int
    mark: str  # 'suggested', 'sweet spot', 'overfit' or ''
    cells: list[Cell]


class Table(NamedTuple):
    """`columns` are (heading, what it says)."""

    columns: list[tuple[str, str]]
    rows: list[Row]


def scorecard_table(verdict: VerdictGiven) -> Table:
    """All epochs with the measures that there are."""
    columns = [(key, name, words) for key, name, words in COLUMNS if any(_known(row, key) for row in verdict.rows)]
    rows = [
        Row(int(row["epoch"]), mark_of(verdict, int(row["epoch"])), [_cell(row.get(key)) for key, _, _ in columns])
        for row in verdict.rows
        if isinstance(row.get("epoch"), int)
    ]
    return Table([(name, words) for _, name, words in columns], rows)


def mark_of(verdict: VerdictGiven, epoch: int) -> str:
    """What the verdict says of an epoch."""
    if epoch == verdict.suggested:
        return "suggested"
    if verdict.overfit_from is not None and epoch >= verdict.overfit_from:
        return "overfit"
    if len(verdict.sweet_spot) == 2 and verdict.sweet_spot[0] <= epoch <= verdict.sweet_spot[1]:
        return "sweet spot"
    return ""


def _known(row: dict[str, Any], key: str) -> bool:
    return row.get(key) is not None


def _cell(value: Any) -> Cell:
    if isinstance(value, list) and value:
        mean, noise = cast(list[Any], [*value, None])[:2]
        return Cell(_number(mean, 2), f"±{noise:.2f}" if isinstance(noise, int | float) else "")
    return Cell(_number(value, 4), "")


def _number(value: Any, digits: int) -> str:
    return f"{value:.{digits}f}" if isinstance(value, int | float) else "–"
