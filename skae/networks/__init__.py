"""f and g: the networks, described without Keras and built with it."""

from skae.networks._activations import ACTIVATIONS, SYNONYMS, keras_name
from skae.networks._base import LayerOptions, Network, whole_numbers
from skae.networks._conv import ConvNetwork
from skae.networks._dense import (
    NORMALIZATION_EPSILON,
    DenseCoder,
    DenseNetwork,
    resize,
)
from skae.networks._keras import KerasNetwork
from skae.networks._keras_spec import BuiltNetwork
from skae.networks._layers import SINGLE, layer, rows_of
from skae.networks._linear import LinearMap, linear_map
from skae.networks._ordered import OrderedNetwork
from skae.networks._principal import MOST_EXACT, principal_axes
from skae.networks._recurrent import RecurrentNetwork
from skae.networks._rescaling import AffineChange, is_rescalable, rescale_weights
from skae.networks._variables import Weights, load, values

__all__ = [
    "ACTIVATIONS",
    "MOST_EXACT",
    "NORMALIZATION_EPSILON",
    "SINGLE",
    "SYNONYMS",
    "AffineChange",
    "BuiltNetwork",
    "ConvNetwork",
    "DenseCoder",
    "DenseNetwork",
    "KerasNetwork",
    "LayerOptions",
    "LinearMap",
    "Network",
    "OrderedNetwork",
    "RecurrentNetwork",
    "Weights",
    "is_rescalable",
    "keras_name",
    "layer",
    "linear_map",
    "load",
    "principal_axes",
    "rescale_weights",
    "resize",
    "rows_of",
    "values",
    "whole_numbers",
]
