"""The encoding of a column of numbers or times."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import gcd
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skae.tables._column_values import EXACT, ColumnValues, as_objects
from skae.tables._columns import Column
from skae.tables._squashing_scaler import (
    is_narrow,
    narrow_moments,
    squash,
    unsquash,
    unsquash_log_derivative,
)
from skae.utils._rows import moments, scale_of

Array = NDArray[Any]

# Numbers that are rounded to at most this many decimals come back rounded.
_MOST_DECIMALS = 8

# Units of time in nanoseconds: times are counted in the largest that divides all of them.
_TIME_UNITS = (86400 * 10**9, 3600 * 10**9, 60 * 10**9, 10**9, 10**6, 10**3, 1)


@dataclass(frozen=True, kw_only=True)
class NumberColumn(Column):
    """A column of numbers or times, counted from `origin` in steps and standardised.

    Parameters
    ----------
    centre, scale : float
        Mean and standard deviation.

    squash : bool
        Whether values beyond three standard deviations are squashed.

    origin : int
        Subtracted first, without rounding.

    step : int
        Of times, in their unit.

    low, high : float
        Range of the values in fit.

    decimals : int or None
        To which numbers were rounded.
    """

    centre: float
    scale: float
    squash: bool
    origin: int
    step: int
    low: float
    high: float
    decimals: int | None

    @classmethod
    def from_data(
        cls, data: ColumnValues, values: Array, weight: Array | None, squash: bool
    ) -> "NumberColumn":
        """Encoding of a column by its values that count, (n_values,), and their weights."""
        is_time = data.family == "time"
        are_integers = values.dtype.kind in "iuO"
        whole = are_integers or bool((values == np.round(values)).all())
        origin, step = 0, 1
        if is_time or (are_integers and np.abs(values.astype(float)).max() >= EXACT):
            origin = int(values.min())
        if is_time:
            step = _time_step(values, origin, data.unit)
        numbers = counted(values, origin, step)
        centre, deviation = _moments(numbers, weight)
        if not origin and is_narrow(deviation, np.abs(numbers).max(), data.rounding):
            deviation = 0.0
            if values.min() < values.max():
                _, deviation = narrow_moments(values, weight, data.rounding)
                origin = int(np.floor(values.min()))
                numbers = counted(values, origin, step)
                centre, _ = _moments(numbers, weight)
        kind = "date" if is_time else "integer" if whole else "numeric"
        return cls(
            name=data.name,
            kind="constant" if numbers.min() == numbers.max() else kind,
            dtype=values.dtype,
            unit=data.unit,
            type=data.type,
            centre=centre,
            scale=deviation or 1.0,
            squash=squash,
            origin=origin,
            step=step,
            low=float(numbers.min()),
            high=float(numbers.max()),
            decimals=0 if whole or is_time else _decimals(values.astype(np.float64)),
        )

    def encode(self, data: ColumnValues) -> tuple[Array, Array]:
        """See :class:`Column`."""
        values = self.in_unit(data)
        if values.dtype == object:
            # Booleans, and pandas.NA, which is no float.
            values = np.where(data.observed, values, 0)
        numbers = counted(values, self.origin, self.step)
        z = (np.where(data.observed, numbers, self.centre) - self.centre) / self.scale
        return (squash(z) if self.squash else z)[:, np.newaxis], data.observed

    def decode(self, numbers: Array, clip: bool, rounded: bool = True) -> Array:
        """See :class:`Column`."""
        z = unsquash(numbers[:, 0]) if self.squash else numbers[:, 0]
        values = z * self.scale + self.centre
        if clip:
            values = values.clip(self.low, self.high)
        if not rounded:
            return values * self.step + self.origin
        if self.dtype.kind in "iuO":
            return _as_integers(np.round(values) * self.step, self.origin, self.dtype)
        if self.origin:
            values = values + self.origin
        return values if self.decimals is None else np.round(values, self.decimals)

    def log_unit(self, z: Array) -> Array:
        """Logarithm of the derivative of values by numbers at z, of the shape of z."""
        constant = np.log(self.scale * self.step)
        return constant + (unsquash_log_derivative(z) if self.squash else np.zeros_like(z))


def with_one_scale(columns: Sequence[Column]) -> list[Column]:
    """Columns whose numbers all have one scale, the root of their mean variance."""
    scales = [
        column.scale
        for column in columns
        if isinstance(column, NumberColumn) and column.kind in ("numeric", "integer")
    ]
    scale = scale_of(np.array(scales)) if scales else 1.0
    return [
        replace(column, scale=scale, squash=False)
        if isinstance(column, NumberColumn) and column.unit is None
        else column
        for column in columns
    ]


def counted(values: Array, origin: int, step: int) -> Array:
    """Numbers counted from `origin` in steps, in float64, both of shape (n_values,)."""
    if values.dtype == object:
        return (values - origin).astype(np.float64) / step
    if origin and values.dtype.kind in "iu":
        distance = values.astype(np.float64) - origin
        # The difference before it is rounded, modulo 2**64 whatever the dtype.
        exact = (values.astype(np.uint64) - np.uint64(origin % 2**64)).view(np.int64)
        return np.where(np.abs(distance) < 2.0**62, exact.astype(np.float64), distance) / step
    return (values.astype(np.float64) - origin) / step


def _as_integers(numbers: Array, origin: int, dtype: Any) -> Array:
    """Whole numbers counted from `origin` as integers, both of shape (n_values,)."""
    if dtype.kind == "O":
        return as_objects([int(n) + origin for n in numbers])
    if np.abs(numbers).max(initial=0.0) < EXACT and -(2**63) <= origin < 2**63:
        whole = numbers.astype(np.int64)
        with np.errstate(over="ignore"):
            return np.asarray((whole + np.int64(origin)).astype(dtype))
    limits = np.iinfo(dtype)
    exact = [min(max(int(n) + origin, limits.min), limits.max) for n in numbers]
    return np.array(exact, dtype)


def _moments(numbers: Array, weight: Array | None) -> tuple[float, float]:
    """Mean and standard deviation of numbers of shape (n_values,)."""
    centre, deviation = moments(numbers[:, np.newaxis], weight)
    return float(centre[0]), float(deviation[0])


def _time_step(values: Array, origin: int, unit: str | None) -> int:
    """The largest unit of time that divides all counts, (n_values,), in their unit."""
    smallest = 1000 if unit == "us" else 1
    common = int(np.gcd.reduce(values - origin)) if len(values) > 1 else 0
    common = gcd(common, origin)
    for step in _TIME_UNITS:
        if step % smallest == 0 and common % (step // smallest) == 0:
            return step // smallest
    return 1


def _decimals(numbers: Array) -> int | None:
    """Decimals to which all numbers, (n_values,), are rounded, if to few."""
    for decimals in range(1, _MOST_DECIMALS + 1):
        if (np.round(numbers, decimals) == numbers).all():
            return decimals
    return None
