"""What a voice is learned from: recordings with their texts, as the latents a network learns to go on with."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from torch import Tensor

from likeness import durable
from likeness.config.voice import LESSON_SECONDS
from likeness.errors import InputError
from likeness.voices import mending
from likeness.voices.audio import Clip, read_clip
from likeness.voices.findings import LEAST_RATE
from likeness.voices.pocket import Pocket
from likeness.voices.transcribing import Transcribe

PROMPT_SECONDS = (3.0, 10.0)  # of another recording that is given as the voice, drawn anew each time
REFERENCE_SECONDS = 15.0


@dataclass(frozen=True)
class Lesson:
    """One recording. `latents` (frames, dim) are empty until it is encoded."""

    id: str
    path: Path
    text: str
    held_out: bool
    latents: Tensor | None = None

    @property
    def frames(self) -> Tensor:
        assert self.latents is not None
        return self.latents


def read_lessons(lessons: Sequence[Lesson]) -> list[Clip]:
    """All recordings, each at an even loudness. Raises InputError with every one that cannot be used."""
    clips: list[Clip] = []
    problems: list[str] = []
    least, most = LESSON_SECONDS
    for lesson in lessons:
        try:
            clip = read_clip(lesson.path)
        except InputError as e:
            problems += e.problems
            continue
        if clip.rate < LEAST_RATE:
            problems.append(f"{lesson.path}: {clip.rate} Hz, as on a telephone. Fix: leave it out, or record it again")
        elif not least <= clip.seconds <= most:
            problems.append(
                f"{lesson.path}: {clip.seconds:.1f} s; recordings of {least:g} to {most:g} s are "
                "learned from. Fix: cut it at pauses, with the text of each part"
            )
        elif not np.any(np.abs(clip.samples) > 1e-4):
            problems.append(f"{lesson.path}: is silent. Fix: leave it out")
        else:
            clips.append(replace(clip, samples=mending.normalise(clip.samples - clip.samples.mean(), clip.rate)))
    if problems:
        raise InputError(*problems)
    return clips


def write_texts(lessons: Sequence[Lesson], clips: Sequence[Clip], transcribe: Transcribe) -> Iterator[Lesson]:
    """The lessons with texts; what was missing is written beside the recording, to be read over by a person."""
    for lesson, clip in zip(lessons, clips, strict=True):
        if lesson.text:
            yield lesson
            continue
        text = transcribe(clip.at(16_000))
        if not text:
            raise InputError(f"{lesson.path}: nothing was understood. Fix: write its text to {lesson.path.stem}.txt")
        durable.write_text(lesson.path.with_suffix(".txt"), text + "\n")
        yield replace(lesson, text=text)


def encode(lessons: Sequence[Lesson], clips: Sequence[Clip], pocket: Pocket) -> Iterator[Lesson]:
    """The lessons with their latents."""
    for lesson, clip in zip(lessons, clips, strict=True):
        yield replace(lesson, latents=pocket.encode(clip, as_prompt=False))


def make_reference(lessons: Sequence[Lesson], clips: Sequence[Clip]) -> Clip:
    """Some seconds of the recordings that are learned from, to be the trained voice's reference."""
    chosen = [clip for lesson, clip in zip(lessons, clips, strict=True) if not lesson.held_out]
    rate = max(c.rate for c in chosen)
    parts: list[np.ndarray] = []
    for clip in sorted(chosen, key=lambda c: -c.seconds):
        parts.append(clip.at(rate))
        if sum(map(len, parts)) > REFERENCE_SECONDS * rate:
            break
    joined = np.concatenate(parts)
    return Clip(mending.trim(joined, rate, REFERENCE_SECONDS), rate)


def drawn_voice(learned: Sequence[Lesson], lesson: Lesson, frame_rate: float, seed: tuple[int, ...]) -> Tensor:
    """A stretch of another recording, as the voice to go on with: so the text decides what is said, not the prompt.
    A pure function of its arguments; where there is but one recording, a stretch of that."""
    rng = np.random.default_rng(seed)
    others = [other for other in learned if other.id != lesson.id] or [lesson]
    latents = others[int(rng.integers(len(others)))].frames
    wanted = int(rng.uniform(*PROMPT_SECONDS) * frame_rate)
    start = int(rng.integers(max(1, len(latents) - wanted + 1)))
    return latents[start : start + max(1, wanted)]
