"""AEAnomalyDetector."""

import warnings
from numbers import Integral, Real

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.utils.metaestimators import available_if

from skae.anomaly._conformal import Calibration, lower_quantile, split_for_calibration
from skae.anomaly._detection import DetectionMixin
from skae.anomaly._neighbors import central
from skae.anomaly._scores import DenoisingScore, ReconstructionScore
from skae.estimators._autoencoder import AutoencoderTransformer
from skae.estimators._base import BaseAutoencoder
from skae.estimators._monitor import FitMonitor
from skae.estimators._validation import check_training_rows
from skae.networks import whole_numbers
from skae.tables import SquashScale
from skae.utils._process import refuse_forked_process
from skae.utils._random import offspring
from skae.utils._sklearn import Interval, StrOptions, fit_context
from skae.utils._state import restores_state_on_error

# The share of normal rows that contamination="auto" is content to mark.
_AUTO_RATE = 0.05

# With fewer held-out rows that share is hardly one row: small tables are cross-fitted.
_FEWEST_HELD_OUT = 40
_N_FOLDS = 5

# Rows to which the others' distances are taken before the farthest are left out.
_TRIM_REFERENCE = 2000


def _may_hold_anomalies(detector):
    if detector.novelty:
        raise AttributeError(
            "fit_predict is not available with novelty=True, which says that the training "
            "rows are normal; use predict on new rows, or novelty=False."
        )
    return True


class AEAnomalyDetector(DetectionMixin, BaseEstimator):
    """Anomaly detection by a denoising autoencoder and the nearest training rows.

    The score of a row is the geometric mean of two numbers. One is the error of a wide
    network without a bottleneck that was trained to remove noise and is told how much
    there is [1]_: the row is spoilt at several levels, and what the network fails to
    restore counts. The other is the squared distance to the nearest training rows [2]_,
    which catches what lies far from all of them, where a network may be right by chance.
    Both are taken column by column, so that a score can be split over the columns.

    Raw tables are welcome: columns are standardised inside, and values farther than
    three deviations count by their logarithm.

    Rows that nothing was trained on set the threshold. They also turn a score into a
    conformal p-value [3]_, and many p-values into a selection with a known rate of false
    discoveries [4]_, [5]_.

    Parameters
    ----------
    contamination : float or "auto", default="auto"
        What sets `offset_`, the threshold. "auto": the score that 5 % of normal rows
        exceed, judged by the rows held out; with ``novelty=False``, where some of these
        may be anomalies, by their median and lower tail too. A float in (0, 0.5]: with
        ``novelty=False`` the share of the training rows that `fit_predict` marks; with
        ``novelty=True`` the share of new normal rows that may be marked.

    novelty : bool, default=False
        Whether the training rows are known to be normal. If False, they may contain
        anomalies, and those that lie farthest from the others are left out of training.

    scoring : {"denoising", "reconstruction"}, default="denoising"
        "reconstruction": the score is the plain reconstruction error of `estimator`.

    estimator : autoencoder, default=None
        For ``scoring="reconstruction"``; cloned. With more than one axis in a row
        (images, series) rows are not scaled: it brings its own units. None:
        :class:`AutoencoderTransformer` with ``n_components=0.9``.

    hidden_layer_sizes : int or array-like of shape (n_layers,), default=(256, 256)
        Widths of the hidden layers of the denoiser.

    noise_level : float, default=0.7
        Highest standard deviation of the noise, in those of the columns.

    n_neighbors : int, default=3
        How many of the nearest training rows count.

    trim_fraction : float, default=0.3
        Share of the training rows that is left out of training where ``novelty=False``.
        Choose more than the share of anomalies.

    n_steps : int, default=1500
        Training steps of the denoiser, about: what small tables repeat, large ones
        spread over their rows. Many more would teach it the anomalies too.

    batch_size : int, default=128
        Rows in a training step of the denoiser.

    learning_rate : float, default=0.003
        Of Adam at the first step; it falls to zero in a straight line.

    validation_fraction : float, default=0.1
        Share of the rows that are held out to calibrate. Where that is fewer than 40
        rows, all of them are cross-fitted: five models score what each has not seen, and
        a sixth is trained on all rows.

    random_state : int, RandomState instance or None, default=None
        Seeds what is held out, the weights and the noise. An int gives the same result in
        every call on the same machine.

    verbose : bool or int, default=False
        Whether the loss of each epoch is printed.

    Attributes
    ----------
    offset_ : float
        The threshold: rows with a lower `score_samples` are anomalies.

    false_alarm_rate_ : float
        Share of new rows like those held out that lies beyond the threshold, at most and
        on the mean: the p-value at which a row is marked.

    calibration_scores_ : ndarray of shape (n_held_out,)
        `score_samples` of the rows held out, ascending.

    loss_curve_ : list of float
        Mean training loss in each epoch, in standardised columns.

    estimator_ : autoencoder or None
        The autoencoder that was fitted, for ``scoring="reconstruction"``.

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
    p-values are valid in finite samples: of normal rows like those held out at most a
    share `a` has a p-value of at most `a`, on the mean over data sets. With
    ``novelty=False`` the held-out rows are like the training rows, anomalies included,
    which makes p-values larger. With cross-fitting they are valid up to the difference
    between a model that saw four fifths of the rows and one that saw all, which errs
    towards larger p-values as well.

    At most 5,000 rows, drawn at random, serve as neighbours. Scores are computed in
    chunks, in the dtype of X: float32 takes half the time.

    References
    ----------
    .. [1] T. Sattarov et al., "Diffusion-Scheduled Denoising Autoencoders for Anomaly
       Detection in Tabular Data", KDD, 2025.

    .. [2] S. Ramaswamy, R. Rastogi and K. Shim, "Efficient Algorithms for Mining Outliers
       from Large Data Sets", SIGMOD, 2000.

    .. [3] V. Vovk, A. Gammerman and G. Shafer, "Algorithmic Learning in a Random World",
       Springer, 2005.

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
    """

    _parameter_constraints: dict = {
        "contamination": [StrOptions({"auto"}), Interval(Real, 0, 0.5, closed="right")],
        "novelty": ["boolean"],
        "scoring": [StrOptions({"denoising", "reconstruction"})],
        "estimator": [BaseAutoencoder, None],
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "noise_level": [Interval(Real, 0, None, closed="neither")],
        "n_neighbors": [Interval(Integral, 1, None, closed="left")],
        "trim_fraction": [Interval(Real, 0, 1, closed="left")],
        "n_steps": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
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
        n_neighbors=3,
        trim_fraction=0.3,
        n_steps=1500,
        batch_size=128,
        learning_rate=0.003,
        validation_fraction=0.1,
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
        self.validation_fraction = validation_fraction
        self.random_state = random_state
        self.verbose = verbose

    # Fitting

    @restores_state_on_error
    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y=None, sample_weight=None):
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

        Returns
        -------
        self : object
            The fitted detector. When `fit` fails, what was fitted before is kept.
        """
        rows = check_training_rows(self, X, None, sample_weight, reset=True)
        refuse_forked_process()
        rng = np.random.RandomState(offspring(self.random_state))
        held_out = split_for_calibration(
            len(rows), float(self.validation_fraction), _FEWEST_HELD_OUT, _N_FOLDS, rng
        )
        scores = []
        for index in held_out:
            self._score = self._learn(_without(rows, index), rng)
            scores.append(self._score.score(rows.inputs[index]))
        if len(held_out) > 1:
            self._score = self._learn(rows, rng)
        self._calibrate(rows, np.concatenate(held_out), np.concatenate(scores))
        return self

    def _learn(self, rows, rng):
        """What is usual of these rows, or of those in their midst."""
        if not self.novelty and self.trim_fraction:
            Z = SquashScale.of(rows.inputs, rows.weight).inward(rows.inputs)
            share = 1 - float(self.trim_fraction)
            rows = rows.take(central(Z, share, rng, _TRIM_REFERENCE))
        if self.scoring == "reconstruction":
            autoencoder = AutoencoderTransformer(0.9, verbose=self.verbose)
            if self.estimator is not None:
                autoencoder = clone(self.estimator)
            return ReconstructionScore.fit(rows, rng, autoencoder, self._input_shape)
        return DenoisingScore.fit(
            rows,
            rng,
            FitMonitor(self, rows, None, None, 1),
            hidden=whole_numbers("hidden_layer_sizes", self.hidden_layer_sizes, 0),
            n_neighbors=int(self.n_neighbors),
            noise_level=float(self.noise_level),
            n_steps=int(self.n_steps),
            batch_size=int(self.batch_size),
            learning_rate=float(self.learning_rate),
        )

    def _calibrate(self, rows, held_out, scores):
        """Keep the scores of rows that were held out, and set the threshold."""
        weight = None if rows.weight is None else rows.weight[held_out]
        # Training rows flatter, those of a small table most: the unit is a held-out row.
        self._usual = float(np.median(scores)) or 1.0
        self._calibration = Calibration(scores / self._usual, weight)
        self.calibration_scores_ = -self._calibration.scores[::-1]
        self.loss_curve_ = list(self._score.loss_curve)
        self.estimator_ = getattr(self._score, "autoencoder", None)
        self.offset_ = -self._threshold(rows)
        self.false_alarm_rate_ = self._calibration.rate(-self.offset_)

    def _threshold(self, rows):
        rate = _AUTO_RATE if self.contamination == "auto" else float(self.contamination)
        if self.novelty:
            least = self._calibration.least
            if rate < least and self.contamination != "auto":
                warnings.warn(
                    f"contamination={rate} is less than {least:.3g}, the least p-value "
                    f"with {len(self.calibration_scores_)} rows held out: the threshold is "
                    "their oddest. Give more rows, or a larger validation_fraction.",
                    UserWarning,
                    stacklevel=5,
                )
            return self._calibration.threshold(rate)
        if self.contamination == "auto":
            # Anomalies among the held-out rows raise the one and hardly the other.
            return min(
                self._calibration.threshold(rate), self._calibration.robust_threshold(rate)
            )
        return -lower_quantile(-self._scores(rows.inputs), rate, rows.weight)

    @available_if(_may_hold_anomalies)
    def fit_predict(self, X, y=None, sample_weight=None):
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

        Returns
        -------
        ndarray of shape (n_samples,)
            -1 for anomalies and 1 for the others.
        """
        return self.fit(X, sample_weight=sample_weight).predict(X)


def _without(rows, index):
    kept = np.ones(len(rows), bool)
    kept[index] = False
    return rows.take(kept)
