"""Dense encoders and decoders: a stack of layers and, beside it, a linear path."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from skae.networks._layers import (
    Arrays,
    Halves,
    Weights,
    after_hidden_layer,
    dense,
    layer,
    mirrored_dense,
    rows_of,
)

# Positively homogeneous activations: f(a x) = a f(x) for a > 0.
_PASS_FACTORS = {"linear", "relu", "leaky_relu"}


Shapes = list[tuple[int, ...]]


class DenseLayer(NamedTuple):
    """Arrays of a layer: kernel (n_in, n_out), bias (n_out,); of the normalization (n_out,).

    The last layer has the linear path, (n_inputs, n_outputs), beside all of them.
    """

    kernel: Any
    bias: Any
    scale: Any = None
    shift: Any = None
    path: Any = None


@dataclass(frozen=True)
class DenseCoder:
    """One direction of a dense autoencoder, as a value: no Keras, no weights.

    The output is ``output_activation(hidden(x) @ W + b + x @ A)``. The last term is the
    linear path, which lets training start at the PCA solution. Fields are those of
    :class:`LayerOptions`.
    """

    n_inputs: int
    n_outputs: int
    hidden: tuple[int, ...]
    activation: str
    output_activation: str
    linear_path: bool
    normalization: str | None = None
    dropout: float = 0.0
    # Of the weights: the arrays of each layer, then the linear path.
    shapes: Shapes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        widths = self.n_inputs, *self.hidden
        shapes: Shapes = []
        for n_in, n_out in pairwise(widths):
            shapes += [(n_in, n_out)] + [(n_out,)] * (3 if self.normalization else 1)
        shapes += [(widths[-1], self.n_outputs), (self.n_outputs,)]
        shapes += [(self.n_inputs, self.n_outputs)] * self.linear_path
        object.__setattr__(self, "shapes", shapes)

    def layers(self, arrays: Sequence[Any]) -> list[DenseLayer]:
        """Arrays in the order of `shapes`, by layer and name."""
        size = 4 if self.normalization else 2
        end = size * len(self.hidden)
        hidden = [DenseLayer(*arrays[i : i + size]) for i in range(0, end, size)]
        kernel, bias, *path = arrays[end:]
        return [*hidden, DenseLayer(kernel, bias, None, None, *path)]

    def random_weights(self, rng: np.random.RandomState) -> Weights:
        """Glorot's uniform kernels; zeros for biases and linear path."""
        arrays = [np.zeros(shape, np.float32) for shape in self.shapes]
        for one in self.layers(arrays):
            limit = np.sqrt(6 / sum(one.kernel.shape))
            one.kernel[:] = rng.uniform(-limit, limit, one.kernel.shape)
            if one.scale is not None:
                one.scale[:] = 1
        return arrays

    def build(self, name: str, mirrored: Any = None) -> Any:
        """Keras model of this coder, its weights zero, in the order of `shapes`.

        With `mirrored`, the model of another coder, the kernels are those of that model,
        transposed, and the weights are the other arrays.
        """
        import keras

        def dense_or_mirrored(width: int, like: str, name: str, use_bias: bool = True) -> Any:
            if mirrored is not None:
                return mirrored_dense(mirrored.get_layer(like), use_bias, name)
            return dense(width, use_bias=use_bias, name=name)

        inputs = outputs = rows_of((self.n_inputs,))
        names = [*(f"hidden_{i}" for i in range(len(self.hidden))), "output"]
        for width, own_name, like in zip(self.hidden, names, names[::-1], strict=False):
            outputs = dense_or_mirrored(width, like, own_name)(outputs)
            outputs = after_hidden_layer(outputs, self, self.activation)
        outputs = dense_or_mirrored(self.n_outputs, names[0], "output")(outputs)
        if self.linear_path:
            path = dense_or_mirrored(self.n_outputs, "linear_path", "linear_path", False)
            outputs = layer("Add")([outputs, path(inputs)])
        if self.output_activation != "linear":
            outputs = layer("Activation", self.output_activation)(outputs)
        return keras.Model(inputs, outputs, name=name)


class LinearStart(NamedTuple):
    """A linear autoencoder as initial weights, whose hidden layers add zero; None: random."""

    encoder: Any = None  # (n_features, k); the other columns of the code are zero at first
    decoder: Any = None  # (k, n_outputs)
    offset: Any = 0.0  # of what is decoded, a number or (n_outputs,)
    code_bias: Any = 0.0  # of what is encoded, a number or (n_components * code_width,)


@dataclass(frozen=True)
class DenseNetwork:
    """A dense autoencoder as a value: encoder, and the decoder that mirrors it.

    Fields without a comment are those of :class:`LayerOptions`.
    """

    n_features: int  # columns of the data
    n_components: int  # latent size
    hidden: tuple[int, ...] = ()
    activation: str = "relu"
    code_activation: str = "linear"
    output_activation: str = "linear"
    linear_path: bool = True
    n_outputs: int | None = None  # columns of the reconstruction; None: those of the data
    code_width: int = 1
    tied: bool = False  # whether the decoder's kernels are the encoder's, transposed
    normalization: str | None = None
    dropout: float = 0.0

    # From data to code, and from code to data.
    coders: tuple[DenseCoder, DenseCoder] = field(init=False, repr=False, compare=False)
    # Of all weights that are trained, the encoder's first.
    shapes: Shapes = field(init=False, repr=False, compare=False)
    # True if a linear map of the code can be absorbed by the weights.
    has_linear_code: bool = field(init=False, repr=False, compare=False)

    # The code may have further columns, which are masked.
    resizable = True
    starts_linear = True
    # Dense epochs are what XLA is good at.
    gains_from_xla = True
    has_dense_path = True

    def __post_init__(self) -> None:
        encoder = DenseCoder(
            self.n_features,
            self.n_components * self.code_width,
            self.hidden,
            self.activation,
            self.code_activation,
            # Without hidden layers the coder is linear already.
            self.linear_path and bool(self.hidden),
            self.normalization,
            self.dropout,
        )
        decoder = replace(
            encoder,
            n_inputs=self.n_components,
            n_outputs=self.n_outputs or self.n_features,
            hidden=self.hidden[::-1],
            output_activation=self.output_activation,
        )
        object.__setattr__(self, "coders", (encoder, decoder))
        untied = [shape for shape in decoder.shapes if len(shape) == 1 or not self.tied]
        object.__setattr__(self, "shapes", encoder.shapes + untied)
        object.__setattr__(self, "has_linear_code", self.code_activation == "linear")

    def resized(self, n_components: int) -> "DenseNetwork":
        """The same network with another width of the code."""
        return replace(self, n_components=n_components)

    def build(self) -> tuple[Any, Any]:
        """Keras models of encoder and decoder, their weights zero."""
        encoder = self.coders[0].build("encoder")
        return encoder, self.coders[1].build("decoder", encoder if self.tied else None)

    def split(self, weights: Arrays, statistics: Arrays = ()) -> Halves:
        """Weights and moving statistics of the encoder, and those of the decoder.

        A tied decoder then has kernels of its own.
        """
        of_encoder, of_decoder = self.coders
        n_encoder, n_moments = len(of_encoder.shapes), len(statistics) // 2
        encoder, decoder = list(weights[:n_encoder]), list(weights[n_encoder:])
        if self.tied:
            # The decoder's own vectors between the encoder's kernels.
            layers = of_encoder.layers(encoder)
            kernels = iter([*(one.kernel for one in layers[::-1]), layers[-1].path])
            vectors = iter(decoder)
            decoder = [
                next(vectors) if len(shape) == 1 else next(kernels).T
                for shape in of_decoder.shapes
            ]
        return (encoder, list(statistics[:n_moments])), (decoder, list(statistics[n_moments:]))

    def initial_values(
        self, rng: np.random.RandomState, *linear: Any
    ) -> tuple[Weights, Weights]:
        """Initial weights, and moving means and variances before training.

        Weights are random, or those of a :class:`LinearStart`; `rng` draws the kernels.
        """
        parts: list[Weights] = []
        encoder, decoder, offset, code_bias = LinearStart(*linear)
        maps = (encoder, self.code_width, code_bias), (decoder, 1, offset)
        for coder, (matrix, width, bias) in zip(self.coders, maps, strict=True):
            arrays = coder.random_weights(rng)
            parts.append(arrays)
            if matrix is not None:
                output = coder.layers(arrays)[-1]
                output.kernel[:] = 0
                output.bias[:] = bias
                # The first of the outputs for a column of the code is its value.
                path = (output.kernel if output.path is None else output.path)[:, ::width]
                path[: len(matrix), : matrix.shape[1]] = matrix
        widths = self.hidden + self.hidden[::-1] if self.normalization == "batch" else ()
        statistics = [np.full(width, i, np.float32) for width in widths for i in (0, 1)]
        untied = [w for w in parts[1] if w.ndim == 1 or not self.tied]
        return parts[0] + untied, statistics

    def with_linear_code(
        self, weights: Arrays, matrix: NDArray[Any], shift: NDArray[Any]
    ) -> Weights:
        """Weights of the same autoencoder, whose code is ``(code - shift) @ matrix``.

        `matrix` is of shape (n_components, n_components), orthogonal where weights are tied,
        and `shift`, (n_components,), is of the code before its activation.
        """
        exact = [array.astype(np.float64) for array in weights]
        (encoder, _), (decoder, _) = self.split(exact)
        # Kernels that are tied are the encoder's arrays.
        decoder = [array.copy() for array in decoder]
        output = self.coders[0].layers(encoder)[-1]
        output.bias[:: self.code_width] -= shift
        for array in output:
            if array is not None:
                array[:] = map_code(array, matrix, self.code_width)
        layers = self.coders[1].layers(decoder)
        first, output = layers[0], layers[-1]
        for bias, kernel in ((first.bias, first.kernel), (output.bias, output.path)):
            if kernel is not None:
                bias[:] += shift @ kernel
                kernel[:] = np.linalg.solve(matrix, kernel)
        untied = [array for array in decoder if array.ndim == 1 or not self.tied]
        return narrowed(weights, [*encoder, *untied])


def narrowed(weights: Arrays, changed: Arrays) -> Weights:
    """The changed arrays in float32, and the arrays before where nothing has changed."""
    return [
        old if np.array_equal(old, new) else new.astype(np.float32)
        for old, new in zip(weights, changed, strict=True)
    ]


def map_code(values: NDArray[Any], matrix: NDArray[Any], code_width: int) -> NDArray[Any]:
    """Linear map of the columns of a code, (..., n_components * code_width).

    With more than one output for each column `matrix` is a permutation, perhaps with signs,
    which only the first of the outputs has.
    """
    parts = values.reshape(*values.shape[:-1], len(matrix), code_width)
    mapped = [parts[..., i] @ (np.abs(matrix) if i else matrix) for i in range(code_width)]
    return np.stack(mapped, axis=-1).reshape(values.shape)


def resize(weights: Arrays, shapes: Sequence[tuple[int, ...]]) -> Weights:
    """Crop each array to its shape, or pad it with zeros."""
    resized = []
    for array, shape in zip(weights, shapes, strict=True):
        if array.shape != shape:
            overlap = tuple(map(slice, np.minimum(array.shape, shape)))
            other = np.zeros(shape, np.float32)
            other[overlap] = array[overlap]
            array = other
        resized.append(array)
    return resized


class AffineChange(NamedTuple):
    """From new units to old ones: ``old = factor * new + shift``."""

    factor: float
    shift: NDArray[Any] | float


def is_rescalable(network: Any) -> bool:
    """True for dense networks with neither normalization nor tied weights."""
    return isinstance(network, DenseNetwork) and not (network.normalization or network.tied)


def rescale_weights(
    network: DenseNetwork,
    weights: Arrays,
    before: AffineChange,
    after: AffineChange | None,
) -> Weights:
    """The weights of the same function for rows in new units, of a network `is_rescalable`.

    `before` and `after` are the changes of the units of inputs and outputs; None: the outputs
    have no units. The code is divided by the factor of the inputs, if its activation allows
    that, so that it stays in the units of the network's inputs. So do the hidden layers: where
    their activation passes on factors, their kernels stay and only biases change. Before any
    other activation the values stay as they are.
    """
    (encoder, _), (decoder, _) = network.split([array.astype(np.float64) for array in weights])
    code = AffineChange(before.factor if network.code_activation in _PASS_FACTORS else 1.0, 0.0)
    changes = (encoder, before, code), (decoder, code, after or AffineChange(1.0, 0.0))
    for coder, (arrays, old, new) in zip(network.coders, changes, strict=True):
        layers = coder.layers(arrays)
        output = layers[-1]
        shift = np.broadcast_to(old.shift, coder.n_inputs)
        layers[0].bias[:] += shift @ layers[0].kernel
        if output.path is not None:
            output.bias[:] += shift @ output.path
            output.path[:] *= old.factor / new.factor
        output.bias[:] -= new.shift
        factor = old.factor
        for one in layers:
            passed = factor if coder.activation in _PASS_FACTORS else 1.0
            passed = new.factor if one is output else passed
            one.kernel[:] *= factor / passed
            one.bias[:] /= passed
            factor = passed
    return [array.astype(np.float32) for array in (*encoder, *decoder)]
