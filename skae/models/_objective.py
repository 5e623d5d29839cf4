"""g∘f∘c with L: the Keras model whose output is the loss of each row."""

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from skae.corruption._corruptions import Corruption
from skae.corruption._draws import PooledDraws
from skae.losses._penalties import Penalty
from skae.losses._reconstruction import Loss
from skae.networks._layers import SINGLE


class Settings(keras.layers.Layer):
    """Holds numbers that a model is told and does not learn.

    Parameters
    ----------
    shapes : mapping of str to tuple of int
        Name and shape of each, in the order of the layer's variables.
    """

    def __init__(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        super().__init__(dtype=SINGLE)
        self._names = tuple(shapes)
        self._settings = [
            self.add_weight(name=name, shape=shape, initializer="zeros", trainable=False)
            for name, shape in shapes.items()
        ]
        self.built = True

    def values(self) -> dict[str, Any]:
        """The numbers, by name."""
        tensors = map(keras.ops.convert_to_tensor, self._settings)
        return dict(zip(self._names, tensors, strict=True))


class ReconstructionObjective(keras.Model):
    """Loss of each row under encoder and decoder.

    The code passes a mask: a network built for more columns than are used is, behind it,
    exactly the smaller network, since the masked columns are zero and so are the gradients
    of all their weights. This is how latent sizes share one compiled function.

    Parameters
    ----------
    encoder, decoder : keras.Model
        The networks.

    loss : Loss
        What is compared between target and output.

    settings : mapping of str to tuple of int
        Shapes of the numbers that are told: "mask", those of corruption and penalty, and
        the pools of random numbers that these draw from.
        They are the first of the variables that are not trained.

    corruption : Corruption or None
        What happens to a row before the encoder reads it, in training.

    penalty : Penalty or None
        What is added to the loss.
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
        """Loss of each row, in parts.

        Parameters
        ----------
        inputs : tuple of tensors, (x, target)
            What the encoder reads and what the decoder should say.

        training : bool
            Whether corruption, dropout and the like are at work.

        Returns
        -------
        tensor of shape (n_rows, n_parts)
            The reconstruction loss and, if there is one, the penalty.
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
        if self.penalty is not None:
            draws = PooledDraws(self.seed_generator, settings)
            parts.append(self.penalty.per_sample(ops, settings, code, encode, x, draws))
        return ops.stack(parts, axis=1)
