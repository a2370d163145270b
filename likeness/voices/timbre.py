"""The timbre of speech as envelopes: the spectrum without its harmonics, frame by frame, as a few cepstral numbers.

An envelope is the power spectrum smoothed over as much as the pitch is high (as CheapTrick does), read off at 64 places
spaced as the ear spaces them, and transformed by cosines. Maps from one speaker's envelopes to another's are fitted
here too.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from likeness.voices import pitch
from likeness.voices.filters import Floats, frames, mean_filter

RATE = 16_000  # Hz
HOP, WINDOW, SIZE = pitch.HOP, 480, 1024  # 5 ms, 30 ms, FFT
BANDS, NUMBERS = 64, 40
_SCALE = 8.0  # brings the numbers to about 1
_UNVOICED = 180.0  # Hz; the pitch whose smoothing frames without one get
_AUDIBLE = 2.6  # of the first number, below its loudest: what is quieter counts as a pause


@dataclass(frozen=True)
class Envelopes:
    """`numbers` (frames, 40); the first is the level. `voiced` frames have a pitch, `active` ones a sound."""

    numbers: Floats
    f0: Floats
    voiced: NDArray[np.bool_]
    active: NDArray[np.bool_]


def analyse(x: Floats) -> Envelopes:
    """Of mono speech at 16 kHz."""
    f0 = pitch.track(x, RATE)
    spectra = np.abs(np.fft.rfft(frames(x, WINDOW, HOP) * np.hanning(WINDOW), SIZE)) ** 2 + 1e-9
    width = np.clip(np.round(np.where(f0 > 0, f0, _UNVOICED) / (RATE / SIZE)), 5, 30).astype(int)
    smooth = np.empty_like(spectra)
    for w in np.unique(width):
        chosen = width == w
        smooth[chosen] = mean_filter(mean_filter(spectra[chosen], int(w), 1), max(3, int(w * 0.6)), 1)
    places = band_places() / (RATE / SIZE)
    below = places.astype(int)
    share = places - below
    logs = np.log(smooth)
    levels = 0.5 * (logs[:, below] * (1 - share) + logs[:, below + 1] * share)
    numbers = levels @ _cosines().T / _SCALE
    level = numbers[:, 0]
    return Envelopes(numbers, f0, f0 > 0, level > np.percentile(level, 95) - _AUDIBLE)


def gains(change: Floats, most: float) -> Floats:
    """Change of the numbers (frames, 40) as the natural logarithm of a gain per frequency (frames, 513), at most
    `most` dB up or down."""
    levels = change @ _cosines() * _SCALE
    f = np.arange(SIZE // 2 + 1) * RATE / SIZE
    places = band_places()
    right = np.clip(np.searchsorted(places, f), 1, BANDS - 1)
    share = np.clip((f - places[right - 1]) / (places[right] - places[right - 1]), 0, 1)
    limit = most * np.log(10) / 20
    return np.clip(levels[:, right - 1] * (1 - share) + levels[:, right] * share, -limit, limit)


@cache
def band_places() -> Floats:
    """Hz of the 64 places."""
    low, high = 1127 * np.log1p(50 / 700), 1127 * np.log1p((RATE / 2 - 50) / 700)
    return 700 * np.expm1(np.linspace(low, high, BANDS) / 1127)


@cache
def _cosines() -> Floats:
    """Orthonormal cosine transform (40, 64): its transpose is its inverse, but for what is left out."""
    k = np.arange(NUMBERS)[:, None]
    table = np.cos(np.pi * k * (np.arange(BANDS) + 0.5) / BANDS) * np.sqrt(2 / BANDS)
    table[0] /= np.sqrt(2)
    return table


@dataclass(frozen=True)
class Linear:
    """x → target + (x - source) @ matrix."""

    source: Floats
    target: Floats
    matrix: Floats

    def __call__(self, x: Floats) -> Floats:
        return self.target + (x - self.source) @ self.matrix


def transport(source: Floats, target: Floats, ridge: float = 0.01) -> Linear:
    """The map with the least motion that gives `source` (frames, n) the mean and covariance of `target`."""
    size = source.shape[1]
    first, second = np.cov(source.T), np.cov(target.T)
    first = first + ridge * np.eye(size) * np.trace(first) / size
    second = second + ridge * np.eye(size) * np.trace(second) / size
    root, inverse = _power(first, 0.5), _power(first, -0.5)
    return Linear(source.mean(0), target.mean(0), inverse @ _power(root @ second @ root, 0.5) @ inverse)


def _power(matrix: Floats, exponent: float) -> Floats:
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.maximum(values, 1e-10) ** exponent) @ vectors.T


@dataclass(frozen=True)
class Mixture:
    """Gaussians with diagonal covariance over the first numbers, and an offset for what belongs to each."""

    weights: Floats  # (k,)
    means: Floats  # (k, n)
    variances: Floats  # (k, n)
    offsets: Floats  # (k, all numbers)

    def shares(self, x: Floats) -> Floats:
        """How much of each row belongs to each component (frames, k)."""
        return _shares(x[:, : self.means.shape[1]], self.weights, self.means, self.variances)

    def __call__(self, x: Floats) -> Floats:
        """The offset of each row."""
        return self.shares(x) @ self.offsets


def _shares(x: Floats, weights: Floats, means: Floats, variances: Floats) -> Floats:
    precision = 1 / variances
    squared = x**2 @ precision.T - 2 * x @ (means * precision).T + (means**2 * precision).sum(1)
    logs = np.log(weights) - 0.5 * (squared + np.log(variances).sum(1))
    logs -= logs.max(axis=1, keepdims=True)
    shares = np.exp(logs)
    return shares / shares.sum(axis=1, keepdims=True)


def fit_mixture(x: Floats, components: int, rounds: int = 30, floor: float = 0.02) -> tuple[Floats, Floats, Floats]:
    """Weights, means and variances by expectation and maximisation, begun at quantiles along the main direction: the
    same rows give the same mixture."""
    centred = x - x.mean(0)
    main = np.linalg.svd(centred[:: max(1, len(x) // 4000)], full_matrices=False)[2][0]
    order = np.argsort(centred @ main, kind="stable")
    shares = np.zeros((len(x), components))
    for k, part in enumerate(np.array_split(order, components)):
        shares[part, k] = 1
    weights = means = variances = np.zeros(0)
    for _ in range(rounds):
        total = shares.sum(0) + 1e-3
        weights = total / total.sum()
        means = shares.T @ x / total[:, None]
        variances = np.maximum(shares.T @ x**2 / total[:, None] - means**2, 0) + floor
        shares = _shares(x, weights, means, variances)
    return weights, means, variances


def fit_offsets(x: Floats, target: Floats, components: int = 12, inertia: float = 150.0, size: int = 24) -> Mixture:
    """What has to be added to rows like `x`, by component, to be where rows of `target` are: a mixture of `x` whose
    means move to the target as far as there is evidence (`inertia` frames count against it)."""
    weights, means, variances = fit_mixture(x[:, :size], components)
    here = _shares(x[:, :size], weights, means, variances)
    source = here.T @ x / np.maximum(here.sum(0)[:, None], 1)
    offsets = np.zeros_like(source)
    for _ in range(5):
        there = _shares(target[:, :size], weights, (source + offsets)[:, :size], variances)
        count = there.sum(0)[:, None]
        offsets = count / (count + inertia) * (there.T @ target / np.maximum(count, 1) - source)
    return Mixture(weights, source[:, :size], variances, offsets)
