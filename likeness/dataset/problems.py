"""What keeps a dataset from being trained, and what was left out of it."""

from dataclasses import dataclass, field, replace

from likeness.dataset.wording import one_line
from likeness.errors import InputError


@dataclass(frozen=True)
class Problem:
    """One reason why a dataset cannot be used as it is. The message names the file and ends with the fix."""

    check: str  # what kind of problem: 'unreadable', 'caption_missing', 'pair', 'metadata', …
    message: str
    images: tuple[str, ...] = ()  # paths of the pictures it is about

    @classmethod
    def of(cls, check: str, error: InputError, *images: object) -> "list[Problem]":
        """The problems that an error tells of."""
        return [cls(check, text, tuple(map(str, images))) for text in error.problems]


@dataclass
class Remarks:
    """Collected while a dataset is read, so that all is told at once."""

    problems: list[Problem] = field(default_factory=list[Problem])
    notes: list[str] = field(default_factory=list[str])  # what was left out, and how names were understood

    def plain(self) -> "Remarks":
        """The same with every message on one line that can be shown: they quote what stands in lists."""
        problems = [replace(p, message=one_line(p.message)) for p in self.problems]
        return Remarks(problems, [one_line(note) for note in self.notes])
