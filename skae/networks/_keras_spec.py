"""Networks of which only Keras knows the weights: built once to learn their shapes."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from skae.networks._layers import Weights, kept_variables, load, values

_MOST_OUTLINES = 64


class WeightSpec(NamedTuple):
    """Encoder and decoder without their weights, the encoder's variables first.

    Attributes
    ----------
    paths : list of str
        Where each weight stands, as "layer/weight".

    shapes : list of tuple of int
        Shapes of the weights.

    constants : list of ndarray or None
        What a weight is built with; None for kernels, which are drawn.

    statistics : list of ndarray
        What is kept and not trained (moving means, frozen weights), as built.

    n_encoder, n_encoder_statistics : int
        How many of them are the encoder's.
    """

    paths: list[str]
    shapes: list[tuple[int, ...]]
    constants: list[NDArray[Any] | None]
    statistics: Weights
    n_encoder: int
    n_encoder_statistics: int


class BuiltNetwork(ABC):
    """An autoencoder as a value, hashable: a subclass builds it, the rest is learnt from that.

    Subclasses have an attribute `n_components`.
    """

    # Whether the code may be given columns that are masked.
    resizable = True
    # Whether training can start at a linear map.
    starts_linear = True
    # XLA's convolutions and loops are slow on CPUs.
    gains_from_xla = False

    n_components: int

    @property
    @abstractmethod
    def output_activation(self) -> str:
        """Keras' name of what the output passes last."""

    @abstractmethod
    def build(self) -> tuple[Any, Any]:
        """Keras models of encoder and decoder, from flat rows to codes and back."""

    @abstractmethod
    def random_start(self, rng: np.random.RandomState) -> Weights:
        """Weights of a network that knows nothing of the data."""

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """Shapes of all weights that are trained, the encoder's first."""
        return weight_spec(self).shapes

    def fresh_statistics(self) -> Weights:
        """Moving means and variances before training, and whatever else is not trained."""
        return [value.copy() for value in weight_spec(self).statistics]

    def split(self, weights: Sequence[NDArray[Any]]) -> tuple[Weights, Weights]:
        """Weights of the encoder and of the decoder."""
        n_encoder = weight_spec(self).n_encoder
        return list(weights[:n_encoder]), list(weights[n_encoder:])

    def split_statistics(self, statistics: Sequence[NDArray[Any]]) -> tuple[Weights, Weights]:
        """What is kept and not trained, of the encoder and of the decoder."""
        n_encoder = weight_spec(self).n_encoder_statistics
        return list(statistics[:n_encoder]), list(statistics[n_encoder:])

    def trained(
        self, weights: Sequence[NDArray[Any]], statistics: Sequence[NDArray[Any]]
    ) -> tuple[Any, Any]:
        """Keras models of encoder and decoder with these weights."""
        models = self.build()
        parts = zip(models, self.split(weights), self.split_statistics(statistics), strict=True)
        for model, arrays, kept in parts:
            load(model, arrays, kept)
        return models


@lru_cache(maxsize=_MOST_OUTLINES)
def weight_spec(network: BuiltNetwork) -> WeightSpec:
    """What can be known of a network when it is built, which imports Keras."""
    models = network.build()
    trained = [model.trainable_variables for model in models]
    kept = [kept_variables(model) for model in models]
    weights = [v for part in trained for v in part]
    return WeightSpec(
        paths=[v.path for v in weights],
        shapes=[tuple(map(int, v.shape)) for v in weights],
        constants=[
            None if "kernel" in v.name else value
            for v, value in zip(weights, values(weights), strict=True)
        ],
        statistics=[value for part in kept for value in values(part)],
        n_encoder=len(trained[0]),
        n_encoder_statistics=len(kept[0]),
    )
