"""Random numbers of the shape of what is corrupted: by NumPy, or inside the epoch."""

import math
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


class Draws(Protocol):
    """A source of random numbers."""

    def normal(self, like: Any) -> Any:
        """Standard normal numbers in the shape of `like`."""

    def uniform(self, like: Any) -> Any:
        """Numbers in [0, 1) in the shape of `like`."""


class NumpyDraws:
    """Draws from a `RandomState`.

    Parameters
    ----------
    rng : RandomState
        The generator.
    """

    def __init__(self, rng: np.random.RandomState) -> None:
        self.rng = rng

    def normal(self, like: NDArray[Any]) -> NDArray[Any]:
        """Standard normal numbers in the shape of `like`."""
        return self.rng.standard_normal(like.shape).astype(like.dtype)

    def uniform(self, like: NDArray[Any]) -> NDArray[Any]:
        """Numbers in [0, 1) in the shape of `like`."""
        return self.rng.random_sample(like.shape).astype(like.dtype)


# How many random numbers a program is given, at least, and batches of them.
_POOL_SIZE = 2**20
_POOL_BATCHES = 4

# The constants of splitmix64, as numbers with a sign.
_GOLDEN, *_FACTORS = (
    number - 2**64 for number in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
)
_SHIFTS = (30, 27, 31)
_BITS = 24


def draw_pool(
    kind: str, rng: np.random.RandomState, batch_shape: tuple[int, ...]
) -> NDArray[np.float32]:
    """Random numbers for :class:`PooledDraws`.

    Parameters
    ----------
    kind : {"normal", "uniform"}
        Their distribution.

    rng : RandomState
        The generator.

    batch_shape : tuple of int
        The most that is drawn at a time.
    """
    # A power of two: similar batches share a program.
    size = max(_POOL_SIZE, 2 ** (_POOL_BATCHES * math.prod(batch_shape) - 1).bit_length())
    draw = rng.standard_normal if kind == "normal" else rng.random_sample
    return draw(size).astype(np.float32)


class PooledDraws:
    """Draws inside a compiled program, from random numbers that it was given.

    Each draw is a stretch of the pool that begins at a random place. Making the numbers
    inside the program instead costs several times what the whole training step does.

    Parameters
    ----------
    seed : keras.random.SeedGenerator
        Chooses the places; its state is part of the model's.

    pools : mapping of str to tensor
        "normal_pool" and "uniform_pool", those that are needed.
    """

    def __init__(self, seed: Any, pools: Mapping[str, Any]) -> None:
        self.seed = seed
        self.pools = pools

    def normal(self, like: Any) -> Any:
        """Standard normal numbers in the shape of `like`."""
        return self._stretch(self.pools["normal_pool"], tuple(like.shape))

    def uniform(self, like: Any) -> Any:
        """Numbers in [0, 1) in the shape of `like`."""
        return self._stretch(self.pools["uniform_pool"], tuple(like.shape))

    def _stretch(self, pool: Any, shape: tuple[int, ...]) -> Any:
        from keras import backend, ops, random

        n = math.prod(shape)
        n_places = pool.shape[0] - n + 1
        if backend.backend() == "torch":
            place = ops.cast(uniform((1,), self.seed) * n_places, "int64")
            return ops.reshape(ops.take(pool, place + ops.arange(n, dtype="int64")), shape)
        start = random.randint((), 0, n_places, dtype="int32", seed=self.seed)
        return ops.reshape(ops.slice(pool, [start], [n]), shape)


def uniform(shape: tuple[int, ...], seed: Any) -> Any:
    """Numbers in [0, 1), drawn inside a program.

    PyTorch draws with a generator that Python tells its seed, for which a step would have to
    be interrupted. There the numbers are computed from the seed, as in splitmix64.

    Parameters
    ----------
    shape : tuple of int
        How many numbers.

    seed : keras.random.SeedGenerator
        Moves on.

    References
    ----------
    G. L. Steele, D. Lea and C. H. Flood, "Fast Splittable Pseudorandom Number Generators",
    OOPSLA 2014.
    """
    from keras import backend, ops, random

    if backend.backend() != "torch":
        return random.uniform(shape, seed=seed)
    number, count = ops.cast(seed.next(), "int64")
    n = math.prod(shape)
    mixed = _mixed(ops, number) + _GOLDEN * (count * n + ops.arange(n, dtype="int64"))
    bits = ops.bitwise_and(_mixed(ops, mixed), 2**_BITS - 1)
    return ops.reshape(ops.cast(bits, "float32") / 2**_BITS, shape)


def _mixed(ops: Any, number: Any) -> Any:
    """Whole numbers, of which each bit hangs on all bits of the others."""
    for shift, factor in zip(_SHIFTS, (*_FACTORS, 1), strict=True):
        # Shifting a negative number fills up with ones, which are cut off.
        shifted = ops.bitwise_and(ops.right_shift(number, shift), 2 ** (64 - shift) - 1)
        number = ops.bitwise_xor(number, shifted) * factor
    return number
