"""TabularEncoder."""

from collections.abc import Iterable, Iterator
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import TransformerMixin
from sklearn.utils.validation import check_is_fitted

from skae.tables._category_column import (
    CategoryColumn,
    declared_columns,
    flag_unit,
    flag_units,
    make_column,
    warn_of_columns,
)
from skae.tables._column_values import ColumnValues, iso_times
from skae.tables._columns import (
    Block,
    NumberColumn,
    as_in_fit,
    check_known,
    check_learnable,
    strings_as_times,
    with_one_scale,
)
from skae.tables._frame_schema import FrameSchema
from skae.tables._frames import checked_table, read_columns
from skae.utils._arrays import check_floats, check_weight, index_of, unique_names
from skae.utils._calls import restores_state_on_error
from skae.utils._sklearn import (
    BaseEstimator,
    Interval,
    StrOptions,
    check_feature_names_in,
    fit_context,
)

Array = NDArray[Any]


class TabularEncoder(TransformerMixin, BaseEstimator):
    """Tables of any columns as a matrix of comparable numbers, and back.

    Numbers, dates and times, strings, booleans, categories and missing values are accepted
    from pandas, polars, PyArrow or arrays, by dtype or by the class of objects.
    `inverse_transform` returns rows of the same library, columns, dtypes, classes and
    categories. Strings that are all dates or times in one format of ISO 8601 are dates. A
    column of any other type is refused, and one of strings that is hardly one of categories
    has a warning, by its name.

    Every column has about the same weight in a distance or a variance: numbers and dates are
    standardised, and values farther than three standard deviations count by their logarithm;
    categories become flags that are centred and vary in all as much as a number does, as in
    the factor analysis of mixed data [1]_. A missing value is at the mean of its column, and
    a flag marks it.

    Parameters
    ----------
    categorical_features : "from_dtype" or array-like of {bool, int, str}, default="from_dtype"
        Columns that are categories, whatever their values: a mask, positions, or names.
        Booleans and categorical dtypes are categories in any case, and strings that are no
        dates and not nearly all different; "from_dtype": only they are.

    max_categories : int or None, default=50
        Flags that a column has at most. Of more categories the rarest share one flag, which
        is decoded as the most frequent of them. None: no limit.

    handle_unknown : {"ignore", "error"}, default="ignore"
        Treatment of a category that was not seen in fit. "ignore": all flags of its column
        are off, but for the one that the rarest categories share, if there is one. Strings
        that are no date in a column of them are treated likewise: with "ignore" they are at
        the mean, without the flag of a missing value.

    standardize : bool, default=True
        Whether each column of numbers is divided by its own standard deviation. False: all
        are divided by one number, the root of their mean variance, and `squash` has no
        effect on them. Times are standardised in any case.

    squash : bool, default=True
        Whether values beyond three standard deviations from the mean are squashed: they count
        by their logarithm.

    clip : bool, default=True
        Whether `inverse_transform` keeps numbers within the range seen in fit.

    Attributes
    ----------
    columns_ : dict
        The kind of each column, by its name as it came: "numeric"; "integer", for numbers
        that were all whole; "binary", for two categories, and for numbers that are 0 and
        1, 1 and 2, or -1 and 1; "categorical"; "date", for dates, times, durations and strings
        that are dates; "constant", for one value only; "empty", where all values were
        missing; "identifier", for categories that are nearly all different. Empty columns and
        identifiers are not encoded, and are decoded as missing.

    blocks_ : tuple of Block
        The columns of the matrix that encode each column of the table.

    n_features_in_ : int
        Number of columns seen during fit.

    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns, where X had any.

    See Also
    --------
    sklearn.preprocessing.OneHotEncoder : Flags of categories alone.
    sklearn.preprocessing.StandardScaler : Numbers alone.

    Notes
    -----
    The way back is exact for categories, integers and times, and for numbers that were
    rounded to at most eight decimals, as long as their range has fewer than about 2**51
    steps; other numbers are exact to the rounding of float64. Integers come back whole,
    numbers with as many decimals as were seen, and times in the largest unit of which all
    were multiples (days, hours, minutes, seconds, ...). Values come back missing where the
    flag of a missing value is on. Strings come back in the format that they had; times of
    several offsets from UTC, in UTC. Integers of more than 64 bits are rounded as floats are.

    A column is an identifier if more than 50 categories were seen, and more than
    `max_categories`, and if more than half of all values to come are new, by the estimate
    of Good and Turing [2]_: the share of values that occur once.

    References
    ----------
    .. [1] J. Pages, "Multiple Factor Analysis by Example Using R", CRC Press, 2014,
       chapter 3.

    .. [2] I. J. Good, "The Population Frequencies of Species and the Estimation of
       Population Parameters", Biometrika 40, 1953.

    Examples
    --------
    >>> import pandas as pd
    >>> from skae.tables import TabularEncoder
    >>> X = pd.DataFrame({
    ...     "age": [22, 38, 26, None],
    ...     "sex": ["male", "female", "female", "male"],
    ...     "deck": ["C", None, "E", "B"],
    ... })
    >>> encoder = TabularEncoder().fit(X)
    >>> encoder.columns_
    {'age': 'integer', 'sex': 'binary', 'deck': 'categorical'}
    >>> encoder.get_feature_names_out()
    array(['age', 'age_missing', 'sex_male', 'deck_B', 'deck_C', 'deck_E',
           'deck_missing'], dtype=object)
    >>> encoder.inverse_transform(encoder.transform(X)).equals(X)
    True
    """

    blocks_: tuple[Block, ...]
    _columns: list[Any]
    _form: FrameSchema
    _missing_share: Array
    _labels: Any

    _parameter_constraints: dict[str, Any] = {
        "categorical_features": [StrOptions({"from_dtype"}), "array-like"],
        "max_categories": [Interval(Integral, 2, None, closed="left"), None],
        "handle_unknown": [StrOptions({"ignore", "error"})],
        "standardize": ["boolean"],
        "squash": ["boolean"],
        "clip": ["boolean"],
    }

    def __init__(
        self,
        *,
        categorical_features: Any = "from_dtype",
        max_categories: int | None = 50,
        handle_unknown: str = "ignore",
        standardize: bool = True,
        squash: bool = True,
        clip: bool = True,
    ) -> None:
        self.categorical_features = categorical_features
        self.max_categories = max_categories
        self.handle_unknown = handle_unknown
        self.standardize = standardize
        self.squash = squash
        self.clip = clip

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> "TabularEncoder":
        """Learn the kind, the categories and the scale of each column.

        Parameters
        ----------
        X : data frame or array-like of shape (n_samples, n_features)
            A table.

        y : Ignored
            Not used, present for API consistency by convention.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows. Categories that only rows of weight zero have are not seen.

        Returns
        -------
        self : object
            The fitted encoder.

        Raises
        ------
        TypeError
            If a column is of several types, or of one that is no number, time or category.

        Warns
        -----
        UserWarning
            If columns are identifiers or free text, which are ignored, or if most of their
            strings look like numbers, or like dates that are not all in one format, or if a
            column looks like the row numbers of a CSV file.
            Columns named in `categorical_features` have none.
        """
        self._fit_encode(X, sample_weight, rows=slice(0))
        return self

    def fit_transform(self, X: Any, y: Any = None, sample_weight: Any = None) -> Array:
        """Fit the encoder and encode the same table, whose columns are read once.

        Parameters
        ----------
        X : data frame or array-like of shape (n_samples, n_features)
            A table.

        y : Ignored
            Not used, present for API consistency by convention.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows, as in `fit`.

        Returns
        -------
        ndarray of shape (n_samples, n_features_out)
            As `transform` returns them.
        """
        return self._fit_encode(X, sample_weight)[0]

    @restores_state_on_error
    @fit_context(prefer_skip_nested_validation=True)
    def _fit_encode(self, X: Any, sample_weight: Any = None, rows: Any = None) -> Any:
        """Learn the columns of a table; return what `encode` does for all rows or for some."""
        X = checked_table(X, self)
        weight = None if sample_weight is None else check_weight(sample_weight, X.shape[0])
        table = list(read_columns(X))
        names, is_named = [data.name for data in table], hasattr(self, "feature_names_in_")
        declared = declared_columns(self.categorical_features, names, is_named)
        columns, blocks, shares, start = [], [], [], 0
        for j, is_declared in enumerate(declared):
            data = table[j] = table[j] if is_declared else iso_times(table[j])
            column = make_column(data, weight, is_declared, self.max_categories, self.squash)
            share = np.average(~data.observed, weights=weight)
            stop = start + column.width
            indicator = stop if share > 0 and column.width else None
            blocks.append(Block(column.name, column.kind, start, stop, indicator))
            columns.append(column)
            shares.append(share)
            start = stop + (indicator is not None)
        self._columns = columns if self.standardize else with_one_scale(columns)
        self._missing_share = np.array(shares)
        self._form = FrameSchema(X, table)
        self._labels = list(X.columns) if hasattr(X, "iloc") else None
        self.blocks_ = tuple(blocks)
        warn_of_columns((table[j], columns[j]) for j in np.flatnonzero(~declared))
        if rows is not None:
            table = [data.take(rows) for data in table]
        return self._encoded(len(table[0].observed), zip(table, table, strict=True))

    def transform(self, X: Any) -> Array:
        """Encode a table.

        Parameters
        ----------
        X : data frame or array-like of shape (n_samples, n_features)
            A table with the columns that were seen in fit.

        Returns
        -------
        ndarray of shape (n_samples, n_features_out)
            Numbers, see `blocks_` and `get_feature_names_out`.
        """
        return self.encode(X)[0]

    def encode(self, X: Any) -> tuple[Array, Array]:
        """Encode a table, with a mask of the values that count.

        Parameters
        ----------
        X : data frame or array-like of shape (n_samples, n_features)
            A table with the columns that were seen in fit.

        Returns
        -------
        Z : ndarray of shape (n_samples, n_features_out)
            As `transform` returns them.

        observed : ndarray of bool of shape (n_samples, n_features)
            Values that are observed, and no category that was not seen in fit.
        """
        check_is_fitted(self)
        X = checked_table(X, self, reset=False)
        return self._encoded(X.shape[0], self._read(X))

    def _read(self, X: Any) -> Iterator[tuple[ColumnValues, ColumnValues]]:
        """Values of each column of a checked table, as they are, and in the type of fit."""
        for j, given in enumerate(read_columns(X)):
            yield given, as_in_fit(self._columns[j], given, self._form.formats.get(j))

    def _encoded(self, n_samples: int, values: Iterable[Any]) -> tuple[Array, Array]:
        """Matrix (n_samples, n_numbers) and mask of values that count (n_samples, n_columns).

        Of values of each column, all or those of some rows, as `_read` returns them.
        """
        Z = np.empty((n_samples, self.n_numbers))
        observed = np.empty((n_samples, len(self.blocks_)), dtype=bool)
        parts = zip(self._columns, self.blocks_, values, strict=True)
        for j, (column, block, (given, data)) in enumerate(parts):
            Z[:, block.start : block.stop], observed[:, j] = column.encode(data)
            if block.indicator is not None:
                share = self._missing_share[j]
                Z[:, block.indicator] = (~given.observed - share) / flag_unit(share)
            if self.handle_unknown == "error":
                check_known(column, given, observed[:, j])
        return Z, observed

    def cells(self, X: Any) -> list[ColumnValues]:
        """Values of each column of a table, with strings as times in columns that are dates.

        Parameters
        ----------
        X : data frame or array-like of shape (n_samples, n_features)
            A table with the columns that were seen in fit.
        """
        check_is_fitted(self)
        cells = []
        for j, given in enumerate(read_columns(checked_table(X))):
            data = strings_as_times(self._columns[j], given, self._form.formats.get(j))
            # Where a string is no date, all are returned as they are.
            cells.append(data if (data.observed == given.observed).all() else given)
        return cells

    def observed(self, X: Any) -> Array:
        """Mask of the values that are observed, and no category that was not seen in fit.

        Parameters
        ----------
        X : data frame or array-like of shape (n_samples, n_features)
            A table.

        Returns
        -------
        ndarray of bool of shape (n_samples, n_features)
        """
        return self.encode(X)[1]

    def inverse_transform(self, X: Any) -> Any:
        """Decode a matrix.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features_out)
            Numbers, as `transform` returns them, or near them: the category whose flag is
            largest is decoded.

        Returns
        -------
        data frame or ndarray of shape (n_samples, n_features)
            In the library that was fitted, with its columns and dtypes. The index of
            pandas is that of X, where X has one.
        """
        check_is_fitted(self)
        Z = check_floats(X, "X", dtype=np.float64, ensure_min_features=0)
        if Z.shape[1] != self.n_numbers:
            raise ValueError(
                f"X has {Z.shape[1]} columns, but {type(self).__name__} gives "
                f"{self.n_numbers}: inverse_transform takes what transform returns."
            )
        return self.decode(Z, index=index_of(X))

    def decode(self, Z: Array, *, index: Any = None) -> Any:
        """The table for a matrix that needs no check.

        Parameters
        ----------
        Z : ndarray of shape (n_samples, n_features_out)
            Numbers.

        index : pandas.Index, default=None
            Of the rows, for pandas.
        """
        columns = self.decoded_cells(Z)
        return self._form.build(columns, index)

    def decoded_cells(self, Z: Array, rounded: bool = True) -> list[ColumnValues]:
        """Values of each column of the table for a matrix that needs no check.

        Parameters
        ----------
        Z : ndarray of shape (n_samples, n_features_out)
            Numbers.

        rounded : bool, default=True
            Whether numbers are rounded to those that the columns hold. False: for a table
            whose columns are all numbers.
        """
        check_is_fitted(self)
        decoded = []
        for j, (column, block) in enumerate(zip(self._columns, self.blocks_, strict=True)):
            values = column.decode(Z[:, block.start : block.stop], self.clip, rounded)
            observed = np.full(len(Z), column.width > 0)
            if block.indicator is not None:
                share = self._missing_share[j]
                observed = Z[:, block.indicator] * flag_unit(share) + share <= 0.5
            family = column.family if column.unit is None else "time"
            typed = family, column.unit, column.type, self._form.formats.get(j)
            decoded.append(ColumnValues(column.name, values, observed, *typed))
        return decoded

    def get_feature_names_out(self, input_features: Any = None) -> Array:
        """Names of the numbers: column, or column and category, or column and "missing".

        They are unique: numbers have the name of their column, and where a flag would have
        a name that is taken, "_2" or a higher number is added to it.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Checked against the names seen in fit, and used where there were none.

        Returns
        -------
        ndarray of str of shape (n_features_out,)
        """
        check_is_fitted(self)
        names = check_feature_names_in(self, input_features)
        out: list[str] = []
        for name, column, block in zip(names, self._columns, self.blocks_, strict=True):
            if isinstance(column, CategoryColumn):
                out += [f"{name}_{flag}" for flag in column.categories[-column.width :]]
            else:
                out += [name] * column.width
            out += [f"{name}_missing"] * (block.indicator is not None)
        return np.array(unique_names(out, self.is_flag), dtype=object)

    @property
    def columns_(self) -> dict[Any, str]:
        """Kind of each column, by its name as it came."""
        check_is_fitted(self)
        labels = self._labels or [column.name for column in self._columns]
        kinds = [column.kind for column in self._columns]
        return dict(zip(labels, kinds, strict=True))

    def check_learnable(self) -> None:
        """Raise if all columns are ignored: they are empty or identifiers."""
        check_is_fitted(self)
        check_learnable(self._columns)

    @property
    def n_numbers(self) -> int:
        """Columns of the matrix."""
        check_is_fitted(self)
        last = self.blocks_[-1]
        return last.stop if last.indicator is None else last.indicator + 1

    @property
    def is_flag(self) -> Array:
        """Mask of the columns of the matrix that are flags, of categories or missing values."""
        return flag_units(self)[0]

    @property
    def flag_share(self) -> Array:
        """Share of the rows of fit in which each flag was on; 0 for numbers."""
        return flag_units(self)[1]

    @property
    def flag_unit(self) -> Array:
        """Divisor of each flag after its share is subtracted; 1 for numbers."""
        return flag_units(self)[2]

    def log_unit(self, column: int, z: Array) -> Array:
        """Logarithm of the derivative of a column of numbers by those of the matrix, at `z`."""
        check_is_fitted(self)
        described = self._columns[column]
        assert isinstance(described, NumberColumn)
        return described.log_unit(z)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        return tags
