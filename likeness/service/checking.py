"""The checks of a dataset, with what is known of the base it is for."""

from collections.abc import Sequence
from pathlib import Path

from likeness.catalog import Card
from likeness.dataset.checks import Finding, Rules, findings, measure
from likeness.dataset.index import Index
from likeness.dataset.manifest import Example

_MOST_NAMES = 5


def findings_of(
    examples: Sequence[Example], kind: str, card: Card | None, sides: Sequence[int], index: Index
) -> list[Finding]:
    """What the checks find in examples that are to be trained on `card` at the resolutions `sides`.

    Raises InputError where a picture can no longer be decoded.
    """
    rules = Rules(kind)
    if card is not None:
        rules = Rules(kind, max(sides), card.multiple, card.text_tokens, min(sides))
    return findings(measure(examples, rules, index)) if examples else []


def as_problems(found: Sequence[Finding], place: str) -> list[str]:
    """The errors among findings, one line each, and how many others there are. `place` says where the datasets are
    named: a settings file and a key."""
    problems = [f"{place}: {f.check}: {f.message}{_names(f)} Fix: {f.fix}" for f in found if f.severity == "error"]
    others = len(found) - len(problems)
    if problems and others:
        what = "1 other finding does" if others == 1 else f"{others} other findings do"
        file = place.partition(":")[0]
        problems.append(f"{place}: {what} not stop the training. Fix: see all with `likeness dataset check {file}`")
    return problems


def _names(finding: Finding) -> str:
    names = [Path(path).name for path in finding.images[:_MOST_NAMES]]
    return f" ({', '.join(names)}{' …' if len(finding.images) > _MOST_NAMES else ''})" if names else ""
