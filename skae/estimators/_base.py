"""The door between scikit-learn above and Keras below."""

from abc import abstractmethod
from copy import deepcopy
from dataclasses import asdict
from math import prod

import numpy as np
from sklearn.base import BaseEstimator

from skae.corruption._draws import draw_pool
from skae.estimators._fit_callbacks import FitMonitor, as_given, warn_at_max_iter, warn_or_raise
from skae.estimators._incremental import follow, follows, weight_of
from skae.estimators._initialization import (
    TrainingRun,
    history,
    improves_on_initialization,
    initial_weights_of,
    is_pca_sufficient,
    stop_reason,
    train_from_random_weights,
)
from skae.estimators._latent_dim import latent_size, pad_latent, rows_in_batch
from skae.estimators._parameters import CONSTRAINTS, network_parameters, refuse_changes
from skae.estimators._preprocessing import make_preprocessor
from skae.estimators._training_config import optimizer_of, stopping_of
from skae.estimators._validation import (
    check_bounded,
    check_training_rows,
    split_rows,
)
from skae.inference._forward import forward
from skae.losses._penalties import make_penalty
from skae.networks._activations import keras_name
from skae.networks._base import LayerOptions, whole_numbers
from skae.networks._dense import DenseNetwork, resize
from skae.tables import TabularEncoder
from skae.utils._process import refuse_forked_process
from skae.utils._random import draw_seed
from skae.utils._rollback import restores_state_on_error
from skae.utils._rows import Rows
from skae.utils._sklearn import (
    CallbackSupportMixin,
    fit_context,
)


class BaseAutoencoder(CallbackSupportMixin, BaseEstimator):
    """What the autoencoders share: everything between fit and the trained arrays.

    What is done with these arrays is said by :class:`ReconstructionMixin`, which stands
    beside this class in every estimator.
    """

    _parameter_constraints: dict = CONSTRAINTS

    @abstractmethod
    def __init__(self):
        """Subclasses name every parameter."""

    # Whether rows that are sparse, or many, are read in chunks.
    _reads_lazily = False

    # False while an estimator that holds several of these gives one warning for all.
    _warns_at_max_iter = True

    # Whether columns of a table count by what they have to lose.
    _weighs_columns = True

    # Fitting

    @restores_state_on_error
    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None, sample_weight=None):
        """Train the autoencoder on X.

        Parameters
        ----------
        X : data frame or array-like of shape (n_samples, n_features) or (n_samples, ...)
            Training rows, at least two. Images and series may have more axes, and tables
            columns of any kind, and missing cells. Sparse matrices are read a chunk at a
            time.

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
        continues_training = self.warm_start and self.__sklearn_is_fitted__()
        return self._fit(X, y, None, sample_weight, continues_training)

    @restores_state_on_error
    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y=None, sample_weight=None):
        """Train for one epoch on X, going on from where training stands.

        Centre and scale are those of all rows so far, where the network can be written in
        other units (dense, `table_` is None, no normalization, tied weights or ordered code;
        not `VAETransformer`); otherwise, as the start, those of the first call, whose rows
        should stand for all others. `early_stopping` has no effect: no rows are held out.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
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
        continues_training = self.__sklearn_is_fitted__()
        return self._fit(X, y, None, sample_weight, continues_training, one_epoch=True)

    def _fit(self, X, y, target, sample_weight, continues_training, one_epoch=False):
        """Validate, seed, split, build, train from one start or two, keep."""
        monitor = FitMonitor(self, fit_data=as_given(X, y, target, sample_weight))
        fewest = 1 if one_epoch and continues_training else 2
        rows = check_training_rows(
            self, X, target, sample_weight, not continues_training, fewest
        )
        if not continues_training:
            self._preprocessor = make_preprocessor(self, rows)
            self._output_shape = self._preprocessor.output_shape
        given, rows = rows, self._preprocessor.with_targets(rows)
        self._check_parts(rows)
        refuse_forked_process()
        if continues_training:
            self._check_network_stays()
        rng = self._seeded(continues_training)
        early_stopping = self.early_stopping and not one_epoch
        train, held_out = split_rows(rows, self.validation_fraction, rng, early_stopping)
        if not continues_training:
            self._describe(rows)
            self._weight_seen = weight_of(rows, sample_weight)
        elif one_epoch and follows(self):
            train = follow(self, given, sample_weight, rng)
        held_out = None if held_out is None else self._validation_inputs(held_out, rng)
        if not continues_training:
            self._build(rows, rng)
            # What `init="random"` would draw from here on.
            second_rng = deepcopy(rng)
            self._begin(self.init, self._start(train, rng))
        judges_start = held_out is not None and not continues_training and self._starts_well
        starts_twice = judges_start and self._tries_random and not is_pca_sufficient(self)
        before = self._validation_losses(held_out) if judges_start else None
        stopping = stopping_of(self, self._network, len(train), held_out is not None, one_epoch)
        monitor.open(rows, held_out, stopping.max_iter, starts_twice)
        course = TrainingRun(train, held_out, before, stopping, monitor)
        training = self._train(course, rng)
        warn_or_raise(training, self._starts_linear or self.n_iter_)
        vars(self).update(self._fitted_attributes(training))
        if not continues_training:
            self.starts_ = {self.init_: history(self, training)}
        if judges_start and not improves_on_initialization(self, course):
            self._fall_back(rows, rng)
        if starts_twice and training.ending in ("max_iter", "converged"):
            training = train_from_random_weights(self, training, course, second_rng)
        self.stop_reason_ = stop_reason(training, judges_start and self.best_iter_ == 0)
        self._conclude(train, held_out, rng, one_epoch)
        monitor.finish()
        if self.warm_start or one_epoch:
            self._optimizer_state = training.optimizer_state
        if self._warns_at_max_iter and not one_epoch:
            warn_at_max_iter([self])
        return self

    # Saving

    def __getstate__(self):
        state = dict(super().__getstate__())
        if hasattr(self.optimizer, "get_config"):
            from skae.training._optimizers import stored

            # An object that only pickle can hold, and of which only this is used.
            state["optimizer"] = stored(self.optimizer)
        return state

    def __setstate__(self, state):
        if isinstance(state["optimizer"], tuple | dict):
            from skae.training._optimizers import restored

            state = {**state, "optimizer": restored(state["optimizer"])}
        super().__setstate__(state)

    # Answers that a subclass may give

    @property
    def _tries_random(self):
        """Whether random weights are tried too where the start explains little."""
        return True

    def _validation_inputs(self, held_out, rng):
        """Held-out rows as the encoder will see them."""
        return held_out

    def _corrupted(self, rows, rng):
        """Training rows as the encoder will see them; None: as they are."""
        return None

    def _validation_losses(self, rows):
        """Losses of held-out rows by which the network is judged."""
        return self._losses(rows)

    def _corruption(self):
        """What happens to a row before the encoder reads it, and its settings."""
        return None, {}

    def _objective(self, network, mask, pools, rows):
        """What makes the model that is trained, its key, and the numbers it is told."""
        loss, penalty = self._preprocessor.loss_of(self._loss, rows), make_penalty(self.penalty)
        corruption, settings = self._corruption()
        settings = {"mask": mask, **settings}
        if penalty is not None:
            settings |= penalty.settings()
        settings |= pools({getattr(part, "draws", None) for part in (corruption, penalty)})
        shapes = {name: np.shape(value) for name, value in settings.items()}

        def build():
            from skae.models._objective import ReconstructionObjective

            return ReconstructionObjective(
                *network.build(), loss, shapes, corruption=corruption, penalty=penalty
            )

        parts = (loss, corruption and corruption.key, type(penalty))
        return build, (network, *parts, *shapes.values()), settings

    def _conclude(self, train, held_out, rng, one_epoch):
        """What else is told of the rows once training is over."""

    # What the user asked for

    def _new_encoder(self):
        """How tables are encoded."""
        return TabularEncoder(
            categorical_features=self.categorical_features,
            standardize=self.standardize is not False,
            clip=self.clip,
        )

    def _check_parts(self, rows):
        """Whether parameters and rows go together."""
        self._loss = self._preprocessor.loss(self.loss, self._image_shape())
        if self._loss.bounded:
            check_bounded("loss", self.loss, "another loss", rows)
        if self.tied_weights and self._output_shape != self._input_shape:
            raise ValueError(
                "tied_weights=True needs a target in the shape of X; rows of X have shape "
                f"{self._input_shape}, those of target {self._output_shape}."
            )
        if self.tied_weights and self.network is not None:
            raise ValueError(
                f"tied_weights=True is for dense networks only; got network={self.network!r}."
            )

    def _image_shape(self):
        if self.network is None:
            return self._output_shape
        return self.network.row_shapes(self._input_shape, self._output_shape)[1]

    def _seeded(self, continues_training):
        """The generator of this fit; one that goes on does not repeat the first."""
        seed = draw_seed(self.random_state)
        return np.random.RandomState([seed, self.n_iter_ if continues_training else 0])

    def _describe(self, rows, continues_training=False):
        """Centre of the rows and their one scale, of targets too if there are any."""
        self._units, self._target_units = (
            self._preprocessor.units,
            self._preprocessor.target_units,
        )
        self.mean_, self.scale_ = self._units

    def _build(self, rows, rng):
        """Choose the latent size and the network."""
        self._built_with = network_parameters(self)
        size = latent_size(self.n_components, rows, self._units, rng)
        self._network = self._described(size, self.init == "pca")

    def _check_network_stays(self):
        """Whether the network that was fitted is the one that is asked for now."""
        asked = self._described(self._network.n_components, self.init == "pca")
        refuse_changes(self, self._built_with, asked == self._network)

    def _options(self, linear_path):
        """What every kind of network is told."""
        return LayerOptions(
            activation=keras_name(self.activation),
            code_activation=keras_name(self.code_activation),
            output_activation=self._output_activation(),
            linear_path=linear_path,
            normalization=self.normalization,
            dropout=float(self.dropout),
        )

    def _described(self, n_components, linear_path):
        """The network as a value."""
        shapes = self._input_shape, self._output_shape
        options = self._options(linear_path)
        if self.network is not None:
            return self.network.describe(*shapes, n_components, options)
        return DenseNetwork(
            prod(shapes[0]),
            n_components,
            hidden=whole_numbers("hidden_layer_sizes", self.hidden_layer_sizes, 0),
            n_outputs=prod(shapes[1]),
            tied=bool(self.tied_weights),
            **asdict(options),
        )

    def _output_activation(self):
        if self.output_activation != "auto":
            return keras_name(self.output_activation)
        return "sigmoid" if self._loss.bounded else "linear"

    # Where training starts

    @property
    def _starts_well(self):
        """Whether the start is a solution that training has to improve on."""
        return self._starts_linear and self.penalty is None

    @property
    def _starts_linear(self):
        return self.init == "pca" and self._network.starts_linear

    def _start(self, rows, rng):
        """Weights to start from."""
        return initial_weights_of(self, rows, rng)

    def _begin(self, init, weights):
        """Stand at a start, without a history."""
        self.init_, self.n_iter_, self.loss_curve_ = init, 0, []
        self.validation_loss_curve_ = self._optimizer_state = None
        self._set_weights(weights)

    def _fall_back(self, rows, rng):
        """Keep the start: the principal components, now of all rows."""
        self._set_weights(self._start(rows, rng))
        self.init_, self.best_iter_ = "pca", 0
        self.best_loss_ = self.start_loss_

    def _set_weights(self, weights):
        vars(self).update(self._networks(weights, self._network.fresh_statistics()))

    def _networks(self, weights, statistics):
        """The trained arrays, and encoder and decoder in the units of the data."""
        after = self._target_units if self._scales_output else None
        encoder, decoder = forward(self._network, weights, statistics, self._units, after)
        return {
            "_weights": weights,
            "_statistics": statistics,
            "_encoder": encoder,
            "_decoder": decoder,
        }

    # Training

    def _as_trained(self, rows):
        """Rows in the units and the dtype in which the network speaks."""
        if not self._scales_output:
            rows = Rows(self._units.transform(rows.inputs), rows.outputs, rows.weight)
        else:
            rows = self._preprocessor.scaled(rows)
        targets = rows.targets
        return Rows(
            rows.inputs.astype(np.float32, copy=False),
            None if targets is None else targets.astype(np.float32, copy=False),
            rows.weight,
        )

    def _train(self, course, rng, first=()):
        from skae.training import _train

        train, held_out = course.train, course.held_out
        batch_size = rows_in_batch(self.batch_size, len(train))
        network, mask = pad_latent(self._network, batch_size)

        def pools(kinds):
            shape = (batch_size, *train.inputs.shape[1:])
            kinds = sorted(kinds - {None})
            return {f"{kind}_pool": draw_pool(kind, rng, shape) for kind in kinds}

        build, key, settings = self._objective(network, mask, pools, train)
        return _train.train(
            build,
            key=key,
            weights=resize(self._weights, network.shapes),
            settings=[np.asarray(value, np.float32) for value in settings.values()],
            statistics=self._statistics,
            training=self._as_trained(train),
            validation=None if held_out is None else self._as_trained(held_out),
            **optimizer_of(self),
            optimizer_state=self._optimizer_state,
            batch_size=batch_size,
            stopping=course.stopping,
            rng=rng,
            monitor=course.monitor,
            allow_xla=network.gains_from_xla,
            first=first,
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
            **self._networks(weights, training.statistics),
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
