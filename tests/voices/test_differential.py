from pathlib import Path

import numpy as np
import pytest

from likeness.errors import InputError
from likeness.voices import differential, pitch, timbre
from likeness.voices.audio import read_clip
from likeness.voices.differential import PASSAGE, Differential, Settings, fit, speak, unpack

SENTENCE = "It is easy to tell the depth of a well."


@pytest.fixture(scope="module")
def clones(low: Path, high: Path) -> dict[Path, Differential]:
    return {path: fit(read_clip(path).at(differential.RATE)) for path in (low, high)}


def mean_pitch(x: np.ndarray) -> float:
    return pitch.mean_and_range(pitch.log_pitch(pitch.track(x)))[0]


def colour(x: np.ndarray) -> np.ndarray:
    e = timbre.analyse(x)
    return e.numbers[e.active & e.voiced, 1:].mean(axis=0)


def test_the_tracker_hears_the_pitch_of_a_known_tone() -> None:
    for hertz in (80.0, 123.4, 310.0):
        buzz = np.sign(np.sin(2 * np.pi * hertz * np.arange(16_000) / 16_000)) * 0.1
        f0 = pitch.track(buzz)
        assert (f0 > 0).mean() > 0.9 and np.median(f0[f0 > 0]) == pytest.approx(hertz, rel=0.01)
    noise = np.random.default_rng(0).normal(size=16_000)
    assert (pitch.track(noise) > 0).mean() < 0.1


def test_a_clone_has_the_speakers_pitch(clones: dict[Path, Differential]) -> None:
    for path, clone in clones.items():
        off = pitch.semitones(mean_pitch(clone.say(SENTENCE)) - mean_pitch(read_clip(path).at(16_000)))
        assert abs(off) < 2.5


def test_a_clone_has_its_own_speakers_colour(clones: dict[Path, Differential], low: Path, high: Path) -> None:
    own = {path: colour(read_clip(path).at(16_000)) for path in (low, high)}
    plain = colour(speak(PASSAGE[:200], Settings("en-us")))
    for path, other in ((low, high), (high, low)):
        said = colour(clones[path].say(PASSAGE[:200]))
        near, far = (np.linalg.norm(said - own[p]) for p in (path, other))
        assert near < 0.6 * far
        assert near < 0.6 * np.linalg.norm(plain - own[path])


def test_strength_zero_leaves_the_timbre_of_espeak(clones: dict[Path, Differential], low: Path) -> None:
    clone = clones[low]
    said = clone.say(SENTENCE, strength=0)
    plain = speak(SENTENCE, clone.settings)
    assert np.corrcoef(said[200:-200], plain[200:-200])[0, 1] > 0.999


def test_speed_changes_the_length(clones: dict[Path, Differential], low: Path) -> None:
    slow, fast = (len(clones[low].say(SENTENCE, speed=s)) for s in (0.7, 1.6))
    assert slow > 1.5 * fast


def test_files_give_back_the_same_voice_and_the_same_sound(clones: dict[Path, Differential], low: Path) -> None:
    packed = clones[low].pack()
    again = unpack(*packed)
    assert again.settings == clones[low].settings
    assert np.array_equal(again.say(SENTENCE), unpack(*packed).say(SENTENCE))
    assert np.corrcoef(again.say(SENTENCE), clones[low].say(SENTENCE))[0, 1] > 0.999


def test_what_has_no_pitch_is_refused() -> None:
    with pytest.raises(InputError, match="too little speech"):
        fit(np.random.default_rng(0).normal(size=64_000) * 0.1)


def test_an_unknown_language_is_refused_with_those_there_are() -> None:
    with pytest.raises(InputError, match="en-gb"):
        speak("hello", Settings("klingon"))


def test_a_transport_gives_the_targets_mean_and_covariance() -> None:
    rng = np.random.default_rng(0)
    source = rng.normal(size=(4000, 3)) @ np.diag([1, 2, 0.5]) + 1
    target = rng.normal(size=(4000, 3)) @ np.array([[1, 0.5, 0], [0, 1, 0.3], [0, 0, 2]]) - 3
    moved = timbre.transport(source, target, ridge=1e-6)(source)
    assert np.allclose(moved.mean(0), target.mean(0), atol=1e-6)
    assert np.allclose(np.cov(moved.T), np.cov(target.T), rtol=0.01, atol=0.01)


def test_offsets_follow_each_component_as_far_as_there_is_evidence() -> None:
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(-5, 1, (2000, 2)), rng.normal(5, 1, (2000, 2))])
    target = x + np.where(x[:, :1] < 0, [[1.0, 0.0]], [[0.0, -1.0]])
    mixture = timbre.fit_offsets(x, target, components=2, inertia=10, size=2)
    assert np.allclose(mixture(np.array([[-5.0, -5.0], [5.0, 5.0]])), [[1, 0], [0, -1]], atol=0.1)
    some = timbre.fit_offsets(x, target, components=2, inertia=1e6, size=2)
    assert np.abs(some.offsets).max() < 0.1
