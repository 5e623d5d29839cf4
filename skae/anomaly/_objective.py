"""Training objective of the denoisers: a Keras model."""

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from skae.corruption._corruptions import PooledDraws
from skae.losses._reconstruction import LOSSES, Loss
from skae.models._objective import Settings
from skae.networks._layers import SINGLE


class NoiseConditionalDenoising(keras.Model):
    """Squared error of each row, denoised at a noise level of its own.

    In rows of an encoded table some columns are also blank: all numbers that stand for such a
    column are zero, and a flag for each column marks it. The denoiser maps a noisy row, for a
    table these flags, and the noise level to the clean row.

    Settings, of which the shapes are given, are "noise_level", the highest level, the pools of
    random numbers, "normal_pool" and "uniform_pool", and for a table "blank_rate", the highest
    share of blank columns, and "columns", (n_columns, n_numbers), one where a number stands for
    a column. The loss is for numeric rows: of all values or of the observed ones.
    """

    n_parts = 1

    def __init__(
        self,
        denoiser: Any,
        settings: Mapping[str, tuple[int, ...]],
        loss: Loss = LOSSES["squared_error"],
    ) -> None:
        super().__init__(dtype=SINGLE)
        self.settings = Settings(settings)
        self.denoiser = denoiser
        self.loss_of_row = loss
        self.seed_generator = keras.random.SeedGenerator(0)
        self.built = True

    def call(self, inputs: tuple[Any, Any], training: bool = False) -> Any:
        """Mean squared error over the columns of each row, (n_rows, 1).

        The inputs are rows and targets, (n_rows, n_numbers) both. A target is the clean row,
        NaN where a value is missing; for a table one where a number counts and zero where its
        value is missing. Without `training` there is no noise, and no column is blank.
        """
        x, target = inputs
        settings = self.settings.values()
        columns = settings.get("columns")
        level, noisy, blank = ops.zeros_like(x[:, :1]), x, None
        if columns is not None:
            blank = ops.zeros_like(ops.matmul(x, ops.transpose(columns)))
        if training:
            draws = PooledDraws(self.seed_generator, settings)
            level = settings["noise_level"] * draws.uniform(level)
            if blank is not None:
                rate = settings["blank_rate"] * draws.uniform(level)
                blank = ops.cast(draws.uniform(blank) < rate, x.dtype)
            noisy = x + level * draws.normal(x)
        parts = [noisy, level]
        if blank is not None:
            parts = [noisy * target * (1 - ops.matmul(blank, columns)), blank, level]
        output = self.denoiser(ops.concatenate(parts, axis=1), training=training)
        if columns is None:
            return ops.expand_dims(self.loss_of_row.per_sample(ops, target, output), 1)
        error = ops.sum(ops.square(output - x) * target, axis=1, keepdims=True)
        return error / columns.shape[0]
