"""Dense encoders and decoders: a stack of layers and, beside it, a linear path."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skae.networks._layers import Weights, dense, layer, load, rows_of

# Small tables train for few steps, which Keras' own 0.99 would not forget in.
MOMENTUM = 0.9
NORMALIZATION_EPSILON = 1e-3


@dataclass(frozen=True)
class DenseCoder:
    """One direction of a dense autoencoder, as a value: no Keras, no weights.

    The output is ``output_activation(hidden(x) @ W + b + x @ A)``. The last term is the
    linear path, which lets training start at the PCA solution.

    Parameters
    ----------
    n_inputs, n_outputs : int
        Number of columns that come in and go out.

    hidden : tuple of int
        Widths of the hidden layers; may be empty, and then there is no linear path
        beside what is linear already.

    activation, output_activation : str
        Names that Keras knows.

    linear_path : bool
        Whether there is a linear path.

    normalization : {"batch", "layer"} or None
        What stands between a hidden layer and its activation.

    dropout : float
        Share of the hidden units that are dropped in training.
    """

    n_inputs: int
    n_outputs: int
    hidden: tuple[int, ...]
    activation: str
    output_activation: str
    linear_path: bool
    normalization: str | None = None
    dropout: float = 0.0

    @property
    def has_linear_path(self) -> bool:
        """Whether a linear path stands beside the stack."""
        return self.linear_path and bool(self.hidden)

    @property
    def arrays_per_layer(self) -> int:
        """Kernel and bias of a hidden layer, and scale and shift if it is normalised."""
        return 4 if self.normalization else 2

    @property
    def output_kernel(self) -> int:
        """Position of the last layer's kernel; its bias comes next."""
        return self.arrays_per_layer * len(self.hidden)

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """Shapes of the weights: the arrays of each layer, then the path."""
        shapes: list[tuple[int, ...]] = []
        for n_in, n_out in pairwise((self.n_inputs, *self.hidden)):
            shapes += [(n_in, n_out)] + [(n_out,)] * (self.arrays_per_layer - 1)
        shapes += [((self.n_inputs, *self.hidden)[-1], self.n_outputs), (self.n_outputs,)]
        if self.has_linear_path:
            shapes.append((self.n_inputs, self.n_outputs))
        return shapes

    @property
    def n_statistics(self) -> int:
        """How many arrays of moving statistics the layers keep."""
        return 2 * len(self.hidden) if self.normalization == "batch" else 0

    def random_weights(self, rng: np.random.RandomState) -> Weights:
        """Glorot's uniform start for the stack, zeros for biases and linear path."""
        weights = [np.zeros(shape, np.float32) for shape in self.shapes]
        for i in range(0, self.output_kernel + 1, self.arrays_per_layer):
            limit = np.sqrt(6 / sum(weights[i].shape))
            weights[i][:] = rng.uniform(-limit, limit, weights[i].shape)
        if self.normalization:
            for i in range(2, self.output_kernel, 4):
                weights[i][:] = 1
        return weights

    def linear_weights(
        self, rng: np.random.RandomState, matrix: NDArray[Any], bias: NDArray[Any]
    ) -> Weights:
        """Start at a linear map: ``x @ matrix + bias`` before the output activation.

        The hidden layers start as in `random_weights` and the layer above them at zero,
        so that the stack adds nothing yet.
        """
        weights = self.random_weights(rng)
        kernel = self.output_kernel
        weights[kernel][:] = 0
        weights[kernel + 1][:] = bias
        weights[-1 if self.has_linear_path else kernel][:] = matrix
        return weights

    def build(self, name: str, mirrored: Any = None) -> Any:
        """Keras model of this coder, its weights zero, in the order of `shapes`.

        With `mirrored`, a coder's model, the kernels are those of that model, transposed,
        and the weights are the other arrays.
        """
        import keras

        def dense_or_mirrored(width: int, like: str, **config: Any) -> Any:
            if mirrored is not None:
                from skae.networks._tied import MirroredDense

                return MirroredDense(mirrored.get_layer(like), **config)
            return dense(width, **config)

        inputs = rows_of((self.n_inputs,))
        outputs = inputs
        names = [*(f"hidden_{i}" for i in range(len(self.hidden))), "output"]
        for width, own, like in zip(self.hidden, names, names[::-1], strict=False):
            outputs = dense_or_mirrored(width, like, name=own)(outputs)
            if self.normalization == "batch":
                outputs = layer("BatchNormalization", momentum=MOMENTUM)(outputs)
            elif self.normalization == "layer":
                outputs = layer("LayerNormalization", epsilon=NORMALIZATION_EPSILON)(outputs)
            outputs = layer("Activation", self.activation)(outputs)
            if self.dropout:
                outputs = layer("Dropout", self.dropout, seed=0)(outputs)
        outputs = dense_or_mirrored(self.n_outputs, names[0], name="output")(outputs)
        if self.has_linear_path:
            path = {"use_bias": False, "name": "linear_path"}
            path = dense_or_mirrored(self.n_outputs, "linear_path", **path)
            outputs = layer("Add")([outputs, path(inputs)])
        if self.output_activation != "linear":
            outputs = layer("Activation", self.output_activation)(outputs)
        return keras.Model(inputs, outputs, name=name)


@dataclass(frozen=True)
class DenseNetwork:
    """A dense autoencoder as a value: encoder, and the decoder that mirrors it.

    Parameters
    ----------
    n_features : int
        Columns of the data.

    n_components : int
        Columns of the code.

    hidden : tuple of int
        Widths of the encoder's hidden layers; the decoder has them in reverse.

    activation, code_activation, output_activation : str
        Names that Keras knows.

    linear_path : bool
        Whether encoder and decoder have a linear path beside the hidden layers.

    n_outputs : int or None
        Columns of what is decoded; None: as many as are encoded.

    code_width : int
        How many numbers the encoder says for each column of the code, side by side.

    tied : bool
        Whether the decoder's kernels are the encoder's, transposed.

    normalization : {"batch", "layer"} or None
        What stands between a hidden layer and its activation.

    dropout : float
        Share of the hidden units that are dropped in training.
    """

    n_features: int
    n_components: int
    hidden: tuple[int, ...] = ()
    activation: str = "relu"
    code_activation: str = "linear"
    output_activation: str = "linear"
    linear_path: bool = True
    n_outputs: int | None = None
    code_width: int = 1
    tied: bool = False
    normalization: str | None = None
    dropout: float = 0.0

    # The code may be given columns that are masked.
    resizable = True
    starts_linear = True
    # Dense epochs are what XLA is good at.
    gains_from_xla = True

    @property
    def encoder(self) -> DenseCoder:
        """From data to code."""
        return DenseCoder(
            self.n_features,
            self.n_components * self.code_width,
            self.hidden,
            self.activation,
            self.code_activation,
            self.linear_path,
            self.normalization,
            self.dropout,
        )

    @property
    def decoder(self) -> DenseCoder:
        """From code to data."""
        return DenseCoder(
            self.n_components,
            self.n_outputs or self.n_features,
            self.hidden[::-1],
            self.activation,
            self.output_activation,
            self.linear_path,
            self.normalization,
            self.dropout,
        )

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """Shapes of all weights that are trained, the encoder's first."""
        return self.encoder.shapes + [
            shape for shape in self.decoder.shapes if len(shape) == 1 or not self.tied
        ]

    def resized(self, n_components: int) -> "DenseNetwork":
        """The same network with another width of the code."""
        return replace(self, n_components=n_components)

    def build(self) -> tuple[Any, Any]:
        """Keras models of encoder and decoder, their weights zero."""
        encoder = self.encoder.build("encoder")
        return encoder, self.decoder.build("decoder", encoder if self.tied else None)

    def trained(
        self, weights: Sequence[NDArray[Any]], statistics: Sequence[NDArray[Any]]
    ) -> tuple[Any, Any]:
        """Keras models of encoder and decoder with these weights."""
        models = replace(self, tied=False).build()
        parts = zip(models, self.split(weights), self.split_statistics(statistics), strict=True)
        for model, arrays, kept in parts:
            load(model, arrays, kept)
        return models

    def split(self, weights: Sequence[NDArray[Any]]) -> tuple[Weights, Weights]:
        """Weights of the encoder and of the decoder, kernels of tied layers written out."""
        n_encoder = len(self.encoder.shapes)
        encoder, decoder = list(weights[:n_encoder]), list(weights[n_encoder:])
        return encoder, self._untied(encoder, decoder) if self.tied else decoder

    def joined(self, encoder: Weights, decoder: Weights) -> Weights:
        """What `split` splits."""
        return encoder + [w for w in decoder if w.ndim == 1 or not self.tied]

    def fresh_statistics(self) -> Weights:
        """Moving means and variances before training."""
        return [
            np.full(width, i, np.float32)
            for coder in (self.encoder, self.decoder)
            for width in coder.hidden
            for i in range(2 * (coder.normalization == "batch"))
        ]

    def split_statistics(self, statistics: Sequence[NDArray[Any]]) -> tuple[Weights, Weights]:
        """Moving statistics of the encoder and of the decoder."""
        n_encoder = self.encoder.n_statistics
        return list(statistics[:n_encoder]), list(statistics[n_encoder:])

    def _untied(self, encoder: Weights, vectors: Weights) -> Weights:
        """The decoder's weights: its own vectors between the encoder's kernels."""
        kernels = [w.T for w in encoder if w.ndim == 2]
        path = [kernels.pop()] if self.encoder.has_linear_path else []
        mirrored, own = iter([*kernels[::-1], *path]), iter(vectors)
        return [next(own if len(s) == 1 else mirrored) for s in self.decoder.shapes]

    def random_start(self, rng: np.random.RandomState) -> Weights:
        """Weights of a network that knows nothing of the data."""
        return self.joined(self.encoder.random_weights(rng), self.decoder.random_weights(rng))

    def linear_start(
        self,
        rng: np.random.RandomState,
        encoder: NDArray[Any],
        decoder: NDArray[Any],
        offset: NDArray[Any] | float = 0.0,
        code_bias: NDArray[Any] | float = 0.0,
    ) -> Weights:
        """Weights of a network that is linear yet.

        Parameters
        ----------
        rng : RandomState
            For the hidden layers, which add nothing yet.

        encoder : ndarray of shape (n_features, k)
            With ``k < n_components`` the other columns of the code start at zero.

        decoder : ndarray of shape (k, n_outputs)
            From the code back.

        offset : float or ndarray of shape (n_outputs,)
            Added to what is decoded.

        code_bias : float or ndarray of shape (n_components * code_width,)
            Added to what is encoded.
        """
        width, k = self.n_components * self.code_width, encoder.shape[1]
        # Of the numbers for a column of the code the first is its place.
        into = np.zeros((self.n_features, width))
        into[:, : k * self.code_width : self.code_width] = encoder
        out = np.zeros((self.n_components, self.decoder.n_outputs))
        out[:k] = decoder
        return self.joined(
            self.encoder.linear_weights(rng, into, np.broadcast_to(code_bias, width)),
            self.decoder.linear_weights(rng, out, np.broadcast_to(offset, out.shape[1])),
        )

    def with_moved_code(self, weights: Sequence[NDArray[Any]], by: NDArray[Any]) -> Weights:
        """Weights of the same network, but for a constant that is added to the code.

        Parameters
        ----------
        weights : sequence of ndarray
            Before the move.

        by : ndarray of shape (n_components,)
            What the encoder adds before the activation and the decoder takes off again.
        """
        encoder, decoder = self.split([array.copy() for array in weights])
        encoder[self.encoder.output_kernel + 1] += by
        decoder[1] -= by @ decoder[0]
        if self.decoder.has_linear_path:
            decoder[self.decoder.output_kernel + 1] -= by @ decoder[-1]
        return self.joined(encoder, decoder)


def resize(weights: Sequence[NDArray[Any]], shapes: Sequence[tuple[int, ...]]) -> Weights:
    """Cut or fill up with zeros each array to its shape."""
    resized = []
    for array, shape in zip(weights, shapes, strict=True):
        if array.shape == shape:
            resized.append(array)
            continue
        overlap = tuple(slice(min(a, b)) for a, b in zip(array.shape, shape, strict=True))
        result = np.zeros(shape, np.float32)
        result[overlap] = array[overlap]
        resized.append(result)
    return resized
