"""Calibration by scores of held-out rows: thresholds, p-values, effects of binary columns."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.sparse.linalg import lsqr
from scipy.stats import false_discovery_control

from skae.tables._squashing_scaler import BinaryColumns

Array = NDArray[Any]

# Quantiles of the scores: the median, and the one up to which rows are taken to be normal. Rows
# are excluded beyond so many distances between the two from the median.
_MEDIAN, _INLIER_QUANTILE = 0.5, 0.8
_LIMIT = 3.0

# The false discovery rate at which held-out rows are taken for anomalies.
_FDR = 0.1

# The tail of normal rows: the prior of its scale, in the length from the inlier quantile to the
# limit; the weight of the prior in rows; the largest scale; and how many standard errors are
# added. Chosen with `benchmarks/detector_promises.py`.
_PRIOR_SCALE = 0.35
_PRIOR_ROWS = 100
_LARGEST_SCALE = 0.6
_MARGIN = 1.3

# Rows at which half of the effect of a value of a binary column remains, about, and the largest
# effect, in the distance from the median score to the inlier quantile.
_EFFECT_PRIOR_ROWS = 5.0
_LARGEST_EFFECT = 1.0


class Calibration:
    """Scores of held-out rows that are all normal, (n_samples,), and their weights or None.

    Higher scores are more anomalous, and only the ratios of weights matter.
    """

    scores: Array  # ascending
    _weight_above: Array  # of the scores from each one upwards, and above the last

    def __init__(self, scores: Array, weight: Array | None = None) -> None:
        order = np.argsort(scores, kind="stable")
        self.scores = scores[order]
        weight = np.ones(len(scores)) if weight is None else weight[order] / weight.mean()
        self._weight_above = np.append(np.cumsum(weight[::-1])[::-1], 0.0)

    def p_values(self, scores: Array) -> Array:
        """One plus the held-out rows with these scores or higher, over one plus all of them."""
        return self._share(np.searchsorted(self.scores, scores, side="left"))

    @property
    def least(self) -> float:
        """The least p-value there can be."""
        return float(self._share(-1))

    def rate(self, threshold: float) -> float:
        """Share of new rows like those held out that may be expected to score higher."""
        return float(self._share(np.searchsorted(self.scores, threshold, side="right")))

    def threshold(self, rate: float) -> float:
        """The score above which, and only above which, the p-value is at most `rate`.

        Where no p-value is that small: the highest score.
        """
        enough = self._share(slice(1, None)) <= rate
        return float(self.scores[np.argmax(enough) if enough.any() else -1])

    def _share(self, at: Any) -> Any:
        """Share of the held-out rows from positions on, and of one more row."""
        return (1 + self._weight_above[at]) / (1 + self._weight_above[0])


class ContaminatedCalibration:
    """Scores of held-out rows, some of which may be anomalies.

    The eight tenths of the rows with the lowest scores are taken to be normal. On the
    logarithms of the scores, rows are excluded beyond a limit three times as far from the
    median as the end of those. Between the two, normal rows are taken to be distributed
    exponentially, with a scale from the rows there. Scores and weights are those of
    :class:`Calibration`, and no score is negative.
    """

    scores: Array  # ascending
    _tail_start: float
    _limit: float
    _weight: Array
    _inliers: Calibration
    _tail_share: float
    _scale: float
    _normal: Calibration

    def __init__(self, scores: Array, weight: Array | None = None) -> None:
        order = np.argsort(scores, kind="stable")
        scores = self.scores = scores[order]
        weight = None if weight is None else weight[order]
        log = logarithm(scores)
        median = lower_quantile(log, _MEDIAN, weight)
        self._tail_start = start = lower_quantile(log, _INLIER_QUANTILE, weight)
        self._limit = median + _LIMIT * (start - median) if start > median else np.inf
        inlier = log <= self._limit
        weight = np.ones(len(log)) if weight is None else weight / weight.mean()
        self._weight = weight
        self._inliers = Calibration(scores[inlier], weight[inlier])
        tail = inlier & (log > start)
        self._tail_share = float(weight[tail].sum() / weight[inlier].sum())
        self._scale = _tail_scale(log[tail] - start, weight[tail], self._limit - start)
        normal = false_discovery_control(self.p_values(scores)) > _FDR
        self._normal = Calibration(scores[normal], weight[normal])

    def p_values(self, scores: Array) -> Array:
        """Share of normal rows with these scores or higher, by the inliers and their tail."""
        p, excess = self._inliers.p_values(scores), logarithm(scores) - self._tail_start
        in_tail = (excess > 0) & np.isfinite(self._limit)
        of_tail = self._tail_share * np.exp(-excess.clip(min=0) / self._scale)
        return np.where(in_tail, of_tail, p)

    @property
    def least(self) -> float:
        """The least p-value there can be."""
        return 0.0 if np.isfinite(self._limit) else self._inliers.least

    def rate(self, threshold: float) -> float:
        """Share of normal rows that may be expected to score higher.

        As in the held-out rows, without those that a selection takes for anomalies.
        """
        return self._normal.rate(threshold)

    def threshold(self, rate: float) -> float:
        """The score that this share of all rows exceeds, or the limit where it is lower."""
        exceeded = lower_quantile(self.scores, 1 - rate, self._weight)
        return float(min(exceeded, np.exp(self._limit)))


@dataclass(frozen=True)
class BinaryEffects:
    """Effects of the values of binary columns on the score of a row.

    A row with the rarer value of a column is farther from the others, and networks restore it
    less well. As a minority is not anomalous for being one, the mean effect of each value on
    the logarithm of the score is subtracted, up to a limit: a value that only anomalies have
    still counts.
    """

    binary: BinaryColumns
    share: Array  # of the rows with the higher value, (n_columns,)
    effect: Array  # of the higher value on the logarithm of the score, (n_columns,)
    limit: float  # the largest effect that is subtracted

    @classmethod
    def from_data(cls, X: Array, scores: Array, weight: Array | None = None) -> "BinaryEffects":
        """Effects on the scores, (n_samples,), of rows X, (n_samples, n_features)."""
        binary = BinaryColumns.from_data(X)
        if len(binary.columns) == 0:
            return cls(binary, np.zeros(0), np.zeros(0), 0.0)
        log = logarithm(scores)
        median, high = np.quantile(log, [_MEDIAN, _INLIER_QUANTILE])
        width = high - median
        log = log.clip(median - _LIMIT * width, median + _LIMIT * width)
        weight = np.ones(len(X)) if weight is None else weight / weight.mean()
        has_high = binary.has_high(X).astype(np.float64)
        observed = ~np.isnan(X[:, binary.columns])
        total = weight.sum() if observed.all() else weight @ observed
        share = weight @ has_high / total
        root = np.sqrt(weight)
        centred = log - weight @ log / weight.sum()
        effect = lsqr(
            root[:, np.newaxis] * np.where(observed, has_high - share, 0.0),
            root * centred,
            damp=np.sqrt(_EFFECT_PRIOR_ROWS),
        )[0]
        return cls(binary, share, effect, _LARGEST_EFFECT * width)

    def correction(self, X: Array) -> Any:
        """Factors of the scores of rows X, (n_samples, n_features), of shape (n_samples,)."""
        if not len(self.binary.columns):
            return 1.0
        observed = ~np.isnan(X[:, self.binary.columns])
        difference = np.where(observed, self.binary.has_high(X) - self.share, 0.0)
        effect = difference @ self.effect
        return np.exp(-effect.clip(-self.limit, self.limit))


def logarithm(scores: Array) -> Array:
    """Logarithms of scores, (n_samples,), not negative; finite for those that are zero."""
    return np.asarray(np.log(np.maximum(scores, np.finfo(np.float32).tiny)))


def lower_quantile(values: Array, share: float, weight: Array | None = None) -> float:
    """The value below which a share of the weight lies; values and weight: (n_samples,)."""
    if weight is None:
        return float(np.quantile(values, share))
    order = np.argsort(values, kind="stable")
    cumulative = np.cumsum(weight[order])
    return float(values[order][np.searchsorted(cumulative, share * cumulative[-1])])


def _tail_scale(excess: Array, weight: Array, length: float) -> float:
    """Scale of an exponential distribution that is truncated at a length.

    The likeliest for an excess over its start, (n_tail,), with a prior of some rows, and a
    margin of its standard error. Weights, (n_tail,), have a mean of one over all rows.
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
    """Mean of an exponential distribution that is truncated to [0, 1]."""
    return float(scale - 1 / np.expm1(min(1 / scale, 700.0)))
