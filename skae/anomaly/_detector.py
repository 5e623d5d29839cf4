"""AEAnomalyDetector."""

import warnings
from collections.abc import Iterator
from functools import partial
from numbers import Integral, Real

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.utils.metaestimators import available_if

from skae.anomaly._binary_effects import BinaryEffects
from skae.anomaly._conformal import Calibration, lower_quantile
from skae.anomaly._denoiser import DenoiserTraining
from skae.anomaly._detection import DetectionMixin
from skae.anomaly._folds import Folds, check_groups, positive_weight, split_folds
from skae.anomaly._robust_calibration import ContaminatedCalibration
from skae.anomaly._scores import DenoisingScore, ReconstructionScore
from skae.anomaly._table import TableMixin
from skae.anomaly._table_scores import TableReconstructionScore, TableScore
from skae.anomaly._trimming import central
from skae.estimators._autoencoder import AutoencoderTransformer
from skae.estimators._base import BaseAutoencoder
from skae.estimators._fit_callbacks import FitMonitor, reached_max_iter, warn_at_max_iter
from skae.estimators._tags import TableTagsMixin
from skae.networks._base import whole_numbers
from skae.tables import SquashingScaler
from skae.utils._process import refuse_forked_process
from skae.utils._random import draw_seed
from skae.utils._rollback import restores_state_on_error
from skae.utils._sklearn import Interval, StrOptions, fit_context

# The share of normal rows that contamination="auto" is content to mark.
_AUTO_RATE = 0.05

# How many of the nearest rows count, and among how many rows drawn at random, with
# ``novelty``. Where anomalies may be among them, few neighbours among many rows would let
# these shelter each other.
_NEIGHBORS = {True: (3, 5000), False: (20, 500)}

# How many times as many rows as are left out of training are no neighbours.
_DOUBTED = 2.0


def _may_hold_anomalies(detector):
    if detector.novelty:
        raise AttributeError(
            "fit_predict is not available with novelty=True, which says that the training "
            "rows are normal; use predict on new rows, or novelty=False."
        )
    return True


class AEAnomalyDetector(TableMixin, TableTagsMixin, DetectionMixin, BaseEstimator):
    """Anomaly detection by denoising autoencoders and the nearest training rows.

    The score of a row is the geometric mean of two numbers. One is the error of wide
    networks without a bottleneck that were trained to remove noise and are told how much
    there is [1]_: the row is corrupted, and what the networks fail to restore counts. The
    other is the squared distance to the nearest training rows [2]_, which catches what lies
    far from all of them, where a network may be right by chance. Both are taken column by
    column, so that a score can be split over the columns.

    Raw tables are welcome: columns are standardised inside, and values farther than
    three deviations count by their logarithm. Strings, categories, booleans, dates and
    missing cells are read as they come, from data frames of pandas, polars or PyArrow and
    from arrays, and what is explained is explained in their columns.

    Everything is cross-fitted: the rows are split into folds, and for each a network is
    trained on the others, so that each training row has a score by a network that has not
    seen it. These scores set the threshold and turn scores into p-values [3]_, and many
    p-values into a selection with few false discoveries [4]_, [5]_. New rows are scored by
    all the networks.

    Parameters
    ----------
    contamination : float or "auto", default="auto"
        What sets `offset_`, the threshold. "auto": few normal rows are marked, about 5 % of
        them. A float in (0, 0.5]: with ``novelty=False`` the share of the
        training rows that `fit_predict` marks; with ``novelty=True`` the share of new
        normal rows that may be marked.

    novelty : bool, default=False
        Whether the training rows are known to be normal. If False, they may contain
        anomalies: those that lie farthest from the others are left out of training, and
        what is normal is judged by the bulk of the rows.

    scoring : {"denoising", "reconstruction"}, default="denoising"
        "reconstruction": the score is the plain reconstruction error of `estimator`.

    estimator : autoencoder, default=None
        For ``scoring="reconstruction"``; cloned for each fold. With more than one axis in a
        row (images, series) rows are not scaled: it brings its own units. None:
        :class:`AutoencoderTransformer` with ``n_components=0.9``.

    hidden_layer_sizes : int or array-like of shape (n_layers,), default=(256, 256)
        Widths of the hidden layers of the denoisers.

    noise_level : float, default=0.7
        Highest standard deviation of the noise, in those of the columns. Rows are judged at
        a quarter of it.

    n_neighbors : int or "auto", default="auto"
        How many of the nearest training rows count. "auto": 3 of at most 5,000 rows with
        ``novelty=True``; 20 of 500 rows, drawn at random, with ``novelty=False``, where a
        few anomalies that are alike would otherwise be near to each other.

    trim_fraction : float, default=0.1
        Share of the training rows that is left out of training where ``novelty=False``.
        Twice as many, those with the largest errors, are nobody's neighbours. In columns
        of two levels neither level loses more than twice its share.

    n_steps : int, default=500
        Training steps of each denoiser, about: what small tables repeat, large ones
        spread over their rows. Many more would teach it the anomalies too.

    batch_size : int, default=64
        Rows in a training step of a denoiser.

    learning_rate : float, default=0.003
        Of Adam at the first step; it falls to zero in a straight line.

    cv : int, cross-validation generator, iterable or None, default=5
        How rows are held out to calibrate. An int: as many folds, drawn at random, each a
        model; None: five. A generator or an iterable of pairs of positions: as given; a
        single split, ``ShuffleSplit(1)``, trains one model and calibrates it on the rows
        held out, which is cheaper where `estimator` is costly. An int and scikit-learn's
        splitters split the rows of positive weight. Positions (an iterable, a
        ``PredefinedSplit``, a splitter of your own) are those of the rows of X as given,
        and rows of weight zero are then left out of each split.

    categorical_features : "from_dtype" or array-like of {bool, int, str}, default="from_dtype"
        Of a table, the columns that are categories: a mask, positions, or names.
        "from_dtype": booleans, categorical dtypes and strings that are no dates are.

    random_state : int, RandomState instance or None, default=None
        Seeds the folds, the weights and the noise. An int gives the same result in every
        call on the same machine.

    verbose : bool or int, default=False
        Whether progress is printed: network, epoch, seconds left at most and loss. True or
        1: a line that is updated in a terminal, and a few lines elsewhere; 2: a line for
        every epoch.

    Attributes
    ----------
    offset_ : float
        The threshold: rows with a lower `score_samples` are anomalies.

    false_alarm_rate_ : float
        Share of new normal rows that may be expected beyond the threshold: that of the
        training rows, with ``novelty=False`` without those that `select` takes for
        anomalies.

    calibration_scores_ : ndarray of shape (n_held_out,)
        Scores of training rows, each by the model that has not seen it, ascending.

    loss_curve_ : list of float
        Mean training loss in each epoch, in standardised columns, averaged over the models.

    estimators_ : list of autoencoder or None
        The autoencoders, for ``scoring="reconstruction"``.

    table_ : TabularEncoder or None
        How a table is encoded; None where all columns are numbers.

    columns_ : dict
        Kind of each column by its name, as in :class:`~skae.tables.TabularEncoder`.

    n_features_in_ : int
        Number of columns seen during fit.

    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns, where X had any.

    See Also
    --------
    sklearn.ensemble.IsolationForest : Finds what few random cuts set apart.
    sklearn.neighbors.LocalOutlierFactor : Compares densities of neighbours.

    Notes
    -----
    With ``novelty=True`` p-values are conformal: one plus the number of training rows that
    are at least as odd, over one plus their number. Of new rows like the training rows a
    share `a` has a p-value of at most `a`, about, on the mean over data sets; exactly so
    if a single set of rows is held out.

    With ``novelty=False`` training rows may be anomalies, and what is normal must be
    estimated. It is assumed that normal rows are the bulk, and that above it the
    logarithms of their scores fall off exponentially; training rows far above the bulk
    have no say. What cannot be told is whether a small group of rows that differ from the
    others is a rare kind of normal rows or a group of anomalies that are alike: in columns
    of two levels a rare level alone is taken to be normal, and whatever else lies far from
    the bulk to be odd.

    Of a table the error of a column is a sum over the numbers that stand for it, in units
    of what is missed of it in rows that were held out. Some columns are blank in training, so
    that the networks can say what belongs in a cell from the others alone. A missing cell
    where none was, and a level that was not seen, are three deviations from all others. So is
    a missing value in numbers alone; where more than 1 % of a column are missing, its square
    falls with that share.

    Rows that belong together, such as overlapping windows of a series, are not independent.
    Without `groups` they vouch for each other, and too many new rows are marked.

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

    A table with categories and missing cells:

    >>> import pandas as pd
    >>> kind = rng.choice(["car", "bike"], 500)
    >>> doors = np.where(kind == "car", 4.0, np.nan)
    >>> wheels = np.where(kind == "car", 4, 2)
    >>> X = pd.DataFrame({"kind": kind, "wheels": wheels, "doors": doors})
    >>> detector = AEAnomalyDetector(novelty=True, random_state=0).fit(X)
    >>> odd = pd.DataFrame({"kind": ["bike"], "wheels": [4], "doors": [4.0]})
    >>> detector.describe(odd)
    ['kind "bike", expected "car"']
    """

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
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    # Losses are reported as they are.
    _unit = 1.0

    def __init__(
        self,
        *,
        contamination="auto",
        novelty=False,
        scoring="denoising",
        estimator=None,
        hidden_layer_sizes=(256, 256),
        noise_level=0.7,
        n_neighbors="auto",
        trim_fraction=0.1,
        n_steps=500,
        batch_size=64,
        learning_rate=0.003,
        cv=5,
        categorical_features="from_dtype",
        random_state=None,
        verbose=False,
    ):
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
        self.random_state = random_state
        self.verbose = verbose

    # Fitting

    @restores_state_on_error
    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y=None, sample_weight=None, groups=None):
        """Learn what is usual, and how unusual is too much.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Training rows, at least two.

        y : Ignored
            Not used, present for API consistency by convention.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows, in scaling, training and calibration. Rows of weight zero
            are as good as absent. None: all rows count the same.

        groups : array-like of shape (n_samples,), default=None
            Which rows belong together: overlapping windows of a series, the visits of a
            patient. Those of a group are held out together. None: no two rows do.

        Returns
        -------
        self : object
            The fitted detector. When `fit` fails, what was fitted before is kept.
        """
        groups = check_groups(X, groups)
        rows = self._training_rows(X, sample_weight)
        refuse_forked_process()
        rng = np.random.RandomState(draw_seed(self.random_state))
        counted = positive_weight(sample_weight, len(rows))
        splits = split_folds(self._splitter(), len(counted), groups, rng, counted, X)
        kept = self._kept(rows, rng)
        folds = Folds.of(splits, kept)
        self._score = self._learn(rows, folds, rng)
        scores = folds.judged(lambda j, i: self._score.score_of_member(j, rows.inputs[i]))
        judged = ~np.isnan(scores)
        self._calibrate(rows.take(judged), scores[judged], kept[judged])
        self.offset_ = -self._threshold(rows)
        self.false_alarm_rate_ = self._calibration.rate(-self.offset_)
        self._warn_at_max_iter()
        return self

    def _warn_at_max_iter(self):
        """Give one warning for the autoencoders of all folds."""
        autoencoders = self.estimators_ or []
        n_unfinished = sum(map(reached_max_iter, autoencoders))
        where = f" in {n_unfinished} of the {len(autoencoders)} autoencoders"
        warn_at_max_iter(autoencoders, where)

    def _splitter(self):
        """`cv`, or the splits of an iterator, which gives them once."""
        if not isinstance(self.cv, Iterator):
            vars(self).pop("_splits_read", None)
            return self.cv
        iterator, splits = getattr(self, "_splits_read", (None, None))
        if iterator is not self.cv:
            splits = list(self.cv)
            self._splits_read = self.cv, splits
        if not splits:
            raise ValueError(
                f"cv is an iterator without splits, or was used up before; got {self.cv!r}. "
                "Give a list of the splits, which can be used again."
            )
        return splits

    def _kept(self, rows, rng):
        """Which rows may be trained on: where some may be anomalies, those in the midst."""
        if self.novelty:
            return np.ones(len(rows), dtype=bool)
        Z = rows.inputs
        if self._layout is None:
            Z = SquashingScaler.of(Z, rows.weight).transform(Z)
        return central(Z, float(self.trim_fraction), rng)

    def _learn(self, rows, folds, rng):
        """What is usual, by a member for each fold."""
        if self.scoring == "reconstruction":
            estimator = self.estimator
            if estimator is None:
                estimator = AutoencoderTransformer(0.9, verbose=self.verbose)
            kind = ReconstructionScore if self._layout is None else TableReconstructionScore
            return kind.fit(
                rows, folds, rng, lambda: clone(estimator), self._input_shape, self._layout
            )
        few, many = _NEIGHBORS[bool(self.novelty)]
        fit = DenoisingScore.fit
        if self._layout is not None:
            fit = partial(TableScore.fit, layout=self._layout)
        return fit(
            rows,
            folds,
            rng,
            FitMonitor(self, n_networks=len(folds.seen)),
            training=DenoiserTraining(
                whole_numbers("hidden_layer_sizes", self.hidden_layer_sizes, 0),
                noise_level=float(self.noise_level),
                n_steps=int(self.n_steps),
                batch_size=int(self.batch_size),
                learning_rate=float(self.learning_rate),
                in_order=bool(self.verbose),
            ),
            n_neighbors=few if self.n_neighbors == "auto" else int(self.n_neighbors),
            n_reference=many,
            doubted=None if self.novelty else min(_DOUBTED * self.trim_fraction, 0.5),
        )

    def _calibrate(self, rows, scores, kept):
        """Keep the scores of rows that were held out, in units of their median."""
        excuses = not self.novelty and len(self._input_shape) == 1
        columns = rows.inputs if excuses else rows.inputs[:, :0]
        weight = None if rows.weight is None else rows.weight[kept]
        self._effects = BinaryEffects.of(columns[kept], scores[kept], weight)
        scores = scores * self._effects.factors(columns)
        self._usual = float(np.median(scores)) or 1.0
        kind = Calibration if self.novelty else ContaminatedCalibration
        self._calibration = kind(scores / self._usual, rows.weight)
        self.calibration_scores_ = -self._calibration.scores[::-1]
        self.loss_curve_ = [
            float(np.mean(losses)) for losses in zip(*self._score.loss_curves, strict=False)
        ]
        self.estimators_ = getattr(self._score, "autoencoders", None)

    def _threshold(self, rows):
        """The score above which rows are marked."""
        if self.contamination == "auto":
            return self._calibration.threshold(_AUTO_RATE)
        rate = float(self.contamination)
        if not self.novelty:
            return -lower_quantile(-self._scores(rows.inputs), rate, rows.weight)
        least = self._calibration.least
        if rate < least:
            warnings.warn(
                f"contamination={rate} is less than {least:.3g}, the least p-value that "
                f"{len(self.calibration_scores_)} training rows allow: the threshold is "
                "their oddest. Give more rows.",
                UserWarning,
                stacklevel=5,
            )
        return self._calibration.threshold(rate)

    @available_if(_may_hold_anomalies)
    def fit_predict(self, X, y=None, sample_weight=None, groups=None):
        """Fit, and mark the anomalies among the training rows.

        Not there with ``novelty=True``, which says that there are none.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Rows.

        y : Ignored
            Not used, present for API consistency by convention.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.

        groups : array-like of shape (n_samples,), default=None
            Which rows belong together, as in `fit`.

        Returns
        -------
        ndarray of shape (n_samples,)
            -1 for anomalies and 1 for the others.
        """
        return self.fit(X, sample_weight=sample_weight, groups=groups).predict(X)
