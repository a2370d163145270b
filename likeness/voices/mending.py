"""Recordings made better: trimmed, the constant taken off, denoised, resampled, brought to an even loudness."""

from collections.abc import Collection
from dataclasses import replace

import numpy as np

from likeness.voices import speech
from likeness.voices.audio import Clip
from likeness.voices.filters import Floats, frames, gaussian, overlap_add
from likeness.voices.findings import INSTANT_SECONDS, Mend

RATE = 24_000  # Hz, of what is written
LOUDNESS = -20.0  # LUFS
PEAK = 0.89  # -1 dBFS
MARGIN = 0.25  # seconds of silence that stay at both ends
PAUSE = 0.5  # seconds that stay of a longer pause
DEEPEST = 0.2  # what noise is multiplied by at least: -14 dB; less would gurgle


def mend(clip: Clip, what: Collection[Mend]) -> Clip:
    """A better copy. What is not asked for stays as it is."""
    samples, rate = clip.samples, clip.rate
    if "offset" in what:
        samples = samples - samples.mean()
    if "trim" in what:
        samples = trim(samples, rate)
    if "denoise" in what:
        samples = denoise(samples, rate)
    if "resample" in what and rate > RATE:
        samples, rate = Clip(samples, rate).at(RATE), RATE
    if "normalise" in what:
        samples = normalise(samples, rate)
    return replace(clip, samples=samples, rate=rate, channels=1)


def trim(x: Floats, rate: int, longest: float = INSTANT_SECONDS) -> Floats:
    """Without silence at both ends and with long pauses cut short; where that is still longer than `longest` seconds,
    the stretch with the most speech, begun and ended at pauses."""
    activity = speech.find_speech(Clip(x, rate).at(speech.RATE))
    pieces = _pieces(activity.spoken, rate, len(x))
    if not pieces:
        return x
    most = int(longest * rate)
    pieces = [(a, min(a + most, b)) for first, b in pieces for a in range(first, b, most)]
    begin, end = _best_stretch(pieces, most)
    joined = [x[a:b].copy() for a, b in pieces[begin:end]]
    fade = min(int(0.005 * rate), *(len(p) // 2 for p in joined))
    ramp = np.linspace(0, 1, fade)
    for piece in joined:  # no click where parts meet
        piece[:fade] *= ramp
        piece[len(piece) - fade :] *= ramp[::-1]
    return np.concatenate(joined)[:most]


def _pieces(spoken: speech.Mask, rate: int, length: int) -> list[tuple[int, int]]:
    """First and one past the last sample of each stretch of speech with what silence stays around it."""
    step = rate * speech.HOP / speech.RATE
    found = speech.runs(spoken)
    pieces: list[tuple[int, int]] = []
    for number, (a, b) in enumerate(found):
        before = MARGIN if number == 0 else PAUSE / 2
        after = MARGIN if number == len(found) - 1 else PAUSE / 2
        begin = max(pieces[-1][1] if pieces else 0, int(a * step - before * rate))
        pieces.append((begin, min(length, int(b * step + after * rate))))
    return [(a, b) for a, b in pieces if b > a]


def _best_stretch(pieces: list[tuple[int, int]], longest: int) -> tuple[int, int]:
    """First and one past the last of the neighbouring pieces that hold the most within `longest` samples."""
    best, most = (0, 1), 0
    for begin in range(len(pieces)):
        total = 0
        for end in range(begin, len(pieces)):
            total += pieces[end][1] - pieces[end][0]
            if total > longest:
                break
            if total > most:
                best, most = (begin, end + 1), total
    return best


def denoise(x: Floats, rate: int) -> Floats:
    """Each frequency turned down where it is not louder than in the pauses (a Wiener gain, smoothed)."""
    size = 1 << round(np.log2(0.032 * rate))
    hop = size // 4
    activity = speech.find_speech(Clip(x, rate).at(speech.RATE))
    window = np.hanning(size)
    spectra = np.fft.rfft(frames(x, size, hop) * window)
    power = np.abs(spectra) ** 2
    at = np.minimum(
        (np.arange(len(power)) * hop * speech.RATE / rate / speech.HOP).astype(int), len(activity.spoken) - 1
    )
    quiet = ~activity.spoken[at]
    noise = power[quiet].mean(axis=0) if quiet.sum() > 10 else np.percentile(power, 5, axis=0) * 3
    after = gaussian(gaussian(power, 1.0), 1.0, axis=1) / np.maximum(noise, 1e-12)
    gain = np.maximum(np.maximum(after - 1, 0) / np.maximum(after, 1e-12), DEEPEST)
    whole = overlap_add(np.fft.irfft(spectra * gain, size) * window, hop, len(x))
    weight = overlap_add(np.tile(window**2, (len(power), 1)), hop, len(x))
    return whole / np.maximum(weight, 1e-3)


def normalise(x: Floats, rate: int, wanted: float = LOUDNESS) -> Floats:
    """At the wanted loudness in LUFS, or as near as the peaks allow."""
    gain = 10 ** ((wanted - speech.loudness(x, rate)) / 20)
    return x * min(gain, PEAK / max(float(np.abs(x).max()), 1e-9))
