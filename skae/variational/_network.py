"""A network whose code is a distribution, and the linear model it starts at."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from skae.networks._layers import Weights, layer
from skae.networks._principal import principal_axes
from skae.utils._lazy import LazyRows
from skae.utils._rows import Rows


@dataclass(frozen=True)
class LatentNetwork:
    """A network, the noise of its output, and a count of training steps.

    Parameters
    ----------
    network : DenseNetwork or BuiltNetwork
        Its `code_width` is two: the encoder says mean and log-variance of each column.

    noisy : bool
        Whether each output has a noise to learn, the last of the weights.
    """

    network: Any
    noisy: bool

    resizable = True
    starts_linear = True

    @property
    def n_components(self) -> int:
        """Columns of the code."""
        return int(self.network.n_components)

    @property
    def output_activation(self) -> str:
        """Activation of the output."""
        return str(self.network.output_activation)

    @property
    def gains_from_xla(self) -> bool:
        """Whether XLA makes its epochs quicker."""
        return bool(self.network.gains_from_xla)

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
        encoder, decoder = self.network.build()
        return encoder, decoder

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
        """Weights of a network that knows nothing of the data; noise of variance one."""
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
        """Weights of a network that is a linear model yet.

        Parameters
        ----------
        rng : RandomState
            For the hidden layers, which add nothing yet.

        model : FactorModel
            With fewer factors than columns the other columns start at the prior.

        scale, offset : float or ndarray of shape (n_outputs,)
            From what is decoded to what stands before the output activation.

        floor : float
            What the noise has without its weight.
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

    Attributes
    ----------
    encoder : ndarray of shape (n_features, k)
        From rows to the posterior mean of the factors.

    loadings : ndarray of shape (k, n_features)
        From factors to rows.

    variance : ndarray of shape (k,)
        Of the posterior of each factor, the same for all rows.

    noise : ndarray of shape (n_features,)
        Variance of what the factors leave out.
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
    """The linear model with the same noise in all columns that makes the rows likeliest.

    Parameters
    ----------
    X : ndarray or LazyRows of shape (n_samples, n_features)
        Rows, centred already.

    n_components : int
        Factors at most; there are fewer than columns and than rows.

    floor : float
        Least standard deviation of the noise.

    sample_weight : ndarray of shape (n_samples,) or None
        Weights of the rows.

    rng : RandomState
        Seeds the randomized solver, which serves wide data only.

    Returns
    -------
    FactorModel

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
