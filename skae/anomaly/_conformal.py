"""Thresholds and p-values from scores of rows that were held out."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


class Calibration:
    """Scores of rows that were held out, higher for odder rows.

    Parameters
    ----------
    scores : ndarray of shape (n_samples,)
        The scores.

    weight : ndarray of shape (n_samples,) or None
        Weights of the rows; only their ratios matter.
    """

    scores: Array
    _above: Array

    def __init__(self, scores: Array, weight: Array | None = None) -> None:
        order = np.argsort(scores, kind="stable")
        self.scores = scores[order]
        weight = np.ones(len(scores)) if weight is None else weight[order] / weight.mean()
        # Weight of the scores from each one upwards, and above the last.
        self._above = np.append(np.cumsum(weight[::-1])[::-1], 0.0)

    def p_values(self, scores: Array) -> Array:
        """One plus the held-out rows at least as odd, over one plus all of them."""
        at = np.searchsorted(self.scores, scores, side="left")
        return (1 + self._above[at]) / (1 + self._above[0])

    @property
    def least(self) -> float:
        """The least p-value there can be."""
        return float(1 / (1 + self._above[0]))

    def rate(self, threshold: float) -> float:
        """Share of new rows like those held out that may be expected to score higher."""
        at = np.searchsorted(self.scores, threshold, side="right")
        return float((1 + self._above[at]) / (1 + self._above[0]))

    def threshold(self, rate: float) -> float:
        """The score above which, and only above which, the p-value is at most `rate`.

        Where no p-value is that small: the highest score.
        """
        enough = (1 + self._above[1:]) / (1 + self._above[0]) <= rate
        return float(self.scores[np.argmax(enough) if enough.any() else -1])


def logarithm(scores: Array) -> Array:
    """Logarithms of scores, which are not negative; finite for those that are zero."""
    return np.asarray(np.log(np.maximum(scores, np.finfo(np.float32).tiny)))


def lower_quantile(values: Array, share: float, weight: Array | None = None) -> float:
    """The value that this share of the weight lies below.

    Parameters
    ----------
    values : ndarray of shape (n_samples,)
        The values.

    share : float
        Between zero and one.

    weight : ndarray of shape (n_samples,) or None
        Weights; only their ratios matter.
    """
    if weight is None:
        return float(np.quantile(values, share))
    order = np.argsort(values, kind="stable")
    upwards = np.cumsum(weight[order])
    return float(values[order][np.searchsorted(upwards, share * upwards[-1])])
