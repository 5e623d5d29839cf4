"""f and g: the networks, described without Keras and built with it."""

from skae.networks._activations import ACTIVATIONS, SYNONYMS, keras_name
from skae.networks._dense import DenseCoder, DenseNetwork, Weights, resize
from skae.networks._principal import principal_axes

__all__ = [
    "ACTIVATIONS",
    "SYNONYMS",
    "DenseCoder",
    "DenseNetwork",
    "Weights",
    "keras_name",
    "principal_axes",
    "resize",
]
