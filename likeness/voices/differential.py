"""The instant clone that needs no download: espeak-ng speaks at the speaker's pitch, range and pace, and a filter that
changes from moment to moment gives its sound the speaker's timbre. There is no vocoder: the sound itself stays.

It is as clear as espeak-ng and goes in the speaker's direction; it remains a synthesiser, and nobody takes it for the
person.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

import numpy as np
from numpy.typing import NDArray

from likeness.errors import InputError
from likeness.voices import espeak, pitch
from likeness.voices.filters import Floats, frames, gaussian, overlap_add, resample
from likeness.voices.timbre import (
    HOP,
    NUMBERS,
    RATE,
    SIZE,
    WINDOW,
    Envelopes,
    Linear,
    Mixture,
    analyse,
    fit_offsets,
    gains,
    transport,
)

MOST_GAIN = 30.0  # dB; more would lift what espeak-ng does not have
LEAST_FRAMES = 100  # of a class, for its statistics to be worth anything
FEMALE, MALE = 155.0, 105.0  # Hz; above and below, espeak-ng's variants f2 and m3 are nearer
LOUD = 0.7  # peak of what is said
_STEP = 0.0125  # ln F0 per step of espeak-ng's pitch
# Read by espeak-ng to learn what its own speech is like: every sound of English several times, twice over.
PASSAGE = (
    "The north wind and the sun were arguing over which of them was stronger, when a traveller came along, wrapped in "
    "a warm grey coat. They agreed that whoever first made him take it off should be called the stronger one. Then the "
    "wind blew as hard as it could, but the more it blew, the tighter he pulled the cloth about him, and at last the "
    "wind gave up. Now the sun shone out, mild and bright; at once he threw the coat over his shoulder. Joyce usually "
    "measures five thick boards, then chooses a jar of fresh fudge. Yes, they both thought about the boy's old vision."
)
_SHORT = PASSAGE[:150]


@dataclass(frozen=True)
class Settings:
    """Of espeak-ng: its voice, words per minute, pitch and range (0–99)."""

    voice: str
    rate: int = 165
    pitch: int = 50
    range: int = 50


@dataclass(frozen=True)
class Differential:
    """A fitted speaker."""

    settings: Settings
    voiced: Linear
    unvoiced: Linear
    mixture: Mixture
    hertz: float  # mean pitch of the speaker

    def say(self, text: str, strength: float = 1.0, speed: float = 1.0) -> Floats:
        """Speech at 16 kHz. `strength`: how far from espeak-ng (0) to the speaker (1); `speed`: 1 is the speaker's."""
        x = speak(text, self.settings, speed)
        if not len(x):
            return x
        heard = analyse(x)
        change = self._change(heard)
        change[:, 1:] *= np.where(heard.active, 1.0, 0.5)[:, None] * strength
        window = np.hanning(WINDOW)
        spectra = np.fft.rfft(frames(x, WINDOW, HOP) * window, SIZE)
        pieces = np.fft.irfft(spectra * np.exp(gains(gaussian(change, 1.5), MOST_GAIN)), SIZE)
        # A piece lies at the left of its frame of SIZE; overlap_add wants it in the middle.
        late = (SIZE - WINDOW) // 2
        whole = overlap_add(np.roll(pieces, late, axis=1), HOP, len(x))
        weight = overlap_add(np.tile(window, (len(pieces), 1)), HOP, len(x))
        y = whole / np.maximum(weight, 0.3)
        return y / max(float(np.abs(y).max()), 1e-9) * LOUD

    def _change(self, heard: Envelopes) -> Floats:
        """Of the numbers of each frame, smooth in time; the level stays as it is."""
        own = heard.numbers[:, 1:]
        voiced = gaussian(heard.voiced.astype(float), 2)[:, None]
        moved = voiced * self.voiced(own) + (1 - voiced) * self.unvoiced(own)
        moved = moved + gaussian(self.mixture.shares(moved) @ self.mixture.offsets, 2)
        change = np.zeros((len(own), NUMBERS))
        change[:, 1:] = moved - own
        return change

    def pack(self) -> tuple[dict[str, NDArray[np.float32]], dict[str, object]]:
        """Arrays and plain values, for files; `unpack` is the way back."""
        arrays = {f"{name}.{k}": v for name in ("voiced", "unvoiced", "mixture")
                  for k, v in vars(getattr(self, name)).items()}  # fmt: skip
        return {k: np.asarray(v, np.float32) for k, v in arrays.items()}, {
            "espeak": asdict(self.settings),
            "hertz": round(self.hertz, 2),
        }


def unpack(arrays: Mapping[str, Floats], values: Mapping[str, object]) -> Differential:
    """Raises KeyError or TypeError where something is missing."""

    def part(name: str) -> dict[str, Floats]:
        return {k.partition(".")[2]: np.asarray(v, float) for k, v in arrays.items() if k.startswith(f"{name}.")}

    settings = values["espeak"]
    if not isinstance(settings, dict):
        raise TypeError("espeak: not a group of values")
    return Differential(
        Settings(**settings),  # pyright: ignore[reportUnknownArgumentType]
        Linear(**part("voiced")),
        Linear(**part("unvoiced")),
        Mixture(**part("mixture")),
        float(str(values["hertz"])),
    )


def fit(reference: Floats, language: str = "en-us") -> Differential:
    """Learn a speaker from speech at 16 kHz. Raises InputError where too little of it has a pitch."""
    target = analyse(reference)
    values = pitch.log_pitch(target.f0[target.voiced & target.active])
    if len(values) < LEAST_FRAMES:
        raise InputError("the recording: too little speech with a pitch. Fix: give 10 to 20 s of clear speech")
    settings = _as_speaker(reference, values, language)
    source = analyse(speak(PASSAGE, settings))
    maps: dict[bool, Linear] = {}
    rows: dict[bool, tuple[Floats, Floats]] = {}
    for voiced in (True, False):
        own, theirs = (e.numbers[e.active & (e.voiced == voiced), 1:] for e in (source, target))
        rows[voiced] = own, theirs
        enough = min(len(own), len(theirs)) >= LEAST_FRAMES
        maps[voiced] = transport(own, theirs) if enough else _unchanged(own.shape[1])
    moved = np.concatenate([maps[v](rows[v][0]) for v in (True, False)])
    mixture = fit_offsets(moved, np.concatenate([rows[v][1] for v in (True, False)]))
    hertz = float(np.exp(pitch.mean_and_range(values)[0]))
    return _heard_again(Differential(settings, maps[True], maps[False], mixture, hertz), target)


def _heard_again(fitted: Differential, target: Envelopes) -> Differential:
    """Correct the maps by what comes out: smoothing and limits keep the filter from going all the way at first."""
    out = analyse(fitted.say(PASSAGE))
    maps: list[Linear] = []
    for voiced, before in ((True, fitted.voiced), (False, fitted.unvoiced)):
        own, theirs = (e.numbers[e.active & (e.voiced == voiced), 1:] for e in (out, target))
        if min(len(own), len(theirs)) < LEAST_FRAMES:
            maps.append(before)
            continue
        rest = transport(own, theirs)
        maps.append(Linear(before.source, before.target + rest.target - rest.source, before.matrix @ rest.matrix))
    return replace(fitted, voiced=maps[0], unvoiced=maps[1])


def _unchanged(size: int) -> Linear:
    return Linear(np.zeros(size), np.zeros(size), np.eye(size))


def _as_speaker(reference: Floats, values: Floats, language: str) -> Settings:
    """espeak-ng set so that its pitch, range and pace are the speaker's: told by the same measurements of both."""
    mean, spread = pitch.mean_and_range(values)
    hertz = float(np.exp(mean))
    variant = "+f2" if hertz > FEMALE else "+m3" if hertz < MALE else ""
    settings = Settings(language + variant)
    plain = speak(PASSAGE, settings)
    pace = pitch.pace(reference) / max(pitch.pace(plain), 0.1)
    rate = int(np.clip(165 * pace, 120, 230))
    p, r = 50.0, 50.0
    for _ in range(3):
        heard = pitch.log_pitch(pitch.track(speak(_SHORT, Settings(settings.voice, rate, int(p), int(r)))))
        if len(heard) < LEAST_FRAMES:
            break
        own_mean, own_spread = pitch.mean_and_range(heard)
        p = float(np.clip(int(p) + (mean - own_mean) / _STEP, 0, 99))
        r = float(np.clip(int(r) * np.clip(spread / own_spread, 0.5, 2), 10, 99))
    return Settings(settings.voice, rate, int(p), int(r))


def speak(text: str, settings: Settings, speed: float = 1.0) -> Floats:
    """What espeak-ng says, at 16 kHz."""
    rate = int(np.clip(settings.rate * speed, 80, 450))
    samples, own = espeak.say(text, settings.voice, rate, settings.pitch, settings.range)
    return resample(samples, own, RATE)
