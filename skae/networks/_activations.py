"""Activations that run without Keras: in place, on NumPy arrays.

The keys are Keras' names; scikit-learn's names of two of them are translated by `keras_name`.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

Array = NDArray[Any]
Activation = Callable[[Array], Array]

_SELU_SCALE, _SELU_ALPHA = 1.0507009873554805, 1.6732632423543772
_SQRT_HALF = 0.7071067811865476


def _linear(x: Array) -> Array:
    return x


def _relu(x: Array) -> Array:
    return np.maximum(x, 0, out=x)


def _leaky_relu(x: Array) -> Array:
    return np.maximum(x, 0.2 * x, out=x)


def _elu(x: Array) -> Array:
    negative = np.expm1(np.minimum(x, 0))
    np.maximum(x, 0, out=x)
    x += negative
    return x


def _selu(x: Array) -> Array:
    negative = _SELU_ALPHA * np.expm1(np.minimum(x, 0))
    np.maximum(x, 0, out=x)
    x += negative
    x *= _SELU_SCALE
    return x


def _silu(x: Array) -> Array:
    x *= special.expit(x)
    return x


def _gelu(x: Array) -> Array:
    x *= 0.5 * (1 + special.erf(x * _SQRT_HALF))
    return x


def _sigmoid(x: Array) -> Array:
    return np.asarray(special.expit(x, out=x))


def _softplus(x: Array) -> Array:
    return np.logaddexp(x, 0, out=x)


def _softsign(x: Array) -> Array:
    x /= 1 + np.abs(x)
    return x


def _tanh(x: Array) -> Array:
    return np.tanh(x, out=x)


ACTIVATIONS: dict[str, Activation] = {
    "elu": _elu,
    "gelu": _gelu,
    "leaky_relu": _leaky_relu,
    "linear": _linear,
    "relu": _relu,
    "selu": _selu,
    "sigmoid": _sigmoid,
    "silu": _silu,
    "softplus": _softplus,
    "softsign": _softsign,
    "tanh": _tanh,
}

SYNONYMS = {"identity": "linear", "logistic": "sigmoid"}


def keras_name(activation: str) -> str:
    """Keras' name of an activation given by scikit-learn's or Keras' word."""
    return SYNONYMS.get(activation, activation)
