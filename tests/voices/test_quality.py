"""Faults planted in clean speech, each by a known amount."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from likeness.voices.audio import Clip
from likeness.voices.findings import dataset_findings, findings, speakers_by_vectors
from likeness.voices.mending import mend, trim
from likeness.voices.quality import measure
from likeness.voices.speech import loudness
from likeness.voices.watermark import embed
from tests.voices.recordings import speech

RATE = 24_000
CLEAN = speech(10)
OTHER = speech(10, "en-us+f5", 75)
RANDOM = np.random.default_rng(1)
TIME = np.arange(len(CLEAN)) / RATE


def noisy(snr: float) -> np.ndarray:
    level = np.sqrt(np.square(CLEAN[np.abs(CLEAN) > 0.02]).mean())
    return CLEAN + RANDOM.normal(size=len(CLEAN)) * level / 10 ** (snr / 20)


def dull(x: np.ndarray) -> np.ndarray:
    spectrum = np.fft.rfft(x)
    spectrum[np.fft.rfftfreq(len(x), 1 / RATE) > 3400] = 0
    return np.fft.irfft(spectrum, len(x))


def checks(clip: Clip, purpose: str = "instant") -> dict[str, str]:
    return {f.check: f.severity for f in findings(measure(clip), purpose)}  # type: ignore[arg-type]


def chord() -> np.ndarray:
    return sum(np.sin(2 * np.pi * f * TIME) / n for f in (220, 277, 330) for n in (1, 2, 3)) * 0.004  # type: ignore[return-value]


FAULTS: dict[str, tuple[Callable[[], Clip], str, str]] = {
    "little speech": (lambda: Clip(CLEAN[: 2 * RATE], RATE), "speech", "error"),
    "some speech": (lambda: Clip(CLEAN[: 5 * RATE], RATE), "speech", "warning"),
    "no speech": (lambda: Clip(RANDOM.normal(size=5 * RATE) * 0.1, RATE), "speech", "error"),
    "long": (lambda: Clip(np.tile(CLEAN, 4), RATE), "length", "advice"),
    "clipped": (lambda: Clip(np.clip(CLEAN * 8, -0.7, 0.7), RATE), "clipping", "error"),
    "quiet": (lambda: Clip(CLEAN * 0.01, RATE), "loudness", "warning"),
    "offset": (lambda: Clip(CLEAN * 0.5 + 0.1, RATE), "offset", "advice"),
    "noise": (lambda: Clip(noisy(12), RATE), "noise", "warning"),
    "silence": (lambda: Clip(np.concatenate([CLEAN, np.zeros(15 * RATE)]), RATE), "silence", "advice"),
    "music": (lambda: Clip(CLEAN + chord(), RATE), "music", "warning"),
    "two speakers": (lambda: Clip(np.concatenate([CLEAN, OTHER]), RATE), "speakers", "warning"),
    "telephone": (lambda: Clip(Clip(CLEAN, RATE).at(8000), 8000, encoding="ULAW"), "sample rate", "error"),
    "eight bits": (lambda: Clip(Clip(CLEAN, RATE).at(8000), 8000, encoding="ULAW"), "bits", "warning"),
    "narrow": (lambda: Clip(dull(CLEAN), RATE), "band", "warning"),
    "16 kHz": (lambda: Clip(Clip(CLEAN, RATE).at(16_000), 16_000), "sample rate", "advice"),
    "stereo": (lambda: Clip(CLEAN, RATE, channels=2), "format", "advice"),
    "made": (lambda: Clip(embed(CLEAN, RATE), RATE), "made speech", "warning"),
}


def test_nothing_is_found_in_clean_speech() -> None:
    assert checks(Clip(CLEAN, RATE)) == {}
    assert checks(Clip(OTHER, RATE)) == {}


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_found(name: str) -> None:
    make, check, severity = FAULTS[name]
    assert checks(make()).get(check) == severity


def test_figures_are_what_was_put_in() -> None:
    q = measure(Clip(noisy(20), RATE))
    assert q.seconds == 10 and q.snr == pytest.approx(18.5, abs=3)
    assert measure(Clip(CLEAN + 0.02, RATE)).offset == pytest.approx(0.02, abs=1e-3)
    tone = np.sin(2 * np.pi * 997 * np.arange(5 * 48_000) / 48_000)
    assert loudness(tone, 48_000) == pytest.approx(-3.01, abs=0.1)  # by the definition of LUFS


def test_long_recordings_are_wrong_for_training_alone() -> None:
    assert checks(Clip(np.tile(CLEAN, 4), RATE), "trained")["length"] == "warning"
    assert [f.severity for f in dataset_findings(40, 4)] == ["warning"]
    assert [f.severity for f in dataset_findings(180, 20)] == ["advice"]
    assert dataset_findings(600, 60) == []


def test_an_encoder_tells_two_people_by_their_vectors() -> None:
    one, other = np.eye(8)[0], np.eye(8)[1]
    near = [v / np.linalg.norm(v) for v in one + RANDOM.normal(size=(10, 8)) * 0.05]
    far = [v / np.linalg.norm(v) for v in other + RANDOM.normal(size=(4, 8)) * 0.05]
    assert speakers_by_vectors(np.array(near)) == []
    assert speakers_by_vectors(np.array([*near, far[0]])) == []  # one odd moment
    assert [f.check for f in speakers_by_vectors(np.array([*near, *far]))] == ["speakers"]


def test_mending_puts_right_what_it_is_asked_to() -> None:
    quiet = np.concatenate([np.zeros(5 * RATE), CLEAN[: 8 * RATE] * 0.01, np.zeros(9 * RATE)]) + 0.02
    clip = Clip(np.repeat(quiet, 3), 72_000)
    mended = mend(clip, {"trim", "normalise", "resample", "offset"})
    assert mended.rate == 24_000 and mended.seconds < 10
    assert loudness(mended.samples, mended.rate) == pytest.approx(-20, abs=1.5)
    assert {"loudness", "silence", "format", "offset"} & set(checks(replace(mended, channels=1))) == set()


def test_denoising_lowers_the_noise_and_keeps_the_speech() -> None:
    before = noisy(12)
    after = mend(Clip(before, RATE), {"denoise"}).samples
    assert np.square(after - CLEAN).mean() < 0.6 * np.square(before - CLEAN).mean()
    assert measure(Clip(after, RATE)).snr > measure(Clip(before, RATE)).snr + 6


def test_trimming_keeps_the_part_with_the_most_speech() -> None:
    x = np.concatenate([CLEAN[:RATE], np.zeros(3 * RATE), np.tile(CLEAN, 5)])
    assert 25 < len(trim(x, RATE)) / RATE <= 30
    silence = np.zeros(RATE)
    assert len(trim(silence, RATE)) == RATE  # nothing to go by
