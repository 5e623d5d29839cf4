"""Tags of estimators that accept tables, sparse rows, or more rows than fit in memory."""

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skae.utils._arrays import column_names


class TableTagsMixin:
    """Kinds of columns, and the tags of what takes categories and missing values."""

    @property
    def columns_(self):
        """Kind of each column, by name."""
        check_is_fitted(self)
        if self.table_ is not None:
            return dict(self.table_.columns_)
        names = getattr(self, "feature_names_in_", getattr(self, "_labels", None))
        names = column_names(None, self.n_features_in_) if names is None else list(names)
        return dict.fromkeys(names, "numeric")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        network = getattr(self, "network", None)
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = tags.input_tags.string = network is None
        if not getattr(network, "takes_flat_rows", True):
            tags.input_tags.two_d_array, tags.input_tags.three_d_array = False, True
        if tags.transformer_tags is not None and not self._declares_categories():
            # A table is encoded in double precision.
            tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def _declares_categories(self):
        given = self.categorical_features
        return not isinstance(given, str) and np.size(given) > 0


class LazyTagsMixin:
    """Rows that are sparse, or many, are read in chunks."""

    _reads_lazily = True

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        is_flat = tags.input_tags.two_d_array
        tags.input_tags.sparse = is_flat and not self._declares_categories()
        return tags
