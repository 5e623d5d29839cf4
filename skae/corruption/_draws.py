"""Random numbers of the shape of what is corrupted: by NumPy, or inside the epoch."""

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


class KerasDraws:
    """Draws from Keras, to be traced into a program.

    Parameters
    ----------
    seed : keras.random.SeedGenerator
        Its state is part of the model's.
    """

    def __init__(self, seed: Any) -> None:
        from keras import ops, random

        self.seed, self.shape, self.random = seed, ops.shape, random

    def normal(self, like: Any) -> Any:
        """Standard normal numbers in the shape of `like`."""
        return self.random.normal(self.shape(like), dtype="float32", seed=self.seed)

    def uniform(self, like: Any) -> Any:
        """Numbers in [0, 1) in the shape of `like`."""
        return self.random.uniform(self.shape(like), dtype="float32", seed=self.seed)
