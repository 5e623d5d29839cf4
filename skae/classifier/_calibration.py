"""Probabilities from scores that have an order but no scale."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax

# What holds before any row is seen, and how many rows' worth of evidence holds it there.
_SLOPE = 2.0
_SLOPE_STRENGTH = 0.25
_OFFSET_STRENGTH = 0.5


def fit_softmax(
    scores: NDArray[np.float64],
    labels: NDArray[np.intp],
    sample_weight: NDArray[np.float64] | None = None,
) -> tuple[float, NDArray[np.float64]]:
    """Slope and offsets that make ``softmax(slope * scores + offsets)`` likely.

    Temperature scaling with an offset for each class, by penalised maximum likelihood:
    few rows move little, and rows that are told apart perfectly do not send the slope
    to infinity.

    Parameters
    ----------
    scores : ndarray of shape (n_samples, n_classes)
        Higher is more like the class.

    labels : ndarray of shape (n_samples,)
        The class of each row, as the position of its column.

    sample_weight : ndarray of shape (n_samples,) or None
        Weights of the rows; only their ratios matter.

    Returns
    -------
    slope : float
        Positive.

    offsets : ndarray of shape (n_classes,)
        Their mean is zero.
    """
    rows = np.arange(len(labels))
    weight = np.ones(len(labels)) if sample_weight is None else sample_weight
    weight = weight / weight.mean()

    def objective(theta: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        slope, offsets = np.exp(theta[0]), theta[1:]
        log_proba = log_softmax(slope * scores + offsets, axis=1)
        excess = np.exp(log_proba)
        excess[rows, labels] -= 1
        excess *= weight[:, None]
        gradient = np.r_[slope * np.sum(excess * scores), excess.sum(axis=0)]
        loss = -weight @ log_proba[rows, labels]
        distance = theta - start
        return loss + strength @ distance**2, gradient + 2 * strength * distance

    start = np.r_[np.log(_SLOPE), np.zeros(scores.shape[1])]
    strength = np.r_[_SLOPE_STRENGTH, np.full(scores.shape[1], _OFFSET_STRENGTH)]
    best: Any = minimize(objective, start, jac=True, method="L-BFGS-B")
    return float(np.exp(best.x[0])), best.x[1:] - best.x[1:].mean()
