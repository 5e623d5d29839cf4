"""The door between scikit-learn above and Keras below."""

import warnings
from abc import abstractmethod
from dataclasses import replace
from numbers import Integral, Real

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import validate_data

from skae._monitor import FitMonitor
from skae._reconstruction import DTYPES
from skae.inference import Affine, DenseForward
from skae.losses import LOSSES
from skae.networks import (
    ACTIVATIONS,
    SYNONYMS,
    DenseNetwork,
    keras_name,
    principal_axes,
    resize,
)
from skae.utils._sklearn import (
    CallbackSupportMixin,
    HasMethods,
    Interval,
    StrOptions,
    check_sample_weight,
    fit_context,
)
from skae.utils._state import restores_state_on_error

OPTIMIZERS = {
    "adadelta", "adafactor", "adagrad", "adam", "adamax", "adamw",
    "ftrl", "lamb", "lion", "muon", "nadam", "rmsprop", "sgd",
}  # fmt: skip

# Latent sizes are rounded up to a multiple of this and masked, to share a compilation: in
# small batches, where a step costs the same with a wider code, and in large ones.
_CODE_BLOCKS = (32, 8)
_LARGE_BATCH = 128

# With fewer rows than this none are held out: training is judged on all of them.
_FEWEST_TO_SPLIT = 10

# Rows in a training step where the user leaves the choice to us: few for small tables,
# which want many steps an epoch, and many for large ones, which want quick steps.
_BATCH_SIZES = (32, 128)
_STEPS_AN_EPOCH = 256


class BaseAutoencoder(CallbackSupportMixin, BaseEstimator):
    """What the autoencoders share: everything between fit and the trained arrays.

    What is done with these arrays is said by :class:`ReconstructionMixin`, which stands
    beside this class in every estimator.
    """

    _parameter_constraints: dict = {
        "n_components": [
            Interval(Integral, 1, None, closed="left"),
            Interval(Real, 0, 1, closed="neither"),
        ],
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "activation": [StrOptions(set(ACTIVATIONS) | set(SYNONYMS))],
        "code_activation": [StrOptions(set(ACTIVATIONS) | set(SYNONYMS))],
        "output_activation": [StrOptions({"auto"} | set(ACTIVATIONS) | set(SYNONYMS))],
        "loss": [StrOptions(set(LOSSES))],
        "init": [StrOptions({"pca", "random"})],
        "optimizer": [StrOptions(OPTIMIZERS), HasMethods(["apply", "get_config"])],
        "learning_rate": [
            Interval(Real, 0, None, closed="neither"),
            HasMethods(["get_config"]),
        ],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left"), None],
        "warm_start": ["boolean"],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    @abstractmethod
    def __init__(self):
        """Subclasses name every parameter."""

    # Fitting

    @restores_state_on_error
    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None, sample_weight=None):
        """Train the autoencoder on X.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training rows, at least two.

        y : Ignored
            Not used, present for API consistency by convention.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows, in training and in the loss on held-out rows. Rows of
            weight zero are as good as absent. None: all rows count the same.

        Returns
        -------
        self : object
            The fitted estimator. When `fit` fails, or is interrupted before there is
            anything to keep, what was fitted before is kept.
        """
        goes_on = self.warm_start and hasattr(self, "_encoder")
        return self._fit(X, y, sample_weight, goes_on)

    @restores_state_on_error
    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y=None, sample_weight=None):
        """Train for one epoch on X, going on from where training stands.

        The first call centres, scales and starts from its rows, so it wants rows that
        stand for all the others. No rows are held out: `early_stopping` has no effect.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training rows.

        y : Ignored
            Not used, present for API consistency by convention.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.

        Returns
        -------
        self : object
            The fitted estimator.
        """
        return self._fit(X, y, sample_weight, hasattr(self, "_encoder"), one_epoch=True)

    def _fit(self, X, y, sample_weight, goes_on, one_epoch=False):
        """Validate, seed, split, build, train, keep."""
        X, weight = self._validate(X, sample_weight, reset=not goes_on)
        rng = self._seeded(goes_on)
        train, held_out = self._split(len(X), rng, self.early_stopping and not one_epoch)
        if not goes_on:
            self._describe(X, weight)
            self._start(X, weight, train, rng)
        judges_start = held_out is not None and self.init == "pca" and not goes_on
        before = self._score_rows(X[held_out]) if judges_start else None
        training = self._train(X, y, weight, train, held_out, rng, one_epoch)
        self._warn_or_raise(training)
        vars(self).update(self._fitted_attributes(training))
        if judges_start and not self._is_better(before, X, weight, held_out):
            self._fall_back(X, weight, rng)
        if self.warm_start or one_epoch:
            self._optimizer_state = training.optimizer_state
        return self

    def _is_better(self, before, X, weight, held_out):
        """Whether training gained more on the held-out rows than chance explains.

        The losses must have fallen on the mean, and the relative gain of a row, which a
        few rows with large losses cannot sway, by more than its standard error.
        """
        after = self._score_rows(X[held_out])
        weight = None if weight is None else weight[held_out]
        gain = (after - before) / np.maximum(-(after + before), np.finfo(X.dtype).tiny)
        mean = np.average(gain, weights=weight)
        variance = np.average(np.square(gain - mean), weights=weight)
        fell = np.average(after, weights=weight) > np.average(before, weights=weight)
        return fell and mean > np.sqrt(variance / len(gain))

    def _fall_back(self, X, weight, rng):
        """Keep the start: the principal components, now of all rows."""
        self._set_weights(self._principal_start(self._standardise(X), weight, rng))
        self.best_iter_ = 0
        self.best_loss_ = self.start_loss_

    def _validate(self, X, sample_weight, reset):
        """Rows and weights as arrays, without the rows of weight zero."""
        X = validate_data(self, X, dtype=DTYPES, ensure_min_samples=2, reset=reset)
        self._check_range(X)
        if sample_weight is None:
            return X, None
        weight = check_sample_weight(
            sample_weight, X, dtype=np.float64, ensure_non_negative=True
        )
        counts = weight > 0
        if counts.sum() < 2:
            raise ValueError(
                "sample_weight must be positive for at least two rows; it is for "
                f"{counts.sum()} of {len(weight)}."
            )
        return (X, weight) if counts.all() else (X[counts], weight[counts])

    def _check_range(self, X):
        if LOSSES[self.loss].bounded and (X.min() < 0 or X.max() > 1):
            raise ValueError(
                f"loss={self.loss!r} needs X in [0, 1]; X ranges from {X.min():.6g} to "
                f"{X.max():.6g}. Scale it with sklearn.preprocessing.MinMaxScaler or "
                "choose another loss."
            )

    def _seeded(self, goes_on):
        """The generator of this fit; one that goes on does not repeat the first."""
        if self.random_state is None:
            return np.random.RandomState()
        seed = check_random_state(self.random_state).randint(2**31 - 1)
        return np.random.RandomState([seed, self.n_iter_ if goes_on else 0])

    def _split(self, n_samples, rng, early_stopping):
        """Positions of the rows to train on and of those to judge by, or None."""
        if not early_stopping:
            return slice(None), None
        if n_samples < _FEWEST_TO_SPLIT:
            return slice(None), slice(None)
        n_held_out = int(np.ceil(self.validation_fraction * n_samples))
        if n_held_out > n_samples - 2:
            raise ValueError(
                f"validation_fraction={self.validation_fraction} leaves "
                f"{n_samples - n_held_out} of {n_samples} rows to train on; "
                "at least two are needed."
            )
        order = rng.permutation(n_samples)
        return order[n_held_out:], order[:n_held_out]

    def _describe(self, X, weight):
        """Centre of X and its one scale: the root of its mean variance by column."""
        self.mean_ = np.average(X, axis=0, weights=weight).astype(np.float64)
        variance = np.average(np.square(X - self.mean_).mean(axis=1), weights=weight)
        self.scale_ = float(np.sqrt(variance)) or 1.0

    def _standardise(self, X):
        centred = X - self.mean_.astype(X.dtype, copy=False)
        centred /= X.dtype.type(self.scale_)
        return centred

    def _start(self, X, weight, train, rng):
        """Choose the latent size, the network and the weights it starts from."""
        self.n_iter_, self.loss_curve_, self.validation_loss_curve_ = 0, [], None
        self._optimizer_state = None
        inputs = self._standardise(X)
        self._network = DenseNetwork(
            X.shape[1],
            self._latent_size(inputs, weight, rng),
            hidden=self._hidden_layer_sizes(),
            activation=keras_name(self.activation),
            code_activation=keras_name(self.code_activation),
            output_activation=self._output_activation(),
            linear_path=self.init == "pca",
        )
        if self.init == "random":
            self._set_weights(self._network.random_start(rng))
        else:
            weight = None if weight is None else weight[train]
            self._set_weights(self._principal_start(inputs[train], weight, rng))

    def _latent_size(self, inputs, weight, rng):
        if isinstance(self.n_components, Integral):
            return int(self.n_components)
        _, variance = principal_axes(inputs, min(inputs.shape), weight, rng)
        share = np.cumsum(variance) / (variance.sum() or 1)
        size = int(np.searchsorted(share, self.n_components, side="right")) + 1
        return min(size, len(share))

    def _principal_start(self, inputs, weight, rng):
        axes, _ = principal_axes(inputs, self._network.n_components, weight, rng)
        return self._network.principal_start(rng, axes, *self._before_output())

    def _set_weights(self, weights):
        vars(self).update(self._forward(weights))

    def _forward(self, weights):
        """Encoder and decoder as functions of rows in the units of the data."""
        units = Affine(self.mean_, self.scale_)
        network = self._network
        encoder, decoder = network.split(weights)
        return {
            "_encoder": DenseForward(network.encoder, encoder, before=units),
            "_decoder": DenseForward(
                network.decoder, decoder, after=units if self._scales_output else None
            ),
        }

    def _before_output(self):
        """Map a reconstruction to what the output activation makes of it, nearly."""
        if self._network.output_activation == "linear":
            return 1.0, 0.0
        if self._network.output_activation == "sigmoid":
            # The tangent of the logit at one half.
            return 4 * self.scale_, 4 * (self.mean_ - 0.5)
        return self.scale_, self.mean_

    def _hidden_layer_sizes(self):
        sizes = np.atleast_1d(np.asarray(self.hidden_layer_sizes))
        if sizes.size and (sizes.ndim > 1 or sizes.dtype.kind not in "iu" or sizes.min() < 1):
            raise ValueError(
                "hidden_layer_sizes must be integers of at least 1, the widths of the "
                f"encoder's hidden layers; got {self.hidden_layer_sizes!r}."
            )
        return tuple(map(int, sizes))

    def _output_activation(self):
        if self.output_activation != "auto":
            return keras_name(self.output_activation)
        return "sigmoid" if LOSSES[self.loss].bounded else "linear"

    # Training

    def _train(self, X, y, weight, train, held_out, rng, one_epoch):
        from skae import training
        from skae.models import ReconstructionObjective

        monitor = FitMonitor(self, X, y, weight, self._fitted_attributes)
        targets = None if self._scales_output else X.astype(np.float32, copy=False)
        rows = training.Rows(
            self._standardise(X).astype(np.float32, copy=False), targets, weight
        )
        training_rows = rows.take(train)
        batch_size = self._batch_size(len(training_rows))
        # Trained with more columns in the code than needed, behind a mask.
        size = self._network.n_components
        block = _CODE_BLOCKS[batch_size > _LARGE_BATCH]
        capacity = -(-size // block) * block
        network = replace(self._network, n_components=capacity)
        loss = LOSSES[self.loss]
        result = training.train(
            lambda: ReconstructionObjective(*network.build(), loss),
            key=(network, loss.name),
            weights=resize(self._encoder.weights + self._decoder.weights, network.shapes),
            others=[(np.arange(capacity) < size).astype(np.float32)],
            training=training_rows,
            validation=None if held_out is None else rows.take(held_out),
            optimizer=self.optimizer,
            learning_rate=self.learning_rate,
            optimizer_state=self._optimizer_state,
            batch_size=batch_size,
            stopping=training.Stopping(
                max_iter=1 if one_epoch else self.max_iter,
                n_iter_no_change=self.n_iter_no_change,
                tol=self.tol,
                keep_best=held_out is not None,
            ),
            rng=rng,
            monitor=monitor,
        )
        monitor.finish(result)
        return result

    def _batch_size(self, n_samples):
        if self.batch_size == "auto":
            return int(min(np.clip(n_samples // _STEPS_AN_EPOCH, *_BATCH_SIZES), n_samples))
        return min(self.batch_size, n_samples)

    def _warn_or_raise(self, training):
        """Say why training ended if it was not as planned."""
        if training.ending not in ("diverged", "interrupted"):
            return
        epoch = len(training.loss_curve) + 1
        kept = training.best_iter or self.init == "pca" or self.n_iter_
        if training.ending == "interrupted":
            if not kept:
                raise KeyboardInterrupt
            message = f"Interrupted in epoch {epoch}"
        else:
            message = f"The loss is not finite in epoch {epoch}"
            if not kept:
                raise ValueError(f"{message}: choose a smaller learning_rate.")
            message += " (a smaller learning_rate may help)"
        warnings.warn(
            f"{message}; the network of epoch {training.best_iter} is kept.",
            ConvergenceWarning,
            stacklevel=6,
        )

    def _fitted_attributes(self, training):
        """What `fit` leaves, were training to end now."""
        weights = resize(training.weights, self._network.shapes)
        before = self.n_iter_
        losses = [loss * self._unit for loss in training.loss_curve]
        validation = [loss * self._unit for loss in training.validation_curve]
        held_out = bool(np.isfinite(validation[0]))
        judged = validation if held_out else [np.nan, *losses]
        return {
            **self._forward(weights),
            "n_components_": self._network.n_components,
            "n_iter_": before + len(losses),
            "best_iter_": before + training.best_iter,
            "best_loss_": judged[training.best_iter],
            "start_loss_": judged[0],
            "loss_curve_": self.loss_curve_ + losses,
            "validation_loss_curve_": (self.validation_loss_curve_ or []) + validation[1:]
            if held_out
            else None,
        }
