"""The evidence lower bound as a Keras model whose output is the loss of each row."""

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from skae.corruption._draws import PooledDraws
from skae.losses._likelihood import Likelihood, divergence, noise_variance, posterior
from skae.models._objective import Settings
from skae.networks._layers import SINGLE

# Draws of a code in validation: the same for every epoch, each with its opposite.
_VALIDATION_DRAWS = 4


class VariationalObjective(keras.Model):
    """Minus the evidence lower bound of each row.

    Columns of the code behind the mask are zero and cost nothing, as in
    :class:`ReconstructionObjective`.

    Parameters
    ----------
    encoder, decoder : keras.Model
        The networks; the encoder says mean and log-variance of each column of the code.

    likelihood : Likelihood
        Of a row given what the decoder says.

    settings : mapping of str to tuple of int
        Shapes of the numbers that are told: "mask"; "beta", what the divergence is
        multiplied with; "warm_up", the steps in which it grows to that; "free_bits", the
        divergence of a column that costs nothing; "floor" of the noise; "log_volume",
        what the units of the data add to the loss; "normal_pool", random numbers.
    """

    n_parts = 2

    def __init__(
        self,
        encoder: Any,
        decoder: Any,
        likelihood: Likelihood,
        settings: Mapping[str, tuple[int, ...]],
    ) -> None:
        super().__init__(dtype=SINGLE)
        self.settings = Settings(settings)
        self.encoder = encoder
        self.decoder = decoder
        self.likelihood = likelihood
        if likelihood.noisy:
            self.noise = Noise(decoder.output_shape[1])
        self.progress = Settings({"steps": ()})
        self.seed_generator = keras.random.SeedGenerator(0)
        self.built = True

    def call(self, inputs: tuple[Any, Any], training: bool = False) -> Any:
        """Loss of each row, in parts.

        Parameters
        ----------
        inputs : tuple of tensors, (x, target)
            What the encoder reads and what the decoder should say.

        training : bool
            Whether codes are drawn afresh and warm-up and free bits are at work;
            otherwise the draws are the same in every call.

        Returns
        -------
        tensor of shape (n_rows, 2)
            Minus the expected log-likelihood, and the divergence as it counts.
        """
        x, target = inputs
        settings = self.settings.values()
        mean, log_variance = posterior(ops, self.encoder(x, training=training))
        mean, log_variance = (v * settings["mask"] for v in (mean, log_variance))
        draws = self._draws(mean, training) * settings["mask"]
        codes = mean + ops.exp(0.5 * log_variance) * draws
        missed = self._missed(codes, target, settings["floor"], training)
        apart = divergence(ops, mean, log_variance)
        if training:
            apart = self._with_free_bits(apart, settings) * self._warmth(settings["warm_up"])
        costs = settings["beta"] * ops.sum(apart, axis=1)
        return ops.stack([missed + settings["log_volume"], costs], axis=1)

    def _draws(self, mean: Any, training: bool) -> Any:
        """Standard normal numbers of shape (n_draws, n_rows, capacity)."""
        if training:
            return PooledDraws(self.seed_generator, self.settings.values()).normal(mean[None])
        shape = (_VALIDATION_DRAWS // 2, *mean.shape)
        draws = keras.random.normal(shape, seed=0, dtype=SINGLE)
        return ops.concatenate([draws, -draws])

    def _missed(self, codes: Any, target: Any, floor: Any, training: bool) -> Any:
        """Minus the log-likelihood of each row, the mean over the draws."""
        n_draws, n_rows, capacity = codes.shape
        output = self.decoder(ops.reshape(codes, (-1, capacity)), training=training)
        targets = ops.tile(target, (n_draws, 1))
        variance = noise_variance(ops, self.noise(), floor) if self.likelihood.noisy else None
        missed = self.likelihood.per_sample(ops, targets, output, variance)
        return ops.mean(ops.reshape(missed, (n_draws, n_rows)), axis=0)

    def _with_free_bits(self, apart: Any, settings: Any) -> Any:
        """Divergence by column, constant where its mean over the batch is below the rate."""
        free = settings["free_bits"] * settings["mask"]
        return ops.where(ops.mean(apart, axis=0) > free, apart, free)

    def _warmth(self, n_steps: Any) -> Any:
        """Grows from nearly zero to one in so many steps."""
        (steps,) = self.progress.variables
        steps.assign(steps + 1)
        return ops.minimum(steps / ops.maximum(n_steps, 1), 1.0)


class Noise(keras.layers.Layer):
    """One number to learn for each output, whatever the input.

    Parameters
    ----------
    n_outputs : int
        How many.
    """

    def __init__(self, n_outputs: int) -> None:
        super().__init__(dtype=SINGLE)
        self.noise = self.add_weight(name="noise", shape=(n_outputs,), initializer="zeros")
        self.built = True

    def __call__(self) -> Any:
        """The numbers."""
        return self.noise
