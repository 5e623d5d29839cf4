"""TabularEncoder."""

from collections.abc import Iterator
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from skae.tables._cells import Cells
from skae.tables._columns import (
    LEAST_UNIT,
    Column,
    LevelsColumn,
    NumberColumn,
    check_cells,
    check_finite,
    with_one_scale,
)
from skae.tables._doubts import doubts_of, warn_of
from skae.tables._frames import Form, checked_table, read_columns
from skae.tables._iso import IsoFormat, as_times, iso_times
from skae.tables._kinds import make_column
from skae.utils._arrays import check_floats, check_weight
from skae.utils._frames import column_labels, index_of, unique_names
from skae.utils._sklearn import (
    Interval,
    StrOptions,
    check_feature_names_in,
    fit_context,
)
from skae.utils._state import restores_state_on_error

Array = NDArray[Any]

# How many columns an error names.
_MOST_NAMED = 5


class Block(NamedTuple):
    """Which numbers stand for a column of the table.

    Attributes
    ----------
    name : str
        Of the column.

    kind : str
        See :class:`TabularEncoder`.

    start, stop : int
        Where its values stand in the matrix.

    indicator : int or None
        Where the flag stands that tells that the cell is missing; None: no cell was
        missing in fit.
    """

    name: str
    kind: str
    start: int
    stop: int
    indicator: int | None


class TabularEncoder(TransformerMixin, BaseEstimator):
    """Tables of any columns as a matrix of comparable numbers, and back.

    Numbers, integers, booleans, strings, categories, dates and missing cells are read as
    they come, from pandas, polars, PyArrow or arrays, and `inverse_transform` gives back
    rows of the same library, columns, dtypes and categories.

    Every column has about the same say in a distance or a variance: numbers and dates are
    standardised, and values farther than three deviations count by their logarithm; the
    levels of a category become flags that are centred and vary in all as much as a number
    does, as in the factor analysis of mixed data [1]_. A missing cell stands at the mean
    of its column, and a flag tells that it was missing.

    Parameters
    ----------
    categorical_features : "from_dtype" or array-like of {bool, int, str}, default="from_dtype"
        Columns of numbers that are categories: a mask, positions, or names. Strings,
        booleans and categorical dtypes are categories in any case; "from_dtype": only
        they are.

    max_categories : int or None, default=50
        Flags that a column has at most. Of more levels the rarest share one flag, which
        goes back to the most frequent of them. None: no limit.

    handle_unknown : {"ignore", "error"}, default="ignore"
        What becomes of a level that was not seen in fit. "ignore": all flags of its column
        are off, but for the one that the rarest levels share, if there is one.

    standardize : bool, default=True
        Whether each column of numbers is divided by its own standard deviation. False: all
        are divided by one number, the root of their mean variance, and `squash` has no
        effect on them. Times are standardised in any case.

    squash : bool, default=True
        Whether values farther than three deviations from the mean are drawn in.

    clip : bool, default=True
        Whether `inverse_transform` keeps numbers within the range seen in fit.

    Attributes
    ----------
    columns_ : dict
        The kind of each column, by its name as it came: "numeric"; "integer", for numbers
        that were all whole; "binary", for two levels, and for numbers that are 0 and 1, 1
        and 2, or -1 and 1; "categorical"; "date", for times and durations; "constant", for
        one value only; "empty", where all cells were missing.

    blocks_ : tuple of Block
        Which columns of the matrix stand for each column of the table.

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
    were multiples (days, hours, minutes, seconds, ...). Cells come back missing where the
    flag of a missing cell is on.

    References
    ----------
    .. [1] J. Pages, "Multiple Factor Analysis by Example Using R", CRC Press, 2014,
       chapter 3.

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

    @restores_state_on_error
    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> "TabularEncoder":
        """Learn the kind, the levels and the scale of each column.

        Parameters
        ----------
        X : data frame or array-like of shape (n_samples, n_features)
            A table.

        y : Ignored
            Not used, present for API consistency by convention.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows. Levels that only rows of weight zero have are not seen.

        Returns
        -------
        self : object
            The fitted encoder.
        """
        X = self._checked(X, reset=True)
        weight = check_weight(sample_weight, X.shape[0])
        all_cells = list(read_columns(X))
        declared = self._declared([cells.name for cells in all_cells])
        self._columns: list[Column] = []
        doubts = []
        for j, is_declared in enumerate(declared):
            if not is_declared:
                all_cells[j] = iso_times(all_cells[j])
            cells = all_cells[j]
            check_finite(cells)
            column = make_column(cells, weight, is_declared, self.max_categories, self.squash)
            self._columns.append(column)
            if not is_declared and cells.family == "level":
                doubts += doubts_of(cells, column)
        if not self.standardize:
            self._columns = with_one_scale(self._columns)
        self._missing_share = np.array(
            [np.average(~cells.observed, weights=weight) for cells in all_cells]
        )
        self._form = Form(X, all_cells)
        self._labels = column_labels(X)
        self.blocks_ = tuple(self._blocks())
        warn_of(doubts, stacklevel=3)
        return self

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
        """Encode a table, and tell which cells count.

        Parameters
        ----------
        X : data frame or array-like of shape (n_samples, n_features)
            A table with the columns that were seen in fit.

        Returns
        -------
        Z : ndarray of shape (n_samples, n_features_out)
            What `transform` gives.

        observed : ndarray of bool of shape (n_samples, n_features)
            Which cells are there, and no level that was not seen in fit.
        """
        check_is_fitted(self)
        X = self._checked(X, reset=False)
        n_samples = X.shape[0]
        Z = np.empty((n_samples, self.n_numbers))
        observed = np.empty((n_samples, len(self.blocks_)), dtype=bool)
        parts = zip(self._columns, self.blocks_, read_columns(X), strict=True)
        for j, (column, block, given) in enumerate(parts):
            cells = self._understood(j, given)
            check_cells(column, cells)
            Z[:, block.start : block.stop], observed[:, j] = column.encode(cells)
            if block.indicator is not None:
                Z[:, block.indicator] = (~given.observed - self._missing_share[j]) / (
                    self._missing_unit(j)
                )
            if self.handle_unknown == "error" and (given.observed & ~observed[:, j]).any():
                self._refuse_unknown(given, observed[:, j])
        return Z, observed

    def cells(self, X: Any) -> Iterator[Cells]:
        """The columns of a table, with strings as times in columns that are dates.

        Parameters
        ----------
        X : data frame or array-like of shape (n_samples, n_features)
            A table with the columns that were seen in fit.
        """
        for j, given in enumerate(read_columns(checked_table(X))):
            cells = self._understood(j, given)
            # Where a string is no date, all are shown as they are.
            yield cells if (cells.observed == given.observed).all() else given

    def _understood(self, j: int, cells: Cells) -> Cells:
        """Cells of a column, strings as times where the column is one of times.

        A string that is no time is missing if the column was one of strings in fit.
        Otherwise the strings stay, which are then of another type than those in fit.
        """
        column = self._columns[j]
        if column.family != "time" or cells.type != "str":
            return cells
        times = as_times(cells, column.type_name, column.unit)
        was_text = isinstance(self._form.formats.get(j), IsoFormat)
        return times if was_text or (times.observed == cells.observed).all() else cells

    def observed(self, X: Any) -> Array:
        """Which cells are there, and no level that was not seen in fit.

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
            Numbers, as `transform` gives them, or near them: the flag of a category that
            is largest wins.

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
        cells = self.decoded_cells(Z)
        return self._form.build(
            [(each.values, each.observed, each.unit) for each in cells], index
        )

    def decoded_cells(self, Z: Array) -> list[Cells]:
        """The columns of the table for a matrix that needs no check.

        Parameters
        ----------
        Z : ndarray of shape (n_samples, n_features_out)
            Numbers.
        """
        self._check_fitted()
        decoded = []
        for j, (column, block) in enumerate(zip(self._columns, self.blocks_, strict=True)):
            values = column.decode(Z[:, block.start : block.stop], self.clip)
            observed = np.full(len(Z), column.width > 0)
            if block.indicator is not None:
                flag = Z[:, block.indicator] * self._missing_unit(j) + self._missing_share[j]
                observed = flag <= 0.5
            form, type_ = self._form.formats.get(j), column.type_name
            decoded.append(
                Cells(column.name, values, observed, column.family, column.unit, type_, form)
            )
        return decoded

    def get_feature_names_out(self, input_features: Any = None) -> Array:
        """Names of the numbers: column, or column and level, or column and "missing".

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
            out += [name + flag[len(column.name) :] for flag in column.flag_names]
            out += [f"{name}_missing"] * (block.indicator is not None)
        return np.array(unique_names(out, self.is_flag), dtype=object)

    @property
    def columns_(self) -> dict[Any, str]:
        """Kind of each column, by its name as it came."""
        self._check_fitted()
        labels = getattr(self, "_labels", None) or [column.name for column in self._columns]
        kinds = [column.kind for column in self._columns]
        return dict(zip(labels, kinds, strict=True))

    def check_learnable(self) -> None:
        """Raise if all columns are ignored: they are empty or identifiers."""
        if any(column.width for column in self._columns):
            return
        reasons = {"empty": "no observed value", "identifier": "values nearly all different"}
        found = [f"{column.name!r} ({reasons[column.kind]})" for column in self._columns]
        raise ValueError(
            f"X must have a column to learn from; got {', '.join(found[:_MOST_NAMED])}"
            f"{' and others' if len(found) > _MOST_NAMED else ''}."
        )

    @property
    def n_numbers(self) -> int:
        """Columns of the matrix."""
        self._check_fitted()
        last = self.blocks_[-1]
        return last.stop if last.indicator is None else last.indicator + 1

    @property
    def is_flag(self) -> Array:
        """Which columns of the matrix are flags, of levels or of missing cells."""
        return self._flags()[0]

    @property
    def flag_share(self) -> Array:
        """How often each flag was on in fit; 0 for numbers."""
        return self._flags()[1]

    @property
    def flag_unit(self) -> Array:
        """What a flag is divided by once its share is taken off; 1 for numbers."""
        return self._flags()[2]

    def log_unit(self, column: int, z: Array) -> Array:
        """Logarithm of what one more in the matrix is in a column of numbers, at `z`."""
        self._check_fitted()
        described = self._columns[column]
        assert isinstance(described, NumberColumn)
        return described.log_unit(z)

    def _check_fitted(self) -> None:
        if not hasattr(self, "blocks_"):
            check_is_fitted(self)  # slow, even where it has nothing to say

    def _flags(self) -> tuple[Array, Array, Array]:
        is_flag = np.zeros(self.n_numbers, dtype=bool)
        share, unit = np.zeros(self.n_numbers), np.ones(self.n_numbers)
        for j, (column, block) in enumerate(zip(self._columns, self.blocks_, strict=True)):
            if isinstance(column, LevelsColumn):
                values = slice(block.start, block.stop)
                is_flag[values], unit[values] = True, column.flag_unit
                share[values] = column.share
            if block.indicator is not None:
                is_flag[block.indicator] = True
                share[block.indicator] = self._missing_share[j]
                unit[block.indicator] = self._missing_unit(j)
        return is_flag, share, unit

    def _checked(self, X: Any, reset: bool) -> Any:
        X = checked_table(X)
        validate_data(self, X, reset=reset, skip_check_array=True)
        if X.shape[0] == 0 or X.shape[1] == 0:
            raise ValueError(
                f"Found array with {X.shape[0]} sample(s) and {X.shape[1]} feature(s) (shape="
                f"{tuple(X.shape)}) while a minimum of 1 is required by {type(self).__name__}."
            )
        return X

    def _declared(self, names: list[str]) -> Array:
        """Which columns the user declares to be categorical."""
        given = self.categorical_features
        if isinstance(given, str):
            return np.zeros(len(names), dtype=bool)
        chosen = np.atleast_1d(np.asarray(given))
        declared = np.zeros(len(names), dtype=bool)
        if chosen.dtype == bool and len(chosen) == len(names):
            return chosen
        if chosen.dtype.kind in "iu" and np.isin(chosen, np.arange(len(names))).all():
            declared[chosen] = True
            return declared
        is_named = chosen.dtype.kind in "UO" and hasattr(self, "feature_names_in_")
        if len(chosen) and not (is_named and set(chosen) <= set(names)):
            raise ValueError(
                "categorical_features must be 'from_dtype', a mask over the "
                f"{len(names)} columns, their positions, or names of columns of a data "
                f"frame; got {given!r}."
            )
        return np.isin(names, chosen)

    def _blocks(self) -> Iterator[Block]:
        start = 0
        for column, share in zip(self._columns, self._missing_share, strict=True):
            stop = start + column.width
            indicator = stop if share > 0 and column.width else None
            yield Block(column.name, column.kind, start, stop, indicator)
            start = stop + (indicator is not None)

    def _missing_unit(self, j: int) -> float:
        share = float(self._missing_share[j])
        return max(float(np.sqrt(share * (1 - share))), LEAST_UNIT)

    def _refuse_unknown(self, cells: Cells, known: Array) -> None:
        unknown = sorted(map(str, set(cells.values[cells.observed & ~known].tolist())))
        what = (
            "strings that are no date" if self.columns_[cells.name] == "date" else "categories"
        )
        raise ValueError(
            f"Found unknown {what} in column {cells.name!r}: {', '.join(unknown[:5])}. With "
            "handle_unknown='ignore' they are encoded as no category at all."
        )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        return tags
