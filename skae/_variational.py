"""VAETransformer."""

import warnings
from numbers import Integral, Real

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from skae._base import BaseAutoencoder
from skae._reconstruction import ReconstructionMixin
from skae.inference import LatentForward
from skae.losses import LIKELIHOODS, noise_variance
from skae.networks import (
    DenseNetwork,
    LatentNetwork,
    keras_name,
    probabilistic_pca,
    whole_numbers,
)
from skae.utils._sklearn import Interval, StrOptions

# A column of the code whose mean divergence from the prior, in nats, is not above this
# says nothing about the rows.
_ACTIVE = 0.01

# Codes per row by which the rows held out judge whether training has improved on the start.
_JUDGING_DRAWS = 16

# The parts of the loss, in the order of the objective.
_PARTS = ("reconstruction", "kl")

# What other autoencoders are asked for and a likelihood leaves no choice in.
_GIVEN = {
    "network", "code_activation", "output_activation", "tied_weights", "loss", "penalty",
}  # fmt: skip


class VAETransformer(ReconstructionMixin, BaseAutoencoder):
    """DOC."""

    _scores_are_errors = False
    _interpolation = "spherical"

    _parameter_constraints: dict = {
        **{k: v for k, v in BaseAutoencoder._parameter_constraints.items() if k not in _GIVEN},
        "likelihood": [StrOptions(set(LIKELIHOODS))],
        "beta": [Interval(Real, 0, None, closed="left")],
        "warm_up": [Interval(Integral, 0, None, closed="left")],
        "free_bits": [Interval(Real, 0, None, closed="left")],
        "noise_floor": [Interval(Real, 0, None, closed="neither")],
        "n_draws": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        n_components=2,
        *,
        hidden_layer_sizes=(256, 128),
        activation="relu",
        normalization=None,
        dropout=0.0,
        likelihood="gaussian",
        noise_floor=0.1,
        beta=1.0,
        warm_up=0,
        free_bits=0.0,
        n_draws=128,
        init="pca",
        optimizer="adam",
        learning_rate=0.001,
        weight_decay=0.0,
        batch_size="auto",
        max_iter=200,
        early_stopping=True,
        validation_fraction=0.1,
        n_iter_no_change=20,
        tol=0.01,
        warm_start=False,
        random_state=None,
        verbose=False,
    ):
        self.n_components = n_components
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.normalization = normalization
        self.dropout = dropout
        self.likelihood = likelihood
        self.noise_floor = noise_floor
        self.beta = beta
        self.warm_up = warm_up
        self.free_bits = free_bits
        self.n_draws = n_draws
        self.init = init
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose

    # What a fitted one does

    def posterior(self, X):
        """Mean and standard deviation of the code of each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Rows, in the shape the estimator was fitted on, or flat.

        Returns
        -------
        mean : ndarray of shape (n_samples, n_components_)
            The code, as `transform` gives it.

        std : ndarray of shape (n_samples, n_components_)
            How uncertain each number is. Near one, the standard deviation of the prior,
            the column says nothing about the row.
        """
        mean, log_variance = self._latent.posterior(self._check_rows(X))
        return np.ascontiguousarray(mean), np.exp(0.5 * log_variance)

    def sample(self, n_samples=1, random_state=None, *, noise=True):
        """Draw rows from the model.

        Parameters
        ----------
        n_samples : int, default=1
            How many.

        random_state : int, RandomState instance or None, default=None
            Draws codes and noise.

        noise : bool, default=True
            Whether the noise of the likelihood is added (for a Bernoulli likelihood,
            zeros and ones are drawn), as in the data. False: what the decoder says of
            codes drawn from the prior.

        Returns
        -------
        ndarray of shape (n_samples, n_features) or (n_samples, ...)
            Rows in the units of the data.
        """
        check_is_fitted(self)
        rng = np.random.RandomState() if random_state is None else check_random_state(random_state)
        rows = self._decoder(rng.standard_normal((n_samples, self.n_components_)))
        return self._shaped(self._latent.with_noise(rows, rng) if noise else rows)

    def score_samples(self, X):
        """Log-likelihood of each row, estimated from below.

        The importance-weighted bound [1]_ of `n_draws` codes drawn from the posterior of
        the row: in the mean over draws it is not above the log-likelihood, and it comes
        closer with each draw. The draws are the same for all rows and in every call.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Rows, in the shape the estimator was fitted on, or flat.

        Returns
        -------
        ndarray of shape (n_samples,)
            In nats, for the density in the units of the data: comparable with
            `score_samples` of :class:`~sklearn.decomposition.PCA` and
            :class:`~sklearn.mixture.GaussianMixture`.

        References
        ----------
        .. [1] Y. Burda, R. Grosse and R. Salakhutdinov, "Importance Weighted
           Autoencoders", ICLR 2016.
        """
        return self._latent.log_likelihood(self._check_rows(X), self.n_draws)

    def score(self, X, y=None, sample_weight=None):
        """Mean of `score_samples`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Rows, at best rows that were not used for training.

        y : Ignored
            Not used, present for API consistency by convention.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.

        Returns
        -------
        float
            Nats per row. The share of variance explained is given by
            :func:`skae.metrics.reconstruction_score`.
        """
        return float(np.average(self.score_samples(X), weights=sample_weight))

    def _encode(self, X):
        return np.ascontiguousarray(self._latent.posterior(X)[0])

    def _losses(self, rows):
        """Minus the evidence lower bound of each row, as it is trained."""
        return self._latent.minus_bound(rows.inputs, _JUDGING_DRAWS, self.beta)

    # Answers to the base

    def _check_parts(self, rows):
        self._likelihood = LIKELIHOODS[self.likelihood]
        if self._likelihood.bounded and (rows.inputs.min() < 0 or rows.inputs.max() > 1):
            raise ValueError(
                f"likelihood={self.likelihood!r} needs X in [0, 1]; X ranges from "
                f"{rows.inputs.min():.6g} to {rows.inputs.max():.6g}. Scale it with "
                "sklearn.preprocessing.MinMaxScaler or choose likelihood='gaussian'."
            )

    def _build(self, rows, rng):
        network = DenseNetwork(
            rows.inputs.shape[1],
            self._latent_size(rows, rng),
            hidden=whole_numbers("hidden_layer_sizes", self.hidden_layer_sizes, 0),
            activation=keras_name(self.activation),
            output_activation="sigmoid" if self._likelihood.bounded else "linear",
            linear_path=self.init == "pca",
            code_width=2,
            normalization=self.normalization,
            dropout=self.dropout,
        )
        self._network = LatentNetwork(network, self._likelihood.noisy)

    @property
    def _starts_well(self):
        return self.init == "pca"

    def _start(self, rows, rng):
        # No second start from random weights: see the notes of the class.
        self._start_share = 1.0
        self._n_training = len(rows)
        self._supported = np.ones(self._network.n_components, bool)
        if self.init == "random":
            return self._network.random_start(rng)
        inputs = self._units.inward(rows.inputs)
        model = probabilistic_pca(
            inputs, self._network.n_components, self.noise_floor, rows.weight, rng
        )
        informative = -0.5 * np.log(model.variance) > _ACTIVE
        self._supported[:] = False
        self._supported[: len(informative)] = informative
        return self._network.linear_start(rng, model, *self._before_output(), self.noise_floor)

    def _objective(self, network, mask, pools):
        batch_size = self._batch_size(self._n_training)
        settings = {
            "mask": mask,
            "beta": self.beta,
            "warm_up": self.warm_up * -(-self._n_training // batch_size),
            "free_bits": self.free_bits,
            "floor": self.noise_floor,
            "log_volume": self._log_volume(),
        }
        shapes = {name: np.shape(value) for name, value in settings.items()}
        likelihood = self._likelihood

        def build():
            from skae.models import VariationalObjective

            return VariationalObjective(*network.build(), likelihood, shapes)

        return build, (network, likelihood), settings

    def _log_volume(self):
        """What the units of the data add to minus the log-likelihood of a row."""
        return len(self.mean_) * np.log(self.scale_) if self._scales_output else 0.0

    def _networks(self, weights, statistics):
        held = super()._networks(weights, statistics)
        noise = self._network.split(weights)[1]
        variance = None
        if noise is not None:
            variance = noise_variance(np, noise.astype(np.float64), self.noise_floor)
        held["_latent"] = LatentForward(
            held["_encoder"],
            held["_decoder"],
            self._likelihood,
            variance,
            self._units if self._scales_output else None,
        )
        if variance is not None:
            held["noise_"] = held["_latent"].noise.reshape(self._output_shape)
        return held

    def _fitted_attributes(self, training):
        attributes = super()._fitted_attributes(training)
        goes_on = self.n_iter_ > 0
        before = self.loss_parts_ if goes_on else None
        attributes["loss_parts_"] = _by_name(training.parts, before)
        attributes["validation_loss_parts_"] = None
        if attributes["validation_loss_curve_"] is not None:
            before = self.validation_loss_parts_ if goes_on else None
            parts = _by_name(training.validation_parts[1:], before)
            attributes["validation_loss_parts_"] = parts
        return attributes

    @property
    def _unit(self):
        """Losses are nats in the units of the data already."""
        return 1.0

    def _conclude(self, rows):
        """Count the columns of the code that say something about the rows."""
        apart = self._latent.divergence(rows.inputs)
        self.divergence_ = np.average(apart, axis=0, weights=rows.weight)
        active = self.divergence_ > _ACTIVE
        self.n_active_ = int(active.sum())
        collapsed = np.flatnonzero(self._supported & ~active)
        if len(collapsed):
            warnings.warn(
                f"{len(collapsed)} of {len(active)} columns of the code have collapsed to the "
                f"prior and say nothing about the rows: {collapsed.tolist()}. A smaller beta, "
                "a longer warm_up, free_bits or fewer n_components may help.",
                ConvergenceWarning,
                stacklevel=6,
            )


def _by_name(parts, before):
    """The parts of the losses, one list for each, after those of earlier fits."""
    before = before or dict.fromkeys(_PARTS, [])
    return {
        name: before[name] + [float(part[i]) for part in parts]
        for i, name in enumerate(_PARTS)
    }
