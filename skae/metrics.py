"""How much of X survives a transformation and its inverse, for any transformer."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from typing import Any
from sklearn.metrics import r2_score

__all__ = ["reconstruction_error", "reconstruction_score"]


def variance_explained(X: Any, reconstruction: Any, sample_weight: Any = None) -> float:
    """Share of the variance of X, over all columns together."""
    return float(
        r2_score(
            X, reconstruction, sample_weight=sample_weight, multioutput="variance_weighted"
        )
    )


def _rows_and_reconstruction(estimator: Any, X: Any) -> tuple[NDArray[Any], NDArray[Any]]:
    if not hasattr(estimator, "inverse_transform"):
        raise TypeError(
            "estimator must have the methods transform and inverse_transform; "
            f"{type(estimator).__name__} has no inverse_transform."
        )
    rows = np.asarray(X)
    reconstruction = np.asarray(estimator.inverse_transform(estimator.transform(X)))
    if rows.shape != reconstruction.shape:
        raise ValueError(
            f"X has shape {rows.shape}, but its reconstruction by "
            f"{type(estimator).__name__} has shape {reconstruction.shape}."
        )
    return rows, reconstruction


def reconstruction_score(
    estimator: Any, X: Any, y: Any = None, sample_weight: ArrayLike | None = None
) -> float:
    """Share of the variance of X that survives `transform` and `inverse_transform`."""
    return variance_explained(*_rows_and_reconstruction(estimator, X), sample_weight)


def reconstruction_error(estimator: Any, X: Any) -> NDArray[Any]:
    """Mean squared difference between each row and its reconstruction."""
    rows, reconstruction = _rows_and_reconstruction(estimator, X)
    return np.asarray(np.mean(np.square(rows - reconstruction), axis=1))
