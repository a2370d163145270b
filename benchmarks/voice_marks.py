"""What the watermark survives, and how often it is seen where it is not."""

import io
from collections.abc import Callable, Sequence

import numpy as np
import soundfile
from rich.console import Console
from rich.table import Table

from benchmarks.voice_readers import RATE
from likeness.voices.filters import Floats, resample
from likeness.voices.watermark import THRESHOLD, detect, embed

LENGTHS = (2, 5, 10)  # seconds


def coded(kind: str, subtype: str, level: float, rate: int = RATE) -> Callable[[Floats], Floats]:
    def through(x: Floats) -> Floats:
        file = io.BytesIO()
        soundfile.write(file, resample(x, RATE, rate), rate, format=kind, subtype=subtype, compression_level=level)
        file.seek(0)
        return resample(soundfile.read(file)[0], rate, RATE)

    return through


def noisy(decibels: float) -> Callable[[Floats], Floats]:
    return lambda x: x + np.random.default_rng(0).normal(size=len(x)) * x.std() / 10 ** (decibels / 20)


def telephone(x: Floats) -> Floats:
    file = io.BytesIO()
    soundfile.write(file, resample(x, RATE, 8000), 8000, format="WAV", subtype="ULAW")
    file.seek(0)
    return resample(soundfile.read(file)[0], 8000, RATE)


def echo(x: Floats) -> Floats:
    return x + 0.4 * np.concatenate([np.zeros(1600), x[:-1600]])


def room(x: Floats) -> Floats:
    """Reverberation of half a second."""
    tail = np.random.default_rng(5).normal(size=RATE // 2) * np.exp(-np.arange(RATE // 2) / RATE / 0.07)
    tail[0] = 6
    return np.convolve(x, tail)[: len(x)] / 6


def faster(factor: float) -> Callable[[Floats], Floats]:
    return lambda x: np.interp(np.arange(0, len(x) - 1, factor), np.arange(len(x)), x)


ATTACKS: dict[str, Callable[[Floats], Floats]] = {
    "nothing": lambda x: x,
    "a tenth as loud": lambda x: x * 0.1,
    "MP3": coded("MP3", "MPEG_LAYER_III", 0.5),
    "MP3, smallest": coded("MP3", "MPEG_LAYER_III", 0.95),
    "Ogg Vorbis, small": coded("OGG", "VORBIS", 0.9),
    "8 kHz and back": lambda x: resample(resample(x, RATE, 8000), 8000, RATE),
    "44.1 kHz and back": lambda x: resample(resample(x, RATE, 44_100), 44_100, RATE),
    "telephone (8-bit)": telephone,
    "clipped": lambda x: np.clip(x / np.abs(x).max() * 3, -1, 1),
    "noise at 20 dB": noisy(20),
    "noise at 10 dB": noisy(10),
    "one echo": echo,
    "a room": room,
    "1 % faster": faster(1.01),
}


def run(
    voices: Sequence[Callable[[str], Floats]],
    recordings: Sequence[Floats],
    texts: Sequence[str],
    keys: int,
    console: Console,
) -> dict[str, object]:
    """Shares that are found by change and length, and scores of wrong patterns."""
    said = [np.concatenate([say(text) for text in texts]) for say in voices]
    drawn = Table(title="Watermark: share found again, by length", title_justify="left")
    drawn.add_column("changed by")
    for seconds in LENGTHS:
        drawn.add_column(f"{seconds} s", justify="right")
    marked = {s: [embed(x[b : b + s * RATE], RATE) for x in said for b in (0, 5 * RATE)] for s in LENGTHS}
    found: dict[str, dict[int, float]] = {}
    for name, change in ATTACKS.items():
        found[name] = {s: float(np.mean([detect(change(x), RATE).marked for x in marked[s]])) for s in LENGTHS}
        drawn.add_row(name, *(f"{found[name][s]:.0%}" for s in LENGTHS))
    console.print(drawn)
    own = [detect(x, RATE).score for x in recordings]
    wrong = np.array([detect(x, RATE, seed).score for x in recordings for seed in range(1, keys + 1)])
    console.print(
        f"Where it is not: highest score {max(own):.1f} in {len(own)} recordings; with {keys} wrong patterns "
        f"{wrong.max():.1f} in {len(wrong)} trials; {THRESHOLD:.0f} are needed"
    )
    return {"found": found, "highest": max(own), "highest of wrong patterns": float(wrong.max()), "trials": len(wrong)}
