"""Networks that are built to find the shapes of their weights; stacks beside dense layers."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from skae.networks._base import LayerOptions, Shape
from skae.networks._dense import LinearStart, map_code, narrowed
from skae.networks._layers import (
    Arrays,
    Halves,
    Weights,
    after_hidden_layer,
    constant_variables,
    dense,
    initial_kernel,
    layer,
    rows_of,
    values,
)
from skae.utils._process import choose_backend

_MOST_SPECS = 64


class WeightSpec(NamedTuple):
    """Encoder and decoder without their weights, the encoder's variables first."""

    paths: list[str]  # of the weights, as "layer/weight"
    shapes: list[tuple[int, ...]]
    constants: list[NDArray[Any] | None]  # initial weights; None for kernels, which are random
    statistics: Weights  # initial values that are not trained: moving means, frozen weights
    n_encoder: int  # of the weights
    n_encoder_statistics: int


class BuiltNetwork(ABC):
    """An autoencoder as a hashable value: a subclass builds it, its weights follow from that.

    Subclasses also have `n_components`, `output_activation` and `initial_values`.
    """

    # Whether the code may have further columns, which are masked.
    resizable = True
    # Whether training can start at a linear map.
    starts_linear = True
    # XLA's convolutions and loops are slow on CPUs.
    gains_from_xla = False
    # Whether a linear map of the code can be absorbed by the weights.
    has_linear_code: Any = False

    @abstractmethod
    def build(self) -> tuple[Any, Any]:
        """Keras models of encoder and decoder, from flat rows to codes and back."""

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """Shapes of all weights that are trained, the encoder's first."""
        return weight_spec(self).shapes

    def split(self, weights: Arrays, statistics: Arrays = ()) -> Halves:
        """Weights and moving statistics of the encoder, and those of the decoder."""
        n, m = weight_spec(self).n_encoder, weight_spec(self).n_encoder_statistics
        encoder = list(weights[:n]), list(statistics[:m])
        return encoder, (list(weights[n:]), list(statistics[m:]))


@lru_cache(maxsize=_MOST_SPECS)
def weight_spec(network: BuiltNetwork) -> WeightSpec:
    """Names, shapes and initial values of the weights; imports Keras."""
    choose_backend()
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
        """True if dense hidden layers stand beside the stack: it learns as these do."""
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

    def initial_values(
        self, rng: np.random.RandomState, *linear: Any
    ) -> tuple[Weights, Weights]:
        """Initial weights, the random ones without linear path, and values not trained.

        See `DenseNetwork.initial_values`.
        """
        spec, width = weight_spec(self), self.options.code_width
        statistics = [value.copy() for value in spec.statistics]
        weights: Weights = []
        for path, shape, constant in zip(spec.paths, spec.shapes, spec.constants, strict=True):
            if constant is not None:
                weights.append(constant.copy())
            elif path.startswith("linear_path/"):
                weights.append(np.zeros(shape, np.float32))
            else:
                weights.append(initial_kernel(rng, path, shape))
        encoder, decoder, offset, code_bias = LinearStart(*linear)
        if encoder is None:
            return weights, statistics
        for i, (path, array) in enumerate(zip(spec.paths, weights, strict=True)):
            name, is_encoder = path.split("/")[0], i < spec.n_encoder
            if name in ("output", "dense_path"):
                array[:] = code_bias if is_encoder and array.ndim == 1 else 0
            elif name == "linear_path" and is_encoder:
                # The first of the outputs for a column of the code is its value.
                array[:, : encoder.shape[1] * width : width] = encoder
            elif name == "linear_path" and array.ndim == 2:
                array[: len(decoder)] = decoder
            elif name == "linear_path":
                array[:] = offset
        return weights, statistics

    @property
    def has_linear_code(self) -> bool:
        """True if a linear map of the code can be absorbed by the weights."""
        return self.options.code_activation == "linear"

    def with_linear_code(
        self, weights: Arrays, matrix: NDArray[Any], shift: NDArray[Any]
    ) -> Weights:
        """Weights of the same autoencoder: see `DenseNetwork.with_linear_code`."""
        spec, width = weight_spec(self), self.options.code_width
        arrays = [array.astype(np.float64) for array in weights]
        paths = [path.split("/") for path in spec.paths]
        besides = ("hidden_", "dense_path", "linear_path")
        # The layers whose inputs are the code.
        first = next(p[0] for p in paths[spec.n_encoder :] if not p[0].startswith(besides))
        for i, ((name, *_, kind), array) in enumerate(zip(paths, arrays, strict=True)):
            if i < spec.n_encoder:
                if name in ("output", "dense_path", "linear_path"):
                    if kind == "bias":
                        array[::width] -= shift
                    array[:] = map_code(array, matrix, width)
            elif kind == "kernel" and name in (first, "hidden_0", "linear_path"):
                # Its bias is the next; that of a GRU has a row for the input and one for the
                # state.
                bias = arrays[next(j for j in range(i, len(paths)) if paths[j][-1] == "bias")]
                (bias if bias.ndim == 1 else bias[0])[:] += shift @ array
                array[:] = np.linalg.solve(matrix, array)
        return narrowed(weights, arrays)
