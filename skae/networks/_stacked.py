"""Stacks of layers with, beside them, a linear path: they too can start at PCA."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skae.networks._base import LayerOptions, Shape
from skae.networks._dense import MOMENTUM, NORMALIZATION_EPSILON
from skae.networks._keras_spec import BuiltNetwork, weight_spec
from skae.networks._layers import Weights, dense, draw, layer, rows_of


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
    """A stack of layers between rows and code, and a linear path beside it.

    The encoder is ``code_activation(Dense(stack(x)) + x @ A)`` and the decoder
    ``output_activation(stack(z) + z @ B + b)``, on flat rows.

    Parameters
    ----------
    stack : Stack
        The layers.

    n_components : int
        Columns of the code.

    options : LayerOptions
        What the estimator says of every network.
    """

    stack: Stack
    n_components: int
    options: LayerOptions

    @property
    def output_activation(self) -> str:
        """Keras' name of what the output passes last."""
        return self.options.output_activation

    @property
    def n_features(self) -> int:
        """Columns of a flat row."""
        return math.prod(self.stack.input_shape)

    @property
    def n_outputs(self) -> int:
        """Columns of a flat reconstruction."""
        return math.prod(self.stack.output_shape)

    def resized(self, n_components: int) -> "StackedNetwork":
        """The same network with another width of the code."""
        return replace(self, n_components=n_components)

    def build(self) -> tuple[Any, Any]:
        """Keras models of encoder and decoder, their kernels zero."""
        import keras

        rows = rows_of((self.n_features,))
        images = layer("Reshape", self.stack.input_shape)(rows)
        features = layer("Reshape", (-1,))(self.stack.encode(images, self.options))
        width = self.n_components * self.options.code_width
        code = dense(width, name="output")(features)
        code = self._finished(code, rows, width, False, self.options.code_activation)

        codes = rows_of((self.n_components,))
        decoded = self.stack.decode(codes, self.options)
        output = layer("Reshape", (self.n_outputs,))(decoded)
        output = self._finished(output, codes, self.n_outputs, True, self.output_activation)
        return (
            keras.Model(rows, code, name="encoder"),
            keras.Model(codes, output, name="decoder"),
        )

    def _finished(
        self, outputs: Any, inputs: Any, width: int, use_bias: bool, activation: str
    ) -> Any:
        """Add the linear path, then the activation."""
        if self.options.linear_path:
            path = dense(width, use_bias=use_bias, name="linear_path")(inputs)
            outputs = layer("Add")([outputs, path])
        if activation != "linear":
            outputs = layer("Activation", activation)(outputs)
        return outputs

    def random_start(self, rng: np.random.RandomState) -> Weights:
        """Weights of a network that knows nothing of the data; the linear path is zero."""
        seen = weight_spec(self)
        weights: Weights = []
        for path, shape, constant in zip(seen.paths, seen.shapes, seen.constants, strict=True):
            if constant is not None:
                weights.append(constant.copy())
            elif _layer_of(path) == "linear_path":
                weights.append(np.zeros(shape, np.float32))
            else:
                weights.append(draw(rng, path, shape))
        return weights

    def linear_start(
        self,
        rng: np.random.RandomState,
        encoder: NDArray[Any],
        decoder: NDArray[Any],
        offset: NDArray[Any] | float = 0.0,
        code_bias: NDArray[Any] | float = 0.0,
    ) -> Weights:
        """Weights of a network that is linear yet: see `DenseNetwork.linear_start`."""
        weights = self.random_start(rng)
        seen = weight_spec(self)
        width = self.options.code_width
        for i, (path, array) in enumerate(zip(seen.paths, weights, strict=True)):
            if _layer_of(path) == "output":
                array[:] = code_bias if i < seen.n_encoder and array.ndim == 1 else 0
            if _layer_of(path) != "linear_path":
                continue
            if i < seen.n_encoder:
                # Of the numbers for a column of the code the first is its place.
                array[:, : encoder.shape[1] * width : width] = encoder
            elif array.ndim == 2:
                array[: len(decoder)] = decoder
            else:
                array[:] = offset
        return weights


def _layer_of(path: str) -> str:
    return path.split("/")[-2]


def after_hidden_layer(outputs: Any, options: LayerOptions, activation: str) -> Any:
    """Normalisation, activation and dropout."""
    if options.normalization == "batch":
        outputs = layer("BatchNormalization", momentum=MOMENTUM)(outputs)
    elif options.normalization == "layer":
        outputs = layer("LayerNormalization", epsilon=NORMALIZATION_EPSILON)(outputs)
    if activation != "linear":
        outputs = layer("Activation", activation)(outputs)
    if options.dropout:
        outputs = layer("Dropout", options.dropout, seed=0)(outputs)
    return outputs
