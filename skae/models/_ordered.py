"""Codes of every size at once: the Keras model that is trained."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from skae.corruption._draws import uniform
from skae.losses._reconstruction import Loss
from skae.models._objective import Settings
from skae.networks._layers import SINGLE
from skae.networks._ordered import OrderedNetwork


class OrderedObjective(keras.Model):
    """Loss of each row, its code cut to sizes that are drawn at random [1]_.

    In each step every band of sizes is given as many rows as the others, and within it the
    sizes are spread evenly on a logarithmic scale.

    Parameters
    ----------
    network : OrderedNetwork
        What is trained.

    loss : Loss
        What is compared between target and output.

    settings : mapping of str to tuple of int
        Shape of "size_weight": how much the loss counts at each size.

    References
    ----------
    .. [1] O. Rippel, M. Gelbart and R. Adams, "Learning Ordered Representations with Nested
       Dropout", ICML 2014.
    """

    n_parts = 1

    def __init__(
        self, network: OrderedNetwork, loss: Loss, settings: Mapping[str, tuple[int, ...]]
    ) -> None:
        super().__init__(dtype=SINGLE)
        self.settings = Settings(settings)
        self.encoder, self.hidden = network.build()
        self.heads = Heads(network.head_shapes, network.output_activation)
        self.first, self.last = np.array(network.bands, np.float32).T[..., None]
        self.loss_of_row = loss
        self.seed_generator = keras.random.SeedGenerator(0)
        self.built = True

    def call(self, inputs: tuple[Any, Any], training: bool = False) -> Any:
        """Weighted loss of each row, a mean over sizes.

        Parameters
        ----------
        inputs : tuple of tensors, (x, target)
            What the encoder reads and what the decoder should say.

        training : bool
            Whether sizes are drawn; otherwise they are those by which all are judged.

        Returns
        -------
        tensor of shape (n_rows, 1)
        """
        x, target = inputs
        code = self.encoder(x, training=training)
        loss = (self._drawn if training else self._judged)(code, target)
        return loss[:, None]

    def _judged(self, code: Any, target: Any) -> Any:
        n_rows, n_bands = code.shape[0], len(self.last)
        code, target = (ops.tile(array, (n_bands, 1)) for array in (code, target))
        size = ops.broadcast_to(self.last, (n_bands, n_rows))
        return ops.mean(self._by_band(code, target, size, False), axis=0)

    def _drawn(self, code: Any, target: Any) -> Any:
        n_rows, n_bands = code.shape[0], len(self.last)
        # Each row is decoded at a size of the lower bands, and at one of the upper ones. All
        # bands have as many rows: in the first there are some that do not count.
        n_each = -(-2 * n_rows // n_bands)
        n_idle = n_bands * n_each - 2 * n_rows
        places = np.r_[[0] * n_idle, :n_rows, n_rows - 1 : -1 : -1].astype(np.int32)
        code, target = (ops.take(array, places, axis=0) for array in (code, target))
        jitter = uniform((n_bands, 1), self.seed_generator)
        place = (ops.arange(n_each, dtype="float32") + jitter) / n_each
        first, last = map(ops.convert_to_tensor, (self.first, self.last))
        size = first * ops.exp(place * ops.log((last + 1) / first))
        size = ops.clip(ops.floor(size), first, last)
        loss = ops.reshape(self._by_band(code, target, size, True), (-1,))[n_idle:]
        return (loss[:n_rows] + ops.flip(loss[n_rows:], 0)) / 2

    def _by_band(self, code: Any, target: Any, size: Any, training: bool) -> Any:
        """Weighted losses of rows that are cut to sizes of shape (n_bands, n_each)."""
        columns = ops.arange(1, code.shape[1] + 1, dtype="float32")
        kept = ops.cast(columns <= ops.reshape(size, (-1, 1)), "float32")
        code = code * kept
        features = code
        if self.hidden is not None:
            features = self.hidden(ops.concatenate([code, kept], axis=1), training=training)
        loss = self.loss_of_row.per_sample(ops, target, self.heads(features, code))
        weight = self.settings.values()["size_weight"]
        weight = ops.take(weight, ops.cast(size, "int32") - 1)
        return ops.reshape(loss, size.shape) * weight


class Heads(keras.layers.Layer):
    """The last layers of all bands, of which each reads as many rows.

    Parameters
    ----------
    shapes : sequence of tuple of int
        Of kernel, bias and, if there is one, linear path, of all bands.

    activation : str
        Of the output.
    """

    def __init__(self, shapes: Sequence[tuple[int, ...]], activation: str) -> None:
        super().__init__(dtype=SINGLE)
        self.arrays = [self.add_weight(shape=shape, initializer="zeros") for shape in shapes]
        self.activation = keras.activations.get(activation)
        self.built = True

    def call(self, features: Any, code: Any) -> Any:
        """What is said of rows, band by band.

        Parameters
        ----------
        features, code : tensor of shape (n_bands * n_each, ...)
            What kernels and linear paths read.

        Returns
        -------
        tensor of shape (n_bands * n_each, n_outputs)
        """
        kernel, bias, *path = self.arrays
        output = self._read(features, kernel) + ops.expand_dims(bias, 1)
        for matrix in path:
            output = output + self._read(code, matrix)
        return self.activation(ops.reshape(output, (-1, bias.shape[1])))

    def _read(self, rows: Any, matrices: Any) -> Any:
        return ops.matmul(ops.reshape(rows, (matrices.shape[0], -1, rows.shape[1])), matrices)
