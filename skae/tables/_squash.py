"""Units of raw tables: each column by its own centre and scale, far values drawn in."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skae.tables._levels import TwoLevels
from skae.utils._rows import moments

Array = NDArray[Any]

# How many scales from the centre values begin to count by their logarithm.
BEND = 3.0

# A deviation below this share of the largest value may come from roundings alone.
_NARROW = 1e-9

# Deviations at the level of rounding: as a share of the largest value, and in roundings of the
# dtype. As in the moments of all rows.
_ROUNDING = 1e-14
_ROUNDINGS = 2.0


def is_narrow(deviation: Any, largest: Any) -> Any:
    """Whether columns vary little for the size of their values; all of shape (n_columns,)."""
    return deviation <= _NARROW * largest


def narrow_deviation(values: Array, weight: Array | None, rounding: float) -> float:
    """Standard deviation of values that vary little for their size; 0 if by rounding alone.

    Whole numbers that the dtype holds exactly are not rounded.

    Parameters
    ----------
    values : ndarray of shape (n_samples,)
        Values; NaN where one is missing.

    weight : ndarray of shape (n_samples,) or None
        Weights of the rows.

    rounding : float
        Relative rounding of the values.
    """
    values = np.asarray(values, np.float64)
    deviation = float(moments((values - np.nanmin(values))[:, np.newaxis], weight)[1][0])
    largest = float(np.nanmax(np.abs(values)))
    observed = values[~np.isnan(values)]
    is_exact = largest * rounding <= 2 and bool((observed == np.round(observed)).all())
    least = max(_ROUNDING, _ROUNDINGS * rounding) * largest
    return deviation if is_exact or deviation > least else 0.0


@dataclass(frozen=True)
class SquashScale:
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
    def of(cls, X: Array, weight: Array | None = None) -> "SquashScale":
        """Scale of these rows."""
        centre, scale = moments(X, weight)
        largest = np.fmax.reduce(np.abs(X), axis=0, initial=0.0)
        for j in np.flatnonzero(is_narrow(scale, largest) & (largest > 0)):
            scale[j] = narrow_deviation(X[:, j], weight, np.finfo(X.dtype).eps)
        levels = TwoLevels.of(X)
        apart = levels.high.astype(np.float64) / 2 - levels.low.astype(np.float64) / 2
        scale[levels.columns] = np.where(scale[levels.columns] > 0, apart, 0)
        scale[scale == 0] = 1.0
        return cls(centre, scale)

    def inward(self, X: Array) -> Array:
        """From the units of the data, in float64."""
        return squashed((X - self.centre) / self.scale)

    def outward(self, Z: Array) -> Array:
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
