"""A mark in made speech that is not heard and that a program finds again.

Time and frequency are divided into cells of 16 ms by 150 Hz. A fixed pattern, repeated every 1.5 s, makes each cell a
little louder or softer, and the one after it the other way round. Who knows the pattern adds up these differences over
the whole recording: in unmarked sound they cancel out, in marked sound they add up. It lies in the loudness of whole
cells, so compression, other sample rates, some noise and cutting leave most of it in place. Another tempo or pitch and
strong reverberation destroy it, and so can whoever wants to: the pattern is public. It says that a sound was made; its
absence says nothing.
"""

from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from likeness.voices.filters import Floats, decibels, frames, mean_filter, overlap_add, resample

DEPTHS = (1.0, 1.6)  # dB up and down: of what is longer than ENOUGH seconds, and at most of what is shorter
ENOUGH = 6.0
CELL = 0.016  # seconds
BANDS, LOWEST, WIDTH = 40, 300.0, 150.0  # Hz
CELLS = 96  # of a repetition; each second one is the opposite of the one before
RATE = 16_000  # Hz, at which it is looked for
THRESHOLD = 6.0  # standard deviations; see docs/explanation/voice.md for how often unmarked sound gets there
LEAST_SECONDS = 1.5

_HOP, _WINDOW = 128, 384  # 8 ms and 24 ms at 16 kHz
_STEPS = int(CELL * RATE) // _HOP  # hops of a cell
_SEED = 20_250_807
_FAINT = 50.0  # dB below the loudest cell; what is fainter is left out
_MOST = 2.0  # times what is usual around it; a single cell counts for no more
_USUAL = 0.7  # dB; added to what is usual, so that stillness does not count for all


@dataclass(frozen=True)
class Detection:
    """`score`: by how many standard deviations the pattern stands out; `marked`: whether that is enough to say so."""

    score: float
    marked: bool
    seconds: float


@cache
def _pattern(seed: int = _SEED) -> Floats:
    """±1 for each pair of cells and band (CELLS / 2, BANDS), as many of one as of the other."""
    rng = np.random.default_rng(seed)
    signs = np.tile([1.0, -1.0], CELLS * BANDS // 4)
    return rng.permutation(signs).reshape(CELLS // 2, BANDS)


def depth_for(seconds: float) -> float:
    """dB: a short sound has fewer cells, each of which must say more."""
    return float(np.clip(DEPTHS[0] * np.sqrt(ENOUGH / max(seconds, 0.1)), *DEPTHS))


def embed(x: Floats, rate: int) -> Floats:
    """`x` with the mark in it, equally long."""
    depth = depth_for(len(x) / rate)
    size = 1 << round(np.log2(CELL * rate))
    hop = size // 4
    window = np.hanning(size + 1)[:-1]
    spectra = np.fft.rfft(frames(x, size, hop) * window)
    pairs = _pattern()
    cells = np.stack([pairs, -pairs], axis=1).reshape(CELLS, BANDS)
    at = (np.arange(len(spectra)) * hop / rate / CELL).astype(int) % CELLS
    band = np.floor((np.fft.rfftfreq(size, 1 / rate) - LOWEST) / WIDTH).astype(int)
    inside = (band >= 0) & (band < BANDS)
    change = np.zeros(spectra.shape)
    change[:, inside] = cells[at][:, band[inside]] * depth
    pieces = np.fft.irfft(spectra * 10 ** (change / 20), size) * window
    weight = overlap_add(np.tile(window**2, (len(pieces), 1)), hop, len(x))
    return overlap_add(pieces, hop, len(x)) / np.maximum(weight, 1e-3)


def detect(x: Floats, rate: int, seed: int = _SEED) -> Detection:
    """Look for the mark, at whatever place of the pattern the sound begins."""
    seconds = len(x) / rate
    y = resample(x, rate, RATE)
    if seconds < LEAST_SECONDS or not np.any(y):
        return Detection(0.0, False, seconds)
    spectra = np.abs(np.fft.rfft(frames(y, _WINDOW, _HOP) * np.hanning(_WINDOW))) ** 2
    edges = ((LOWEST + WIDTH * np.arange(BANDS + 1)) * _WINDOW / RATE).round().astype(int)
    power = np.stack([spectra[:, a:b].mean(axis=1) for a, b in pairwise(edges.tolist())], axis=1)
    level = decibels(power, 1e-12)
    loud = level > level.max() - _FAINT
    cell, sure = mean_filter(level, _STEPS, 0), mean_filter(loud.astype(float), _STEPS, 0) > 0.99
    change = _weighed(cell[:-_STEPS] - cell[_STEPS:], sure[:-_STEPS] & sure[_STEPS:])
    period = CELLS * _STEPS
    folded = np.pad(change, ((0, -len(change) % period), (0, 0))).reshape(-1, period, BANDS)
    total, squares = folded.sum(axis=0), np.square(folded).sum(axis=(0, 2))
    pairs = _pattern(seed)
    where = (np.arange(period)[:, None] + 2 * _STEPS * np.arange(len(pairs))) % period  # (offset, pair)
    scores = np.einsum("ojb,jb->o", total[where], pairs)
    scores /= np.sqrt(np.maximum(squares[where].sum(axis=1), 1e-9))
    score = float(scores.max())
    return Detection(score, score >= THRESHOLD, seconds)


def _weighed(change: Floats, sure: NDArray[np.bool_]) -> Floats:
    """Changes from cell to cell less what neighbouring bands share, each as strong as it is surprising where it is."""
    change = change - mean_filter(change, 7, 1)
    near = mean_filter(mean_filter(change**2 * sure, 9, 1), 2 * _STEPS, 0)
    count = mean_filter(mean_filter(sure.astype(float), 9, 1), 2 * _STEPS, 0)
    usual = np.sqrt(near / np.maximum(count, 1e-3)) + _USUAL
    return np.clip(change / usual, -_MOST, _MOST) / usual * sure
