"""AEAnomalyDetector."""

from collections.abc import Iterator
from dataclasses import replace
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import clone
from sklearn.utils import get_tags

from skae.anomaly._calibration import BinaryEffects, Calibration
from skae.anomaly._components import COMPONENTS
from skae.anomaly._detection import DetectionMixin
from skae.anomaly._encoding import NumberEncoding, TableEncoding
from skae.anomaly._folds import (
    Folds,
    central_mask,
    check_groups,
    depends_on_number,
    split_folds,
)
from skae.anomaly._scores import CombinedScore, ReconstructionScore
from skae.anomaly._views import make_views
from skae.estimators._autoencoder import AutoencoderTransformer
from skae.estimators._base import BaseAutoencoder
from skae.estimators._fit_callbacks import fit_monitor, reached_max_iter, warn_at_max_iter
from skae.estimators._parameters import TableTagsMixin
from skae.estimators._validation import check_features, check_training_rows, warn_of_empty
from skae.tables._squashing_scaler import SquashingScaler
from skae.utils._arrays import check_weight
from skae.utils._calls import draw_seed, restores_state_on_error
from skae.utils._process import prepare_backend
from skae.utils._rows import Rows
from skae.utils._sklearn import (
    BaseEstimator,
    CallbackSupportMixin,
    Interval,
    StrOptions,
    fit_context,
    safe_indexing,
)


class AEAnomalyDetector(TableTagsMixin, DetectionMixin, CallbackSupportMixin, BaseEstimator):
    """Anomaly detection by denoising autoencoders, the nearest training rows and relations.

    The score of a row is the geometric mean of several numbers. One is the error of wide
    networks without a bottleneck that were trained to remove noise, whose level is one of
    their inputs [1]_: the row is corrupted, and the error of its restored values counts. The
    others are squared distances to the nearest training rows [2]_, which detect rows that
    lie far from all of them, where a network may be right by chance. Beside it, each column
    is predicted from the others by ridge regressions, on values and on logarithms: where the
    others determine it, a residual far beyond the usual ones is a broken relation, such as an
    end before its start, or a sum that does not add up, and raises the score. So does, in a
    table, a rare value: a new spelling of a category, a sign that few have. All are taken
    column by column, so that a score can be split over the columns.

    Raw tables are welcome: columns are standardised inside, and values farther than
    three deviations count by their logarithm. Strings, categories, booleans, dates and
    missing values are accepted as they are, in data frames of pandas, polars or PyArrow and
    in arrays, and explanations are in their columns.

    Everything is cross-fitted: the rows are split into folds, and for each a network is trained
    on the others, so that each training row has a score by a network that has not seen it.
    These scores set the threshold and turn scores into p-values [3]_, and many p-values into a
    selection with few false discoveries [4]_, [5]_. New rows are scored by all the networks.

    Parameters
    ----------
    contamination : float or "auto", default="auto"
        Sets `offset_`, the threshold. "auto": few normal rows are marked, about 5 % of
        them. A float in (0, 0.5]: with ``novelty=False`` the share of the
        training rows that `fit_predict` marks; with ``novelty=True`` the share of new
        normal rows that may be marked.

    novelty : bool, default=False
        If True, the training rows are known to be normal. If False, they may contain
        anomalies: those that lie farthest from the others are left out of training, and
        the rows with the lowest scores are taken to be normal.

    scoring : {"denoising", "reconstruction"}, default="denoising"
        "reconstruction": the score is the plain reconstruction error of `estimator`.

    estimator : autoencoder, default=None
        For ``scoring="reconstruction"``; cloned for each fold. With more than one axis in a
        row (images, series) rows are not scaled: it brings its own units. None:
        :class:`AutoencoderTransformer` with ``n_components=0.9``.

    hidden_layer_sizes : int or array-like of shape (n_layers,), default=(256, 256)
        Widths of the hidden layers of the denoisers. Numeric rows of at least twice as many
        columns as the narrowest has units are trained on as many principal components.

    noise_level : float, default=0.7
        Highest standard deviation of the noise, in those of the columns. Rows are scored at
        a quarter of it.

    n_neighbors : int or "auto", default="auto"
        Number of the nearest training rows that count. "auto": 3 of at most 5,000 rows with
        ``novelty=True``; 20 of 500 rows, drawn at random, with ``novelty=False``, where a
        few anomalies that are alike would otherwise be near to each other.

    trim_fraction : float, default=0.1
        Share of the training rows that is left out of training where ``novelty=False``.
        Twice as many, those with the largest errors, are not neighbours. In columns of two
        values neither value loses more than twice its share.

    n_steps : int, default=500
        Training steps of each denoiser, about, however many rows there are. With many
        more it would also learn the anomalies.

    batch_size : int, default=64
        Rows in a training step of a denoiser.

    learning_rate : float, default=0.003
        Of Adam at the first step; it falls to zero in a straight line.

    cv : int, cross-validation generator, iterable or None, default=5
        Rows that are held out for calibration. An int: as many folds, drawn at random, each a
        model; None: five. A generator or an iterable of pairs of positions: as given; a
        single split, ``ShuffleSplit(1)``, trains one model and calibrates it on the rows
        held out, which is cheaper where `estimator` is costly. An int and scikit-learn's
        splitters split the rows of positive weight. Positions (an iterable, a
        ``PredefinedSplit``, a splitter of your own) are those of the rows of X as given,
        and rows of weight zero are then left out of each split.

    categorical_features : "from_dtype" or array-like of {bool, int, str}, default="from_dtype"
        Of a table, the columns that are categories: a mask, positions, or names.
        "from_dtype": booleans, categorical dtypes and strings that are no dates are.

    subsample : int or None, default=100_000
        Number of rows that are used to fit, at most, drawn at random from those of positive
        weight: denoisers see fewer in `n_steps`, and memory is that of the sample. All rows
        are used if it is None, and where `cv` gives positions of rows.

    random_state : int, RandomState instance or None, default=None
        Seeds the sample, the folds, the weights and the noise. An int gives the same result
        in every call on the same machine.

    verbose : bool or int, default=False
        If true, progress is printed: network, epoch, seconds left at most and loss. True or
        1: a line that is updated in a terminal or notebook, and a few lines elsewhere; 2: a
        line for every epoch. The last line is about the whole fit.

    Attributes
    ----------
    offset_ : float
        The threshold: rows with a lower `score_samples` are anomalies.

    false_alarm_rate_ : float
        Share of new normal rows that may be expected beyond the threshold: that of the
        training rows, with ``novelty=False`` without those that `select` would mark.

    calibration_scores_ : ndarray of shape (n_held_out,)
        Scores of training rows, each by the model that has not seen it, ascending.

    loss_curve_ : list of float
        Mean training loss in each epoch, in standardised columns, averaged over the models.

    estimators_ : list of autoencoder or None
        The autoencoders, for ``scoring="reconstruction"``.

    table_ : TabularEncoder or None
        Encoder of a table; None where all columns are numbers.

    n_samples_fit_ : int
        Number of rows that were used, `subsample` at most.

    columns_ : dict
        Kind of each column by its name, as in :class:`~skae.tables.TabularEncoder`.

    n_features_in_ : int
        Number of columns seen during fit.

    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns, where X had any.

    See Also
    --------
    sklearn.ensemble.IsolationForest : Isolates anomalies by few random splits.
    sklearn.neighbors.LocalOutlierFactor : Compares densities of neighbours.

    Notes
    -----
    With ``novelty=True`` p-values are conformal: one plus the number of training rows that
    are at least as anomalous, over one plus their number. Of new rows like the training rows
    a share `a` has a p-value of at most `a`, about, on the mean over data sets; exactly so
    if a single set of rows is held out.

    With ``novelty=False`` training rows may be anomalies, and the scores of normal rows must
    be estimated. It is assumed that the rows with the lowest scores are normal, and that above
    them the logarithms of the scores of normal rows are distributed exponentially; training
    rows far above are excluded. A small group of rows that differ from the others may be a
    rare kind of normal rows or a group of anomalies that are alike: in columns of two values
    a rare value alone is taken to be normal, and all else that lies far from the other rows
    to be anomalous.

    Of a table the error of a column is a sum over the numbers that stand for it, in units of
    its mean over held-out rows. Some columns are blank in training, so that the networks can
    predict a value from the others alone. A missing value where none was missing, and a
    category that was not seen, are three deviations from all others. So is a missing value
    in numbers alone; where more than 1 % of a column are missing, its square falls with that
    share.

    Rows that belong together, such as overlapping windows of a series, are not independent.
    Without `groups` they are each other's neighbours, and too many new rows are marked.

    Scores are computed in chunks, in the dtype of X: float32 takes half the time.

    References
    ----------
    .. [1] T. Sattarov et al., "Diffusion-Scheduled Denoising Autoencoders for Anomaly
       Detection in Tabular Data", KDD, 2025.

    .. [2] S. Ramaswamy, R. Rastogi and K. Shim, "Efficient Algorithms for Mining Outliers
       from Large Data Sets", SIGMOD, 2000.

    .. [3] V. Vovk, "Cross-conformal predictors", Annals of Mathematics and Artificial
       Intelligence 74, 2015.

    .. [4] Y. Benjamini and Y. Hochberg, "Controlling the False Discovery Rate", Journal of
       the Royal Statistical Society B 57, 1995.

    .. [5] S. Bates et al., "Testing for Outliers with Conformal p-values", Annals of
       Statistics 51, 2023.

    Examples
    --------
    >>> import numpy as np
    >>> from skae import AEAnomalyDetector
    >>> rng = np.random.RandomState(0)
    >>> area = rng.uniform(50, 150, 500)
    >>> X = np.stack([area, 3 * area + rng.normal(0, 10, 500)], axis=1)
    >>> detector = AEAnomalyDetector(novelty=True, random_state=0).fit(X)
    >>> detector.predict([[100, 305], [100, 420]])
    array([ 1, -1])

    A table with categories and missing values:

    >>> import pandas as pd
    >>> kind = rng.choice(["car", "bike"], 500)
    >>> doors = np.where(kind == "car", 4.0, np.nan)
    >>> wheels = np.where(kind == "car", 4, 2)
    >>> X = pd.DataFrame({"kind": kind, "wheels": wheels, "doors": doors})
    >>> detector = AEAnomalyDetector(novelty=True, random_state=0).fit(X)
    >>> new = pd.DataFrame({"kind": ["bike"], "wheels": [4], "doors": [4.0]})
    >>> detector.describe(new)
    ['kind "bike", expected "car"']
    """

    calibration_scores_: np.ndarray
    estimators_: list
    false_alarm_rate_: float
    loss_curve_: list
    offset_: float
    table_: object
    _calibration: Calibration
    _binary_effects: BinaryEffects
    _encoding: object
    _input_shape: tuple
    _labels: list
    _median_score: float
    _output_shape: tuple
    _score: object
    _splits: tuple = (None, None)

    _parameter_constraints: dict = {
        "contamination": [StrOptions({"auto"}), Interval(Real, 0, 0.5, closed="right")],
        "novelty": ["boolean"],
        "scoring": [StrOptions({"denoising", "reconstruction"})],
        "estimator": [BaseAutoencoder, None],
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "noise_level": [Interval(Real, 0, None, closed="neither")],
        "n_neighbors": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "trim_fraction": [Interval(Real, 0, 1, closed="left")],
        "n_steps": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "cv": ["cv_object"],
        "categorical_features": [StrOptions({"from_dtype"}), "array-like"],
        "subsample": [Interval(Integral, 2, None, closed="left"), None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    # Not in files of the first format.
    n_samples_fit_: int | None = None
    # Mask of the columns of numbers with a value in fit, (n_features,); None: all have.
    _observed: object = None

    def __init__(
        self,
        *,
        contamination: float | str = "auto",
        novelty: bool = False,
        scoring: str = "denoising",
        estimator: BaseAutoencoder | None = None,
        hidden_layer_sizes: ArrayLike = (256, 256),
        noise_level: float = 0.7,
        n_neighbors: int | str = "auto",
        trim_fraction: float = 0.1,
        n_steps: int = 500,
        batch_size: int = 64,
        learning_rate: float = 0.003,
        cv: Any = 5,
        categorical_features: ArrayLike = "from_dtype",
        subsample: int | None = 100_000,
        random_state: int | np.random.RandomState | None = None,
        verbose: int | bool = False,
    ) -> None:
        self.contamination = contamination
        self.novelty = novelty
        self.scoring = scoring
        self.estimator = estimator
        self.hidden_layer_sizes = hidden_layer_sizes
        self.noise_level = noise_level
        self.n_neighbors = n_neighbors
        self.trim_fraction = trim_fraction
        self.n_steps = n_steps
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.cv = cv
        self.categorical_features = categorical_features
        self.subsample = subsample
        self.random_state = random_state
        self.verbose = verbose

    # Fitting

    @restores_state_on_error
    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None, groups: Any = None) -> Self:
        """Train the score and calibrate it.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Training rows, at least two.

        y : Ignored
            Not used, present for API consistency by convention.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows, in scaling, training and calibration. Rows of weight zero
            do not count. None: all rows count the same.

        groups : array-like of shape (n_samples,), default=None
            Group of each row: overlapping windows of a series, the visits of a patient.
            Rows of a group are held out together. None: each row is a group.

        Returns
        -------
        self : object
            The fitted detector. When `fit` fails, what was fitted before is kept.
        """
        monitor = fit_monitor(self, given=(X, y, None, sample_weight))
        prepare_backend()
        groups = check_groups(X, groups)
        rng = np.random.RandomState(draw_seed(self.random_state))
        X, sample_weight, groups = self._subsampled(X, sample_weight, groups, rng)
        rows = self._training_rows(X, sample_weight)
        self.n_samples_fit_ = len(rows)
        weight = np.asarray(1.0 if sample_weight is None else sample_weight)
        counted = weight > 0 if weight.ndim else np.ones(len(rows), dtype=bool)
        splits = split_folds(self._splitter(), X, groups, counted, rng)
        # Where some rows may be anomalies, the most distant ones are not trained on.
        central = np.ones(len(rows), dtype=bool)
        if not self.novelty:
            Z = rows.inputs
            if self.table_ is None:
                Z = SquashingScaler.from_data(Z, rows.weight).transform(Z)
            central = central_mask(Z, float(self.trim_fraction), rng)
        folds = Folds.from_splits(splits, central)
        monitor.open_networks(len(folds.train_mask))
        score = self._score = self._fit_score(rows, folds, rng, monitor)
        # Each row is calibrated by the model that has not seen it.
        scores = score.held_out_scores(rows, folds, self.novelty)
        held_out = ~np.isnan(scores)
        scores, central, some = scores[held_out], central[held_out], rows.take(held_out)
        has_effects = not self.novelty and len(self._input_shape) == 1
        Z = some.inputs if has_effects else some.inputs[:, :0]
        weight = None if some.weight is None else some.weight[central]  # type: ignore[assignment]
        self._binary_effects = BinaryEffects.from_data(Z[central], scores[central], weight)
        scores = scores * self._binary_effects.correction(Z)
        self._median_score = float(np.median(scores)) or 1.0
        self._calibrate(scores / self._median_score, some.weight, rows)
        curves = zip(*score.loss_curves, strict=False)
        self.loss_curve_ = [float(np.mean(losses)) for losses in curves]
        self.estimators_ = getattr(score, "autoencoders", None)  # type: ignore[assignment]
        monitor.finish()
        autoencoders = self.estimators_ or []
        n_unfinished = sum(map(reached_max_iter, autoencoders))
        if n_unfinished:
            where = f" in {n_unfinished} of the {len(autoencoders)} autoencoders"
            warn_at_max_iter(autoencoders[0].max_iter, where)
        return self

    def _subsampled(self, X, sample_weight, groups, rng):
        """Rows X (n_samples, ...), weights and groups (n_samples,), of a random sample."""
        most, shape = self.subsample, getattr(X, "shape", None)
        n_samples = shape[0] if shape else len(X) if isinstance(X, list) else 0
        if most is None or n_samples <= most or not depends_on_number(self.cv):
            return X, sample_weight, groups
        if isinstance(X, np.ndarray) and X.dtype.kind == "f":
            check_features(self, X, allow_nd=True)
        weight = check_weight(sample_weight, n_samples, 2)
        counted = np.arange(n_samples) if weight is None else np.flatnonzero(weight)
        at = np.sort(rng.permutation(counted)[:most])
        weight, groups = (each if each is None else each[at] for each in (weight, groups))
        return safe_indexing(X, at), weight, groups

    def _training_rows(self, X, sample_weight):
        """Rows to train on, (n_samples, n_features): numbers, or an encoded table."""
        rows = check_training_rows(self, X, None, sample_weight, reset=True)
        self._encoding = self._observed = None
        if self.table_ is None:
            if rows.observed is not None:
                self._observed = rows.observed.any(axis=0)
                if not self._observed.all():
                    warn_of_empty(self, np.flatnonzero(~self._observed))
            return rows
        self._encoding = TableEncoding.from_encoder(self.table_, X, sample_weight)
        return Rows(self._encoding.join(rows.inputs, rows.observed), None, rows.weight)

    def _splitter(self):
        """`cv`, or the splits of an iterator, which gives them once."""
        if not isinstance(self.cv, Iterator):
            vars(self).pop("_splits", None)
            return self.cv
        iterator, splits = self._splits
        if iterator is not self.cv:
            splits = list(self.cv)
            self._splits = self.cv, splits
        if not splits:
            raise ValueError(
                f"cv is an iterator without splits, or was used up before; got {self.cv!r}. "
                "Give a list of the splits, which can be used again."
            )
        return splits

    def _fit_score(self, rows, folds, rng, monitor):
        """Score with a fold model for each fold, fitted to rows of the detector's matrix."""
        some = rows.take(folds.train_mask.any(axis=0))
        if self.table_ is None:
            is_scaled = self.scoring == "denoising" or len(self._input_shape) == 1
            encoding = NumberEncoding.from_data(some, is_scaled)
        else:
            encoding = self._encoding.within(some.inputs)
        if self.scoring == "denoising":
            params = self.get_params(deep=False)
            components = [component.from_params(params) for component in COMPONENTS]
            relations, distances = make_views(params, encoding.is_table)
            if not self.novelty:
                # After the denoisers, by which anomalies are not among the nearest rows.
                components[1:1], distances = distances, []
            score = CombinedScore(encoding, components, relations, distances)
        else:
            estimator = self.estimator
            if estimator is None:
                estimator = AutoencoderTransformer(0.9, verbose=self.verbose)
            autoencoders = [clone(estimator) for _ in folds.held_out]
            score = ReconstructionScore(encoding, autoencoders, self._input_shape)
        return score.fit(rows, folds, rng, monitor)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        if self.scoring == "reconstruction" and isinstance(self.estimator, BaseAutoencoder):
            # Its network takes the rows, or the encoded table.
            accepted = get_tags(self.estimator).input_tags
            tags.input_tags = replace(accepted, sparse=False)
        return tags
