"""f and g: the networks, described without Keras and built with it."""

from skae.networks._conv import ConvNetwork
from skae.networks._keras import KerasNetwork
from skae.networks._recurrent import RecurrentNetwork

__all__ = ["ConvNetwork", "KerasNetwork", "RecurrentNetwork"]
