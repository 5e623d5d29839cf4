"""g∘f∘c with L: the Keras model whose output is the loss of each row."""

from typing import Any

import keras
import numpy as np

from skae.losses import Loss


class CodeMask(keras.layers.Layer):
    """Keeps the first columns of the code and sets the others to zero.

    A network built for more columns than are used is, behind this mask, exactly the
    smaller network: the masked columns are zero and so are the gradients of all their
    weights. This is how latent sizes share one compiled function.
    """

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make the mask, all columns in use."""
        self.mask = self.add_weight(
            name="mask", shape=(input_shape[-1],), initializer="ones", trainable=False
        )

    def call(self, code: Any) -> Any:
        """Multiply by the mask."""
        return code * self.mask


class ReconstructionObjective(keras.Model):
    """Loss of each row under encoder and decoder.

    Parameters
    ----------
    encoder, decoder : keras.Model
        The networks.

    loss : Loss
        What is compared between target and output.
    """

    def __init__(self, encoder: Any, decoder: Any, loss: Loss) -> None:
        super().__init__()
        # First, so that the mask is the first of the variables that are not trained.
        self.code_mask = CodeMask()
        self.code_mask.build(encoder.output_shape)
        self.encoder = encoder
        self.decoder = decoder
        self.loss_of_row = loss
        self.built = True

    def call(self, inputs: tuple[Any, Any], training: bool = False) -> Any:
        """Loss of each row.

        Parameters
        ----------
        inputs : tuple of tensors, (x, target)
            What the encoder reads and what the decoder should say.

        training : bool
            Whether dropout and the like are at work.

        Returns
        -------
        tensor of shape (n_rows,)
        """
        x, target = inputs
        code = self.code_mask(self.encoder(x, training=training))
        output = self.decoder(code, training=training)
        return self.loss_of_row.per_sample(keras.ops, target, output)


def in_units(
    encoder: Any, decoder: Any, mean: Any, scale: float, scales_output: bool
) -> tuple[Any, Any]:
    """Models that speak in the units of the data.

    Parameters
    ----------
    encoder, decoder : keras.Model
        Networks of standardised data.

    mean : ndarray of shape (n_features,)
        Centre of the data.

    scale : float
        Scale of the data.

    scales_output : bool
        Whether the decoder's output is standardised.

    Returns
    -------
    tuple of keras.Model
        Encoder and decoder.
    """
    unit = {"mean": mean, "variance": np.full_like(mean, scale**2)}
    rows = keras.Input(encoder.input_shape[1:])
    code = keras.Input(decoder.input_shape[1:])
    output = decoder(code)
    if scales_output:
        output = keras.layers.Normalization(**unit, invert=True)(output)
    return (
        keras.Model(rows, encoder(keras.layers.Normalization(**unit)(rows)), name="encoder"),
        keras.Model(code, output, name="decoder"),
    )
