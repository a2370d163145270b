"""Whose voices are cloned to measure by: readers of LibriSpeech, fetched; or speakers that espeak-ng makes up."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from likeness.errors import InputError
from likeness.voices import espeak
from likeness.voices.audio import read_clip
from likeness.voices.filters import Floats, resample

RATE = 16_000
# Ten readers of LibriSpeech test-other with ten clips each, and 251 of train-clean-100 with one. CC BY 4.0, by Vassil
# Panayotov and others from LibriVox, which is in the public domain. Nothing of it is part of this repository.
SOURCE = "https://github.com/resemble-ai/Resemblyzer"
PARTS = ("audio_data/librispeech_test-other", "audio_data/librispeech_train-clean-100")
REFERENCE_SECONDS = 28.0
SYNTHETIC = ("Andrea", "Gene", "Jacky", "Lee", "Mario", "Michael", "anika", "belinda", "ed", "steph")
LINES = (
    "The light on the far side of the bay went out at ten.",
    "Her uncle sells warm chestnuts by the old stone bridge.",
    "We could not find the path, and so we followed the stream.",
    "Both of the boys were asleep before the train had left.",
    "A narrow street leads down from the church to the market.",
    "They measured the garden twice and drew a careful map.",
    "Few people remember how cold that winter really was.",
    "The judge put down her pen and looked at the clock.",
)


@dataclass(frozen=True)
class Reader:
    """`reference` is what the clone is made from; `held_out` are other recordings of the same person."""

    name: str
    reference: Floats
    held_out: list[Floats]


def fetch(source: str, cache: Path) -> Path:
    """The recordings' folder, fetched into the cache by git where they are not there yet."""
    place = cache / "readers"
    if not (place / PARTS[0]).is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        steps = (
            ["git", "clone", "--quiet", "--depth", "1", "--filter=blob:none", "--no-checkout", source, str(place)],
            ["git", "-C", str(place), "sparse-checkout", "set", *PARTS],
            ["git", "-C", str(place), "checkout", "--quiet"],
        )
        for step in steps:
            done = subprocess.run(step, capture_output=True, text=True)
            if done.returncode:
                raise InputError(
                    f"{source}: cannot be fetched ({done.stderr.strip()[-200:]}). Fix: give a folder with one folder "
                    "of recordings for each reader (--recordings), or --recordings synthetic"
                )
    return place


def read_readers(folder: Path, most: int) -> list[Reader]:
    """One for each folder of recordings in `folder`, where there are a reference and two clips more."""
    readers: list[Reader] = []
    for place in sorted(p for p in folder.iterdir() if p.is_dir())[:most]:
        files = sorted(p for p in place.iterdir() if p.suffix in (".flac", ".wav", ".ogg", ".mp3"))
        if reader := _reader(place.name, [read_clip(p).at(RATE) for p in files]):
            readers.append(reader)
    return readers


def _reader(name: str, clips: list[Floats]) -> Reader | None:
    total, count = 0, 0
    for clip in clips:
        if count and total + len(clip) > REFERENCE_SECONDS * RATE:
            break
        total, count = total + len(clip), count + 1
    if len(clips) < count + 2:
        return None
    return Reader(name, np.concatenate(clips[:count]), clips[count:])


def read_cohort(folder: Path) -> list[Floats]:
    """One clip of each of many other people."""
    return [read_clip(p).at(RATE) for p in sorted(folder.glob("*.flac"))]


def make_readers(most: int) -> list[Reader]:
    """Speakers made up: variants of espeak-ng at pitches of their own."""
    readers: list[Reader] = []
    for number, variant in enumerate(SYNTHETIC[:most]):
        clips: list[Floats] = []
        for line in LINES:
            samples, own = espeak.say(line, f"en-gb+{variant}", 140 + 5 * number, 20 + 7 * number, 60)
            clips.append(resample(samples, own, RATE))
        readers.append(Reader(variant, np.concatenate(clips[:5]), clips[5:]))
    return readers
