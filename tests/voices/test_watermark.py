import io

import numpy as np
import pytest
import soundfile

from likeness.voices.filters import resample
from likeness.voices.watermark import THRESHOLD, detect, embed
from tests.voices.recordings import speech

RATE = 16_000
PLAIN = speech(8, rate=RATE)
MARKED = embed(PLAIN, RATE)


def coded(x: np.ndarray, kind: str, subtype: str, level: float) -> np.ndarray:
    file = io.BytesIO()
    soundfile.write(file, x, RATE, format=kind, subtype=subtype, compression_level=level)
    file.seek(0)
    return soundfile.read(file)[0]


def test_the_mark_is_found_in_marked_speech_and_in_no_other() -> None:
    assert detect(MARKED, RATE).score > THRESHOLD + 3
    assert not detect(PLAIN, RATE).marked
    assert not detect(np.random.default_rng(0).normal(size=8 * RATE), RATE).marked
    assert not detect(np.zeros(8 * RATE), RATE).marked


def test_the_mark_is_soft_and_leaves_the_length() -> None:
    assert len(MARKED) == len(PLAIN)
    change = np.square(MARKED - PLAIN).sum() / np.square(PLAIN).sum()
    assert 10 * np.log10(change) < -18


ATTACKS = {
    "softer": lambda x: x * 0.1,
    "mp3": lambda x: coded(x, "MP3", "MPEG_LAYER_III", 0.8),
    "ogg": lambda x: coded(x, "OGG", "VORBIS", 0.8),
    "telephone band": lambda x: resample(resample(x, RATE, 8000), 8000, RATE),
    "44.1 kHz": lambda x: resample(resample(x, RATE, 44_100), 44_100, RATE),
    "noise at 25 dB": lambda x: x + np.random.default_rng(0).normal(size=len(x)) * x.std() / 18,
    "the middle": lambda x: x[2 * RATE + 123 : 6 * RATE],
    "clipped": lambda x: np.clip(x * 3, -0.5, 0.5),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_the_mark_survives(name: str) -> None:
    assert detect(ATTACKS[name](MARKED), RATE).marked


def test_another_pattern_is_not_found() -> None:
    scores = [detect(MARKED, RATE, seed).score for seed in range(1, 40)]
    assert max(scores) < THRESHOLD


def test_what_is_marked_at_another_rate_is_found_too() -> None:
    x = speech(6, rate=24_000)
    assert detect(embed(x, 24_000), 24_000).marked


def test_too_short_a_sound_is_never_called_marked() -> None:
    assert not detect(MARKED[:RATE], RATE).marked
