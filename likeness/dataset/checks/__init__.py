"""What a person should know about a dataset before it is trained.

Pixels are measured once (`measure`); each check is then a pure function of the measured rows. Docs:
explanation/dataset-checks.md, with how often each is wrong.
"""

from likeness.dataset.checks.captions import check_emptiness, check_length, check_repetition, check_several, check_sort
from likeness.dataset.checks.copies import check_copies, check_near_copies
from likeness.dataset.checks.finding import SEVERITIES, Finding, Severity, count_by_severity, ordered
from likeness.dataset.checks.measuring import measure
from likeness.dataset.checks.pairs import check_alignment, check_difference, check_order
from likeness.dataset.checks.quality import check_blur, check_compression
from likeness.dataset.checks.sameness import check_background, check_framing, check_watermark
from likeness.dataset.checks.size import check_aspect, check_borders, check_count, check_size
from likeness.dataset.checks.subject import Check, Rules, Subject
from likeness.dataset.checks.trigger import check_trigger, check_trigger_word

__all__ = [
    "CHECKS",
    "SEVERITIES",
    "Finding",
    "Rules",
    "Severity",
    "Subject",
    "count_by_severity",
    "findings",
    "measure",
    "ordered",
]

CHECKS: tuple[Check, ...] = (
    check_count,
    check_size,
    check_copies,
    check_near_copies,
    check_framing,
    check_background,
    check_watermark,
    check_blur,
    check_compression,
    check_aspect,
    check_borders,
    check_several,
    check_trigger,
    check_trigger_word,
    check_emptiness,
    check_length,
    check_repetition,
    check_sort,
    check_difference,
    check_alignment,
    check_order,
)


def findings(subject: Subject) -> list[Finding]:
    """All that the checks find, the worst first."""
    return ordered(finding for check in CHECKS for finding in check(subject))
