"""A variational autoencoder as a value, its network, and its initialization."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from skae.estimators._model import FittedAutoencoder
from skae.inference._dense import Affine
from skae.inference._forward import Forward, forward
from skae.losses._likelihood import noise_variance
from skae.networks._layers import Weights, layer
from skae.networks._principal import principal_axes
from skae.utils._lazy import LazyRows
from skae.utils._rows import Rows
from skae.variational._posterior import LatentForward

#: A column of the code is active if its mean divergence from the prior, in nats, is above this.
ACTIVE = 0.01

# Codes per validation row, by which it is decided whether training improved on the start.
_VALIDATION_DRAWS = 16


@dataclass(frozen=True, eq=False, kw_only=True)
class VariationalModel(FittedAutoencoder):
    """A variational autoencoder, with the parameters of :class:`VAETransformer` in training.

    `likelihood` is that of a row given the decoder's output; `mean_log_volume` the mean over
    rows of the logarithm of the scale of the observed values, None where no value is missing;
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
        return rows.apply(lambda one: self.latent.minus_bound(one.inputs, one.outputs, *args))

    def with_principal_code(self, rows):
        """Return the autoencoder with columns in the order of their divergence from the prior.

        See :class:`FittedAutoencoder`.
        """
        model = replace(self, code_map=None)
        kl = rows.apply(lambda part: model.latent.divergence(part.inputs))
        order = np.argsort(-np.average(kl, axis=0, weights=rows.weight), kind="stable")
        code_map = np.eye(len(order))[:, order], np.zeros(len(order))
        return replace(model, code_map=code_map, supported=self.supported[order]), None

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


@dataclass(frozen=True)
class LatentNetwork:
    """A network, the noise of its output, and a count of training steps.

    Its `code_width` is two: mean and log-variance of each column. If it is `noisy` each output
    has a noise to learn, (n_outputs,), the last of the weights.
    """

    network: Any
    noisy: bool

    resizable = True
    starts_linear = True

    @property
    def n_components(self) -> int:
        """Columns of the code."""
        return self.network.n_components

    @property
    def output_activation(self) -> str:
        """Activation of the output."""
        return self.network.output_activation

    @property
    def has_linear_code(self) -> bool:
        """True if a linear map of the code can be absorbed by the weights."""
        return self.network.has_linear_code

    def with_linear_code(
        self, weights: Sequence[NDArray[Any]], matrix: NDArray[Any], shift: NDArray[Any]
    ) -> Weights:
        """Weights of the same autoencoder: see `DenseNetwork.with_linear_code`."""
        mapped = self.network.with_linear_code(self.split(weights)[0], matrix, shift)
        return [*mapped, *weights[len(mapped) :]]

    @property
    def gains_from_xla(self) -> bool:
        """True if XLA makes its epochs quicker."""
        return self.network.gains_from_xla

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """Shapes of all weights that are trained: encoder, decoder, noise."""
        noise = (self.network.n_outputs,)
        return [*self.network.shapes, *[noise] * self.noisy]

    def resized(self, n_components: int) -> "LatentNetwork":
        """The same network with another width of the code."""
        return replace(self, network=self.network.resized(n_components))

    def build(self) -> tuple[Any, Any]:
        """Keras models of encoder and decoder, their weights zero."""
        return self.network.build()

    def split(self, weights: Sequence[NDArray[Any]]) -> tuple[Weights, NDArray[Any] | None]:
        """Weights of encoder and decoder, and the noise."""
        weights = list(weights)
        return (weights[:-1], weights[-1]) if self.noisy else (weights, None)

    def fresh_statistics(self) -> Weights:
        """Moving statistics before training, and no step taken yet."""
        return [*self.network.fresh_statistics(), np.zeros((), np.float32)]

    def trained(
        self, weights: Sequence[NDArray[Any]], statistics: Sequence[NDArray[Any]]
    ) -> tuple[Any, Any]:
        """Keras models of the mean of the code and of the decoder."""
        import keras

        encoder, decoder = self.network.trained(self.split(weights)[0], statistics[:-1])
        moments = layer("Reshape", (self.n_components, 2))(encoder.output)
        return keras.Model(encoder.input, moments[:, :, 0], name="encoder"), decoder

    def random_start(self, rng: np.random.RandomState) -> Weights:
        """Random initial weights, and noise of variance one."""
        noise = np.zeros(self.network.n_outputs, np.float32)
        return [*self.network.random_start(rng), *[noise] * self.noisy]

    def linear_start(
        self,
        rng: np.random.RandomState,
        model: "FactorModel",
        scale: NDArray[Any] | float,
        offset: NDArray[Any] | float,
        floor: float,
    ) -> Weights:
        """Initial weights whose hidden layers contribute zero: a linear model.

        With fewer factors than columns of the code the other columns are those of the prior.
        `scale` and `offset`, (n_outputs,) or numbers, turn decoded rows into the values before
        the output activation; `floor` is the least standard deviation of the noise.
        """
        log_variance = np.zeros(2 * self.n_components)
        log_variance[1 : 2 * len(model.variance) : 2] = np.log(model.variance)
        weights: Weights = self.network.linear_start(
            rng, model.encoder, scale * model.loadings, offset, log_variance
        )
        if not self.noisy:
            return weights
        # A noise at the floor still has a gradient.
        above = np.maximum(model.noise - floor**2, 0.01 * floor**2)
        return [*weights, np.log(above).astype(np.float32)]


class FactorModel(NamedTuple):
    """Linear Gaussian model of centred rows, turned so that its posterior is diagonal.

    `encoder` : (n_features, k), from rows to the posterior mean of the factors; `loadings` :
    (k, n_features), from factors to rows; `variance` : (k,), of the posterior of each factor,
    the same for all rows; `noise` : (n_features,), variance that the factors leave out.
    """

    encoder: NDArray[Any]
    loadings: NDArray[Any]
    variance: NDArray[Any]
    noise: NDArray[Any]


def probabilistic_pca(
    X: NDArray[Any] | LazyRows,
    n_components: int,
    floor: float,
    sample_weight: NDArray[Any] | None,
    rng: np.random.RandomState,
) -> FactorModel:
    """Maximum likelihood of a linear model with the same noise in all columns [1]_.

    X : (n_samples, n_features), centred. There are fewer factors than columns and than rows;
    `floor` is the least standard deviation of the noise; `rng` seeds the randomized solver,
    which serves wide data only.

    References
    ----------
    .. [1] M. E. Tipping and C. M. Bishop, "Probabilistic Principal Component Analysis",
       Journal of the Royal Statistical Society B 61, 1999.
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
