"""A variational autoencoder as a value: network, initialization, log-likelihoods."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, partial, reduce
from operator import attrgetter
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from skae.corruption._corruptions import draw_pool
from skae.estimators._model import FittedAutoencoder
from skae.losses._likelihood import ObservedLikelihood, divergence, noise_variance, posterior
from skae.networks._layers import layer
from skae.networks._principal import principal_axes
from skae.utils._arrays import by_chunk
from skae.utils._rows import Rows, has_missing

#: A column of the code is active if its mean divergence from the prior, in nats, is above this.
ACTIVE = 0.01

# Codes per validation row, by which it is decided whether training improved on the start.
_VALIDATION_DRAWS = 16

# Entries of the decoder's outputs that are computed at a time.
_CHUNK_ENTRIES = 2**18

# Rows with a value this many scales from the centre are computed in their own precision:
# the squares of single precision end soon after.
_LARGEST_SINGLE = 1e6

# Draws come in so many rounds, unless there are fewer than this in a round.
_ROUNDS, _FEWEST = 3, 4

# Draws that the variance of the posterior counts as where it is estimated by draws, and the
# factor of such an estimate: few draws miss the tails.
_PRIOR_DRAWS, _WIDENING = 2.0, 1.3


@dataclass(frozen=True, eq=False, kw_only=True)
class VariationalModel(FittedAutoencoder):
    """A variational autoencoder, with the parameters of :class:`VAETransformer` in training.

    `likelihood` is that of a row given the decoder's output; `mean_log_volume` the mean over
    rows of the logarithm of the scale of the observed values, None where all are observed;
    `supported`, (n_components,), a mask of the columns of the code that the initialization
    uses.
    """

    likelihood: Any = None
    noise_floor: float = 0.0
    beta: float = 1.0
    warm_up: int = 0
    free_bits: float = 0.0
    mean_log_volume: float | None = None
    supported: Any = None

    # Codes and their likelihood

    def posterior(self, X):
        """Mean and log-variance of the code of each row, both (n_samples, n_components)."""
        return posterior(np, self.encoder(X))

    def encode(self, X):
        """Posterior mean of each row, (n_samples, n_components)."""
        return self.posterior(X)[0].copy()

    def trained_models(self):
        """Keras models of the mean of the code and of the decoder."""
        import keras

        encoder, decoder = super().trained_models()
        moments = layer("Reshape", (self.network.n_components, 2))(encoder.output)
        return keras.Model(encoder.input, moments[:, :, 0], name="encoder"), decoder

    def mean_divergence(self, rows):
        """Mean divergence of the posteriors of rows from the prior, (n_components,)."""
        kl = rows.apply(lambda part: divergence(np, *self.posterior(part.inputs)))
        return np.average(kl, axis=0, weights=rows.weight)

    @cached_property
    def variance(self):
        """Variance of the noise in the network's units, (n_outputs,); None without noise."""
        noise = self.network.split(self.weights)[1]
        if noise is None:
            return None
        return noise_variance(np, noise.astype(np.float64), self.noise_floor)

    @property
    def noise(self):
        """Standard deviation of the noise, (n_outputs,), in the units of the data, if any."""
        scale = self.preprocessing.units.scale if self.scales_output else 1.0
        return None if self.variance is None else scale * np.sqrt(self.variance)

    def losses(self, rows):
        """Minus the evidence lower bound of each row, (n_samples,), as it is trained."""

        def of_part(part):
            points = normal_points(_VALIDATION_DRAWS, self.network.n_components)
            draws = points[:, np.newaxis].astype(part.inputs.dtype)

            def minus_bound(mean, log_variance, target):
                codes = mean + np.exp(0.5 * log_variance) * draws
                kl = divergence(np, mean, log_variance).sum(axis=1)
                return self._errors(target, codes).mean(axis=0) + self.beta * kl

            volumes = self.preprocessing.log_volumes(part) if self.scales_output else 0.0
            return self._by_chunk(minus_bound, part, _VALIDATION_DRAWS) + volumes

        return rows.apply(of_part)

    validation_losses = losses

    def log_likelihood(self, rows, n_draws, log_gain=None):
        """Log-likelihood of rows in memory, (n_samples,), estimated by draws of codes.

        In the units of the data. `log_gain`, a function of codes, (..., n_components), gives
        the log-density of another prior less that of the standard normal.
        """
        points = normal_points(n_draws, self.network.n_components)
        dtype, bounded = rows.inputs.dtype, self.likelihood.bounded

        def log_joint(target, codes):
            prior = -0.5 * np.square(codes).sum(axis=2, dtype=np.float64)
            prior = prior if log_gain is None else prior + log_gain(codes)
            return prior - self._errors(target, codes)

        def scores(mean, log_variance, target):
            moments = mean, np.exp(0.5 * log_variance)
            if not isinstance(target, np.ndarray):  # a tensor of ONNX, of unknown values
                joint = partial(log_joint, target)
                return log_likelihood(*moments, joint, points.astype(dtype))
            result = np.empty(len(target))
            # Single precision, but for bits, whose probabilities may be next to one, and far
            # rows.
            is_exact = (np.abs(target) > _LARGEST_SINGLE).any(axis=1) | bounded
            for part, kind in ((~is_exact, np.float32), (is_exact, dtype)):
                if part.any():
                    centre, std = (array[part].astype(kind) for array in moments)
                    joint = partial(log_joint, target[part].astype(kind))
                    result[part] = log_likelihood(centre, std, joint, points.astype(kind))
            return result

        volumes = 0.0 if bounded else self.preprocessing.log_volumes(rows)
        return (self._by_chunk(scores, rows, n_draws) - volumes).astype(dtype)

    def _by_chunk(self, function, rows, n_draws):
        """One number for each row in memory, (n_samples,), float64.

        By a function of mean and log-variance of codes, and of targets in the network's units.
        """

        def compute(inputs, target):
            if self.scales_output:
                target = self.preprocessing.units.transform(target)
            return function(*self.posterior(inputs), target).astype(np.float64, copy=False)

        n_rows = max(_CHUNK_ENTRIES // (n_draws * rows.inputs.shape[1]), 1)
        n_weights = sum(array.size for array in self.decoder.weights)
        arrays = rows.inputs, rows.outputs
        return by_chunk(compute, n_rows, n_draws * n_weights, *arrays)

    def _errors(self, target, codes):
        """Minus the log-likelihood by draw and row, (n_draws, n_samples), given codes.

        In the network's units; codes : (n_draws, n_samples, n_components).
        """
        outputs = self.decoder(codes.reshape(-1, codes.shape[2]), scaled=False)
        variance = None if self.variance is None else self.variance.astype(target.dtype)
        likelihood = self.likelihood
        if has_missing(target):
            likelihood = ObservedLikelihood(likelihood)
        n_draws, width = codes.shape[0], target.shape[1]
        target = np.broadcast_to(target, (n_draws, *target.shape)).reshape(-1, width)
        return likelihood.per_sample(np, target, outputs, variance).reshape(n_draws, -1)

    # Training

    def with_principal_code(self, rows):
        """Return the autoencoder with columns in the order of their divergence from the prior.

        See :class:`FittedAutoencoder`.
        """
        model = replace(self, code_map=None)
        order = np.argsort(-model.mean_divergence(rows), kind="stable")
        code_map = np.eye(len(order))[:, order], np.zeros(len(order))
        return replace(model, code_map=code_map, supported=self.supported[order]), None

    def initialized(self, rows, rng, init):
        """Return the autoencoder with initial weights; random weights need no try.

        Probabilistic PCA is trusted whatever it explains: the bound is tight there.
        """
        network, preprocessing = self.network, self.preprocessing
        if init == "random":
            weights, statistics = network.initial_values(rng)
            supported = np.ones(network.n_components, bool)
            model = replace(self, weights=weights, statistics=statistics, supported=supported)
            return model, 1.0
        inputs = preprocessing.units.transform(rows.inputs)
        if preprocessing.is_table:
            inputs = inputs[:, preprocessing.values]
        pca = probabilistic_pca(
            inputs, network.n_components, self.noise_floor, rows.weight, rng
        )
        supported = np.zeros(network.n_components, bool)
        supported[: len(pca.variance)] = -0.5 * np.log(pca.variance) > ACTIVE
        if preprocessing.is_table:
            encoder = np.zeros((rows.inputs.shape[1], pca.encoder.shape[1]))
            encoder[preprocessing.values] = pca.encoder
            pca = pca._replace(encoder=encoder)
        linear = pca.encoder, pca.loadings
        before_output = preprocessing.before_output(rows, linear, network.output_activation)
        weights, statistics = network.initial_values(rng, pca, *before_output, self.noise_floor)
        model = replace(self, weights=weights, statistics=statistics, supported=supported)
        return model, 1.0

    def objective(self, network, mask, rows, batch_size, rng):
        """The Keras model that is trained, see :class:`FittedAutoencoder`."""
        log_volume = self.mean_log_volume
        if log_volume is None:
            centre, scale = self.preprocessing.units
            log_scale = np.log(scale) if self.scales_output else 0.0
            log_volume = np.broadcast_to(log_scale, len(centre)).sum()
        settings = {
            "mask": mask,
            "beta": self.beta,
            "warm_up": self.warm_up * -(-len(rows) // batch_size),
            "free_bits": self.free_bits,
            "floor": self.noise_floor,
            # From the network's units to those of the data.
            "log_volume": log_volume,
            "normal_pool": draw_pool("normal", rng, (batch_size, *rows.inputs.shape[1:])),
        }
        shapes = {name: np.shape(value) for name, value in settings.items()}
        likelihood = self.preprocessing.loss_of(self.likelihood, rows)

        def build():
            from skae.variational._objective import VariationalObjective

            return VariationalObjective(*network.network.build(), likelihood, shapes)

        return build, (network, likelihood, *shapes.values()), settings


@dataclass(frozen=True)
class LatentNetwork:
    """A network, the noise of its output, and a count of training steps.

    Its `code_width` is two: mean and log-variance of each column. If it is `noisy` each output
    has a noise to learn, (n_outputs,), the last of the weights. Methods are those of
    :class:`DenseNetwork`.
    """

    network: Any
    noisy: bool

    resizable = True
    starts_linear = True
    n_components = property(attrgetter("network.n_components"))
    output_activation = property(attrgetter("network.output_activation"))
    gains_from_xla = property(attrgetter("network.gains_from_xla"))

    @property
    def shapes(self):
        """Shapes of all weights that are trained: encoder, decoder, noise."""
        noise = (self.network.n_outputs,)
        return [*self.network.shapes, *[noise] * self.noisy]

    def split(self, weights):
        """Weights of encoder and decoder, and the noise or None."""
        weights = list(weights)
        return (weights[:-1], weights[-1]) if self.noisy else (weights, None)

    def resized(self, n_components):
        """The same network with another width of the code."""
        return replace(self, network=self.network.resized(n_components))

    def with_linear_code(self, weights, matrix, shift):
        """Weights of the autoencoder whose code is less the shift, times the matrix."""
        mapped = self.network.with_linear_code(self.split(weights)[0], matrix, shift)
        return [*mapped, *weights[len(mapped) :]]

    def inside(self, weights, statistics):
        """The network within, which encodes and decodes, its weights and its statistics."""
        return self.network, self.split(weights)[0], statistics[:-1]

    def initial_values(self, rng, model=None, scale=1.0, offset=0.0, floor=0.0):
        """Initial weights, random ones or those of a :class:`FactorModel`, and statistics.

        The noise of random ones has variance one. With fewer factors than columns of the code
        the other columns are those of the prior. `scale` and `offset`, (n_outputs,) or numbers,
        turn decoded rows into the values before the output activation; `floor` is the least
        standard deviation of the noise.
        """
        linear, noise = (), np.zeros(self.network.n_outputs)
        if model is not None:
            log_variance = np.zeros(2 * self.n_components)
            log_variance[1 : 2 * len(model.variance) : 2] = np.log(model.variance)
            linear = model.encoder, scale * model.loadings, offset, log_variance
            # A noise at the floor still has a gradient.
            noise = np.log(np.maximum(model.noise - floor**2, 0.01 * floor**2))
        weights, statistics = self.network.initial_values(rng, *linear)
        # No step is taken yet.
        statistics.append(np.zeros((), np.float32))
        return [*weights, *[noise.astype(np.float32)] * self.noisy], statistics


class FactorModel(NamedTuple):
    """Linear Gaussian model of centred rows, turned so that its posterior is diagonal."""

    encoder: NDArray[Any]  # (n_features, k), from rows to the posterior mean of the factors
    loadings: NDArray[Any]  # (k, n_features), from factors to rows
    variance: NDArray[Any]  # (k,), of the posterior of each factor, the same for all rows
    noise: NDArray[Any]  # (n_features,), variance that the factors leave out


def probabilistic_pca(X, n_components, floor, sample_weight, rng):
    """Maximum likelihood of a linear model with the same noise in all columns.

    By Tipping and Bishop (1999), see :class:`VAETransformer`. X : (n_samples, n_features),
    centred. There are fewer factors than columns and than rows; `floor` is the least standard
    deviation of the noise; `rng` seeds the randomized solver, which serves wide data only.
    """
    n_features = X.shape[1]
    k = min(n_components, n_features - 1, len(X) - 1)
    squares = Rows(X).apply(lambda part: np.square(part.inputs).sum(axis=1))
    total = float(np.average(squares, weights=sample_weight))
    axes, explained = np.zeros((n_features, 0)), np.zeros(0)
    if k:
        axes, explained = principal_axes(X, k, sample_weight, rng)
    noise = max((total - explained.sum()) / (n_features - k), floor**2)
    ratio = np.maximum(explained, noise) / noise
    loadings = np.sqrt(noise * (ratio - 1))[:, None] * axes.T
    return FactorModel(
        loadings.T / (noise * ratio), loadings, 1 / ratio, np.full(n_features, noise)
    )


# Log-likelihoods by importance sampling, in NumPy and in ONNX


def normal_points(n_draws: int, n_components: int) -> NDArray[np.float64]:
    """Points that fill the standard normal evenly, of shape (n_draws, n_components).

    Shared by all rows, independent draws would be off in the same direction for each.
    """
    from scipy.stats import norm, qmc

    sequence = qmc.Sobol(n_components, seed=0)
    points = sequence.random_base2((n_draws - 1).bit_length())[:n_draws]
    return np.asarray(norm.ppf(points))


def log_likelihood(
    mean: Any, std: Any, log_joint: Callable[[Any], Any], points: NDArray[Any]
) -> Any:
    """Logarithm of the mean weight of codes, by adaptive multiple importance sampling.

    By Cornuet et al. (2012), see :class:`VAETransformer`. Codes of the first round are drawn
    from the posterior of the encoder. Where their weights are uneven it is not exact, and the
    next round is drawn around the weighted mean of the draws so far. Each draw is weighted by
    its density under all rounds together.

    Of arrays, or of tensors of an ONNX graph. mean, std : (n_samples, n_components), of the
    posteriors; `log_joint` gives the log-density of rows and codes, (n_draws, n_samples)
    and float64, for codes (n_draws, n_samples, n_components), less the constant of a normal
    density; points : (n_draws, n_components), standard normal, of the dtype of `mean`;
    result : (n_samples,), float64.
    """
    n_draws, dtype = len(points), points.dtype
    n_rounds = _ROUNDS if n_draws >= _FEWEST * _ROUNDS else 1
    densities: list[Callable[[Any], Any]] = []
    centre, spread = mean, std
    for part in np.array_split(points, n_rounds):
        drawn = centre + spread * part[:, np.newaxis]
        density = _normal(centre, spread, len(part) / n_draws)
        densities.append(density)
        # The density of all draws so far under all rounds so far.
        under = reduce(np.logaddexp, [each(drawn) for each in densities])
        if len(densities) == 1:
            codes, joint, under_all = drawn, log_joint(drawn), under
        else:
            under_all = np.concatenate([np.logaddexp(under_all, density(codes)), under])
            joint = np.concatenate([joint, log_joint(drawn)])
            codes = np.concatenate([codes, drawn])
        log_weight = joint - under_all
        most = np.max(log_weight, axis=0)
        weight = np.exp(log_weight - most)
        total = np.sum(weight, axis=0)
        if len(densities) == n_rounds:
            break
        # The more uneven the weights, the nearer is the next round to the weighted moments.
        n_even = np.square(total) / np.sum(np.square(weight), axis=0)
        n_even = np.reshape(n_even, (-1, 1)).astype(dtype)
        uneven = 1 - n_even / codes.shape[0]
        share = (weight / total).astype(dtype)
        found = np.einsum("dn,dnk->nk", share, codes)
        variance = np.einsum("dn,dnk->nk", share, np.square(codes - found))
        variance = n_even * variance + _PRIOR_DRAWS * np.square(std)
        variance = _WIDENING * variance / (n_even + _PRIOR_DRAWS)
        centre = centre + uneven * (found - centre)
        spread = np.sqrt((1 - uneven) * np.square(spread) + uneven * variance)
    return most + np.log(total) - float(np.log(n_draws))


def _normal(centre: Any, spread: Any, share: float) -> Callable[[Any], Any]:
    """Log-density, (n_draws, n_samples), of codes under a share of a normal distribution.

    Less the constant of normal densities; centre and spread : (n_samples, n_components).
    """
    precision = 1 / spread
    peak = float(np.log(share)) - np.sum(np.log(spread).astype(np.float64), axis=1)

    def log_density(codes: Any) -> Any:
        squares = np.square((codes - centre) * precision)
        ones = np.ones(squares.shape[-1], squares.dtype)
        return peak - 0.5 * np.matmul(squares, ones).astype(np.float64)

    return log_density
