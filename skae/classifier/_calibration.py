"""Probabilities from scores that have an order but no scale."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax

# The prior slope, and the strengths of the priors of slope and offsets, in rows.
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
    the slope of perfectly separated classes stays finite. A LogisticRegression on the scores,
    which has a slope for each pair of classes, has a larger log loss on new rows.

    scores : (n_samples, n_classes), higher is more like the class; labels : (n_samples,),
    positions of columns; sample_weight : (n_samples,), of which only the ratios matter. The
    slope is positive, and the mean of the offsets, (n_classes,), is zero.
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
