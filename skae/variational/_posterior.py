"""A trained variational autoencoder in NumPy: posterior, likelihoods, samples."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skae.inference._dense import Affine, DenseForward
from skae.inference._forward import CompiledForward, Forward, forward
from skae.losses._likelihood import Likelihood, ObservedLikelihood, divergence, posterior
from skae.utils._process import parallel_slices
from skae.variational._importance import log_likelihood
from skae.variational._network import LatentNetwork

Array = NDArray[Any]

# Entries of the decoder's outputs that are computed at a time.
_CHUNK_ENTRIES = 2**18

# Rows with a value this many scales from the centre are computed in their own precision:
# the squares of single precision end soon after.
_LARGEST_SINGLE = 1e6


class LatentForward:
    """Posterior and log-likelihood of rows by trained networks and their likelihood.

    Encoder and decoder are functions of arrays in the units of the data; the encoder gives
    mean and log-variance of each column of the code, one after the other. `variance` :
    (n_outputs,), of the noise in standardised data, if there is one. `units` are those of the
    data, if the likelihood is that of standardised data.
    """

    encoder: Any
    decoder: Any
    likelihood: Likelihood
    variance: Array | None
    units: Affine | None

    def __init__(
        self,
        encoder: DenseForward | CompiledForward,
        decoder: DenseForward | CompiledForward,
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
        """Log-likelihood of each row, (n_samples,), estimated by codes drawn in rounds.

        X : (n_samples, n_features) in the units of the data; `target` : (n_samples, n_targets),
        values that the likelihood is of, X by default; `log_gain` : a function as of
        `_mixture_prior`, of a prior other than the standard normal.

        The draws rest on the same points for all rows and in every call. They are decoded in
        single precision, but for bits, whose probabilities may be next to one, and for rows
        far away.
        """
        target = X if target is None else target
        points = normal_points(n_draws, self.posterior(X[:1])[0].shape[1])
        return self._in_chunks(
            lambda rows: self._log_likelihood(X[rows], target[rows], points, log_gain),
            X,
            n_draws,
        )

    def minus_bound(self, X: Array, target: Array, n_draws: int, beta: float) -> Array:
        """Minus the evidence lower bound of each row, its divergence times `beta`."""
        points = normal_points(n_draws, self.posterior(X[:1])[0].shape[1])
        draws = points[:, np.newaxis].astype(X.dtype)

        def error(rows: slice) -> Array:
            mean, log_variance = self.posterior(X[rows])
            codes = mean + np.exp(0.5 * log_variance) * draws
            return np.asarray(self._minus_log_likelihood(target[rows], codes).mean(axis=0))

        losses = self._in_chunks(error, X, n_draws)
        return losses + X.dtype.type(beta) * self.divergence(X).sum(axis=1)

    def with_noise(self, rows: Array, rng: np.random.RandomState) -> Array:
        """Decoded rows, (n_samples, n_features), with the noise of the likelihood."""
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

    def _in_chunks(self, function: Callable[[slice], Array], X: Array, n_draws: int) -> Array:
        """One number for each row, (n_samples,), by a function of a slice of rows."""
        result = np.empty(len(X), X.dtype)
        n_rows = max(_CHUNK_ENTRIES // (n_draws * X.shape[1]), 1)

        def compute(rows: slice) -> None:
            result[rows] = function(rows)

        n_weights = sum(w.size for w in getattr(self.decoder, "weights", []))
        parallel_slices(compute, len(X), n_rows, len(X) * n_draws * n_weights)
        return result

    def _log_likelihood(
        self,
        X: Array,
        target: Array,
        points: Array,
        log_gain: Callable[[Array], Array] | None,
    ) -> Array:
        """Log-likelihoods (n_samples,) by points (n_draws, n_components)."""
        mean, log_variance = self.posterior(X)
        std, volume = np.exp(0.5 * log_variance), 0.0
        if self.units is not None:
            target = self.units.transform(target)
            volume = self._log_volume(target)
        scores = np.empty(len(X))
        is_exact = (np.abs(target) > _LARGEST_SINGLE).any(axis=1) | self.likelihood.bounded
        for rows, dtype in ((~is_exact, np.dtype(np.float32)), (is_exact, X.dtype)):
            if rows.any():
                values, at, spread = (each[rows].astype(dtype) for each in (target, mean, std))
                log_joint = partial(self._log_joint, values, log_gain)
                some = points.astype(dtype)
                scores[rows] = log_likelihood(np, at, spread, log_joint, some)
        return scores - volume

    def _log_joint(
        self, target: Array, log_gain: Callable[[Array], Array] | None, codes: Array
    ) -> Array:
        """Log-density (n_draws, n_samples) of rows and codes, less a normal constant."""
        outputs = self.decoder.plain(codes.reshape(-1, codes.shape[2]))
        prior = -0.5 * np.square(codes).sum(axis=2, dtype=np.float64)
        prior = prior if log_gain is None else prior + log_gain(codes)
        return prior - self._per_draw(target, outputs, len(codes))

    def _minus_log_likelihood(self, X: Array, codes: Array) -> Array:
        """Minus the log-likelihood of rows given codes, in the units of the data.

        X : (n_samples, n_features); codes : (n_draws, n_samples, n_components); result :
        (n_draws, n_samples).
        """
        outputs = self.decoder(codes.reshape(-1, codes.shape[2]))
        log_volume = 0.0
        if self.units is not None:
            X, outputs = self.units.transform(X), self.units.transform(outputs)
            log_volume = self._log_volume(X)
        return self._per_draw(X, outputs, len(codes)) + X.dtype.type(log_volume)

    def _log_volume(self, target: Array) -> Any:
        """Logarithm of the scales of the observed values: a number, or (n_samples,)."""
        assert self.units is not None
        log_scale, missing = np.log(self.units.scale), np.isnan(target)
        if not missing.any() and np.ndim(log_scale) == 0:
            return target.shape[1] * log_scale
        return np.where(missing, 0.0, log_scale).sum(axis=1)

    def _per_draw(self, target: Array, outputs: Array, n_draws: int) -> Array:
        """Minus the log-likelihood by draw and row, (n_draws, n_samples)."""
        variance = None if self.variance is None else self.variance.astype(target.dtype)
        outputs = outputs.reshape(n_draws, len(target), -1)
        likelihood = self.likelihood
        if np.isnan(target).any():
            likelihood = ObservedLikelihood(likelihood)  # type: ignore[arg-type]
        per_sample = likelihood.per_sample
        return np.array([per_sample(np, target, output, variance) for output in outputs])


def normal_points(n_draws: int, n_components: int) -> Array:
    """Points that fill the standard normal evenly, of shape (n_draws, n_components).

    Shared by all rows, independent draws would be off in the same direction for each.
    """
    from scipy.stats import norm, qmc

    sequence = qmc.Sobol(n_components, seed=0)
    points = sequence.random_base2((n_draws - 1).bit_length())[:n_draws]
    return np.asarray(norm.ppf(points))


@forward.register
def _latent_forward(
    network: LatentNetwork,
    weights: Sequence[NDArray[Any]],
    statistics: Sequence[NDArray[Any]],
    before: Affine,
    after: Affine | None,
) -> tuple[Forward, Forward]:
    """The same of the network within; weights of the shapes `network.shapes`."""
    return forward(network.network, network.split(weights)[0], statistics[:-1], before, after)
