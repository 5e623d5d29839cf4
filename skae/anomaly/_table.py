"""From a table to rows that the detector compares, and back to its columns."""

from dataclasses import replace

import numpy as np
from sklearn.utils import get_tags

from skae.anomaly._layout import TableLayout, share_of_new_levels
from skae.estimators._base import BaseAutoencoder
from skae.estimators._preprocessing import warn_of_empty
from skae.estimators._validation import check_rows, check_table, check_training_rows
from skae.tables import TabularEncoder
from skae.utils._rows import Rows


class TableMixin:
    """How a detector reads tables of any columns, with holes or without."""

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        if self.scoring == "reconstruction" and isinstance(self.estimator, BaseAutoencoder):
            # Its network is given the rows, or what a table is encoded in.
            accepted = get_tags(self.estimator).input_tags
            tags.input_tags = replace(accepted, sparse=False)
        return tags

    # Mask of the columns of numbers with a value in fit, (n_features,); None: all have.
    _observed: object = None

    def _new_encoder(self):
        return TabularEncoder(categorical_features=self.categorical_features)

    def _training_rows(self, X, sample_weight):
        """Rows to train on; those of a table as its layout gives them."""
        rows = check_training_rows(self, X, None, sample_weight, reset=True)
        self._layout = self._observed = None
        if self.table_ is None:
            if rows.observed is not None:
                self._observed = rows.observed.any(axis=0)
                warn_of_empty(self, np.flatnonzero(~self._observed))
            return rows
        new_share = share_of_new_levels(self.table_.cells(X), sample_weight)
        self._layout = TableLayout(self.table_.blocks_, new_share)
        return Rows(self._layout.joined(rows.inputs, rows.observed), None, rows.weight)

    def _rows(self, X):
        """Rows to judge."""
        if not self.__sklearn_is_fitted__() or self.table_ is None:
            rows = check_rows(self, X)
            if self._observed is None or self._observed.all():
                return rows
            return np.where(self._observed, rows, rows.dtype.type(np.nan))
        return self._layout.joined(*check_table(self, X))
