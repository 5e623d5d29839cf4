"""A trained variational autoencoder in NumPy: posterior, noise, and importance sampling."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from operator import add
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skae.inference._dense import Affine, DenseForward
from skae.inference._forward import CompiledForward
from skae.losses._likelihood import Likelihood, ObservedLikelihood, divergence, posterior
from skae.utils._process import parallel_slices

Array = NDArray[Any]

# Entries of the decoder's outputs that are computed at a time.
_CHUNK_ENTRIES = 2**18

# Rows with a value this many scales from the centre are computed in their own precision:
# the squares of single precision end soon after.
_LARGEST_SINGLE = 1e6

# Draws come in so many rounds, unless there are fewer than this in a round.
_ROUNDS = 3
_FEWEST = 4

# Draws that the variance of the posterior counts as where it is estimated by draws, and the
# factor of such an estimate: few draws miss the tails.
_PRIOR_DRAWS = 2.0
_WIDENING = 1.3


@dataclass(frozen=True, eq=False)
class LatentForward:
    """Posterior and log-likelihood of rows by trained networks and their likelihood.

    Encoder and decoder are functions of arrays in the units of the data; the encoder gives
    mean and log-variance of each column of the code, in turn. `variance` : (n_outputs,), of
    the noise, if any, in standardised data; `units` : if the likelihood is that of these.
    """

    encoder: DenseForward | CompiledForward
    decoder: DenseForward | CompiledForward
    likelihood: Likelihood
    variance: Array | None
    units: Affine | None

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
        target: Array,
        n_draws: int,
        log_gain: Callable[[Array], Array] | None = None,
    ) -> Array:
        """Log-likelihood of each row, (n_samples,), estimated by codes drawn in rounds.

        X, in the units of the data, and target : (n_samples, n_features or n_targets);
        `log_gain` : of another prior than the standard normal, see `_generative`.
        """
        points = normal_points(n_draws, self.posterior(X[:1])[0].shape[1])

        def scores(rows: slice) -> Array:
            mean, log_variance = self.posterior(X[rows])
            std, values, volume = np.exp(0.5 * log_variance), target[rows], 0.0
            if self.units is not None:
                values = self.units.transform(values)
                volume = self._log_volume(values)
            result = np.empty(len(values))
            # Single precision, but for bits, whose probabilities may be next to one, and far
            # rows.
            is_exact = (np.abs(values) > _LARGEST_SINGLE).any(axis=1) | self.likelihood.bounded
            for part, dtype in ((~is_exact, np.dtype(np.float32)), (is_exact, X.dtype)):
                if part.any():
                    some, centre, spread = (a[part].astype(dtype) for a in (values, mean, std))
                    log_joint = partial(self._log_joint, some, log_gain)
                    draws = points.astype(dtype)
                    result[part] = log_likelihood(np, centre, spread, log_joint, draws)
            return result - volume

        return self._in_chunks(scores, X, n_draws)

    def minus_bound(self, X: Array, target: Array, n_draws: int, beta: float) -> Array:
        """Minus the evidence lower bound of each row, its divergence times `beta`."""
        points = normal_points(n_draws, self.posterior(X[:1])[0].shape[1])
        draws = points[:, np.newaxis].astype(X.dtype)

        def error(rows: slice) -> Array:
            mean, log_variance = self.posterior(X[rows])
            codes = mean + np.exp(0.5 * log_variance) * draws
            outputs, values = self.decoder(codes.reshape(-1, codes.shape[2])), target[rows]
            log_volume = 0.0
            if self.units is not None:
                values, outputs = map(self.units.transform, (values, outputs))
                log_volume = self._log_volume(values)
            errors = self._per_draw(values, outputs, n_draws) + values.dtype.type(log_volume)
            return np.asarray(errors.mean(axis=0))

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

        n_weights = sum(array.size for array in self.decoder.weights)
        parallel_slices(compute, len(X), n_rows, len(X) * n_draws * n_weights)
        return result

    def _log_joint(
        self, target: Array, log_gain: Callable[[Array], Array] | None, codes: Array
    ) -> Array:
        """Log-density (n_draws, n_samples) of rows and codes, less a normal constant."""
        outputs = self.decoder.plain(codes.reshape(-1, codes.shape[2]))
        prior = -0.5 * np.square(codes).sum(axis=2, dtype=np.float64)
        prior = prior if log_gain is None else prior + log_gain(codes)
        return prior - self._per_draw(target, outputs, len(codes))

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


def log_likelihood(
    xp: Any, mean: Any, std: Any, log_joint: Callable[[Any], Any], points: NDArray[Any]
) -> Any:
    """Logarithm of the mean weight of codes, by adaptive multiple importance sampling [1]_.

    Codes of the first round are drawn from the posterior of the encoder. Where their weights
    are uneven it is not exact, and the next round is drawn around the weighted mean of the
    draws so far. Each draw is weighted by its density under all rounds together.

    `xp` is `numpy`, or the functions of an ONNX graph; mean, std : (n_samples, n_components),
    of the posteriors; `log_joint` gives the log-density of rows and codes, (n_draws, n_samples)
    and float64, for codes (n_draws, n_samples, n_components); points : (n_draws, n_components),
    standard normal, of the dtype of `mean`; result : (n_samples,), float64.

    References
    ----------
    .. [1] J.-M. Cornuet, J.-M. Marin, A. Mira and C. P. Robert, "Adaptive Multiple Importance
       Sampling", Scandinavian Journal of Statistics 39, 2012.
    """
    n_draws = len(points)
    n_rounds = _ROUNDS if n_draws >= _FEWEST * _ROUNDS else 1
    # Of each round so far: its normal distribution, its codes, and their log-densities with
    # the rows and under all rounds.
    proposals: list[tuple[Any, Any, Any]] = []
    codes: list[Any] = []
    joint: list[Any] = []
    mixture: list[Any] = []
    centre, spread = mean, std
    for part in np.array_split(points, n_rounds):
        new = centre + spread * part[:, np.newaxis]
        # Less the constant of every normal density.
        log_volume = xp.sum(xp.log(spread).astype(np.float64), axis=1)
        peak = float(np.log(len(part) / n_draws)) - log_volume
        density = peak - 0.5 * np.square(part).sum(axis=1, keepdims=True, dtype=np.float64)
        others = [_log_density(xp, new, *each) for each in proposals]
        proposals.append((centre, 1 / spread, peak))
        mixture = [
            xp.logaddexp(so_far, _log_density(xp, those, *proposals[-1]))
            for so_far, those in zip(mixture, codes, strict=True)
        ]
        mixture.append(reduce(xp.logaddexp, others, density))
        codes.append(new)
        joint.append(log_joint(new))
        log_weight = [one - other for one, other in zip(joint, mixture, strict=True)]
        most = reduce(xp.maximum, [xp.max(each, axis=0) for each in log_weight])
        weight = [xp.exp(each - most) for each in log_weight]
        total = reduce(add, [xp.sum(each, axis=0) for each in weight])
        if len(codes) < n_rounds:
            centre, spread = _next_proposal(xp, centre, spread, std, codes, weight, total)
    return most + xp.log(total) - float(np.log(n_draws))


def _log_density(xp: Any, codes: Any, centre: Any, precision: Any, peak: Any) -> Any:
    """Log-density, (n_draws, n_samples), under a normal distribution, `peak` at its centre."""
    square = xp.square((codes - centre) * precision)
    ones = np.ones(square.shape[-1], square.dtype)
    return peak - 0.5 * xp.matmul(square, ones).astype(np.float64)


def _next_proposal(
    xp: Any,
    centre: Any,
    spread: Any,
    std: Any,
    codes: Sequence[Any],
    weight: Sequence[Any],
    total: Any,
) -> tuple[Any, Any]:
    """Mean and standard deviation of the next round, (n_samples, n_components).

    The more uneven the weights, (n_draws, n_samples) of each round, the nearer it is to the
    weighted moments of the codes, (n_draws, n_samples, n_components) of each round.
    """
    dtype = codes[0].dtype
    squares = reduce(add, [xp.sum(xp.square(each), axis=0) for each in weight])
    even = xp.reshape(xp.square(total) / squares, (-1, 1)).astype(dtype)
    share = [(each / total).astype(dtype) for each in weight]
    mean = _weighted(xp, share, codes)
    variance = _weighted(xp, share, [xp.square(each - mean) for each in codes])
    variance = (even * variance + _PRIOR_DRAWS * xp.square(std)) / (even + _PRIOR_DRAWS)
    uneven = 1 - even / sum(each.shape[0] for each in codes)
    spread = xp.sqrt((1 - uneven) * xp.square(spread) + uneven * _WIDENING * variance)
    return centre + uneven * (mean - centre), spread


def _weighted(xp: Any, share: Sequence[Any], values: Sequence[Any]) -> Any:
    """Sum over the draws of all rounds, of shape (n_samples, n_components)."""
    pairs = zip(share, values, strict=True)
    return reduce(add, [xp.einsum("dn,dnk->nk", *pair) for pair in pairs])
