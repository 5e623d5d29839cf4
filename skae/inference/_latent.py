"""A trained variational autoencoder in NumPy: posterior, bounds, samples."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from skae.inference._dense import Affine
from skae.losses import Likelihood, divergence, posterior

Array = NDArray[Any]

# Entries of the decoder's outputs that are computed at a time.
_CHUNK_ENTRIES = 2**21


class LatentForward:
    """What can be said of rows and codes by trained networks and their likelihood.

    Parameters
    ----------
    encoder, decoder : callable
        Functions of arrays in the units of the data; the encoder gives mean and
        log-variance of each column of the code, one after the other.

    likelihood : Likelihood
        Of a row given what the decoder says.

    variance : ndarray of shape (n_outputs,) or None
        Of the noise, in standardised data, if there is one.

    units : Affine or None
        Units of the data, if the likelihood speaks of standardised data.
    """

    def __init__(
        self,
        encoder: Callable[[Array], Array],
        decoder: Callable[[Array], Array],
        likelihood: Likelihood,
        variance: Array | None,
        units: Affine | None,
    ) -> None:
        self.encoder = encoder
        self.decoder = decoder
        self.likelihood = likelihood
        self.variance = variance
        self.units = units

    def posterior(self, X: Array) -> tuple[Array, Array]:
        """Mean and log-variance of the code of each row."""
        mean, log_variance = posterior(np, self.encoder(X))
        return mean, log_variance

    def divergence(self, X: Array) -> Array:
        """Divergence from the prior by row and column of the code."""
        return np.asarray(divergence(np, *self.posterior(X)))

    def log_likelihood(
        self,
        X: Array,
        n_draws: int,
        log_gain: Callable[[Array], Array] | None = None,
        target: Array | None = None,
    ) -> Array:
        """Importance-weighted bound on the log-likelihood of each row.

        The draws are the same for all rows and in every call.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_features)
            Rows in the units of the data.

        n_draws : int
            Codes drawn for each row.

        log_gain : callable or None
            Logarithm of the density of codes under their prior over that under the
            standard normal; None: that is the prior.

        target : ndarray of shape (n_samples, n_targets) or None
            What the likelihood is told of the rows; None: the rows.

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        scores = np.empty(len(X), X.dtype)
        target = X if target is None else target
        for rows, missed, log_ratio in self._drawn(X, target, n_draws, log_gain):
            scores[rows] = logsumexp(log_ratio - missed, axis=0) - np.log(n_draws)
        return scores

    def minus_bound(self, X: Array, target: Array, n_draws: int, beta: float) -> Array:
        """Minus the evidence lower bound of each row, its divergence times `beta`."""
        losses = np.empty(len(X), X.dtype)
        for rows, missed, _ in self._drawn(X, target, n_draws):
            losses[rows] = missed.mean(axis=0)
        return losses + X.dtype.type(beta) * self.divergence(X).sum(axis=1)

    def with_noise(self, rows: Array, rng: np.random.RandomState) -> Array:
        """What the decoder says, turned into rows like those of the data."""
        noise = self.noise
        if noise is None:
            return (rng.uniform(size=rows.shape) < rows).astype(rows.dtype)
        return rows + noise * rng.standard_normal(rows.shape)

    @property
    def noise(self) -> Array | None:
        """Standard deviation of the noise, in the units of the data, if there is one."""
        if self.variance is None:
            return None
        scale = 1.0 if self.units is None else self.units.scale
        return np.asarray(scale * np.sqrt(self.variance))

    def _drawn(
        self,
        X: Array,
        target: Array,
        n_draws: int,
        log_gain: Callable[[Array], Array] | None = None,
    ) -> Iterator[tuple[slice, Array, Array]]:
        """What codes drawn from the posteriors come to, by blocks of rows.

        Yields
        ------
        rows : slice
            The block.

        missed : ndarray of shape (n_draws, n_rows)
            Minus the log-likelihood of the row given the code, in the units of the data.

        log_ratio : ndarray of shape (n_draws, n_rows)
            Logarithm of the density of the code, under the prior over the posterior.
        """
        n_rows = max(_CHUNK_ENTRIES // (n_draws * X.shape[1]), 1)
        for start in range(0, len(X), n_rows):
            rows = slice(start, start + n_rows)
            mean, log_variance = self.posterior(X[rows])
            draws = normal_points(n_draws, mean.shape[1]).astype(X.dtype)
            codes = mean + np.exp(0.5 * log_variance) * draws
            log_ratio = 0.5 * (np.square(draws) + log_variance - np.square(codes)).sum(axis=2)
            if log_gain is not None:
                log_ratio += log_gain(codes)
            yield rows, self._missed(target[rows], codes), log_ratio

    def _missed(self, X: Array, codes: Array) -> Array:
        variance = None if self.variance is None else self.variance.astype(X.dtype)
        n_draws, _, n_components = codes.shape
        outputs = self.decoder(codes.reshape(-1, n_components))
        log_volume = 0.0
        if self.units is not None:
            X, outputs = self.units.inward(X), self.units.inward(outputs)
            log_volume = X.shape[1] * np.log(self.units.scale)
        outputs = outputs.reshape(n_draws, len(X), -1)
        missed = [self.likelihood.per_sample(np, X, output, variance) for output in outputs]
        return np.array(missed) + X.dtype.type(log_volume)


def normal_points(n_draws: int, n_components: int) -> Array:
    """Points that fill the standard normal evenly, of shape (n_draws, 1, n_components).

    Shared by all rows, independent draws would be off in the same direction for each.
    """
    from scipy.stats import norm, qmc

    sequence = qmc.Sobol(n_components, seed=0)
    points = sequence.random_base2((n_draws - 1).bit_length())[:n_draws]
    return np.asarray(norm.ppf(points))[:, None]
