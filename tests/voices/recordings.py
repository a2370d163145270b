"""Speech to test with, made by espeak-ng at home pitches of its own: no recording of a person is needed."""

from pathlib import Path

import numpy as np

from likeness.voices import espeak
from likeness.voices.audio import write_sound
from likeness.voices.filters import Floats, resample

TEXTS = (
    "The boat left the harbour before the sun came up.",
    "She put the warm bread on the table by the window.",
    "Nobody knew why the old clock had stopped at noon.",
    "We walked along the river until it began to rain.",
    "His brother keeps three grey geese behind the barn.",
    "Please write your name at the top of the first page.",
)


def said(text: str, voice: str = "en-gb+m3", pitch: int = 40, rate: int = 24_000) -> Floats:
    """At `rate` Hz. Other voices and pitches are other speakers."""
    samples, own = espeak.say(text, voice, 150, pitch, 60)
    return resample(samples, own, rate)


def speech(seconds: float, voice: str = "en-gb+m3", pitch: int = 40, rate: int = 24_000) -> Floats:
    """Sentences one after the other with some room noise, cut to length."""
    parts: list[Floats] = []
    for text in TEXTS * 3:
        parts.append(said(text, voice, pitch, rate))
        if sum(map(len, parts)) >= seconds * rate:
            break
    x = np.concatenate(parts)[: int(seconds * rate)]
    return x * 0.5 + np.random.default_rng(0).normal(size=len(x)) * 1e-3


def write_lessons(folder: Path, count: int = 4) -> Path:
    """A folder as a voice is trained from: short recordings with their texts."""
    folder.mkdir(parents=True)
    for number, text in enumerate(TEXTS[:count]):
        write_sound(folder / f"{number}.wav", said(text)[: 24_000 * 2] * 0.5, 24_000)
        (folder / f"{number}.txt").write_text(text)
    return folder
