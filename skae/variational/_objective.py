"""The evidence lower bound as a Keras model whose output is the loss of each row."""

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from skae.corruption._corruptions import PooledDraws
from skae.losses._likelihood import Likelihood, divergence, noise_variance, posterior
from skae.models._objective import Settings
from skae.networks._layers import SINGLE

# Draws of a code in validation: the same for every epoch, each with its opposite.
_VALIDATION_DRAWS = 4


class VariationalObjective(keras.Model):
    """Minus the evidence lower bound of each row.

    The encoder outputs mean and log-variance of each column of the code; columns behind the
    mask are zero and cost nothing, as in :class:`ReconstructionObjective`.

    `settings` gives the shapes of "mask"; "beta", the factor of the divergence; "warm_up", the
    steps in which it grows to that; "free_bits", the divergence of a column that costs nothing;
    "floor" of the noise; "log_volume", added to the loss for the units of the data; and
    "normal_pool", random numbers.
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
            # A layer of its own, so that the noise is the last of the weights.
            self.noise = keras.layers.Layer(dtype=SINGLE)
            self.noise.add_weight(shape=decoder.output_shape[1:], initializer="zeros")
            self.noise.built = True
        self.progress = Settings({"steps": ()})
        self.seed_generator = keras.random.SeedGenerator(0)
        self.built = True

    def call(self, inputs: tuple[Any, Any], training: bool = False) -> Any:
        """Minus the expected log-likelihood and the divergence as it counts, (n_rows, 2).

        `inputs` are x, the rows that are encoded, and target. In training, codes are drawn
        afresh, and warm-up and free bits are at work; else the draws are always the same.
        """
        x, target = inputs
        settings = self.settings.values()
        mean, log_variance = posterior(ops, self.encoder(x, training=training))
        mean, log_variance = (v * settings["mask"] for v in (mean, log_variance))
        # Codes of shape (n_draws, n_rows, capacity).
        if training:
            draws = PooledDraws(self.seed_generator, settings).normal(mean[None])
        else:
            shape = (_VALIDATION_DRAWS // 2, *mean.shape)
            draws = keras.random.normal(shape, seed=0, dtype=SINGLE)
            draws = ops.concatenate([draws, -draws])
        codes = mean + ops.exp(0.5 * log_variance) * (draws * settings["mask"])
        n_draws, n_rows, capacity = codes.shape
        output = self.decoder(ops.reshape(codes, (-1, capacity)), training=training)
        variance = None
        if self.likelihood.noisy:
            variance = noise_variance(ops, self.noise.variables[0], settings["floor"])
        targets = ops.tile(target, (n_draws, 1))
        errors = self.likelihood.per_sample(ops, targets, output, variance)
        error = ops.mean(ops.reshape(errors, (n_draws, n_rows)), axis=0)
        kl = divergence(ops, mean, log_variance)
        if training:
            # A column whose mean over rows is below the free bits has no gradient.
            free = settings["free_bits"] * settings["mask"]
            kl = ops.where(ops.mean(kl, axis=0) > free, kl, free)
            (steps,) = self.progress.variables
            steps.assign(steps + 1)
            kl = kl * ops.minimum(steps / ops.maximum(settings["warm_up"], 1), 1.0)
        costs = settings["beta"] * ops.sum(kl, axis=1)
        return ops.stack([error + settings["log_volume"], costs], axis=1)
