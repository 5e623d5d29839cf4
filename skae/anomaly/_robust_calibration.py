"""p-values and a threshold where anomalies may be among the rows held out."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import false_discovery_control

from skae.anomaly._conformal import Calibration, logarithm, lower_quantile

Array = NDArray[Any]

# The bulk, which is believed to be normal whatever else is there, ends at these shares of
# the rows; the fence stands so many of its widths from the first.
_MIDDLE, _HIGH = 0.5, 0.8
_FENCE = 3.0

# The false discovery rate at which rows held out are taken for anomalies.
_FDR = 0.1

# The tail of normal rows: its scale, in the length from the end of the bulk to the fence,
# before any row is seen; how many rows that is worth; the largest that is believed; and how
# many standard errors are added. Chosen with `benchmarks/detector_promises.py`.
_PRIOR_SCALE = 0.35
_PRIOR_ROWS = 100
_LARGEST_SCALE = 0.6
_MARGIN = 1.3


class ContaminatedCalibration:
    """Scores of rows that were held out, some of which may be anomalies.

    What is normal is estimated from the bulk, the eight tenths of the rows with the
    lowest scores. On the logarithms of the scores a fence stands three times as far from
    the median as the end of the bulk. Above the bulk, normal rows are taken to be
    distributed exponentially, with a scale from the rows between the bulk and the fence;
    rows beyond the fence have no say.

    Parameters
    ----------
    scores : ndarray of shape (n_samples,)
        The scores, not negative.

    weight : ndarray of shape (n_samples,) or None
        Weights of the rows; only their ratios matter.
    """

    scores: Array
    _start: float
    _fence: float
    _weight: Array
    _inside: Calibration
    _share: float
    _scale: float
    _normal: Calibration

    def __init__(self, scores: Array, weight: Array | None = None) -> None:
        order = np.argsort(scores, kind="stable")
        scores = self.scores = scores[order]
        weight = None if weight is None else weight[order]
        log = logarithm(scores)
        middle, high = (lower_quantile(log, share, weight) for share in (_MIDDLE, _HIGH))
        self._start = high
        self._fence = middle + _FENCE * (high - middle) if high > middle else np.inf
        inside = log <= self._fence
        weight = np.ones(len(log)) if weight is None else weight / weight.mean()
        self._weight = weight
        self._inside = Calibration(scores[inside], weight[inside])
        tail = inside & (log > high)
        self._share = float(weight[tail].sum() / weight[inside].sum())
        self._scale = _tail_scale(log[tail] - high, weight[tail], self._fence - high)
        normal = false_discovery_control(self.p_values(scores)) > _FDR
        self._normal = Calibration(scores[normal], weight[normal])

    def p_values(self, scores: Array) -> Array:
        """How often a normal row is at least as odd, by the bulk and the tail above it."""
        p = self._inside.p_values(scores)
        beyond = logarithm(scores) - self._start
        above = (beyond > 0) & np.isfinite(self._fence)
        return np.where(above, self._share * np.exp(-beyond.clip(min=0) / self._scale), p)

    @property
    def least(self) -> float:
        """The least p-value there can be."""
        return 0.0 if np.isfinite(self._fence) else self._inside.least

    def rate(self, threshold: float) -> float:
        """Share of normal rows that may be expected to score higher.

        As in the rows held out, without those that a selection takes for anomalies.
        """
        return self._normal.rate(threshold)

    def threshold(self, rate: float) -> float:
        """The score that this share of all rows exceeds, or the fence where it is lower."""
        exceeded = lower_quantile(self.scores, 1 - rate, self._weight)
        return float(min(exceeded, np.exp(self._fence)))


def _tail_scale(excess: Array, weight: Array, length: float) -> float:
    """Scale of an exponential distribution of which what lies beyond a length is not seen.

    The likeliest, with some rows' worth of prior, and a margin of its standard error.
    """
    if not np.isfinite(length):
        return 1.0
    prior = _truncated_mean(_PRIOR_SCALE)
    n = weight.sum() + _PRIOR_ROWS
    mean = (weight @ excess / length + _PRIOR_ROWS * prior) / n
    scale = _LARGEST_SCALE
    if mean < _truncated_mean(scale):
        scale = brentq(lambda s: _truncated_mean(s) - mean, 1e-3, scale)
    return float(scale * (1 + _MARGIN / np.sqrt(n)) * length)


def _truncated_mean(scale: float) -> float:
    """Mean of an exponential distribution of which no more than [0, 1] is seen."""
    return float(scale - 1 / np.expm1(min(1 / scale, 700.0)))
