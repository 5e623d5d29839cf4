"""Rows to inputs and targets of the networks, and outputs to rows: numbers, or tables."""

from copy import copy
from dataclasses import replace

import numpy as np

from skae.estimators._table_preprocessing import TablePreprocessor
from skae.estimators._validation import check_scale
from skae.inference._dense import Affine
from skae.losses._likelihood import ObservedLikelihood
from skae.losses._reconstruction import ObservedLoss
from skae.losses._registry import make_loss
from skae.utils._arrays import column_names
from skae.utils._calls import warn_user
from skae.utils._lazy import LazyRows, dense
from skae.utils._rows import Rows, has_missing, joined_moments, moments, scale_of

# Share of the variance of X from which on one column is named in a warning.
_DOMINANT_SHARE = 0.999


class NumericPreprocessor:
    """Rows of numbers: centred, and divided by one scale or by one for each column.

    A missing value is at the mean of its column where it is an input; as a target it is NaN.

    Parameters
    ----------
    rows : Rows
        Training rows, in the units of the data.

    output_shape : tuple of int
        Of one row of the reconstruction.

    standardize : bool, default=False
        True to divide each column by its own standard deviation.

    weight : float or None, default=None
        Total weight of the rows; None: unknown.
    """

    output_shape: tuple
    units: Affine
    target_units: Affine
    _moments: tuple
    _target_moments: tuple

    is_table = False

    # Share of the values of each column that were observed, (n_features,); None: all.
    _observed_share: object = None
    _standardize: bool = False

    #: Total weight of the rows so far; None: unknown.
    weight_seen: float | None = None

    def __init__(self, rows, output_shape, standardize=False, weight=None):
        self.output_shape = output_shape
        self.weight_seen = weight
        self._standardize = standardize
        self._observed_share = rows.observed_share
        self._moments = self._target_moments = moments(rows.inputs, rows.weight)
        self.units = self.target_units = self._units_of("X", self._moments, rows.inputs)
        if rows.targets is not None:
            self._target_moments = moments(rows.targets, rows.weight)
            self.target_units = self._units_of("target", self._target_moments, rows.targets)

    @property
    def deviation(self):
        """Standard deviation of each input column, (n_features,)."""
        return self._moments[1]

    @property
    def empty(self):
        """Positions of the columns without an observed value."""
        return np.flatnonzero(self._observed_share == 0)

    def with_more(self, rows, weight):
        """The preprocessing of all rows so far.

        Parameters
        ----------
        rows : Rows
            More of them, in the units of the data.

        weight : float
            Their total weight.
        """
        both = copy(self)
        both.weight_seen = self.weight_seen + weight
        both._observed_share, share = self._joined_shares(rows, weight / both.weight_seen)

        def joined(before, name, X):
            joint = joined_moments(before, moments(X, rows.weight), share)
            return joint, self._units_of(name, joint, X)

        inputs = rows.outputs if rows.has_own_targets else rows.inputs
        both._moments, both.units = joined(self._moments, "X", inputs)
        both._target_moments, both.target_units = both._moments, both.units
        if not rows.has_own_targets or self.target_units is not self.units:
            target = joined(self._target_moments, "target", rows.outputs)
            both._target_moments, both.target_units = target
        return both

    def _joined_shares(self, rows, share):
        """Share of observed values with these rows, and what share of them is in these rows.

        By column, (n_features,), where values are missing.
        """
        before, more = self._observed_share, rows.observed_share
        if before is None and more is None:
            return None, share
        before, more = (1.0 if part is None else part for part in (before, more))
        both = (1 - share) * before + share * more
        return both, np.where(both > 0, share * more / np.where(both > 0, both, 1.0), share)

    def filled(self, X):
        """Rows with missing values at the mean of their column, (n_samples, n_features)."""
        X = self._without_empty(X)
        if isinstance(X, LazyRows) or not has_missing(X):
            return X
        return np.where(np.isnan(X), self.units.centre.astype(X.dtype), X)

    def _without_empty(self, X):
        """Rows, (n_samples, n_features), whose columns without a value in fit are missing."""
        if not len(self.empty):
            return X
        return np.where(self._observed_share == 0, X.dtype.type(np.nan), dense(X))

    def with_targets(self, rows):
        """Rows without missing values among the inputs, and their targets."""
        if not rows.has_own_targets:
            return replace(rows, inputs=self.filled(rows.inputs))
        if rows.observed is None and not len(self.empty):
            return rows
        X = self._without_empty(rows.outputs)
        return replace(rows, inputs=self.filled(X), targets=X, observed=~np.isnan(X))

    def loss(self, loss, image_shape):
        """The loss by its name, or a Keras loss."""
        return make_loss(loss, image_shape)

    def loss_of(self, loss, rows):
        """The loss of these rows, over the values that were observed."""
        return loss if rows.observed is None else ObservedLoss(loss)

    def likelihood(self, likelihood):
        """The likelihood of rows."""
        return likelihood

    def likelihood_of(self, likelihood, rows):
        """The likelihood of these rows, over the values that were observed."""
        return likelihood if rows.observed is None else ObservedLikelihood(likelihood)

    def scaled(self, rows):
        """Inputs and targets in the units of the network; missing targets are NaN."""
        targets = None
        if rows.targets is not None or self.target_units is not self.units:
            targets = self.target_units.transform(rows.outputs)
        return Rows(self.units.transform(rows.inputs), targets, rows.weight)

    def linear_rows(self, rows):
        """Rows and targets that a linear model can compare."""
        return self.scaled(rows if rows.observed is None else replace(rows, targets=None))

    def before_output(self, rows, linear, activation):
        """Scale and offset from the output of a linear map to the logits of the activation.

        Parameters
        ----------
        rows : Rows
            Training rows.

        linear : tuple of ndarray of shape (n_inputs, k) and (k, n_outputs)
            From rows, centred and scaled, to codes, and on to outputs.

        activation : str
            Of the output.

        Returns
        -------
        tuple of float or ndarray of shape (n_outputs,)
            A scale and an offset.
        """
        centre, scale = self.target_units
        if activation == "linear":
            return 1.0, 0.0
        if activation == "sigmoid":
            # The tangent of the logit at one half.
            return 4 * scale, 4 * (centre - 0.5)
        return scale, centre

    def target_columns(self, inputs):
        """Columns of the inputs, (n_samples, n_inputs), that are targets too."""
        return inputs

    def over_all_inputs(self, model):
        """A linear model of `target_columns` as one of all inputs."""
        return model

    def shaped(self, output, like=None):
        """The decoded rows in the shape of the targets.

        A column without an observed value is NaN.
        """
        if len(self.empty):
            output = output.copy()
            output[:, self.empty] = np.nan
        return output.reshape(len(output), *self.output_shape)

    def by_column(self, noise):
        """The noise of each column, in the units of the data."""
        return None if noise is None else noise.reshape(self.output_shape)

    def log_volumes(self, rows):
        """Logarithm of the scale of each row's observed values, summed, (n_samples,)."""
        log_scale = np.log(self.target_units.scale)
        observed = np.ones(rows.outputs.shape) if rows.observed is None else rows.observed
        return (observed * log_scale).sum(axis=1)

    def _units_of(self, name, moments, X):
        """Centre and scale, (n_features,), of X; columns without a value do not count."""
        mean, deviation = moments
        has_values = np.ones(len(mean), bool)
        if name == "X" and len(self.empty):
            has_values[self.empty] = False
        scale = scale_of(deviation[has_values])
        if self._standardize:
            scale = np.where(deviation > 0, deviation, 1.0)
        check_scale(name, scale, X.dtype)
        return Affine(mean, scale)


def make_preprocessor(estimator, rows, weight):
    """The preprocessing that suits training rows.

    Parameters
    ----------
    estimator : autoencoder
        Has validated the rows.

    rows : Rows
        Training rows.

    weight : float
        Their total weight.
    """
    if estimator.table_ is None:
        standardize = estimator.standardize is True
        preprocessor = NumericPreprocessor(rows, estimator._output_shape, standardize, weight)
        _warn_of_columns(estimator, preprocessor)
        return preprocessor
    if estimator.network is not None:
        raise ValueError(
            "network must be None for tables with a column that is no number, which dense "
            f"layers encode; got network={estimator.network!r}."
        )
    return TablePreprocessor(estimator.table_, rows, estimator._weights_columns)


def _warn_of_columns(estimator, preprocessor):
    """Name columns without an observed value, and one that holds nearly all the variance."""
    names = feature_names(estimator)
    warn_of_empty(estimator, preprocessor.empty)
    if estimator.standardize == "auto" and len(estimator._input_shape) == 1:
        warn_if_dominated(
            names,
            preprocessor.deviation,
            "standardize=True divides each column by its standard deviation; standardize=False "
            "takes the columns as they are, without this warning.",
        )


def warn_of_empty(estimator, empty):
    """Name the columns without an observed value; positions of flat rows for images.

    Parameters
    ----------
    estimator : estimator
        Whose rows were validated.

    empty : ndarray of int
        Positions of these columns.
    """
    if not len(empty):
        return
    names = feature_names(estimator) if len(estimator._input_shape) == 1 else None
    shown = [int(j) if names is None else names[j] for j in empty]
    warn_user(
        f"Features without any observed values: {shown}. They have no effect, and are NaN "
        "where rows are reconstructed.",
    )


def feature_names(estimator):
    """Names of the columns that an estimator was fitted on, or x0, x1, ..."""
    names = getattr(estimator, "feature_names_in_", None)
    return column_names(None, estimator.n_features_in_) if names is None else list(names)


def warn_if_dominated(names, deviation, remedy):
    """Name a column that holds nearly all the variance of columns that vary.

    Parameters
    ----------
    names : sequence of str
        Of the columns.

    deviation : ndarray of shape (n_features,)
        Their standard deviations.

    remedy : str
        What can be done about it.
    """
    largest = deviation.argmax()
    variance = np.square(deviation / (deviation[largest] or 1.0))
    share = variance[largest] / (variance.sum() or 1.0)
    if _DOMINANT_SHARE < share < 1:
        warn_user(
            f"Column {names[largest]!r} holds more than {100 * _DOMINANT_SHARE:g} % of the "
            f"variance of X: the other columns hardly count. {remedy}",
        )
