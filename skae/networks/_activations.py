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


def _elu(x: Array, alpha: float = 1.0) -> Array:
    """Exponential linear unit of an array of any shape."""
    negative = alpha * np.expm1(np.minimum(x, 0))
    np.maximum(x, 0, out=x)
    x += negative
    return x


ACTIVATIONS: dict[str, Activation] = {
    "elu": _elu,
    "gelu": lambda x: np.multiply(x, 0.5 * (1 + special.erf(x * _SQRT_HALF)), out=x),
    "leaky_relu": lambda x: np.maximum(x, 0.2 * x, out=x),
    "linear": lambda x: x,
    "relu": lambda x: np.maximum(x, 0, out=x),
    "selu": lambda x: np.multiply(_elu(x, _SELU_ALPHA), _SELU_SCALE, out=x),
    "sigmoid": lambda x: np.asarray(special.expit(x, out=x)),
    "silu": lambda x: np.multiply(x, special.expit(x), out=x),
    "softplus": lambda x: np.logaddexp(x, 0, out=x),
    "softsign": lambda x: np.divide(x, 1 + np.abs(x), out=x),
    "tanh": lambda x: np.tanh(x, out=x),
}

SYNONYMS = {"identity": "linear", "logistic": "sigmoid"}


def keras_name(activation: str) -> str:
    """Keras' name of an activation given by scikit-learn's or Keras' word."""
    return SYNONYMS.get(activation, activation)
