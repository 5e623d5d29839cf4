"""Base class of the autoencoders: `fit` and what a fitted one does."""

from abc import abstractmethod
from copy import deepcopy
from dataclasses import asdict, replace
from math import prod
from numbers import Integral
from typing import Any, Self

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from skae.estimators._fit_callbacks import fit_monitor, reached_max_iter, warn_at_max_iter
from skae.estimators._model import FittedAutoencoder
from skae.estimators._parameters import (
    CONSTRAINTS,
    network_parameters,
    ordered_network,
    refuse_changes,
    size_for_share,
)
from skae.estimators._preprocessing import NumericPreprocessor, TablePreprocessor
from skae.estimators._training import (
    History,
    Start,
    best_run,
    training_plan,
    update_scaling,
)
from skae.estimators._validation import (
    check_rows,
    check_scale,
    check_training_rows,
    read_rows,
    split_rows,
    warn_if_dominated,
    warn_of_empty,
)
from skae.metrics import lazy_variance_explained, share_explained, variance_explained
from skae.networks._dense import DenseNetwork
from skae.tables import TabularEncoder
from skae.utils._arrays import check_floats, whole_numbers
from skae.utils._calls import draw_seed, restores_state_on_error
from skae.utils._process import prepare_backend
from skae.utils._rows import Rows
from skae.utils._sklearn import BaseEstimator, CallbackSupportMixin, fit_context

# Below this share of variance explained, the principal components may lead training into
# a poor optimum: random weights are tried as well.
_SUFFICIENT_SHARE = 0.8


class BaseAutoencoder(
    ClassNamePrefixFeaturesOutMixin, TransformerMixin, CallbackSupportMixin, BaseEstimator
):
    """Base class of the autoencoders.

    What `fit` has learned is one value, a :class:`FittedAutoencoder`. Subclasses decide what
    it is (`_new_model`, `_layer_options`, `_network_spec`) and what else is
    reported of it (`_attributes`, `_after_training`).
    """

    best_iter_: int
    best_loss_: float
    explained_variance_ratio_: np.ndarray
    init_: str
    loss_curve_: list
    mean_: np.ndarray
    n_components_: int
    n_iter_: int
    scale_: float
    start_loss_: float
    starts_: dict
    stop_reason_: str
    table_: TabularEncoder
    validation_loss_curve_: list
    _built_with: dict
    _input_shape: tuple
    _labels: list
    _model: FittedAutoencoder
    _optimizer_state: list
    _output_shape: tuple

    _parameter_constraints: dict = CONSTRAINTS

    @abstractmethod
    def __init__(self) -> None:
        """Subclasses name every parameter."""

    # Sparse and many rows are read in chunks.
    _reads_lazily = True

    # Monitor of the estimator that holds this one, in its fit, and the position therein.
    _outer = None

    # True if columns of a table are weighted by their variance or entropy.
    _weights_columns = True

    # True if score_samples is minus an error.
    _scores_are_errors = True

    # Fitting

    @restores_state_on_error
    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Train the autoencoder on X.

        Parameters
        ----------
        X : data frame or array-like of shape (n_samples, n_features) or (n_samples, ...)
            Training rows, at least two. Images and series may have more axes, and tables
            columns of any kind, and missing values. Sparse matrices are read in chunks.

        y : Ignored
            Not used, present for API consistency by convention.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows, in training and in the validation loss. Rows of weight zero
            have no effect. None: all rows have the same weight.

        Returns
        -------
        self : object
            The fitted estimator. When `fit` fails, or is interrupted before the first epoch,
            what was fitted before is kept.
        """
        return self._fit(X, y, None, sample_weight)

    @restores_state_on_error
    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Train for one epoch on X, continuing from the weights of earlier calls.

        Centre and scale are those of all rows so far, where the network's weights can be
        rewritten for other units (dense, `table_` is None, no normalization, tied weights or
        ordered code; not `VAETransformer`); otherwise, as the initialization, those of the
        first call, whose rows should represent all others. `early_stopping` has no effect: no
        rows are held out.

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
        return self._fit(X, y, None, sample_weight, one_epoch=True)

    def _fit(self, X, y, target, sample_weight, one_epoch=False):
        """Prepare rows X (n_samples, ...), initialize or continue, train, keep the best."""
        continues = (one_epoch or self.warm_start) and self.__sklearn_is_fitted__()
        monitor = fit_monitor(self, given=(X, y, target, sample_weight))
        fewest = 1 if one_epoch and continues else 2
        rows = check_training_rows(self, X, target, sample_weight, not continues, fewest)
        if rows.weight is not None:
            weight = float(rows.weight.sum())
        else:
            # Equal weights count beside those of other batches.
            each = 1.0 if sample_weight is None else float(np.asarray(sample_weight).max())
            weight = each * len(rows)
        start = self._start(rows, weight, continues, one_epoch)
        params = self.get_params(deep=False)
        plan = training_plan(params, start, monitor, self._attributes, one_epoch)
        monitor.open(start, plan.stopping.max_iter)
        run, runs = best_run(plan)
        if not continues:
            self.starts_ = {}
            for each in runs:
                names = ("loss_curve", "validation_loss_curve", "best_loss", "n_iter")
                summary = {name: each.attributes[f"{name}_"] for name in names}
                ending = {"ending": each.training.ending, "seconds": each.training.seconds}
                self.starts_[each.attributes["init_"]] = summary | ending
        if not one_epoch:
            model, shares = run.model.with_principal_code(start.rows)
            run = run._replace(model=model)
            if shares is not None:
                self.explained_variance_ratio_ = shares
        for name, value in self._attributes(run).items():
            setattr(self, name, value)
        ending = run.training.ending
        is_pca = start.is_solution and self.best_iter_ == 0 and ending == "converged"
        self.stop_reason_ = "pca" if is_pca else ending
        self._after_training(start, one_epoch)
        monitor.finish()
        self._optimizer_state = run.training.optimizer_state
        if self._outer is None and not one_epoch and reached_max_iter(self):
            warn_at_max_iter(self.max_iter)
        return self

    def _start(self, rows, weight, continues, one_epoch):
        """The initialized autoencoder, or the fitted one, for training rows."""
        given, fitted, n_before = rows, None, 0
        if continues:
            fitted, n_before = self._model.trainable(), self.n_iter_
            preprocessing = fitted.preprocessing
        else:
            preprocessing = self._new_preprocessing(given, weight)
            self._output_shape = preprocessing.output_shape
        rows = preprocessing.with_targets(given)
        model = self._new_model(preprocessing, rows, fitted)
        prepare_backend()
        # Each fit that continues draws other numbers.
        rng = np.random.RandomState([draw_seed(self.random_state), n_before])
        early_stopping = self.early_stopping and not one_epoch
        train, validation = split_rows(rows, self.validation_fraction, rng, early_stopping)
        corruption = getattr(model, "corruption", None)
        if validation is not None and corruption is not None:
            # Once, so that epochs are compared on the same noise.
            validation = validation.dense()
            noisy = corruption.corrupt(validation.inputs, model.spread, rng)
            validation = replace(validation, inputs=noisy, targets=validation.outputs)
        if continues:
            start = Start(model, rows, train, validation, rng, self.init)
            return self._continued(start, given, weight, one_epoch)
        size = self.n_components
        if not isinstance(size, Integral):
            size = size_for_share(rows, preprocessing.units, size, rng)
        network = self._network_spec(int(size), self.init == "pca")
        self._built_with = network_parameters(self)
        rng_before, random_rng = deepcopy(rng), None
        model, share = replace(model, network=network).initialized(train, rng, self.init)
        is_linear = self.init == "pca" and network.starts_linear
        is_solution = is_linear and validation is not None and model.is_zero_at_pca
        if is_solution and share < _SUFFICIENT_SHARE:
            random_rng = rng_before
        options = self.init, is_linear, is_solution, random_rng
        return Start(model, rows, train, validation, rng, *options)

    def _continued(self, start, given, weight, one_epoch):
        """The start of further training of the fitted autoencoder, for rows as given."""
        model = start.model
        asked = self._network_spec(model.network.n_components, self.init == "pca")
        refuse_changes(self, self._built_with, asked == model.network)
        fitted = {name: getattr(self, f"{name}_", None) for name in History._fields}
        history = History(**fitted | {"optimizer_state": self._optimizer_state})
        if not one_epoch:
            return replace(start, history=history)
        model, train, was_narrow = update_scaling(model, given, weight)
        if was_narrow and self.n_iter_ == 1:
            model, _ = model.initialized(train, start.rng, self.init)
            history = history._replace(optimizer_state=None)
        return replace(start, model=model, train=train, history=history)

    def _new_preprocessing(self, rows, weight):
        """The preprocessing that suits training rows of this total weight."""
        if self.table_ is not None:
            if self.network is not None:
                raise ValueError(
                    "network must be None for tables with a column that is no number, which "
                    f"dense layers encode; got network={self.network!r}."
                )
            return TablePreprocessor(self.table_, rows, self._weights_columns)
        standardize = self.standardize is True
        preprocessing = NumericPreprocessor.from_rows(
            rows, self._output_shape, standardize, weight
        )
        if len(preprocessing.empty):
            warn_of_empty(self, preprocessing.empty)
        if self.standardize == "auto" and len(self._input_shape) == 1:
            warn_if_dominated(
                self,
                preprocessing.deviation,
                "standardize=True divides each column by its standard deviation; "
                "standardize=False takes the columns as they are, without this warning.",
            )
        return preprocessing

    # Decided by subclasses

    @abstractmethod
    def _new_model(self, preprocessing, rows, fitted):
        """A :class:`FittedAutoencoder` by the parameters, which are checked for these rows.

        It has no network yet, or is the `fitted` one, whose training continues, if not None.
        """

    @abstractmethod
    def _layer_options(self, linear_path):
        """Options of the layers, :class:`LayerOptions`."""

    def _network_spec(self, n_components, linear_path):
        """The network as a value."""
        shapes = self._input_shape, self._output_shape
        hidden = whole_numbers("hidden_layer_sizes", self.hidden_layer_sizes, 0)
        options = replace(self._layer_options(linear_path), hidden=hidden)
        if self.network is not None:
            network = self.network.describe(*shapes, n_components, options)
        else:
            network = DenseNetwork(
                prod(shapes[0]),
                n_components,
                n_outputs=prod(shapes[1]),
                tied=bool(getattr(self, "tied_weights", False)),
                **asdict(options),
            )
        is_ordered = getattr(self, "ordered", False)
        return ordered_network(self, network) if is_ordered else network

    def _attributes(self, run):
        """Fitted attributes of this :class:`TrainingRun`."""
        mean, scale = run.model.preprocessing.units
        return {
            "_model": run.model,
            "n_components_": run.model.network.n_components,
            "mean_": mean,
            "scale_": scale,
            **run.attributes,
        }

    def _after_training(self, start, one_epoch):
        """Set further attributes once training from this :class:`Start` has ended."""

    # Encoding and decoding

    def transform(self, X: Any) -> Any:
        """Encode X.

        Parameters
        ----------
        X : data frame or array-like of shape (n_samples, n_features) or (n_samples, ...)
            Rows, in the shape the estimator was fitted on, or flat.

        Returns
        -------
        ndarray of shape (n_samples, n_components_)
            The code, float32 if X is float32 and float64 otherwise.
        """
        return self._in_parts(X, "encode")

    def inverse_transform(self, X: Any) -> Any:
        """Decode codes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_components_)
            Codes, as `transform` gives them.

        Returns
        -------
        ndarray of shape (n_samples, n_features) or (n_samples, ...), or data frame
            Rows in the units and the shape of the training targets. Of a table, a data frame
            of its library, with its columns and dtypes, without missing values.
        """
        check_is_fitted(self)
        code = check_floats(X, "X")
        if code.shape[1] != self.n_components_:
            raise ValueError(
                f"X has {code.shape[1]} columns, but {type(self).__name__} has a code of "
                f"{self.n_components_}: inverse_transform takes what transform returns."
            )
        return self._model.preprocessing.shaped(self._model.decoder(code), X)

    def reconstruct(self, X: Any) -> Any:
        """Encode X and decode it again.

        Parameters
        ----------
        X : data frame or array-like of shape (n_samples, n_features) or (n_samples, ...)
            Rows, in the shape the estimator was fitted on, or flat.

        Returns
        -------
        ndarray of shape (n_samples, n_features) or (n_samples, ...), or data frame
            The decoded codes of X. Of a table, a data frame as X, without missing values.
        """
        output = self._in_parts(X, "reconstruct")
        return self._model.preprocessing.shaped(output, X)

    def score_samples(self, X: Any) -> np.ndarray:
        """Minus the loss of each row: higher is more like the training rows.

        Parameters
        ----------
        X : data frame or array-like of shape (n_samples, n_features) or (n_samples, ...)
            Rows, in the shape the estimator was fitted on, or flat.

        Returns
        -------
        ndarray of shape (n_samples,)
            Minus the mean over columns of the loss that was trained, in the units of
            the data (squared, for the squared error). Of a table, the mean over the observed
            values, each divided by the variance of its column, or by the entropy of
            categories.
        """
        check_is_fitted(self)
        return self._scores(self._rows(X))

    def _scores(self, rows):
        """Minus the loss of each of these rows, (n_samples,)."""
        return -self._model.unit * self._model.losses(rows)

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Share of the variance of X that the reconstruction explains.

        One minus the squared error of the reconstruction over the squared distance of
        the rows from their mean, both summed over rows and columns. Of a table, the mean
        over its columns of the share of variance, or of errors that are not made:
        see :func:`skae.metrics.reconstruction_score`.

        ``PCA.score`` is something else, a log-likelihood, and so is
        :meth:`VAETransformer.score`. A search over these and autoencoders needs
        ``scoring=``:func:`skae.metrics.reconstruction_score`, which is this share for any
        transformer; without it the search compares shares with log-likelihoods.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows, at best rows that were not used for training.

        y : Ignored
            Not used, present for API consistency by convention.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.

        Returns
        -------
        float
            At most 1; 0 is what the mean of X would reach.
        """
        check_is_fitted(self)
        if self.table_ is not None:
            return share_explained(X, self.reconstruct(X), sample_weight=sample_weight)
        rows = self._rows(X)
        if rows.is_lazy:
            return lazy_variance_explained(
                rows.inputs, lambda part: self._model.reconstruct(part.dense()), sample_weight
            )
        return variance_explained(
            rows.outputs, self._model.reconstruct(rows.inputs), sample_weight
        )

    def _in_parts(self, X, method):
        """A method of the model for X (n_samples, n_features), in chunks where it is lazy.

        Missing values are at the mean of their column.
        """
        X = check_rows(self, X)
        rows = Rows(self._model.preprocessing.filled(X))
        return rows.apply(lambda part: getattr(self._model, method)(part.inputs))

    def _rows(self, X, target=None):
        """Rows, (n_samples, n_features), and their targets."""
        return self._model.preprocessing.with_targets(read_rows(self, X, target))

    @property
    def encoder_(self) -> Any:
        """Keras model from rows in the units of the data to codes, made anew each time."""
        return self._keras_models()[0]

    @property
    def decoder_(self) -> Any:
        """Keras model from codes to rows in the units of the data, made anew each time."""
        return self._keras_models()[1]

    def _keras_models(self):
        check_is_fitted(self)
        preprocessing = self._model.preprocessing
        # Keras computes in single precision, whatever the rows came in.
        check_scale("X", preprocessing.units.scale, np.float32)
        check_scale("target", preprocessing.target_units.scale, np.float32)
        prepare_backend()
        return self._model.keras_models(self._input_shape)

    def __sklearn_is_fitted__(self):
        return hasattr(self, "_model")

    @property
    def _n_features_out(self):
        return self.n_components_

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
