"""Thresholds and p-values from scores of rows that were held out."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

Array = NDArray[Any]

# Which part of the held-out scores is believed to be of normal rows where some are not.
_LOW, _MIDDLE = 0.1, 0.5


class Calibration:
    """Scores of rows that were held out, higher for odder rows.

    Parameters
    ----------
    scores : ndarray of shape (n_samples,)
        The scores.

    weight : ndarray of shape (n_samples,) or None
        Weights of the rows; only their ratios matter.
    """

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

    def robust_threshold(self, rate: float) -> float:
        """The score that this share of normal rows exceeds, if others are among them.

        From the median and the lower tail of the logarithms, as if they were normally
        distributed: anomalies, which are in the upper tail, have little say.
        """
        log = np.log(np.maximum(self.scores, np.finfo(np.float32).tiny))
        below = 1 - self._above[1:] / self._above[0]
        low, middle = log[np.searchsorted(below, [_LOW, _MIDDLE]).clip(0, len(log) - 1)]
        deviation = (middle - low) / (ndtri(_MIDDLE) - ndtri(_LOW))
        return float(np.exp(middle - ndtri(rate) * deviation))


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


def split_for_calibration(
    n_samples: int, share: float, fewest: int, n_folds: int, rng: np.random.RandomState
) -> list[Array]:
    """Which rows are held out: one set of them, or several that are all rows together.

    Parameters
    ----------
    n_samples : int
        Number of rows.

    share : float
        Share of the rows that is held out.

    fewest : int
        With fewer held-out rows than this all rows are cross-fitted.

    n_folds : int
        Into how many sets.

    rng : RandomState
        Chooses them.
    """
    order = rng.permutation(n_samples)
    n_held_out = round(share * n_samples)
    if n_held_out >= fewest and n_samples - n_held_out >= 2:
        return [order[:n_held_out]]
    return np.array_split(order, min(n_folds, n_samples))
