"""Corruptions of rows, from which a network learns to restore them, and their draws.

Each is written against the functions that NumPy and `keras.ops` share: rows are corrupted in
the same way inside the compiled epoch and by a call of the object.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skae.utils._arrays import check_floats
from skae.utils._calls import generator
from skae.utils._rows import moments
from skae.utils._sklearn import BaseEstimator, Interval, StrOptions, validate_parameters

Array = NDArray[Any]

# Random numbers in a pool, at least, and batches of them.
_POOL_SIZE = 2**20
_POOL_BATCHES = 4


class NumpyDraws:
    """Draws from a `RandomState`."""

    def __init__(self, rng: np.random.RandomState) -> None:
        self.rng = rng

    def normal(self, like: NDArray[Any]) -> NDArray[Any]:
        """Standard normal numbers in the shape of `like`."""
        return self.rng.standard_normal(like.shape).astype(like.dtype)

    def uniform(self, like: NDArray[Any]) -> NDArray[Any]:
        """Numbers in [0, 1) in the shape of `like`."""
        return self.rng.random_sample(like.shape).astype(like.dtype)


def draw_pool(
    kind: str, rng: np.random.RandomState, batch_shape: tuple[int, ...]
) -> NDArray[np.float32]:
    """Random numbers for :class:`PooledDraws`, "normal" or "uniform", (n_numbers,).

    `batch_shape` is that of the largest draw.
    """
    # A power of two: similar batches share a program.
    size = max(_POOL_SIZE, 2 ** (_POOL_BATCHES * math.prod(batch_shape) - 1).bit_length())
    draw = rng.standard_normal if kind == "normal" else rng.random_sample
    return draw(size).astype(np.float32)


class PooledDraws:
    """Draws inside a compiled program, from pools of random numbers that are its inputs.

    Each draw is a slice of a pool, "normal_pool" or "uniform_pool", that begins at a random
    place, by a `keras.random.SeedGenerator`, whose state is part of the model's. To generate
    the numbers inside the program costs several times the whole training step.
    """

    def __init__(self, seed: Any, pools: Mapping[str, Any]) -> None:
        self.seed = seed
        self.pools = pools

    def normal(self, like: Any) -> Any:
        """Standard normal numbers in the shape of `like`."""
        return self._slice(self.pools["normal_pool"], like)

    def uniform(self, like: Any) -> Any:
        """Numbers in [0, 1) in the shape of `like`."""
        return self._slice(self.pools["uniform_pool"], like)

    def _slice(self, pool: Any, like: Any) -> Any:
        from keras import ops, random

        n = math.prod(like.shape)
        start = random.randint((), 0, pool.shape[0] - n + 1, dtype="int32", seed=self.seed)
        return ops.reshape(ops.slice(pool, [start], [n]), tuple(like.shape))


Draws = NumpyDraws | PooledDraws


@dataclass(frozen=True)
class Spread:
    """Statistics of the columns, (n_features,), in the units of the rows that are corrupted."""

    zero: Array  # values that stand for zero
    deviation: Array
    low: Array
    high: Array
    unit: float = 1.0  # one unit of the data
    # The first of the columns that stand for the same value of a table and are corrupted
    # together; None: each stands for one.
    cells: Array | None = None

    @classmethod
    def from_data(
        cls, X: Array, sample_weight: Array | None = None, cells: Array | None = None
    ) -> "Spread":
        """Spread of rows in their own units."""
        _, deviation = moments(X, sample_weight)
        zero = np.zeros_like(deviation)
        return cls(zero, deviation, X.min(axis=0), X.max(axis=0), cells=cells)

    def widened(self, X: Array, deviation: Array) -> "Spread":
        """The spread of these and further rows X, which together have these deviations."""
        low, high = np.minimum(self.low, X.min(axis=0)), np.maximum(self.high, X.max(axis=0))
        return replace(self, deviation=deviation, low=low, high=high)

    def standardised(self, mean: Array, scale: float) -> "Spread":
        """The same for ``(X - mean) / scale``."""
        zero, low, high = ((at - mean) / scale for at in (self.zero, self.low, self.high))
        return Spread(zero, self.deviation / scale, low, high, self.unit / scale, self.cells)

    def range(self, overall: bool) -> tuple[Array, Array]:
        """Least and largest values, of each column or of all in the units of the data."""
        if not overall:
            return self.low, self.high
        low, high = (self.low - self.zero).min(), (self.high - self.zero).max()
        return self.zero + low, self.zero + high


class Corruption(ABC, BaseEstimator):
    """Corrupts rows at random. Its parameters are searchable: other levels compile nothing."""

    # The random numbers that it needs: "normal" or "uniform".
    draws = "uniform"

    _parameter_constraints: dict[str, list[Any]] = {}

    def settings(self, spread: Spread) -> dict[str, Array]:
        """Validate the parameters, and return the arrays that `apply` needs."""
        validate_parameters(self)
        settings = self._settings(spread)
        if spread.cells is not None and self.draws == "uniform":
            settings["cells"] = spread.cells
        return {f"corruption_{name}": np.asarray(value) for name, value in settings.items()}

    @property
    def key(self) -> tuple[Any, ...]:
        """Equal for corruptions that compile to the same program."""
        params = self.get_params()
        del params["level"]
        return type(self), *params.values()

    @abstractmethod
    def _settings(self, spread: Spread) -> dict[str, Any]:
        """Arrays of shape () or (n_features,)."""

    @abstractmethod
    def apply(self, xp: Any, draws: Draws, settings: dict[str, Any], x: Any) -> Any:
        """Corrupt rows x (n_samples, n_features), in the same shape.

        `xp` is `numpy` or `keras.ops`; `settings` are those that `settings` returns.
        """

    def _chosen(self, xp: Any, draws: Draws, settings: dict[str, Any], x: Any) -> Any:
        """A number in [0, 1) for each entry, the same for all columns of one value."""
        u = draws.uniform(x)
        if "corruption_cells" not in settings:
            return u
        return xp.take(u, _as_positions(xp, settings["corruption_cells"]), axis=1)

    def __call__(self, X: Any, random_state: Any = None) -> Array:
        """Corrupt rows, with the spread of these rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Rows.

        random_state : int, RandomState instance or None, default=None
            Seeds the random numbers.

        Returns
        -------
        ndarray of shape (n_samples, n_features) or (n_samples, ...)
            A new array, in the shape of X.
        """
        X = check_floats(X, "X", allow_nd=True)
        rows = X.reshape(len(X), -1)
        corrupted = self.corrupt(rows, Spread.from_data(rows), generator(random_state))
        return corrupted.reshape(X.shape)

    def corrupt(self, X: Array, spread: Spread, rng: np.random.RandomState) -> Array:
        """Corrupt rows of this spread in NumPy, shape (n_samples, n_features)."""
        settings = {k: v.astype(X.dtype) for k, v in self.settings(spread).items()}
        return np.asarray(self.apply(np, NumpyDraws(rng), settings, X), X.dtype)


_LEVEL = [Interval(Real, 0, None, closed="left")]
_SHARE = [Interval(Real, 0, 1, closed="both")]
_UNIT = [StrOptions({"feature", "data"})]


class GaussianNoise(Corruption):
    """Adds normal noise.

    Parameters
    ----------
    level : float, default=0.5
        Standard deviation of the noise, in `unit`.

    unit : {"feature", "data"}, default="feature"
        "feature": the standard deviation of each column in the training rows. "data":
        the unit of X, for columns that share one, such as pixels.

    clip : bool, default=False
        Whether corrupted values are clipped to the range of the training rows: of each
        column or, with ``unit="data"``, of all.
    """

    draws = "normal"

    _parameter_constraints = {"level": _LEVEL, "unit": _UNIT, "clip": ["boolean"]}

    def __init__(
        self, level: float = 0.5, *, unit: str = "feature", clip: bool = False
    ) -> None:
        self.level = level
        self.unit = unit
        self.clip = clip

    def _settings(self, spread: Spread) -> dict[str, Any]:
        overall = self.unit == "data"
        settings = {"scale": self.level * (spread.unit if overall else spread.deviation)}
        if self.clip:
            settings["low"], settings["high"] = spread.range(overall)
        return settings

    def apply(self, xp: Any, draws: Any, settings: Any, x: Any) -> Any:
        """Add noise to every value."""
        x = x + settings["corruption_scale"] * draws.normal(x)
        if not self.clip:
            return x
        x = xp.maximum(x, settings["corruption_low"])
        return xp.minimum(x, settings["corruption_high"])


class MaskingNoise(Corruption):
    """Sets values to zero: bits turned off.

    Parameters
    ----------
    level : float, default=0.5
        Share of the values.
    """

    _parameter_constraints = {"level": _SHARE}

    def __init__(self, level: float = 0.5) -> None:
        self.level = level

    def _settings(self, spread: Spread) -> dict[str, Any]:
        return {"share": self.level, "zero": spread.zero}

    def apply(self, xp: Any, draws: Any, settings: Any, x: Any) -> Any:
        """Set some values to zero."""
        corrupted = self._chosen(xp, draws, settings, x) < settings["corruption_share"]
        return xp.where(corrupted, settings["corruption_zero"], x)


class SaltAndPepperNoise(Corruption):
    """Sets values to the least or the largest, each half of the time.

    Parameters
    ----------
    level : float, default=0.5
        Share of the values.

    unit : {"feature", "data"}, default="feature"
        "feature": the range of each column in the training rows. "data": the range of
        all columns, where they share a unit, such as pixels.
    """

    _parameter_constraints = {"level": _SHARE, "unit": _UNIT}

    def __init__(self, level: float = 0.5, *, unit: str = "feature") -> None:
        self.level = level
        self.unit = unit

    def _settings(self, spread: Spread) -> dict[str, Any]:
        low, high = spread.range(self.unit == "data")
        return {"share": self.level, "low": low, "high": high}

    def apply(self, xp: Any, draws: Any, settings: Any, x: Any) -> Any:
        """Set some values to an end of the range."""
        u, share = self._chosen(xp, draws, settings, x), settings["corruption_share"]
        x = xp.where(u < share, settings["corruption_high"], x)
        return xp.where(u < share / 2, settings["corruption_low"], x)


class SwapNoise(Corruption):
    """Sets values to that of the same column in another row: the noise for tables.

    Parameters
    ----------
    level : float, default=0.5
        Share of the values.
    """

    _parameter_constraints = {"level": _SHARE}

    def __init__(self, level: float = 0.5) -> None:
        self.level = level

    def _settings(self, spread: Spread) -> dict[str, Any]:
        return {"share": self.level}

    def apply(self, xp: Any, draws: Any, settings: Any, x: Any) -> Any:
        """Take some values from other rows of the batch."""
        corrupted = self._chosen(xp, draws, settings, x) < settings["corruption_share"]
        n_samples = x.shape[0]
        row = _as_positions(xp, xp.floor(self._chosen(xp, draws, settings, x) * n_samples))
        # Rounding may reach the end.
        row = xp.minimum(row, n_samples - 1)
        return xp.where(corrupted, xp.take_along_axis(x, row, axis=0), x)


def _as_positions(xp: Any, numbers: Any) -> Any:
    """Whole numbers as integers."""
    return numbers.astype(np.int32) if xp is np else xp.cast(numbers, "int32")


CORRUPTIONS: dict[str, Any] = {
    "gaussian": GaussianNoise,
    "masking": MaskingNoise,
    "salt_and_pepper": SaltAndPepperNoise,
    "swap": SwapNoise,
}
