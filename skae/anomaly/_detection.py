"""Methods of a fitted anomaly detector: scores, thresholds, p-values and explanations."""

import math
from numbers import Real
from typing import Any, Self

import numpy as np
from scipy.stats import false_discovery_control
from sklearn.base import OutlierMixin
from sklearn.utils.metaestimators import available_if

from skae.anomaly._calibration import Calibration, ContaminatedCalibration, lower_quantile
from skae.anomaly._explanation import (
    describe_row,
    spellings,
    texts_of_numbers,
    texts_of_table,
)
from skae.estimators._validation import check_rows, check_table
from skae.utils._arrays import check_weight, column_names, in_the_form_of, index_of
from skae.utils._calls import restores_state_on_error, warn_user
from skae.utils._rows import Rows

# Share of normal rows that contamination="auto" marks.
_AUTO_RATE = 0.05


def _may_hold_anomalies(detector):
    if detector.novelty:
        raise AttributeError(
            "fit_predict is not available with novelty=True, by which the training rows are "
            "normal; use predict on new rows, or novelty=False."
        )
    return True


class DetectionMixin(OutlierMixin):
    """The methods that need a fitted detector and nothing that trains one."""

    # Scores

    def score_samples(self, X: Any) -> np.ndarray:
        """Minus the score of each row: higher is more normal.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Rows.

        Returns
        -------
        ndarray of shape (n_samples,)
            Never positive; -1 is the median of the training rows, each scored by a model
            that has not seen it.
        """
        return -self._scores(self._rows(X))

    def decision_function(self, X: Any) -> np.ndarray:
        """Distance of each row to the threshold.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Rows.

        Returns
        -------
        ndarray of shape (n_samples,)
            ``score_samples(X) - offset_``: negative for anomalies.
        """
        return self.score_samples(X) - self.offset_

    def predict(self, X: Any) -> np.ndarray:
        """Mark anomalies.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Rows.

        Returns
        -------
        ndarray of shape (n_samples,)
            -1 for anomalies and 1 for the others.
        """
        return np.where(self.decision_function(X) < 0, -1, 1)

    def p_values(self, X: Any) -> np.ndarray:
        """Share of normal rows that are at least as anomalous.

        With ``novelty=True`` by the training rows, all of which are normal; with
        ``novelty=False`` by those with the lowest scores, and a tail fitted to the others.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Rows.

        Returns
        -------
        ndarray of shape (n_samples,)
            Between 0 and 1. With ``novelty=True`` one plus the number of training rows that
            are at least as anomalous, over one plus their number: at least one over that.
        """
        scores = -self.score_samples(X)
        return self._calibration.p_values(scores)

    def select(self, X: Any, fdr: float = 0.1) -> np.ndarray:
        """Find anomalies, with few normal rows among what is found.

        Benjamini and Hochberg's procedure on the p-values. With ``novelty=True`` these are
        no smaller than the training rows allow, which takes many of them to find a few
        anomalies among many rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            All rows of the selection. With ``novelty=False`` they may be the training rows.

        fdr : float, default=0.1
            Share of normal rows among those found, on the mean over data sets.

        Returns
        -------
        ndarray of bool of shape (n_samples,)
            True for anomalies.

        Warns
        -----
        UserWarning
            If nothing is found as the smallest p-value that there can be is too large.
        """
        if not (isinstance(fdr, Real) and 0 < fdr < 1):
            raise ValueError(f"fdr must be a float between 0 and 1; got {fdr!r}.")
        p = self.p_values(X)
        selected = false_discovery_control(p) <= fdr
        least = self._calibration.least
        n_needed = math.ceil(least * len(p) / fdr)
        n_least = np.count_nonzero(p <= least)
        if not selected.any() and (n_least or n_needed > len(p)) and n_least < n_needed:
            warn_user(
                f"select could not find anything: the smallest p-value that "
                f"{len(self.calibration_scores_)} training rows allow is {least:.3g}. To "
                f"select any of {len(p)} rows at fdr={fdr}, {n_needed} must have it; "
                f"{n_least} have. Fit on more rows, or select from fewer at a time."
            )
        return selected

    # Explanations

    def explain(self, X: Any) -> Any:
        """Split the score of each row over the columns.

        For a detector at the end of a Pipeline give the rows as the other steps make them:
        ``pipe[-1].explain(pipe[:-1].transform(X))``.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Rows.

        Returns
        -------
        ndarray or data frame in the shape of X
            Not negative; the sum over a row is minus its `score_samples`. A data frame
            has the index and columns of X. For images and series, a map of the error.
        """
        rows = self._rows(X)
        parts = self._scores(rows)[:, np.newaxis] * self._score.shares(rows)
        return self._in_the_form_of(X, parts)

    def expected(self, X: Any) -> Any:
        """Expected values, given the rest of the row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Rows.

        Returns
        -------
        ndarray or data frame in the shape of X
            In the units of the data, between the least and the greatest value that was
            seen in each column. Values with more than their share in the score are blanked
            and filled by the networks from the others; those that turn out to be as
            expected are restored. With ``scoring="reconstruction"``, the reconstruction.
            Of a table a data frame like X: with valid categories, whole numbers where all
            were, and missing values where these are expected.
        """
        rows = self._rows(X)
        values = self._score.reasons(rows).expected
        if self.table_ is not None:
            return self.table_.decode(values, index=index_of(X))
        return self._in_the_form_of(X, values)

    def describe(self, X: Any, n_columns: int = 3) -> list[str]:
        """Describe in words why each row is anomalous.

        Parameters
        ----------
        X : data frame or array-like of shape (n_samples, n_features)
            Rows.

        n_columns : int, default=3
            Number of columns that are named, at most: those with the largest part in the
            score, as long as it is more than the column's fair share. Of a table, those of
            values that are wrong together.

        Returns
        -------
        list of str
            Such as "amount 9,120, expected about 240", and of a table 'sex "male", expected
            "female"; age missing, expected about 31'. Expected numbers are rounded by what
            they usually are wrong by, and a value that is hardly farther off is no reason. A
            rare category that is spelled like a frequent one is described as 'city "Manhatan",
            perhaps "Manhattan"'. Where no value is a reason: "far from all rows in amount and
            weight together".
        """
        rows = self._rows(X)
        spread = self._score.spread
        blamed, shares, expected = self._score.reasons(rows)
        if self.table_ is None:
            names = getattr(self, "feature_names_in_", column_names(X, rows.shape[1]))
            texts: Any = [texts_of_numbers(each, spread) for each in (rows, expected)]
            alike: Any = [{}] * len(rows)
        else:
            names, cells = list(self.table_.columns_), self.table_.cells(X)
            columns = cells, self.table_.decoded_cells(expected)
            texts = [texts_of_table(each, self.table_, spread) for each in columns]
            alike = spellings(cells, self.table_, blamed)
        of_rows = zip(*texts, blamed, shares, alike, strict=True)
        return [describe_row(names, *row, n_columns, like) for *row, like in of_rows]  # type: ignore[call-arg]

    @restores_state_on_error
    def recalibrate(self, X: Any, sample_weight: Any = None) -> Self:
        """Set the threshold and p-values by new rows, without training.

        For data that drift, or another source of rows: `score_samples` stays as it is, and
        `predict`, `p_values` and `select` refer to these rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Rows that are not among the training rows: normal ones with ``novelty=True``;
            otherwise there may be anomalies among them.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows; those of weight zero do not count. None: all rows count the
            same.

        Returns
        -------
        self : object
            The detector, with `offset_`, `false_alarm_rate_` and `calibration_scores_` by
            these rows.
        """
        X = self._rows(X)
        weight = check_weight(sample_weight, len(X))
        if weight is not None:
            X, weight = X[weight > 0], weight[weight > 0]
            if np.ptp(weight) == 0:
                weight = None
        self._calibrate(self._scores(X), weight, Rows(X, None, weight))
        return self

    def __sklearn_is_fitted__(self):
        return hasattr(self, "_calibration")

    def _rows(self, X):
        """Rows of the matrix, (n_samples, n_features): numbers, or an encoded table."""
        if not self.__sklearn_is_fitted__() or self.table_ is None:
            return self._without_empty(check_rows(self, X))
        return self._encoding.join(*check_table(self, X))

    def _without_empty(self, rows):
        """Rows, (n_samples, n_features), whose columns without a value in fit are missing."""
        if self._observed is None or self._observed.all():
            return rows
        return np.where(self._observed, rows, rows.dtype.type(np.nan))

    def _in_the_form_of(self, X, values):
        """Values of columns, (n_samples, n_columns), in the shape and type of X."""
        shape = self._input_shape if self.table_ is None else values.shape[1:]
        return in_the_form_of(X, values.reshape(len(values), *shape))

    def _scores(self, X):
        """Scores of rows of the detector's matrix, (n_samples,), of median one."""
        scores = self._score.score(X) / self._median_score
        return scores * self._binary_effects.correction(X)

    def _calibrate(self, scores, weight, rows):
        """Calibrate by scores and weights, (n_samples,) each, and set the threshold.

        `rows` are those of which ``contamination``, with ``novelty=False``, is a share.
        """
        kind = Calibration if self.novelty else ContaminatedCalibration
        calibration = self._calibration = kind(scores, weight)
        self.calibration_scores_ = -calibration.scores[::-1]
        if self.contamination == "auto":
            threshold = calibration.threshold(_AUTO_RATE)
        elif not self.novelty:
            scores, rate = self._scores(rows.inputs), float(self.contamination)
            threshold = -lower_quantile(-scores, rate, rows.weight)
        else:
            rate = float(self.contamination)
            if rate < calibration.least:
                warn_user(
                    f"contamination={rate} is less than {calibration.least:.3g}, the least "
                    f"p-value that {len(self.calibration_scores_)} training rows allow: the "
                    "threshold is the most anomalous of them. Give more rows."
                )
            threshold = calibration.threshold(rate)
        self.offset_ = -threshold
        self.false_alarm_rate_ = calibration.rate(threshold)

    @available_if(_may_hold_anomalies)
    def fit_predict(
        self, X: Any, y: Any = None, sample_weight: Any = None, groups: Any = None
    ) -> np.ndarray:
        """Fit, and mark the anomalies among the training rows.

        Not available with ``novelty=True``, by which there are none.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Rows.

        y : Ignored
            Not used, present for API consistency by convention.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.

        groups : array-like of shape (n_samples,), default=None
            Group of each row, as in `fit`.

        Returns
        -------
        ndarray of shape (n_samples,)
            -1 for anomalies and 1 for the others.
        """
        return self.fit(X, y, sample_weight, groups).predict(X)
