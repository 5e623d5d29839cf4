"""f and g: the networks, described without Keras and built with it."""

from skae.networks._activations import ACTIVATIONS, SYNONYMS, keras_name
from skae.networks._dense import (
    NORMALIZATION_EPSILON,
    DenseCoder,
    DenseNetwork,
    Weights,
    resize,
)
from skae.networks._latent import FactorModel, LatentNetwork, probabilistic_pca
from skae.networks._linear import LinearMap, linear_map
from skae.networks._principal import principal_axes

__all__ = [
    "ACTIVATIONS",
    "NORMALIZATION_EPSILON",
    "SYNONYMS",
    "DenseCoder",
    "DenseNetwork",
    "FactorModel",
    "LatentNetwork",
    "LinearMap",
    "Weights",
    "keras_name",
    "linear_map",
    "principal_axes",
    "probabilistic_pca",
    "resize",
]
