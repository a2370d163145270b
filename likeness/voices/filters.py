"""Smoothing, resampling and short-time frames, in numpy alone: what voices need is little, and scipy is 35 MB."""

import math
from functools import lru_cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Floats = NDArray[np.float64]
SINC_ZEROS = 24  # zero crossings of the resampler's kernel to each side


def frames(x: Floats, size: int, hop: int) -> Floats:
    """(n // hop + 1, size) views of `x`, the k-th centred at sample k * hop; silence beyond both ends."""
    padded = np.pad(x, (size // 2, size // 2 + hop))
    count = len(x) // hop + 1
    return sliding_window_view(padded, size)[::hop][:count]


def overlap_add(pieces: Floats, hop: int, length: int) -> Floats:
    """The inverse of `frames`: pieces (count, size), each centred at k * hop, summed into `length` samples."""
    count, size = pieces.shape
    out = np.zeros((count - 1) * hop + size + size % hop)
    for start in range(0, size, hop):  # all k-th parts of the pieces at once
        part = pieces[:, start : start + hop]
        whole = np.zeros((count, hop))
        whole[:, : part.shape[1]] = part
        flat = whole.reshape(-1)
        end = min(len(out), start + len(flat))
        out[start:end] += flat[: end - start]
    begin = size // 2
    return np.pad(out[begin : begin + length], (0, max(0, length - (len(out) - begin))))


def gaussian(x: Floats, sigma: float, axis: int = 0) -> Floats:
    """Smoothed by a Gaussian of `sigma` steps along an axis; the ends go on as they are."""
    radius = max(1, math.ceil(4 * sigma))
    kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    return _convolved(x, kernel / kernel.sum(), axis)


def mean_filter(x: Floats, width: int, axis: int = 0) -> Floats:
    """Running mean over `width` steps, by a cumulative sum; the ends go on as they are."""
    moved = np.moveaxis(x, axis, -1)
    left = width // 2
    pad = [(0, 0)] * (moved.ndim - 1) + [(left, width - left - 1)]
    total = np.cumsum(np.pad(moved, pad, mode="edge"), axis=-1)
    total = np.concatenate([np.zeros((*total.shape[:-1], 1)), total], axis=-1)
    return np.moveaxis((total[..., width:] - total[..., :-width]) / width, -1, axis)


def median_filter(x: Floats, width: int) -> Floats:
    """Running median of a vector over an odd number of steps."""
    padded = np.pad(x, width // 2, mode="edge")
    return np.median(sliding_window_view(padded, width), axis=-1)


def _convolved(x: Floats, kernel: Floats, axis: int) -> Floats:
    moved = np.moveaxis(np.asarray(x, float), axis, 0)
    radius = len(kernel) // 2
    padded = np.pad(moved, [(radius, radius)] + [(0, 0)] * (moved.ndim - 1), mode="edge")
    out = sum(weight * padded[k : k + len(moved)] for k, weight in enumerate(kernel))
    return np.moveaxis(np.asarray(out), 0, axis)


@lru_cache(maxsize=16)
def _polyphase(up: int, down: int) -> tuple[Floats, int]:
    """Kernel rows of a windowed sinc by phase (up, taps), and how far each looks to the left in input samples."""
    cut = min(1.0, up / down) * 0.97
    reach = math.ceil(SINC_ZEROS / min(1.0, up / down))
    offsets = np.arange(-reach, reach + 1)[None, :] - (np.arange(up) / up)[:, None]
    window = np.kaiser(2 * reach * 64 + 1, 9.0)
    shape = np.interp(offsets, np.linspace(-reach, reach, len(window)), window, left=0, right=0)
    kernel = cut * np.sinc(cut * offsets) * shape
    return kernel / kernel.sum(axis=1, keepdims=True), reach


def resample(x: Floats, rate: int, wanted: int) -> Floats:
    """`x` at another sample rate (Hz), band-limited; ceil(n * wanted / rate) samples."""
    x = np.asarray(x, float)
    if rate == wanted or not len(x):
        return x
    common = math.gcd(int(rate), int(wanted))
    up, down = wanted // common, rate // common
    kernel, reach = _polyphase(up, down)
    count = -(-len(x) * up // down)
    padded = np.pad(x, (reach, reach + kernel.shape[1] + down))
    windows = sliding_window_view(padded, kernel.shape[1])
    out = np.empty(count)
    for first in range(up):  # outputs first, first + up, … share a phase, and their inputs lie `down` apart
        start, phase = divmod(first * down, up)
        rows = windows[start::down][: len(out[first::up])]
        out[first::up] = rows @ kernel[phase]
    return out


def decibels(power: Floats | float, floor: float = 1e-12) -> Floats:
    """10 log10 of a power, bounded below."""
    return 10 * np.log10(np.maximum(power, floor))
