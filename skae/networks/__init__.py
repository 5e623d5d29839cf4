"""f and g: the networks, described without Keras and built with it."""

from skae.networks._keras import KerasNetwork
from skae.networks._shaped import ConvNetwork, RecurrentNetwork

__all__ = ["ConvNetwork", "KerasNetwork", "RecurrentNetwork"]
