"""Each column of a matrix in units of its own, and logarithmic far from its mean."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skae.tables._binary_columns import BinaryColumns
from skae.utils._rows import moments

Array = NDArray[Any]

# Standard deviations from the mean beyond which values are squashed.
THRESHOLD = 3.0

# Deviations below this share of the largest value may come from rounding alone. Those below the
# second share do, or those of less than so many roundings of a coarser dtype.
_NARROW = 1e-9
_ROUNDING = 1e-14
_ROUNDINGS = 2.0


def is_narrow(deviation: Any, largest: Any, rounding: float) -> Any:
    """Mask of columns that vary little for the size of their values; all (n_columns,)."""
    return deviation <= max(_NARROW, _ROUNDINGS * rounding) * largest


def narrow_moments(values: Array, weight: Array | None, rounding: float) -> tuple[float, float]:
    """Mean and standard deviation of values that vary little for their size.

    Both are computed after the least value is subtracted. The deviation is 0 if it may come
    from rounding alone; whole numbers that the dtype holds exactly are not rounded. `values`
    and `weight` have shape (n_samples,), NaN marks missing values, and `rounding` is relative.
    """
    observed = ~np.isnan(values)
    values = values[observed].astype(np.float64)
    if not len(values):
        return 0.0, 0.0
    weight = None if weight is None else weight[observed]
    least, largest = values.min(), np.abs(values).max()
    mean, deviation = moments((values - least)[:, np.newaxis], weight)
    is_exact = largest * rounding <= 2 and bool((values == np.round(values)).all())
    is_real = is_exact or deviation[0] > max(_ROUNDING, _ROUNDINGS * rounding) * largest
    return float(least + mean[0]), float(deviation[0]) if is_real else 0.0


@dataclass(frozen=True)
class SquashingScaler:
    """Columns standardised one by one, and logarithmic beyond three standard deviations.

    A value `z` standard deviations from the mean stays `z` up to three and becomes
    ``3 * (1 + log(z / 3))`` beyond: monotone, smooth and invertible. An outlier stays the
    farthest value of its column, but does not dominate the others. A constant column is
    centred and keeps its unit. The unit of a binary column is half the distance of its values,
    as if both were equally frequent: a rare value is no farther away than a frequent one.

    Parameters
    ----------
    centre, scale : ndarray of shape (n_features,)
        Mean and unit of each column.
    """

    centre: Array
    scale: Array

    @classmethod
    def from_data(cls, X: Array, weight: Array | None = None) -> "SquashingScaler":
        """Scaler of X, (n_samples, n_features), by rows of `weight` (n_samples,)."""
        centre, scale = moments(X, weight)
        rounding = float(np.finfo(X.dtype).eps)
        largest = np.fmax.reduce(np.abs(X), axis=0, initial=0.0)
        for j in np.flatnonzero(is_narrow(scale, largest, rounding)):
            centre[j], scale[j] = narrow_moments(X[:, j], weight, rounding)
        binary = BinaryColumns.from_data(X)
        half = binary.high.astype(np.float64) / 2 - binary.low.astype(np.float64) / 2
        scale[binary.columns] = np.where(scale[binary.columns] > 0, half, 0)
        scale[scale == 0] = 1.0
        return cls(centre, scale)

    def transform(self, X: Array) -> Array:
        """X (n_samples, n_features) in these units, in float64."""
        return squash((X - self.centre) / self.scale)

    def inverse_transform(self, Z: Array) -> Array:
        """Z (n_samples, n_features) in the units of the data, in float64."""
        return unsquash(Z) * self.scale + self.centre


def squash(z: Array) -> Array:
    """Standard deviations, of any shape, logarithmic beyond three."""
    size = np.maximum(np.abs(z), THRESHOLD)
    squashed = np.sign(z) * THRESHOLD * (1 + np.log(size / THRESHOLD))
    return np.where(np.abs(z) > THRESHOLD, squashed, z)


def unsquash(z: Array) -> Array:
    """Inverse of `squash`, of any shape."""
    size = np.maximum(np.abs(z), THRESHOLD)
    return np.where(
        np.abs(z) > THRESHOLD, np.sign(z) * THRESHOLD * np.exp(size / THRESHOLD - 1), z
    )


def unsquash_log_derivative(z: Array) -> Array:
    """Logarithm of the derivative of `unsquash`, of the shape of z."""
    return np.asarray(np.maximum(np.abs(z) / THRESHOLD - 1, 0))
