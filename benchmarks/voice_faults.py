"""Faults planted in recordings by known amounts: how often is each found, and how often where there is none?"""

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.voice_readers import RATE, Reader
from likeness.voices.audio import Clip
from likeness.voices.filters import Floats
from likeness.voices.findings import findings
from likeness.voices.mending import normalise
from likeness.voices.quality import measure

SECONDS = 16
Fault = Callable[[Floats, Floats, int], Floats]  # (reader's speech, another's, number) -> spoilt


def noise(decibels: float) -> Fault:
    def add(x: Floats, _: Floats, number: int) -> Floats:
        level = np.sqrt(np.square(x[np.abs(x) > 0.1 * np.abs(x).max()]).mean())
        return x + np.random.default_rng(number).normal(size=len(x)) * level / 10 ** (decibels / 20)

    return add


def music(decibels: float) -> Fault:
    """Chords and single notes with overtones that fade, at a level below the speech's."""

    def add(x: Floats, _: Floats, number: int) -> Floats:
        tune = chords(len(x), number)
        return x + tune * np.sqrt(np.square(x).mean() / np.square(tune).mean()) / 10 ** (decibels / 20)

    return add


def chords(length: int, seed: int) -> Floats:
    rng, out, at = np.random.default_rng(seed), np.zeros(length), 0
    while at < length:
        size = min(int(rng.choice([0.25, 0.5, 1.0]) * RATE), length - at)
        t, root = np.arange(size) / RATE, rng.choice([110, 131, 147, 165, 196]) * rng.choice([1, 2])
        notes = (1, 1.26, 1.5) if seed % 2 else (rng.choice([1, 1.125, 1.25, 1.5]),)
        for note in notes:
            for h in range(1, 6):
                out[at : at + size] += np.sin(2 * np.pi * root * note * h * t + rng.uniform(0, 6)) / h * np.exp(-2 * t)
        at += size
    return out


def band(x: Floats, _: Floats, __: int) -> Floats:
    spectrum = np.fft.rfft(x)
    spectrum[np.fft.rfftfreq(len(x), 1 / RATE) > 3400] = 0
    return np.fft.irfft(spectrum, len(x))


def in_turn(share: float) -> Fault:
    def join(x: Floats, other: Floats, _: int) -> Floats:
        cut = int(share * len(x))
        return np.concatenate([x[: len(x) - cut], other[:cut]])

    return join


FAULTS: dict[str, tuple[str, Fault]] = {
    "noise at 14 dB": ("noise", noise(14)),
    "noise at 10 dB": ("noise", noise(10)),
    "clipped, 4 times too loud": ("clipping", lambda x, _, __: np.clip(x / np.abs(x).max() * 4, -1, 1) * 0.7),
    "clipped, twice too loud": ("clipping", lambda x, _, __: np.clip(x / np.abs(x).max() * 2, -1, 1) * 0.7),
    "music at 20 dB": ("music", music(20)),
    "music at 10 dB": ("music", music(10)),
    "music alone": ("music", lambda x, _, number: chords(len(x), number) * 0.1),
    "nothing above 3.4 kHz": ("band", band),
    "very quiet": ("loudness", lambda x, _, __: x * 0.02),
    "half of it silence": ("silence", lambda x, _, __: np.concatenate([x, np.zeros(len(x))])),
    "a second speaker for half": ("speakers", in_turn(0.5)),
    "a second speaker for a quarter": ("speakers", in_turn(0.25)),
}


def run(readers: Sequence[Reader], clean: Sequence[Floats], console: Console) -> dict[str, float]:
    """Shares by fault, and by check in recordings as they are."""
    own = [normalise(r.reference[: SECONDS * RATE], RATE) for r in readers]
    drawn = Table(title="Checks: how often what was planted is found", title_justify="left")
    for heading in ("planted", "check", "found"):
        drawn.add_column(heading, justify="right" if heading == "found" else "left")
    result: dict[str, float] = {}
    for name, (check, plant) in FAULTS.items():
        spoilt = [plant(x, own[(n + 1) % len(own)], n) for n, x in enumerate(own)]
        result[name] = float(np.mean([check in _checks(x) for x in spoilt]))
        drawn.add_row(name, check, f"{result[name]:.0%}")
    console.print(drawn)
    counts = Counter(check for x in clean for check in _checks(x))
    told = ", ".join(f"{check} {n / len(clean):.1%}" for check, n in counts.most_common())
    console.print(f"Warnings and errors in {len(clean)} recordings as they are: {told or 'none'}")
    return result | {f"as they are: {check}": n / len(clean) for check, n in counts.items()}


def _checks(x: Floats) -> set[str]:
    """Silence and loudness are advice; all other advice is about the file, which here is not the question."""
    found = findings(measure(Clip(x, RATE)))
    return {f.check for f in found if f.severity != "advice" or f.check in ("silence", "loudness")}
