"""A variational autoencoder as a value: initialization, objective, posterior."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from skae.estimators._model import FittedAutoencoder
from skae.losses._likelihood import noise_variance
from skae.variational._network import probabilistic_pca
from skae.variational._posterior import LatentForward

#: A column of the code is active if its mean divergence from the prior, in nats, is above this.
ACTIVE = 0.01

# Codes per validation row, by which it is decided whether training improved on the start.
_VALIDATION_DRAWS = 16


@dataclass(frozen=True, eq=False, kw_only=True)
class VariationalModel(FittedAutoencoder):
    """A variational autoencoder.

    Parameters
    ----------
    likelihood : Likelihood
        Of a row given the decoder's output.

    noise_floor, beta, warm_up, free_bits : float
        As in :class:`VAETransformer`.

    mean_log_volume : float or None
        Mean over rows of the logarithm of the scale of the values that were observed; None:
        no value is missing.

    supported : ndarray of bool of shape (n_components,) or None
        Columns of the code that the initialization uses.
    """

    likelihood: Any = None
    noise_floor: float = 0.0
    beta: float = 1.0
    warm_up: int = 0
    free_bits: float = 0.0
    mean_log_volume: float | None = None
    supported: Any = None

    @cached_property
    def latent(self):
        """Posterior, likelihood and samples in NumPy."""
        noise, variance = self.network.split(self.weights)[1], None
        if noise is not None:
            variance = noise_variance(np, noise.astype(np.float64), self.noise_floor)
        units = self.preprocessing.units if self.scales_output else None
        return LatentForward(self.encoder, self.decoder, self.likelihood, variance, units)

    def encode(self, X):
        """Posterior mean of each row, (n_samples, n_components)."""
        return np.ascontiguousarray(self.latent.posterior(X)[0])

    @property
    def unit(self):
        """One: losses are nats in the units of the data."""
        return 1.0

    def losses(self, rows):
        """Minus the evidence lower bound of each row, (n_samples,), as it is trained."""
        args = _VALIDATION_DRAWS, self.beta
        return rows.apply(
            lambda part: self.latent.minus_bound(part.inputs, part.outputs, *args)
        )

    def is_solution_at(self, init):
        """True if the initialization is a solution on which training has to improve."""
        return init == "pca"

    def initialized(self, rows, rng, init):
        """Return the autoencoder with initial weights; random weights need no try.

        Probabilistic PCA is trusted whatever it explains: the bound is tight there.
        """
        network, preprocessing = self.network, self.preprocessing
        supported = np.ones(network.n_components, bool)
        if init == "random":
            weights = network.random_start(rng)
            return replace(self.with_weights(weights), supported=supported), 1.0
        inputs = preprocessing.target_columns(preprocessing.units.transform(rows.inputs))
        pca = probabilistic_pca(
            inputs, network.n_components, self.noise_floor, rows.weight, rng
        )
        informative = -0.5 * np.log(pca.variance) > ACTIVE
        supported[:] = False
        supported[: len(informative)] = informative
        pca = preprocessing.over_all_inputs(pca)
        linear = pca.encoder, pca.loadings
        before_output = preprocessing.before_output(rows, linear, network.output_activation)
        weights = network.linear_start(rng, pca, *before_output, self.noise_floor)
        return replace(self.with_weights(weights), supported=supported), 1.0

    def objective(self, network, mask, pools, rows, batch_size):
        """The Keras model that is trained, see :class:`FittedAutoencoder`."""
        settings = {
            "mask": mask,
            "beta": self.beta,
            "warm_up": self.warm_up * -(-len(rows) // batch_size),
            "free_bits": self.free_bits,
            "floor": self.noise_floor,
            "log_volume": self._log_volume(),
        }
        settings |= pools({"normal"})
        shapes = {name: np.shape(value) for name, value in settings.items()}
        likelihood = self.preprocessing.loss_of(self.likelihood, rows)

        def build():
            from skae.variational._objective import VariationalObjective

            return VariationalObjective(*network.build(), likelihood, shapes)

        return build, (network, likelihood, *shapes.values()), settings

    def _log_volume(self):
        """Difference of minus the log-likelihood between the data's and the network's units."""
        if not self.scales_output and not self.preprocessing.is_table:
            return 0.0
        if self.mean_log_volume is not None:
            return self.mean_log_volume
        centre, scale = self.preprocessing.units
        log_scale = np.log(scale)
        return log_scale.sum() if np.ndim(log_scale) else len(centre) * log_scale
