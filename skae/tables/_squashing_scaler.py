"""Units of raw tables: each column by its own centre and scale, far values drawn in."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skae.tables._binary_columns import BinaryColumns
from skae.utils._rows import moments

Array = NDArray[Any]

# How many scales from the centre values begin to count by their logarithm.
BEND = 3.0

# Deviations below this share of the largest value may come from roundings alone. Those below
# the second one do, or those of less than so many roundings of a coarser dtype.
_NARROW = 1e-9
_ROUNDING = 1e-14
_ROUNDINGS = 2.0


def is_narrow(deviation: Any, largest: Any, rounding: float) -> Any:
    """Whether columns vary little for the size of their values; all of shape (n_columns,)."""
    return deviation <= max(_NARROW, _ROUNDINGS * rounding) * largest


def narrow_moments(values: Array, weight: Array | None, rounding: float) -> tuple[float, float]:
    """Mean and standard deviation of values that vary little for their size.

    Both are computed after the least value is taken off. The deviation is 0 if it may come
    from rounding alone; whole numbers that the dtype holds exactly are not rounded.

    Parameters
    ----------
    values : ndarray of shape (n_samples,)
        Values; NaN where one is missing.

    weight : ndarray of shape (n_samples,) or None
        Weights of the rows.

    rounding : float
        Relative rounding of the values.
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
    """Columns standardised one by one, and logarithmic beyond three deviations.

    A value that lies `z` deviations from the mean becomes `z` up to three of them and
    ``3 * (1 + log(z / 3))`` beyond: monotone, smooth and invertible. A wild value stays
    the farthest of its column, but does not drown the others. A constant column is
    centred and keeps its unit. Of a column of two levels the unit is half their distance,
    as if both were equally frequent: a rare level is no farther away than a frequent one.

    Parameters
    ----------
    centre, scale : ndarray of shape (n_features,)
        Mean and unit of each column.
    """

    centre: Array
    scale: Array

    @classmethod
    def of(cls, X: Array, weight: Array | None = None) -> "SquashingScaler":
        """Scale of these rows."""
        centre, scale = moments(X, weight)
        rounding = float(np.finfo(X.dtype).eps)
        largest = np.fmax.reduce(np.abs(X), axis=0, initial=0.0)
        for j in np.flatnonzero(is_narrow(scale, largest, rounding)):
            centre[j], scale[j] = narrow_moments(X[:, j], weight, rounding)
        levels = BinaryColumns.of(X)
        apart = levels.high.astype(np.float64) / 2 - levels.low.astype(np.float64) / 2
        scale[levels.columns] = np.where(scale[levels.columns] > 0, apart, 0)
        scale[scale == 0] = 1.0
        return cls(centre, scale)

    def transform(self, X: Array) -> Array:
        """From the units of the data, in float64."""
        return squashed((X - self.centre) / self.scale)

    def inverse_transform(self, Z: Array) -> Array:
        """Back to the units of the data, in float64."""
        return stretched(Z) * self.scale + self.centre


def squashed(z: Array) -> Array:
    """Deviations, those beyond three of them by their logarithm."""
    size = np.maximum(np.abs(z), BEND)
    return np.where(np.abs(z) > BEND, np.sign(z) * BEND * (1 + np.log(size / BEND)), z)


def stretched(z: Array) -> Array:
    """What `squashed` had been given."""
    size = np.maximum(np.abs(z), BEND)
    return np.where(np.abs(z) > BEND, np.sign(z) * BEND * np.exp(size / BEND - 1), z)


def log_slope(z: Array) -> Array:
    """Logarithm of the derivative of `stretched`."""
    return np.asarray(np.maximum(np.abs(z) / BEND - 1, 0))
