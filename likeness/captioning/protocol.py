"""What an engine is: it answers questions about pictures, some at once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from PIL import Image

Reason = Literal["refused", "empty", "malformed", "timeout", "unreachable", "server", "picture", "stopped", "model"]

Tell = Callable[[str, int, int], object]  # hears of stages: name, done, total


def tell_nobody(name: str, done: int, total: int) -> None:
    """For those who do not want to hear."""


class CaptionFailed(Exception):
    """This picture got no caption; others may. `reason` is a word to sort by, the text says it to a person."""

    def __init__(self, reason: Reason, message: str):
        super().__init__(message)
        self.reason: Reason = reason


@dataclass(frozen=True)
class Ask:
    """One question: the picture to describe, or those before an edit and then the one after it."""

    pictures: tuple[Image.Image, ...]
    system: str
    prompt: str


@dataclass(frozen=True)
class Abilities:
    """What an engine can do."""

    takes_prompts: bool  # does what it is asked; else it describes in its own way
    sees_pairs: bool  # can look at several pictures in one question
    at_once: int  # questions in one call of `answer`
    calls: int = 1  # calls that may run at once, in threads
    tags: bool = False  # answers with tags, not prose


@dataclass(frozen=True)
class Answer:
    """What an engine said, as it came. `cut_off`: it was ended by its limit, in the middle of a sentence."""

    text: str
    cut_off: bool = False


class Captioner(Protocol):
    """An engine with one model loaded, or reached."""

    model: str  # as it should be told: a name, folder or repository
    abilities: Abilities

    def answer(self, asks: Sequence[Ask]) -> list[Answer | CaptionFailed]:
        """One for each, in order. Raises LikenessError when no picture at all could be captioned any more."""
        ...

    def stop(self) -> None:
        """Give up what is under way, from another thread; calls then return soon, with CaptionFailed('stopped')."""
        ...
