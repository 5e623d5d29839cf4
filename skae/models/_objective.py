"""g∘f∘c with L: Keras models whose output is the loss of each row, and those of users."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from skae.corruption._corruptions import Corruption, PooledDraws
from skae.losses._penalties import Penalty
from skae.losses._reconstruction import Loss
from skae.networks._layers import SINGLE, layer, rows_of
from skae.networks._ordered import OrderedNetwork


class Settings(keras.layers.Layer):
    """Numbers of a model that are set and not learned: other values are the same program.

    `shapes` gives the name and the shape of each, in the order of the layer's variables.
    """

    def __init__(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        super().__init__(dtype=SINGLE)
        self._settings = {
            name: self.add_weight(name=name, shape=shape, initializer="zeros", trainable=False)
            for name, shape in shapes.items()
        }
        self.built = True

    def values(self) -> dict[str, Any]:
        """The numbers, by name."""
        return {name: ops.convert_to_tensor(v) for name, v in self._settings.items()}


class ReconstructionObjective(keras.Model):
    """Loss of each row under encoder and decoder.

    The code passes a mask: a network built for more columns than are used is, behind it,
    exactly the smaller network, since the masked columns are zero and so are the gradients
    of all their weights. This is how latent sizes share one compiled function.

    `settings` gives the shapes of "mask", of the settings of corruption and penalty, and of
    the pools of random numbers of these: the first of the variables that are not trained. Rows
    are corrupted before they are encoded, in training.
    """

    def __init__(
        self,
        encoder: Any,
        decoder: Any,
        loss: Loss,
        settings: Mapping[str, tuple[int, ...]],
        corruption: Corruption | None = None,
        penalty: Penalty | None = None,
    ) -> None:
        super().__init__(dtype=SINGLE)
        self.settings = Settings(settings)
        self.encoder = encoder
        self.decoder = decoder
        self.loss_of_row = loss
        self.corruption = corruption
        self.penalty = penalty
        if corruption is not None or penalty is not None:
            self.seed_generator = keras.random.SeedGenerator(0)
        self.n_parts = 1 + (penalty is not None)
        self.built = True

    def call(self, inputs: tuple[Any, Any], training: bool = False) -> Any:
        """Loss of each row, (n_rows, n_parts): of the reconstruction, then a penalty if any.

        Corruption, dropout and the like apply in training.
        """
        x, target = inputs
        settings = self.settings.values()

        def encode(rows: Any) -> Any:
            return self.encoder(rows, training=training) * settings["mask"]

        if training and self.corruption is not None:
            draws = PooledDraws(self.seed_generator, settings)
            x = self.corruption.apply(ops, draws, settings, x)
        code = encode(x)
        output = self.decoder(code, training=training)
        parts = [self.loss_of_row.per_sample(ops, target, output)]
        if self.penalty is not None and self.penalty.is_zero_at_pca and not training:
            parts.append(ops.zeros_like(parts[0]))
        elif self.penalty is not None:
            draws = PooledDraws(self.seed_generator, settings)
            parts.append(self.penalty.per_sample(ops, settings, code, encode, x, draws))
        return ops.stack(parts, axis=1)


class OrderedObjective(keras.Model):
    """Loss of each row, its code cut to sizes that are drawn at random [1]_.

    In each step every band of sizes is given as many rows as the others, and within it the
    sizes are spread evenly on a logarithmic scale. `settings` gives the shape of "size_weight",
    the weight of the loss at each size.

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
        self.output_layers = OutputLayers(network.output_shapes, network.output_activation)
        self.first, self.last = np.array(network.bands, np.float32).T[..., None]
        self.loss_of_row = loss
        self.seed_generator = keras.random.SeedGenerator(0)
        self.built = True

    def call(self, inputs: tuple[Any, Any], training: bool = False) -> Any:
        """Weighted loss of each row, (n_rows, 1): a mean over sizes.

        They are random in training, and otherwise the last of each band.
        """
        x, target = inputs
        code = self.encoder(x, training=training)
        loss = (self._at_random_sizes if training else self._at_last_sizes)(code, target)
        return loss[:, None]

    def _at_last_sizes(self, code: Any, target: Any) -> Any:
        """Mean loss of each row over the last sizes of the bands, (n_rows,)."""
        n_rows, n_bands = code.shape[0], len(self.last)
        code, target = (ops.tile(array, (n_bands, 1)) for array in (code, target))
        size = ops.broadcast_to(self.last, (n_bands, n_rows))
        return ops.mean(self._by_band(code, target, size, False), axis=0)

    def _at_random_sizes(self, code: Any, target: Any) -> Any:
        """Mean loss of each row at two random sizes, (n_rows,)."""
        n_rows, n_bands = code.shape[0], len(self.last)
        # Each row is decoded at a size of the lower bands and at one of the upper ones. All
        # bands have the same number of rows: in the first some do not count.
        n_each = -(-2 * n_rows // n_bands)
        n_idle = n_bands * n_each - 2 * n_rows
        places = np.r_[[0] * n_idle, :n_rows, n_rows - 1 : -1 : -1].astype(np.int32)
        code, target = (ops.take(array, places, axis=0) for array in (code, target))
        jitter = keras.random.uniform((n_bands, 1), seed=self.seed_generator)
        place = (ops.arange(n_each, dtype="float32") + jitter) / n_each
        first, last = map(ops.convert_to_tensor, (self.first, self.last))
        size = first * ops.exp(place * ops.log((last + 1) / first))
        size = ops.clip(ops.floor(size), first, last)
        loss = ops.reshape(self._by_band(code, target, size, True), (-1,))[n_idle:]
        return (loss[:n_rows] + ops.flip(loss[n_rows:], 0)) / 2

    def _by_band(self, code: Any, target: Any, size: Any, training: bool) -> Any:
        """Weighted losses of rows that are cut to sizes of shape (n_bands, n_each)."""
        columns = ops.arange(1, code.shape[1] + 1, dtype="float32")
        mask = ops.cast(columns <= ops.reshape(size, (-1, 1)), "float32")
        code = code * mask
        features = code
        if self.hidden is not None:
            features = self.hidden(ops.concatenate([code, mask], axis=1), training=training)
        loss = self.loss_of_row.per_sample(ops, target, self.output_layers(features, code))
        weight = self.settings.values()["size_weight"]
        weight = ops.take(weight, ops.cast(size, "int32") - 1)
        return ops.reshape(loss, size.shape) * weight


class OutputLayers(keras.layers.Layer):
    """The last layers of all bands, each applied to the same number of rows.

    `shapes` are those of kernel, bias and, if there is one, linear path, of all bands.
    """

    def __init__(self, shapes: Sequence[tuple[int, ...]], activation: str) -> None:
        super().__init__(dtype=SINGLE)
        self.arrays = [self.add_weight(shape=shape, initializer="zeros") for shape in shapes]
        self.activation = keras.activations.get(activation)
        self.built = True

    def call(self, features: Any, code: Any) -> Any:
        """Reconstructions of rows, band by band, (n_bands * n_each, n_outputs).

        `features` and `code` are the inputs of kernels and of linear paths.
        """
        kernel, bias, *path = self.arrays

        def product(rows: Any, matrices: Any) -> Any:
            by_band = ops.reshape(rows, (matrices.shape[0], -1, rows.shape[1]))
            return ops.matmul(by_band, matrices)

        output = product(features, kernel) + ops.expand_dims(bias, 1)
        for matrix in path:
            output = output + product(code, matrix)
        return self.activation(ops.reshape(output, (-1, bias.shape[1])))


def keras_models_in_data_units(
    encoder: Any,
    decoder: Any,
    before: tuple[Any, float],
    after: tuple[Any, float] | None,
    input_shape: tuple[int, ...],
    output_shape: tuple[int, ...],
) -> tuple[Any, Any]:
    """Encoder and decoder, given for flat, standardised rows, for rows of the data.

    `before` and `after` are centre, (n_columns,), and scale of the inputs and of the outputs;
    None: outputs are not scaled. The shapes are those of one row.
    """
    rows = flat = rows_of(input_shape)
    if len(input_shape) > 1:
        flat = layer("Reshape", (-1,))(rows)
    # Not Normalization, whose moments become inputs of the graph when it is exported. Two
    # layers: a centre far from zero is subtracted first.
    centred = layer("Rescaling", 1.0, offset=-before[0])(flat)
    code = rows_of(decoder.input_shape[1:])
    output = decoder(code)
    if after is not None:
        output = layer("Rescaling", after[1], offset=after[0])(output)
    if len(output_shape) > 1:
        output = layer("Reshape", output_shape)(output)
    models = (
        keras.Model(rows, encoder(layer("Rescaling", 1 / before[1])(centred)), name="encoder"),
        keras.Model(code, output, name="decoder"),
    )
    for model in models:
        # Keras exports no model that was never called.
        model(model.input)
    return models
