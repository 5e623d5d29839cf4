"""Rows as the detector compares them: numeric rows and encoded tables, in one form.

The detector works on a matrix: numeric rows as they are, or an encoded table beside a column of
unseen deviations for each of its columns. An encoding turns rows of it into `EncodedRows`.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skae.tables._category_column import unseen_share
from skae.tables._column_values import ColumnValues
from skae.tables._columns import number_units
from skae.tables._layout import ColumnLayout
from skae.tables._squashing_scaler import SquashingScaler, deviations, squash, unsquash
from skae.utils._rows import Rows, has_missing

Array = NDArray[Any]

# Deviations from all other values of a value that is missing where none was, or of a category
# that was not seen, as long as no more than this share of values may be expected to be such.
_UNSEEN_DEVIATIONS = 3.0
_EXPECTED_SHARE = 0.01

# Standard deviations beyond which values count as this far, so that squares remain finite.
_MOST_DEVIATIONS = 1e75


@dataclass(frozen=True)
class EncodedRows:
    """Rows in comparable units, which components of the score take."""

    # Rows between which distances are measured, (n_samples, n_points); NaN is missing.
    points: Array
    # In standard deviations, not squashed, (n_samples, n_numbers); zero where one is missing.
    plain: Array
    values: Array  # that denoisers restore, (n_samples, n_numbers); zero where one is missing
    observed: Array | None  # those that count in an error, bool, as `values`; None: all
    # Of a table, deviations of unseen categories and of unexpected missing values, which are
    # points too: (n_samples, n_columns).
    unseen: Array | None
    # Part of a missing number in the error of its row, in mean errors, (n_samples, n_columns).
    missing: Array
    n_counted: Array  # number of columns over which errors are averaged, int, (n_samples,)
    dtype: Any  # of the inputs of denoisers

    def __len__(self) -> int:
        return len(self.points)

    def take(self, index: Array) -> "EncodedRows":
        """The rows at these positions."""
        arrays = {k: v[index] for k, v in vars(self).items() if isinstance(v, np.ndarray)}
        return replace(self, **arrays)


@dataclass(frozen=True)
class NumberEncoding:
    """Encoding of numeric rows: standardised columns, or rows as they are."""

    layout: ColumnLayout  # one value per column
    scaler: SquashingScaler | None  # units in which rows are compared; None: those of the data
    seen_range: tuple[Array, Array]  # least and greatest value of each column, (n_features,)
    missing_error: Array  # of a missing value in each column, in mean errors of a value

    is_table = False

    @classmethod
    def from_data(cls, rows: Rows, scaled: bool = True) -> "NumberEncoding":
        """Encoding fitted to rows that may be trained on."""
        X = rows.inputs
        scaler = SquashingScaler.from_data(X, rows.weight) if scaled else None
        seen_range = np.fmin.reduce(X, axis=0), np.fmax.reduce(X, axis=0)
        return cls(ColumnLayout.numeric(X.shape[1]), scaler, seen_range, missing_error(rows))

    def encode(self, X: Array) -> EncodedRows:
        """Rows of the matrix, (n_samples, n_features), for the components of the score."""
        plain, missing = self.to_plain(X), np.isnan(X)
        points = values = self.to_points(plain)
        observed = ~missing if has_missing(X) else None
        if observed is not None:
            plain, values = (np.where(observed, Z, 0) for Z in (plain, values))
        return EncodedRows(
            points,
            plain.astype(np.float64).clip(-_MOST_DEVIATIONS, _MOST_DEVIATIONS),
            values.astype(X.dtype, copy=False),
            observed,
            unseen=None,
            missing=np.where(missing, self.missing_error, 0.0) / X.shape[1],
            n_counted=(~missing).sum(axis=1),
            dtype=X.dtype,
        )

    def to_network(self, X: Array) -> Array:
        """Rows in comparable units, as `X`, (n_samples, n_features); NaN is missing."""
        return self.to_points(self.to_plain(X)).astype(X.dtype, copy=False)

    @property
    def zero(self) -> Array:
        """Standard deviations of the number zero in each column, (n_features,)."""
        return self.to_plain(np.zeros(self.layout.n_numbers))

    @property
    def deviation(self) -> Array:
        """Standard deviation of each column in the units of the data, (n_features,)."""
        return np.ones(self.layout.n_numbers) if self.scaler is None else self.scaler.scale

    def to_plain(self, X: Array) -> Array:
        """Rows X, (n_samples, n_features), in standard deviations."""
        scaler = self.scaler
        return X if scaler is None else deviations(X, scaler.centre, scaler.scale)

    def to_points(self, plain: Array) -> Array:
        """Rows in comparable units, of standard deviations `plain`, (n_samples, n_features)."""
        return plain if self.scaler is None else squash(plain)

    def to_data(self, Z: Array) -> Array:
        """Rows in the units of the data, (n_samples, n_features), within what was seen."""
        X = Z if self.scaler is None else self.scaler.inverse_transform(Z)
        return X.clip(*self.seen_range)


@dataclass(frozen=True)
class TableEncoding:
    """Encoding of rows of a table, which a TabularEncoder has standardised.

    Its matrix has the numbers of the encoder and for each column of the table the deviations of
    an unseen value: one that is missing where none was in training, or a category that was not
    seen. In training rows these deviations are zero.
    """

    layout: ColumnLayout  # of the numbers of the encoder
    deviations: Array  # of an unseen value in each column, (n_columns,)
    # The others have an entry for each number of the encoder, (n_numbers,); None: unknown.
    seen_range: tuple[Array, Array] | None = None  # least and greatest number
    zero: Array | None = None  # the number zero in deviations; NaN of times and categories
    deviation: Array | None = None  # one deviation in the units of the data; NaN there, too
    time_zero: Array | None = None  # seconds of the number zero since 1970; NaN but of times
    time_unit: Array | None = None  # seconds of one deviation; NaN but of times
    new_share: Array | None = None  # expected, of new categories in each column, (n_columns,)

    is_table = True

    @classmethod
    def from_encoder(cls, encoder: Any, X: Any, weight: Any) -> "TableEncoding":
        """Encoding for the encoder of a table X whose rows have weights, (n_samples,)."""
        share = share_of_new_categories(encoder.cells(X), weight)
        layout, units = ColumnLayout.from_encoder(encoder), number_units(encoder)
        return cls(layout, unseen_deviations(share), None, *units, share)

    def within(self, X: Array) -> "TableEncoding":
        """The same, with the range of these rows of its matrix, (n_samples, n_points)."""
        Z = self.to_network(X)
        return replace(self, seen_range=(np.fmin.reduce(Z, axis=0), np.fmax.reduce(Z, axis=0)))

    def join(self, Z: Array, observed: Array) -> Array:
        """Rows of the matrix, (n_samples, n_numbers + n_columns).

        From the numbers of the encoder, (n_samples, n_numbers), and the mask of the values that
        are neither missing nor an unseen category, (n_samples, n_columns).
        """
        layout = self.layout
        unseen = ~observed & (np.array(layout.n_values) > 0)
        unseen[:, layout.with_indicator] &= Z[:, layout.indicators] <= 0
        Z = np.where(unseen[:, layout.column] & ~layout.is_indicator, 0.0, Z)
        return np.hstack([Z, self.deviations * unseen])

    def encode(self, X: Array) -> EncodedRows:
        """Rows of the matrix, (n_samples, n_numbers + n_columns), for the components."""
        layout, n_columns = self.layout, self.layout.n_columns
        Z, unseen = np.split(X, [layout.n_numbers], axis=1)
        absent = unseen > 0
        absent[:, layout.with_indicator] |= Z[:, layout.indicators] > 0
        observed = ~absent[:, layout.column] | layout.is_indicator
        # That a value is missing counts by its indicator or by its deviations.
        missing, n_counted = np.zeros((len(X), n_columns)), np.full(len(X), n_columns)
        plain = self.to_plain(Z).clip(-_MOST_DEVIATIONS, _MOST_DEVIATIONS)
        # In float32 a score would depend on the other rows, by the kernels of the products.
        return EncodedRows(X, plain, Z, observed, unseen, missing, n_counted, np.float64)

    def to_plain(self, Z: Array) -> Array:
        """Numbers of the encoder in standard deviations, (n_samples, n_numbers)."""
        return np.where(self.layout.is_flag | self.layout.is_indicator, Z, unsquash(Z))

    def to_points(self, plain: Array) -> Array:
        """Numbers of the encoder, of standard deviations `plain`, (n_samples, n_numbers)."""
        return np.where(self.layout.is_flag | self.layout.is_indicator, plain, squash(plain))

    def to_network(self, X: Array) -> Array:
        """The numbers of the encoder, (n_samples, n_numbers)."""
        return X[:, : self.layout.n_numbers]

    def to_data(self, Z: Array) -> Array:
        """Numbers of the encoder, (n_samples, n_numbers), within what was seen."""
        return Z if self.seen_range is None else Z.clip(*self.seen_range)


def missing_error(rows: Rows) -> Array:
    """Squared error of a missing value in each column, (n_features,).

    As of an unseen category: the more are missing, the less one counts. Zero where all are
    missing.
    """
    observed = rows.observed_share
    if observed is None:
        return np.full(rows.inputs.shape[1], _UNSEEN_DEVIATIONS**2)
    return np.where(observed > 0, unseen_deviations(1 - observed) ** 2, 0.0)


def unseen_deviations(share: Array) -> Array:
    """Deviations of a missing value or an unseen category in each column, (n_columns,).

    Three, as long as the share of such values that may be expected, (n_columns,), is no more
    than one in a hundred; the square falls with the share beyond.
    """
    rarity = np.sqrt(_EXPECTED_SHARE / np.maximum(share, _EXPECTED_SHARE))
    return np.asarray(_UNSEEN_DEVIATIONS * rarity)


def share_of_new_categories(columns: Iterable[ColumnValues], weight: Any) -> Array:
    """Share of new values in each column that may be an unseen category, (n_columns,).

    Names and keys often have a category of their own, which is then no anomaly. Rows whose
    `weight`, (n_samples,), is zero do not count.
    """
    shares, has_weight = [], np.asarray(1.0 if weight is None else weight) > 0
    for column in columns:
        counts = column.observed & has_weight
        values = column.values[counts].tolist() if column.family == "category" else []
        shares.append(unseen_share(Counter(values)))
    return np.array(shares)
