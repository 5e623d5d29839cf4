"""Dense encoders and decoders: a stack of layers and, beside it, a linear path."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

Weights = list[NDArray[np.float32]]


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
    """

    n_inputs: int
    n_outputs: int
    hidden: tuple[int, ...]
    activation: str
    output_activation: str
    linear_path: bool

    @property
    def has_linear_path(self) -> bool:
        """Whether a linear path stands beside the stack."""
        return self.linear_path and bool(self.hidden)

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """Shapes of the weights: kernel and bias of each layer, then the path."""
        widths = (self.n_inputs, *self.hidden, self.n_outputs)
        shapes: list[tuple[int, ...]] = []
        for n_in, n_out in pairwise(widths):
            shapes += [(n_in, n_out), (n_out,)]
        if self.has_linear_path:
            shapes.append((self.n_inputs, self.n_outputs))
        return shapes

    def random_weights(self, rng: np.random.RandomState) -> Weights:
        """Glorot's uniform start for the stack, zeros for biases and linear path."""
        weights = [np.zeros(shape, np.float32) for shape in self.shapes]
        n_layers = len(self.hidden) + 1
        for i in range(0, 2 * n_layers, 2):
            limit = np.sqrt(6 / sum(weights[i].shape))
            weights[i][:] = rng.uniform(-limit, limit, weights[i].shape)
        return weights

    def linear_weights(
        self, rng: np.random.RandomState, matrix: NDArray[Any], bias: NDArray[Any]
    ) -> Weights:
        """Start at a linear map: ``x @ matrix + bias`` before the output activation.

        The hidden layers start as in `random_weights` and the layer above them at zero,
        so that the stack adds nothing yet.
        """
        weights = self.random_weights(rng)
        kernel, offset = 2 * len(self.hidden), 2 * len(self.hidden) + 1
        weights[kernel][:] = 0
        weights[offset][:] = bias
        weights[-1 if self.has_linear_path else kernel][:] = matrix
        return weights

    def build(self, name: str) -> Any:
        """Keras model of this coder, its weights zero, in the order of `shapes`."""
        import keras

        def dense(width: int, **config: Any) -> Any:
            # Zeros: weights come from `random_state`, never from Keras' generators.
            return keras.layers.Dense(width, kernel_initializer="zeros", **config)

        inputs = keras.Input((self.n_inputs,))
        outputs = inputs
        for i, width in enumerate(self.hidden):
            layer = dense(width, activation=self.activation, name=f"hidden_{i}")
            outputs = layer(outputs)
        outputs = dense(self.n_outputs, name="output")(outputs)
        if self.has_linear_path:
            path = dense(self.n_outputs, use_bias=False, name="linear_path")
            outputs = keras.layers.Add()([outputs, path(inputs)])
        if self.output_activation != "linear":
            outputs = keras.layers.Activation(self.output_activation)(outputs)
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
    """

    n_features: int
    n_components: int
    hidden: tuple[int, ...] = ()
    activation: str = "relu"
    code_activation: str = "linear"
    output_activation: str = "linear"
    linear_path: bool = True

    @property
    def encoder(self) -> DenseCoder:
        """From data to code."""
        return DenseCoder(
            self.n_features,
            self.n_components,
            self.hidden,
            self.activation,
            self.code_activation,
            self.linear_path,
        )

    @property
    def decoder(self) -> DenseCoder:
        """From code to data."""
        return DenseCoder(
            self.n_components,
            self.n_features,
            self.hidden[::-1],
            self.activation,
            self.output_activation,
            self.linear_path,
        )

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """Shapes of all weights, the encoder's first."""
        return self.encoder.shapes + self.decoder.shapes

    def build(self) -> tuple[Any, Any]:
        """Keras models of encoder and decoder, their weights zero."""
        return self.encoder.build("encoder"), self.decoder.build("decoder")

    def split(self, weights: Weights) -> tuple[Weights, Weights]:
        """Weights of the encoder and of the decoder."""
        n_encoder = len(self.encoder.shapes)
        return weights[:n_encoder], weights[n_encoder:]

    def random_start(self, rng: np.random.RandomState) -> Weights:
        """Weights of a network that knows nothing of the data."""
        return self.encoder.random_weights(rng) + self.decoder.random_weights(rng)

    def principal_start(
        self,
        rng: np.random.RandomState,
        axes: NDArray[Any],
        scale: float = 1.0,
        offset: NDArray[Any] | float = 0.0,
    ) -> Weights:
        """Weights with which the code is the projection on the axes.

        Parameters
        ----------
        rng : RandomState
            For the hidden layers, which add nothing yet.

        axes : ndarray of shape (n_features, k)
            Orthonormal columns; with ``k < n_components`` the other columns of the
            code start at zero.

        scale, offset : float, float or ndarray of shape (n_features,)
            The decoder starts at ``scale * code @ axes.T + offset``.
        """
        matrix = np.zeros((self.n_features, self.n_components))
        matrix[:, : axes.shape[1]] = axes
        return self.encoder.linear_weights(
            rng, matrix, np.zeros(self.n_components)
        ) + self.decoder.linear_weights(
            rng, scale * matrix.T, np.broadcast_to(offset, self.n_features)
        )


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
