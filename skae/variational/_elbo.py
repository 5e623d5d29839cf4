"""What a variational autoencoder trains: its start, its objective, what is told of it."""

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from skae.estimators._latent_dim import rows_in_batch
from skae.estimators._validation import check_bounded
from skae.losses._likelihood import LIKELIHOODS, noise_variance
from skae.networks import KerasNetwork
from skae.networks._activations import keras_name
from skae.networks._base import LayerOptions
from skae.variational._mixture_prior import fit_prior
from skae.variational._network import LatentNetwork, probabilistic_pca
from skae.variational._posterior import LatentForward

# A column of the code whose mean divergence from the prior, in nats, is not above this
# says nothing about the rows.
_ACTIVE = 0.01

# Codes per row by which the rows held out judge whether training has improved on the start.
_JUDGING_DRAWS = 16

# The parts of the loss, in the order of the objective.
_PARTS = ("reconstruction", "kl")


class VariationalTrainingMixin:
    """What a variational autoencoder answers to its base; stands before all others."""

    # What other autoencoders are asked for and a likelihood leaves no choice in.
    tied_weights = False

    # Each cell of a table has its likelihood.
    _weighs_columns = False

    # Answers to the base

    def _losses(self, rows):
        """Minus the evidence lower bound of each row, as it is trained."""
        told = _JUDGING_DRAWS, float(self.beta)
        return rows.apply(
            lambda part: self._latent.minus_bound(part.inputs, part.outputs, *told)
        )

    def _check_parts(self, rows):
        if self._preprocessor.likelihood(LIKELIHOODS[self.likelihood]).bounded:
            check_bounded("likelihood", self.likelihood, "likelihood='gaussian'", rows)

    def _build(self, rows, rng):
        super()._build(rows, rng)
        self._likelihood = self._preprocessor.likelihood(LIKELIHOODS[self.likelihood])
        self._mean_log_volume = None
        if rows.observed is not None:
            volumes = self._preprocessor.log_volumes(rows)
            self._mean_log_volume = float(np.average(volumes, weights=rows.weight))

    def _options(self, linear_path):
        return LayerOptions(
            activation=keras_name(self.activation),
            output_activation="sigmoid" if LIKELIHOODS[self.likelihood].bounded else "linear",
            linear_path=linear_path,
            normalization=self.normalization,
            dropout=float(self.dropout),
            code_width=2,
        )

    def _described(self, n_components, linear_path):
        if isinstance(self.network, KerasNetwork):
            raise ValueError(
                "network must be a ConvNetwork, a RecurrentNetwork or None: models of one's "
                f"own do not say how certain a code is; got {self.network!r}."
            )
        network = super()._described(n_components, linear_path)
        return LatentNetwork(network, LIKELIHOODS[self.likelihood].noisy)

    @property
    def _starts_well(self):
        return self.init == "pca"

    def _start(self, rows, rng):
        # Trusted, whatever it explains: the bound is tight there.
        self._start_share = 1.0
        self._n_training = len(rows)
        self._supported = np.ones(self._network.n_components, bool)
        if self.init == "random":
            return self._network.random_start(rng)
        inputs = self._preprocessor.said_inputs(self._units.transform(rows.inputs))
        floor = float(self.noise_floor)
        model = probabilistic_pca(inputs, self._network.n_components, floor, rows.weight, rng)
        informative = -0.5 * np.log(model.variance) > _ACTIVE
        self._supported[:] = False
        self._supported[: len(informative)] = informative
        model = self._preprocessor.over_all_inputs(model)
        whole, activation = (model.encoder, model.loadings), self._network.output_activation
        before_output = self._preprocessor.before_output(rows, whole, activation)
        return self._network.linear_start(rng, model, *before_output, floor)

    def _objective(self, network, mask, pools, rows):
        batch_size = rows_in_batch(self.batch_size, self._n_training)
        settings = {
            "mask": mask,
            "beta": self.beta,
            "warm_up": int(self.warm_up) * -(-self._n_training // batch_size),
            "free_bits": self.free_bits,
            "floor": self.noise_floor,
            "log_volume": self._log_volume(),
        }
        settings |= pools({"normal"})
        shapes = {name: np.shape(value) for name, value in settings.items()}
        likelihood = self._preprocessor.likelihood_of(self._likelihood, rows)

        def build():
            from skae.variational._objective import VariationalObjective

            return VariationalObjective(*network.build(), likelihood, shapes)

        return build, (network, likelihood, *shapes.values()), settings

    def _log_volume(self):
        """What the units of the data add to minus the log-likelihood of a row."""
        if not self._scales_output and self.table_ is None:
            return 0.0
        if getattr(self, "_mean_log_volume", None) is not None:
            return self._mean_log_volume
        log_scale = np.log(self.scale_)
        return log_scale.sum() if np.ndim(log_scale) else len(self.mean_) * log_scale

    def _networks(self, weights, statistics):
        held = super()._networks(weights, statistics)
        noise = self._network.split(weights)[1]
        variance = None
        if noise is not None:
            variance = noise_variance(np, noise.astype(np.float64), float(self.noise_floor))
        held["_latent"] = LatentForward(
            held["_encoder"],
            held["_decoder"],
            self._likelihood,
            variance,
            self._units if self._scales_output else None,
        )
        noise = held["_latent"].noise
        held["prior_"] = None
        held["noise_"] = self._preprocessor.by_column(noise)
        return held

    def _fitted_attributes(self, training):
        attributes = super()._fitted_attributes(training)
        continues_training = self.n_iter_ > 0
        before = self.loss_parts_ if continues_training else None
        attributes["loss_parts_"] = _by_name(training.parts, before)
        attributes["validation_loss_parts_"] = None
        if attributes["validation_loss_curve_"] is not None:
            before = self.validation_loss_parts_ if continues_training else None
            parts = _by_name(training.validation_parts[1:], before)
            attributes["validation_loss_parts_"] = parts
        return attributes

    @property
    def _unit(self):
        """Losses are nats in the units of the data already."""
        return 1.0

    def _conclude(self, train, held_out, rng, one_epoch):
        """Choose the prior, and count the columns of the code that say something."""
        apart = train.apply(lambda part: self._latent.divergence(part.inputs))
        self.divergence_ = np.average(apart, axis=0, weights=train.weight)
        if self.prior == "mixture" and not one_epoch:
            self.prior_ = fit_prior(self._latent.posterior, train, held_out, rng)
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
    before = before or {name: [] for name in _PARTS}
    return {
        name: before[name] + [float(part[i]) for part in parts] for i, name in enumerate(_PARTS)
    }
