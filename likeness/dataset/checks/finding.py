"""One thing that a check has found."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

Severity = Literal["error", "warning", "advice"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)  # the worst first


@dataclass(frozen=True)
class Finding:
    """An error keeps a run from starting, a warning is likely to show in the result, advice is worth knowing.

    `images` are the paths it is about, for pairs those of the pictures after; none where it is about the whole.
    `message` says what was found and why it matters, `fix` what to do.
    """

    check: str
    severity: Severity
    images: tuple[str, ...]
    message: str
    fix: str


def ordered(findings: Iterable[Finding]) -> list[Finding]:
    """The worst first, otherwise as they come."""
    return sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity))


def count_by_severity(findings: Iterable[Finding]) -> dict[str, int]:
    """How many there are of each severity."""
    found = [finding.severity for finding in findings]
    return {severity: found.count(severity) for severity in SEVERITIES}
