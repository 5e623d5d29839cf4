"""Base class of the network parameters, activations by name, and the shapes of rows."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from skae.utils._sklearn import BaseEstimator

Shape = tuple[int, ...]
Array = NDArray[Any]

_SELU_SCALE, _SELU_ALPHA = 1.0507009873554805, 1.6732632423543772
_SQRT_HALF = 0.7071067811865476


def _elu(x: Array, alpha: float = 1.0) -> Array:
    """Exponential linear unit of an array of any shape."""
    negative = alpha * np.expm1(np.minimum(x, 0))
    np.maximum(x, 0, out=x)
    x += negative
    return x


# By Keras' names, without Keras: in place, on arrays of any shape.
ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "elu": _elu,
    "gelu": lambda x: np.multiply(x, 0.5 * (1 + special.erf(x * _SQRT_HALF)), out=x),
    "leaky_relu": lambda x: np.maximum(x, 0.2 * x, out=x),
    "linear": lambda x: x,
    "relu": lambda x: np.maximum(x, 0, out=x),
    "selu": lambda x: np.multiply(_elu(x, _SELU_ALPHA), _SELU_SCALE, out=x),
    "sigmoid": lambda x: special.expit(x, out=x),
    "silu": lambda x: np.multiply(x, special.expit(x), out=x),
    "softplus": lambda x: np.logaddexp(x, 0, out=x),
    "softsign": lambda x: np.divide(x, 1 + np.abs(x), out=x),
    "tanh": lambda x: np.tanh(x, out=x),
}

# Keras' names of activations, by these and by scikit-learn's.
KERAS_NAMES = {name: name for name in ACTIVATIONS} | {
    "identity": "linear",
    "logistic": "sigmoid",
}


@dataclass(frozen=True)
class LayerOptions:
    """The estimator's parameters that apply to every network; activations by Keras' names."""

    activation: str = "relu"
    code_activation: str = "linear"
    output_activation: str = "linear"
    linear_path: bool = True  # beside the layers of the encoder and of the decoder
    normalization: str | None = None  # "batch" or "layer": before each hidden activation
    dropout: float = 0.0  # share of the hidden units that are dropped in training
    code_width: int = 1  # encoder outputs for each column of the code, side by side
    hidden: tuple[int, ...] = ()  # widths of dense layers; the decoder has them in reverse


class Network(ABC, BaseEstimator):
    """A kind of network; its parameters are searchable, as ``network__...``."""

    _parameter_constraints: dict[str, list[Any]] = {}

    @abstractmethod
    def row_shapes(self, input_shape: Shape, output_shape: Shape) -> tuple[Shape, Shape]:
        """Shapes of a row and of its reconstruction inside the network.

        The given shapes are those in X and target, where images and series may be flat.
        """

    @abstractmethod
    def describe(
        self, input_shape: Shape, output_shape: Shape, n_components: int, options: LayerOptions
    ) -> Any:
        """The network for rows of X and of target of these shapes.

        A value with the methods of :class:`DenseNetwork`, equal where the program is the same.
        """


def with_channels(name: str, given: Any, rows: Shape, n_axes: int) -> Shape:
    """Shape of a row, its channels last: as given by parameter `name`, or else that of `rows`.

    Channels may be missing after `n_axes` axes if there is only one.
    """
    shape = rows
    if given is not None:
        numbers = all(isinstance(n, int | np.integer) and n > 0 for n in given)
        if len(given) not in (n_axes, n_axes + 1) or not numbers:
            raise ValueError(
                f"{name} must be {n_axes} or {n_axes + 1} integers of at least 1, the shape of "
                f"a row with or without channels; got {given!r}."
            )
        shape = tuple(map(int, given))
    if len(shape) not in (n_axes, n_axes + 1) or (given is None and len(rows) == 1):
        axes = "(n_samples, height, width) or (n_samples, height, width, channels)"
        if n_axes == 1:
            axes = "(n_samples, steps, features)"
        raise ValueError(
            f"rows of X have shape {rows}: X must be of shape {axes}, or {name} must be the "
            f"shape of a row; got {name}={given!r}."
        )
    full = (*shape, 1) if len(shape) == n_axes else shape
    flat = len(rows) == 1 and rows[0] == math.prod(full)
    if not flat and full not in (rows, (*rows, 1)):
        raise ValueError(
            f"{name}={given!r} is a row of {math.prod(full)} numbers, but rows of X have "
            f"shape {rows}."
        )
    return full


def output_with_channels(inputs: Shape, rows: Shape, outputs: Shape) -> Shape:
    """Shape of a reconstruction, its channels last.

    `inputs` is the shape of a row of X by `with_channels`; `rows` and `outputs` are those of a
    row of X and of target.
    """
    n_axes = len(inputs) - 1
    if outputs == rows:
        return inputs
    if len(outputs) == n_axes + 1:
        return outputs
    if len(outputs) == n_axes and n_axes > 1:
        return (*outputs, 1)
    channels, rest = divmod(math.prod(outputs), math.prod(inputs[:-1]))
    if len(outputs) > 1 or rest or not channels:
        raise ValueError(
            f"rows of target must be of the size of X's {inputs[:-1]}, with any number of "
            f"channels; they have shape {outputs}."
        )
    return (*inputs[:-1], channels)
