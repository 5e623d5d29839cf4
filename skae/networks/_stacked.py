"""Networks that are built to find the shapes of their weights; stacks beside dense layers."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from skae.networks._base import LayerOptions, Shape
from skae.networks._dense import map_code, narrowed
from skae.networks._layers import (
    Weights,
    after_hidden_layer,
    constant_variables,
    dense,
    initial_kernel,
    layer,
    rows_of,
    values,
    with_arrays,
)

_MOST_SPECS = 64


class WeightSpec(NamedTuple):
    """Encoder and decoder without their weights, the encoder's variables first.

    Attributes
    ----------
    paths : list of str
        Names of the weights, as "layer/weight".

    shapes : list of tuple of int
        Shapes of the weights.

    constants : list of ndarray or None
        Initial values of the weights; None for kernels, which are random.

    statistics : list of ndarray
        Initial values that are not trained: moving means, frozen weights.

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
    """An autoencoder as a hashable value: a subclass builds it, the rest follows from that.

    Subclasses have an attribute `n_components`.
    """

    # Whether the code may have further columns, which are masked.
    resizable = True
    # Whether training can start at a linear map.
    starts_linear = True
    # XLA's convolutions and loops are slow on CPUs.
    gains_from_xla = False

    # Whether it has dense hidden layers, and learns as dense networks do.
    has_dense_path: Any = False

    # Whether a linear map of the code can be absorbed by the weights.
    has_linear_code: Any = False

    n_components: int

    @property
    @abstractmethod
    def output_activation(self) -> str:
        """Keras' name of the output activation."""

    @abstractmethod
    def build(self) -> tuple[Any, Any]:
        """Keras models of encoder and decoder, from flat rows to codes and back."""

    @abstractmethod
    def random_start(self, rng: np.random.RandomState) -> Weights:
        """Random initial weights."""

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
        """Moving statistics of the encoder and of the decoder."""
        n_encoder = weight_spec(self).n_encoder_statistics
        return list(statistics[:n_encoder]), list(statistics[n_encoder:])

    def trained(
        self, weights: Sequence[NDArray[Any]], statistics: Sequence[NDArray[Any]]
    ) -> tuple[Any, Any]:
        """Keras models of encoder and decoder with these weights."""
        return with_arrays(self, self.build(), weights, statistics)


@lru_cache(maxsize=_MOST_SPECS)
def weight_spec(network: BuiltNetwork) -> WeightSpec:
    """Names, shapes and initial values of the weights; imports Keras."""
    models = network.build()
    trained = [model.trainable_variables for model in models]
    constant = [constant_variables(model) for model in models]
    weights = [v for part in trained for v in part]
    return WeightSpec(
        paths=[v.path for v in weights],
        shapes=[tuple(map(int, v.shape)) for v in weights],
        constants=[
            None if "kernel" in v.name else value
            for v, value in zip(weights, values(weights), strict=True)
        ],
        statistics=[value for part in constant for value in values(part)],
        n_encoder=len(trained[0]),
        n_encoder_statistics=len(constant[0]),
    )


class Stack(ABC):
    """The layers of a kind of network, as a value: all but the outermost ones."""

    input_shape: Shape
    output_shape: Shape

    @abstractmethod
    def encode(self, rows: Any, options: LayerOptions) -> Any:
        """From rows in `input_shape` to features in any shape, as symbolic tensors."""

    @abstractmethod
    def decode(self, code: Any, options: LayerOptions) -> Any:
        """From codes to rows in `output_shape`; the last layer is named "output"."""


@dataclass(frozen=True)
class StackedNetwork(BuiltNetwork):
    """A stack of layers between rows and code, and dense layers and a linear path beside it.

    The encoder is ``code_activation(Dense(stack(x)) + hidden(x) @ W + x @ A)`` and the decoder
    ``output_activation(stack(z) + hidden(z) @ V + z @ B + b)``, on flat rows: a dense network,
    to which the stack adds. Without hidden layers the terms with `W` and `V` are missing.

    Parameters
    ----------
    stack : Stack
        The layers.

    n_components : int
        Latent size.

    options : LayerOptions
        Parameters of the estimator.
    """

    stack: Stack
    n_components: int
    options: LayerOptions

    @property
    def output_activation(self) -> str:
        """Keras' name of the output activation."""
        return self.options.output_activation

    @property
    def n_outputs(self) -> int:
        """Columns of a flat reconstruction."""
        return math.prod(self.stack.output_shape)

    @property
    def has_dense_path(self) -> bool:
        """True if dense hidden layers stand beside the stack."""
        return bool(self.options.hidden)

    def resized(self, n_components: int) -> "StackedNetwork":
        """The same network with another width of the code."""
        return replace(self, n_components=n_components)

    def build(self) -> tuple[Any, Any]:
        """Keras models of encoder and decoder, their kernels zero."""
        import keras

        rows = rows_of((math.prod(self.stack.input_shape),))
        images = layer("Reshape", self.stack.input_shape)(rows)
        features = layer("Reshape", (-1,))(self.stack.encode(images, self.options))
        width = self.n_components * self.options.code_width
        code = dense(width, name="output")(features)
        hidden = self.options.hidden
        code = self._finished(code, rows, hidden, False, self.options.code_activation)

        codes = rows_of((self.n_components,))
        decoded = self.stack.decode(codes, self.options)
        output = layer("Reshape", (self.n_outputs,))(decoded)
        output = self._finished(output, codes, hidden[::-1], True, self.output_activation)
        return (
            keras.Model(rows, code, name="encoder"),
            keras.Model(codes, output, name="decoder"),
        )

    def _finished(
        self, outputs: Any, inputs: Any, hidden: Shape, use_bias: bool, activation: str
    ) -> Any:
        """Add the dense and the linear path, then the activation."""
        parts, width, rows = [outputs], outputs.shape[-1], inputs
        for i, size in enumerate(hidden):
            rows = dense(size, name=f"hidden_{i}")(rows)
            rows = after_hidden_layer(rows, self.options, self.options.activation)
        if hidden:
            parts.append(dense(width, use_bias=False, name="dense_path")(rows))
        if self.options.linear_path:
            parts.append(dense(width, use_bias=use_bias, name="linear_path")(inputs))
        if len(parts) > 1:
            outputs = layer("Add")(parts)
        if activation != "linear":
            outputs = layer("Activation", activation)(outputs)
        return outputs

    def random_start(self, rng: np.random.RandomState) -> Weights:
        """Random initial weights; the linear path is zero."""
        spec = weight_spec(self)
        weights: Weights = []
        for path, shape, constant in zip(spec.paths, spec.shapes, spec.constants, strict=True):
            if constant is not None:
                weights.append(constant.copy())
            elif _layer_of(path) == "linear_path":
                weights.append(np.zeros(shape, np.float32))
            else:
                weights.append(initial_kernel(rng, path, shape))
        return weights

    def linear_start(
        self,
        rng: np.random.RandomState,
        encoder: NDArray[Any],
        decoder: NDArray[Any],
        offset: NDArray[Any] | float = 0.0,
        code_bias: NDArray[Any] | float = 0.0,
    ) -> Weights:
        """Initial weights of a linear autoencoder: see `DenseNetwork.linear_start`."""
        weights = self.random_start(rng)
        spec = weight_spec(self)
        width = self.options.code_width
        for i, (path, array) in enumerate(zip(spec.paths, weights, strict=True)):
            if _layer_of(path) in ("output", "dense_path"):
                array[:] = code_bias if i < spec.n_encoder and array.ndim == 1 else 0
            if _layer_of(path) != "linear_path":
                continue
            if i < spec.n_encoder:
                # The first of the outputs for a column of the code is its value.
                array[:, : encoder.shape[1] * width : width] = encoder
            elif array.ndim == 2:
                array[: len(decoder)] = decoder
            else:
                array[:] = offset
        return weights

    @property
    def has_linear_code(self) -> bool:
        """True if a linear map of the code can be absorbed by the weights."""
        return self.options.code_activation == "linear"

    def with_linear_code(
        self, weights: Sequence[NDArray[Any]], matrix: NDArray[Any], shift: NDArray[Any]
    ) -> Weights:
        """Weights of the same autoencoder: see `DenseNetwork.with_linear_code`."""
        spec, width = weight_spec(self), self.options.code_width
        arrays = [array.astype(np.float64) for array in weights]
        paths = [path.split("/") for path in spec.paths]
        besides = ("dense_path", "linear_path")
        first = next(
            p[0] for p in paths[spec.n_encoder :] if not p[0].startswith(("hidden_", *besides))
        )
        for i, (path, array) in enumerate(zip(paths, arrays, strict=True)):
            if i < spec.n_encoder:
                if path[-2] in ("output", *besides):
                    if path[-1] == "bias":
                        array[::width] -= shift
                    array[:] = map_code(array, matrix, width)
            elif path[-1] == "kernel" and path[0] in (first, "hidden_0", "linear_path"):
                # Its bias is the next; that of a GRU has a row for the input and one for the
                # state.
                bias = arrays[next(j for j in range(i, len(paths)) if paths[j][-1] == "bias")]
                (bias if bias.ndim == 1 else bias[0])[:] += shift @ array
                array[:] = np.linalg.solve(matrix, array)
        return narrowed(weights, arrays)


def _layer_of(path: str) -> str:
    return path.split("/")[-2]
