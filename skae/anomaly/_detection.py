"""What a fitted anomaly detector does: score rows, say how sure it is, and why."""

from numbers import Real

import numpy as np
from scipy.stats import false_discovery_control
from sklearn.base import OutlierMixin

from skae.anomaly._text import describe_cells
from skae.estimators._validation import check_rows
from skae.utils._frames import column_names, in_the_form_of


class DetectionMixin(OutlierMixin):
    """The methods that need a fitted detector and nothing that trains one."""

    # How odd

    def score_samples(self, X):
        """Minus the score of each row: higher is more normal.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Rows.

        Returns
        -------
        ndarray of shape (n_samples,)
            Never positive; -1 is the median of the rows held out.
        """
        return -self._scores(check_rows(self, X))

    def decision_function(self, X):
        """How far each row is from the threshold.

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

    def predict(self, X):
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

    def p_values(self, X):
        """Conformal p-values: how often a normal row is at least as odd.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Rows that were not trained on.

        Returns
        -------
        ndarray of shape (n_samples,)
            One plus the number of held-out rows that are at least as odd, over one plus
            their number. With weights, their sum, at a mean of one.
        """
        scores = -self.score_samples(X)
        return self._calibration.p_values(scores)

    def select(self, X, fdr=0.1):
        """Find anomalies, with few normal rows among what is found.

        Benjamini and Hochberg's procedure on the p-values. To find anything among many
        rows, p-values must be small, and that takes many held-out rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Rows that were not trained on, all that are judged together.

        fdr : float, default=0.1
            Share of normal rows among those found, on the mean over data sets.

        Returns
        -------
        ndarray of bool of shape (n_samples,)
            Whether each row is an anomaly.
        """
        if not (isinstance(fdr, Real) and 0 < fdr < 1):
            raise ValueError(f"fdr must be a float between 0 and 1; got {fdr!r}.")
        return false_discovery_control(self.p_values(X)) <= fdr

    # Why

    def explain(self, X):
        """Split the score of each row over the columns.

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
        values = self._contributions(check_rows(self, X))
        return in_the_form_of(X, values.reshape(len(values), *self._input_shape))

    def expected(self, X):
        """What would have been ordinary in each cell, given the rest of the row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Rows.

        Returns
        -------
        ndarray or data frame in the shape of X
            In the units of the data. Cells with a large part in the score are blanked
            and filled by the network from the others. With
            ``scoring="reconstruction"``, the reconstruction.
        """
        rows = check_rows(self, X)
        values = self._score.expected(rows)
        return in_the_form_of(X, values.reshape(len(values), *self._input_shape))

    def describe(self, X, n_columns=3):
        """Say in words what is odd about each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.

        n_columns : int, default=3
            How many columns are named at most: those with the largest part in the score,
            as long as it is more than the column's fair share.

        Returns
        -------
        list of str
            Such as "amount 9,120, expected about 240".
        """
        rows = check_rows(self, X)
        names = getattr(self, "feature_names_in_", column_names(X, rows.shape[1]))
        parts = self._contributions(rows), self._score.expected(rows)
        cells = zip(rows, *parts, strict=True)
        return [describe_cells(names, *cell, n_columns) for cell in cells]

    def __sklearn_is_fitted__(self):
        return hasattr(self, "_calibration")

    def _scores(self, X):
        return self._score.score(X) / self._usual

    def _contributions(self, X):
        return self._score.contributions(X) / self._usual
