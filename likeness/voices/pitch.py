"""The pitch of speech, frame by frame (YIN), and what is said of it: mean, range, pace."""

import numpy as np

from likeness.voices.filters import Floats, frames, gaussian, median_filter

LOWEST, HIGHEST = 60, 500  # Hz
HOP = 80  # samples at 16 kHz; 5 ms
_PERIODIC = 0.3  # the difference function's depth below which a frame has a pitch
_FIRST_DIP = 0.15


def track(x: Floats, rate: int = 16_000) -> Floats:
    """F0 in Hz per frame of 5 ms (at 16 kHz); 0 where there is none."""
    width, longest = int(rate * 0.025), int(rate / LOWEST) + 2
    pieces = frames(np.ascontiguousarray(x), width + longest, HOP)
    size = 1 << (width + 2 * longest - 1).bit_length()
    spectra = np.fft.rfft(pieces, size)
    cross = np.fft.irfft(spectra * np.fft.rfft(pieces[:, :width], size).conj(), size)[:, :longest]
    total = np.concatenate([np.zeros((len(pieces), 1)), np.cumsum(pieces**2, axis=1)], axis=1)
    energy = total[:, width : width + longest] - total[:, :longest]
    difference = np.maximum(energy[:, :1] + energy - 2 * cross, 0)[:, 1:]
    mean = np.maximum(np.cumsum(difference, axis=1), 1e-12) / np.arange(1, longest)
    depth = np.hstack([np.ones((len(pieces), 1)), difference / mean])
    f0 = _periods(depth, int(rate / HIGHEST), longest - 1, rate)
    level = np.sqrt(energy[:, 0] / width)
    f0[level < np.percentile(level, 95) * 0.03] = 0
    voiced = median_filter((f0 > 0).astype(float), 7) > 0
    return np.where(voiced, f0, 0)


def _periods(depth: Floats, first: int, last: int, rate: int) -> Floats:
    """From each frame's difference function the first deep dip, refined by a parabola."""
    part = depth[:, first:last]
    below = part < _FIRST_DIP
    start = np.where(below.any(axis=1), below.argmax(axis=1), part.argmin(axis=1))
    rises = np.hstack([part[:, 1:] >= part[:, :-1], np.ones((len(part), 1), bool)])
    after = np.arange(part.shape[1]) >= start[:, None]
    dip = (rises & after).argmax(axis=1)  # from `start` on, downhill to where it rises again
    rows = np.arange(len(part))
    lag = dip + first
    inside = (part[rows, dip] < _PERIODIC) & (lag < depth.shape[1] - 1)
    at = np.minimum(lag, depth.shape[1] - 2)
    y0, y1, y2 = depth[rows, at - 1], depth[rows, at], depth[rows, at + 1]
    bend = y0 - 2 * y1 + y2
    shift = np.where(np.abs(bend) > 1e-9, 0.5 * (y0 - y2) / np.where(np.abs(bend) > 1e-9, bend, 1), 0)
    return np.where(inside, rate / (at + shift), 0.0)


def log_pitch(f0: Floats) -> Floats:
    """ln F0 of the voiced frames, less what lies half an octave or more from the middle: mistakes of an octave."""
    values = np.log(f0[f0 > 0])
    return values[np.abs(values - np.median(values)) < 0.5] if len(values) else values


def mean_and_range(values: Floats) -> tuple[float, float]:
    """Mean and standard deviation without the outer twentieths."""
    low, high = np.percentile(values, [5, 95])
    kept = values[(values >= low) & (values <= high)]
    return float(kept.mean()), float(kept.std()) * 1.25 + 1e-6


def semitones(difference: float) -> float:
    """Of a difference of ln F0."""
    return 12 / float(np.log(2)) * difference


def pace(x: Floats, rate: int = 16_000) -> float:
    """Syllables per second of sound, counted as peaks of the level."""
    level = gaussian(np.abs(x)[:: max(1, rate // 4000)], 0.025 * min(rate, 4000))[:: min(rate, 4000) // 100]
    level = np.log(level + 1e-5)
    if len(level) < 3:
        return 0.0
    sounding = level > np.percentile(level, 95) - 3
    peaks = (level[1:-1] > level[:-2]) & (level[1:-1] >= level[2:]) & sounding[1:-1]
    peaks &= level[1:-1] > median_filter(level, 25)[1:-1] + 0.1
    return float(peaks.sum()) / max(float(sounding.sum()) / 100, 0.1)
