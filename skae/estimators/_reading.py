"""What estimators have that read tables, and rows that are sparse or many."""

from sklearn.utils.validation import check_is_fitted

from skae.utils._frames import column_names


class ReadsTablesMixin:
    """Kinds of columns, and the tags of what takes categories and missing cells."""

    @property
    def columns_(self):
        """Kind of each column, by name."""
        check_is_fitted(self)
        if self.table_ is not None:
            return dict(self.table_.columns_)
        names = getattr(self, "feature_names_in_", column_names(None, self.n_features_in_))
        return dict.fromkeys(map(str, names), "numeric")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        return tags


class ReadsLazyMixin:
    """Rows that are sparse, or many, are read in chunks."""

    _reads_lazily = True

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags
