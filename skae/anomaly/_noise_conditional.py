"""A denoiser that is told how noisy its input is: the Keras model that is trained."""

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from skae.corruption._draws import PooledDraws
from skae.losses._reconstruction import Loss
from skae.losses._registry import LOSSES
from skae.models._objective import Settings
from skae.networks._layers import SINGLE


class DenoiserObjective(keras.Model):
    """What objectives of denoisers hold.

    Parameters
    ----------
    denoiser : keras.Model
        The network.

    settings : mapping of str to tuple of int
        Shapes of the numbers that are told.
    """

    n_parts = 1

    def __init__(self, denoiser: Any, settings: Mapping[str, tuple[int, ...]]) -> None:
        super().__init__(dtype=SINGLE)
        self.settings = Settings(settings)
        self.denoiser = denoiser
        self.seed_generator = keras.random.SeedGenerator(0)
        self.built = True


class NoiseConditionalDenoising(DenoiserObjective):
    """Squared error of each row, denoised at a noise level of its own.

    Parameters
    ----------
    denoiser : keras.Model
        Reads a row with the noise level as its last column and says the clean row.

    settings : mapping of str to tuple of int
        Shapes of "noise_level", the highest level, and of the pools of random numbers,
        "normal_pool" and "uniform_pool".

    loss : Loss, default=LOSSES["squared_error"]
        The squared error, of all values or of the observed ones.
    """

    def __init__(
        self,
        denoiser: Any,
        settings: Mapping[str, tuple[int, ...]],
        loss: Loss = LOSSES["squared_error"],
    ) -> None:
        super().__init__(denoiser, settings)
        self.loss_of_row = loss

    def call(self, inputs: tuple[Any, Any], training: bool = False) -> Any:
        """Mean squared error over the columns of each row.

        Parameters
        ----------
        inputs : tuple of tensors, (x, target)
            Rows; the target is the clean row, NaN where a value is missing.

        training : bool
            Whether noise is added, at levels between zero and the highest; else at zero.

        Returns
        -------
        tensor of shape (n_rows, 1)
        """
        x, target = inputs
        settings = self.settings.values()
        level, noisy = ops.zeros_like(x[:, :1]), x
        if training:
            draws = PooledDraws(self.seed_generator, settings)
            level = settings["noise_level"] * draws.uniform(level)
            noisy = x + level * draws.normal(x)
        output = self.denoiser(ops.concatenate([noisy, level], axis=1), training=training)
        return ops.expand_dims(self.loss_of_row.per_sample(ops, target, output), 1)
