"""AEAnomalyDetector."""

from numbers import Integral, Real

import numpy as np
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.utils import check_random_state

from skae._monitor import FitMonitor
from skae._outlyingness import DenoisingScore
from skae._validation import check_rows, check_training_rows
from skae.inference import central
from skae.preprocessing import SquashScale
from skae.utils._conformal import Calibration, split_for_calibration
from skae.utils._rows import Rows
from skae.utils._sklearn import Interval, StrOptions, fit_context
from skae.utils._state import restores_state_on_error

_AUTO_RATE = 0.05
_FEWEST_HELD_OUT = 20
_N_FOLDS = 5
_TRIM_REFERENCE = 2000


class AEAnomalyDetector(OutlierMixin, BaseEstimator):
    """x."""

    _parameter_constraints: dict = {
        "contamination": [StrOptions({"auto"}), Interval(Real, 0, 0.5, closed="right")],
        "novelty": ["boolean"],
        "scoring": [StrOptions({"denoising", "reconstruction"})],
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

    _unit = 1.0

    def __init__(
        self,
        *,
        contamination="auto",
        novelty=False,
        scoring="denoising",
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

    @restores_state_on_error
    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None, sample_weight=None):
        rows = check_training_rows(self, X, None, sample_weight, reset=True)
        rng = self._seeded()
        held_out = split_for_calibration(
            len(rows), self.validation_fraction, _FEWEST_HELD_OUT, _N_FOLDS, rng
        )
        scores = [self._fit_score(_without(rows, some), rows.inputs[some], rng) for some in held_out]
        judged = np.concatenate(held_out)
        if len(held_out) > 1:
            self._score = self._learn(rows, rng)
        weight = None if rows.weight is None else rows.weight[judged]
        self._calibration = Calibration(np.concatenate(scores), weight)
        self.offset_ = self._offset(rows)
        return self

    def _fit_score(self, rows, held_out, rng):
        self._score = self._learn(rows, rng)
        return self._score.score(held_out)

    def _seeded(self):
        if self.random_state is None:
            return np.random.RandomState()
        return np.random.RandomState(check_random_state(self.random_state).randint(2**31 - 1))

    def _learn(self, rows, rng):
        if not self.novelty and self.trim_fraction:
            Z = SquashScale.of(rows.inputs, rows.weight).inward(rows.inputs)
            rows = rows.take(central(Z, 1 - self.trim_fraction, rng, _TRIM_REFERENCE))
        monitor = FitMonitor(self, rows, None, None)
        return DenoisingScore.fit(
            rows,
            rng,
            monitor,
            hidden=tuple(map(int, np.atleast_1d(self.hidden_layer_sizes))),
            n_neighbors=self.n_neighbors,
            noise_level=self.noise_level,
            n_steps=self.n_steps,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
        )

    def _offset(self, rows):
        if self.contamination == "auto":
            if self.novelty:
                return -self._calibration.threshold(_AUTO_RATE)
            return -self._calibration.robust_threshold(_AUTO_RATE)
        if self.novelty:
            return -self._calibration.threshold(self.contamination)
        return float(np.percentile(-self._score.score(rows.inputs), 100 * self.contamination))

    def score_samples(self, X):
        return -self._score.score(check_rows(self, X))

    def decision_function(self, X):
        return self.score_samples(X) - self.offset_

    def predict(self, X):
        return np.where(self.decision_function(X) < 0, -1, 1)

    def p_values(self, X):
        return self._calibration.p_values(-self.score_samples(X))


def _without(rows, held_out):
    kept = np.ones(len(rows), bool)
    kept[held_out] = False
    return rows.take(kept)
