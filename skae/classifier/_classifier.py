"""AEClassifier."""

import math
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import ArrayLike
from scipy import linalg
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax
from sklearn.base import ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.utils import assert_all_finite
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_consistent_length, check_is_fitted, column_or_1d

from skae.estimators._autoencoder import AutoencoderTransformer
from skae.estimators._base import BaseAutoencoder
from skae.estimators._fit_callbacks import (
    fit_monitor,
    fit_network,
    reached_max_iter,
    warn_at_max_iter,
)
from skae.estimators._parameters import CONSTRAINTS, TableTagsMixin
from skae.estimators._validation import (
    check_features,
    check_table,
    fit_table,
    reconstruction_errors,
    warn_if_dominated,
)
from skae.tables import TabularEncoder
from skae.utils._arrays import check_weight, refuse_masked
from skae.utils._calls import draw_seed, generator, restores_state_on_error
from skae.utils._rows import Rows, moments
from skae.utils._sklearn import BaseEstimator, CallbackSupportMixin, Interval, fit_context

# A class with fewer rows than this has no validation rows.
_FEWEST_TO_VALIDATE = 10

# The least error level, as a share of the variance of X, and the least cost, as a share of
# the mean error level: a class that its autoencoder reconstructs perfectly has neither at
# zero, where roundings would decide.
_FLOOR = 1e-3

# The prior slope of the calibration, and the strengths of the priors of slope and offsets, in
# rows.
_SLOPE, _SLOPE_STRENGTH, _OFFSET_STRENGTH = 2.0, 0.25, 0.5


class AEClassifier(
    TableTagsMixin, MetaEstimatorMixin, ClassifierMixin, CallbackSupportMixin, BaseEstimator
):
    """Classification by one autoencoder per class: the least reconstruction error wins.

    Each class has an autoencoder that is trained on its rows alone. A row is given to the
    class whose autoencoder reconstructs it with the least error [1]_, where reaching
    for a code that the class's rows do not have counts as error too [2]_: without this
    a class with a wide code reconstructs the rows of all others.

    The cost of a row in a class is its error plus the class's error level times the squared
    Mahalanobis distance of its code from the codes of the class, over the number of columns.
    Rows held out from every autoencoder set one slope and an offset for each class, and the
    probabilities are the softmax of ``offset - slope * log(cost)``.

    Parameters
    ----------
    estimator : autoencoder, default=None
        Cloned for each class. None: :class:`AutoencoderTransformer` with
        ``n_components=0.9, hidden_layer_sizes=(64,), max_iter=100``.

    validation_fraction : float, default=0.1
        Share of the rows of each class that no autoencoder is trained on and that
        calibrate the classifier. The autoencoders hold out rows of their own from the
        others. A class with fewer than ten rows trains on all of them and is calibrated
        on the same: its probabilities are optimistic.

    categorical_features : "from_dtype" or array-like of {bool, int, str}, default="from_dtype"
        Of a table, the columns that are categories, as in :class:`~skae.tables.TabularEncoder`,
        by which tables with categories or missing values are encoded.

    random_state : int, RandomState instance or None, default=None
        Chooses the rows that are held out and seeds each autoencoder. None: the
        autoencoders keep the `random_state` of `estimator`.

    n_jobs : int or None, default=None
        Number of autoencoders that are trained at once, in threads.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted.

    estimators_ : list of autoencoders
        One for each class, in the order of `classes_`.

    error_levels_ : ndarray of shape (n_classes,)
        Mean error of the rows of the class that were held out, in the units of
        `score_samples`. Where none were: of its training rows, and at least the mean
        of the classes that have some.

    slope_ : float
        Set on the rows held out; larger is more certain.

    offsets_ : ndarray of shape (n_classes,)
        Set on the rows held out; their mean is zero.

    table_ : TabularEncoder or None
        Encodes a table; None: X is taken as it is.

    n_features_in_ : int
        Number of columns seen during fit.

    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns, where X had any.

    See Also
    --------
    AutoencoderTransformer : The autoencoder of each class.
    sklearn.discriminant_analysis.QuadraticDiscriminantAnalysis : One Gaussian per class.

    Notes
    -----
    The columns are taken as they come: scale them in a Pipeline where their units
    differ. A class with a single row is that row: its error is the distance from it.

    References
    ----------
    .. [1] N. Japkowicz, C. Myers and M. Gluck, "A Novelty Detection Approach to
       Classification", IJCAI, 1995.

    .. [2] G. E. Hinton, P. Dayan and M. Revow, "Modeling the Manifolds of Images of
       Handwritten Digits", IEEE Transactions on Neural Networks 8, 1997.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.model_selection import train_test_split
    >>> from skae import AEClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
    >>> classifier = AEClassifier(random_state=0).fit(X_train, y_train)
    >>> classifier.score(X_test, y_test) > 0.96
    True
    >>> classifier.predict_proba(X_test).shape
    (450, 10)
    """

    classes_: np.ndarray
    error_levels_: np.ndarray
    estimators_: list
    offsets_: np.ndarray
    slope_: float
    table_: TabularEncoder
    _codes: list
    _labels: list

    _parameter_constraints: dict = {
        "estimator": [BaseAutoencoder, None],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "categorical_features": CONSTRAINTS["categorical_features"],
        "random_state": ["random_state"],
        "n_jobs": [Integral, None],
    }

    def __init__(
        self,
        estimator: BaseAutoencoder | None = None,
        *,
        validation_fraction: float = 0.1,
        categorical_features: ArrayLike = "from_dtype",
        random_state: int | np.random.RandomState | None = None,
        n_jobs: int | None = None,
    ) -> None:
        self.estimator = estimator
        self.validation_fraction = validation_fraction
        self.categorical_features = categorical_features
        self.random_state = random_state
        self.n_jobs = n_jobs

    @restores_state_on_error
    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train an autoencoder on each class and calibrate them together.

        Parameters
        ----------
        X : data frame or array-like of shape (n_samples, n_features)
            Training rows, at least two. Tables may have columns of any kind, and missing
            values.

        y : array-like of shape (n_samples,)
            Labels: numbers, strings or booleans.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows, in training and in calibration. Rows of weight zero are
            as good as absent, and so is a class that has no others.

        Returns
        -------
        self : object
            The fitted classifier. When `fit` fails or is interrupted, what was fitted before
            is kept.
        """
        monitor = fit_monitor(self, (X, y, None, sample_weight), in_parallel=True)
        rows, y = self._validate(X, y, sample_weight)
        self.classes_, labels = np.unique(y, return_inverse=True)
        rng = generator(self.random_state)
        # Positions of the rows of each class to train on, and of those to validate on.
        train, validation = [], []
        for label in range(len(self.classes_)):
            order = rng.permutation(np.flatnonzero(labels == label))
            n = math.ceil(float(self.validation_fraction) * len(order))
            n = min(n, len(order) - 2) if len(order) >= _FEWEST_TO_VALIDATE else 0
            train.append(np.sort(order[n:]))
            validation.append(np.sort(order[:n]) if n else train[-1])
        monitor.open_networks(len(self.classes_))
        self._train(rows, train, rng, monitor)
        self._set_costs(rows, train, validation)
        at = np.sort(np.concatenate(validation))
        held_out = rows.take(at)
        log_costs = self._log_costs(held_out.inputs)
        self.slope_, self.offsets_ = fit_softmax(-log_costs, labels[at], held_out.weight)
        monitor.finish()
        pairs = zip(self.classes_.tolist(), self.estimators_, strict=True)
        unfinished = [label for label, autoencoder in pairs if reached_max_iter(autoencoder)]
        if unfinished:
            where = f" for the autoencoders of the classes {unfinished}"
            warn_at_max_iter(self.estimators_[0].max_iter, where)
        return self

    def _validate(self, X, y, sample_weight):
        """Rows of positive weight, and their labels (n_samples,)."""
        if self.estimator is not None and not self.estimator._scores_are_errors:
            raise ValueError(
                "estimator must be an autoencoder whose score_samples is minus an error; "
                f"that of {type(self.estimator).__name__} is a log-likelihood."
            )
        refuse_masked(y, "y")
        X, _ = fit_table(self, X, sample_weight)
        if self.table_ is None:
            X, y = check_features(self, X, y=y, ensure_min_samples=2)
            remedy = "Scale the columns, for example by a StandardScaler in a Pipeline."
            warn_if_dominated(self, moments(X)[1], remedy)
        else:
            check_consistent_length(X, y)
            y = column_or_1d(y, warn=True)
            assert_all_finite(y, input_name="y")
        try:
            check_classification_targets(y)
        except TypeError as error:
            # scikit-learn sorts the labels.
            kinds = ", ".join(sorted({type(label).__name__ for label in y}))
            raise ValueError(
                f"y must hold labels of one kind, all numbers or all strings; got {kinds}."
            ) from error
        rows = Rows(X, weight=check_weight(sample_weight, len(X)))
        if rows.weight is None:
            return rows, y
        counts = rows.weight > 0
        return rows.take(counts), y[counts]

    def _train(self, rows, train, rng, monitor):
        """Train an autoencoder on the rows of each class, at positions `train`."""
        estimator = self.estimator
        if estimator is None:
            estimator = AutoencoderTransformer(
                0.9, hidden_layer_sizes=(64,), max_iter=100, standardize=False
            )
        autoencoders = [clone(estimator) for _ in self.classes_]
        if self.random_state is not None:
            for autoencoder in autoencoders:
                autoencoder.set_params(random_state=draw_seed(rng))

        def fit(label, autoencoder):
            # An autoencoder needs two rows: a row and its copy have a centre as well.
            part = rows.take(np.resize(train[label], max(len(train[label]), 2)))
            fit_network(autoencoder, part.inputs, part.weight, monitor, label)
            # Classes that are trained unequally cannot be compared.
            if any(start["ending"] == "interrupted" for start in autoencoder.starts_.values()):
                raise KeyboardInterrupt
            return autoencoder

        self.estimators_ = Parallel(n_jobs=self.n_jobs, prefer="threads")(
            delayed(fit)(*each) for each in enumerate(autoencoders)
        )

    def _set_costs(self, rows, train, validation):
        """Set the error level and the distribution of the codes of each class.

        `train` and `validation` are positions of the rows of each class, (n_rows,).
        """
        levels = np.empty(len(self.classes_))
        for label, autoencoder in enumerate(self.estimators_):
            part = rows.take(validation[label])
            errors = reconstruction_errors(autoencoder, part.inputs)
            levels[label] = np.average(errors, weights=part.weight)
        # Errors of rows that a class was trained on are too small.
        optimistic = np.array([a is b for a, b in zip(train, validation, strict=True)])
        if not optimistic.all():
            levels[optimistic] = np.maximum(levels[optimistic], levels[~optimistic].mean())
        power = self.estimators_[0]._model.loss.power
        variance = np.square(moments(rows.inputs, rows.weight)[1]).mean()
        self.error_levels_ = np.maximum(levels, _FLOOR * variance ** (power / 2) or 1.0)
        # Mean and precision of the codes of each class.
        self._codes = []
        for label, autoencoder in enumerate(self.estimators_):
            part = rows.take(train[label])
            code = autoencoder._in_parts(part.inputs, "encode").astype(np.float64, copy=False)
            centre = np.average(code, axis=0, weights=part.weight)
            covariance = np.cov(code.T, bias=True, aweights=part.weight)
            # In the directions that the code leaves out rows vary as much as the error level;
            # no direction of the code is taken to vary less.
            least = self.error_levels_[label] / autoencoder._model.unit
            precision = linalg.inv(np.atleast_2d(covariance) + least * np.eye(len(centre)))
            self._codes.append((centre, precision))

    def _log_costs(self, X):
        """Logarithms of the costs (n_samples, n_classes) of rows (n_samples, n_columns)."""
        floor = _FLOOR * self.error_levels_.mean()
        costs = np.empty((len(X), len(self.classes_)))
        # The cost of a row may be beyond the largest number.
        with np.errstate(over="ignore", invalid="ignore"):
            for label, autoencoder in enumerate(self.estimators_):
                centre, precision = self._codes[label]
                code = autoencoder._in_parts(X, "encode") - centre
                distance = np.sum(code @ precision * code, axis=1) / X.shape[1]
                costs[:, label] = reconstruction_errors(autoencoder, X)
                costs[:, label] += self.error_levels_[label] * distance
        most = np.finfo(np.float64).max
        return np.log(np.nan_to_num(costs, nan=most, posinf=most) + floor)

    def _logits(self, X):
        """Calibrated scores, (n_samples, n_classes), of rows X (n_samples, n_features)."""
        check_is_fitted(self)
        if self.table_ is None:
            X = check_features(self, X, reset=False)
        else:
            X, _ = check_table(self, X)
        return self.offsets_ - self.slope_ * self._log_costs(X)

    def decision_function(self, X: Any) -> np.ndarray:
        """Calibrated scores of the classes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        ndarray of shape (n_samples, n_classes) or (n_samples,)
            The logarithm of the probability but for a constant of the row. With two
            classes, the log-odds of the second.
        """
        logits = self._logits(X)
        return logits[:, 1] - logits[:, 0] if len(self.classes_) == 2 else logits

    def predict(self, X: Any) -> np.ndarray:
        """Most probable class of each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        ndarray of shape (n_samples,)
            Labels.
        """
        winner = np.argmax(self._logits(X), axis=1)
        return self.classes_[winner]

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probability of each class.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            In the order of `classes_`; each row sums to one.
        """
        return softmax(self._logits(X), axis=1)

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Logarithm of the probability of each class.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            In the order of `classes_`.
        """
        return log_softmax(self._logits(X), axis=1)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Accuracy of `predict`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.

        y : array-like of shape (n_samples,)
            Their labels.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.

        Returns
        -------
        float
            Share of the rows with the right label.
        """
        return super().score(X, y, sample_weight)


def fit_softmax(scores, labels, sample_weight=None):
    """Slope and offsets that make ``softmax(slope * scores + offsets)`` likely.

    Temperature scaling with an offset for each class, by penalised maximum likelihood:
    the slope of perfectly separated classes stays finite. A LogisticRegression on the scores,
    which has a slope for each pair of classes, has a larger log loss on new rows.

    scores : (n_samples, n_classes), higher is more like the class; labels : (n_samples,),
    positions of columns; sample_weight : (n_samples,), of which only the ratios matter. The
    slope is positive, and the mean of the offsets, (n_classes,), is zero.
    """
    rows = np.arange(len(labels))
    weight = np.ones(len(labels)) if sample_weight is None else sample_weight
    weight = weight / weight.mean()

    def objective(theta):
        slope, offsets = np.exp(theta[0]), theta[1:]
        log_proba = log_softmax(slope * scores + offsets, axis=1)
        excess = np.exp(log_proba)
        excess[rows, labels] -= 1
        excess *= weight[:, None]
        gradient = np.r_[slope * np.sum(excess * scores), excess.sum(axis=0)]
        loss = -weight @ log_proba[rows, labels]
        distance = theta - start
        return loss + strength @ distance**2, gradient + 2 * strength * distance

    start = np.r_[np.log(_SLOPE), np.zeros(scores.shape[1])]
    strength = np.r_[_SLOPE_STRENGTH, np.full(scores.shape[1], _OFFSET_STRENGTH)]
    best = minimize(objective, start, jac=True, method="L-BFGS-B")
    return float(np.exp(best.x[0])), best.x[1:] - best.x[1:].mean()
