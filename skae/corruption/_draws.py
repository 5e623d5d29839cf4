"""Random numbers for corrupted rows: from NumPy, or inside the compiled epoch."""

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
    """Draws from a `RandomState`."""

    def __init__(self, rng: np.random.RandomState) -> None:
        self.rng = rng

    def normal(self, like: NDArray[Any]) -> NDArray[Any]:
        """Standard normal numbers in the shape of `like`."""
        return self.rng.standard_normal(like.shape).astype(like.dtype)

    def uniform(self, like: NDArray[Any]) -> NDArray[Any]:
        """Numbers in [0, 1) in the shape of `like`."""
        return self.rng.random_sample(like.shape).astype(like.dtype)


# Random numbers in a pool, at least, and batches of them.
_POOL_SIZE = 2**20
_POOL_BATCHES = 4


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

    Each draw is a slice of the pool that begins at a random place. To generate the numbers
    inside the program costs several times the whole training step.

    Parameters
    ----------
    seed : keras.random.SeedGenerator
        Draws the places; its state is part of the model's.

    pools : mapping of str to tensor
        "normal_pool" and "uniform_pool", as needed.
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
