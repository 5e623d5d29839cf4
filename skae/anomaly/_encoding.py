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
from skae.tables._layout import ColumnLayout
from skae.tables._squashing_scaler import SquashingScaler, squash, unsquash
from skae.utils._rows import Rows, filled

Array = NDArray[Any]

# Deviations from all other values of a value that is missing where none was, or of a category
# that was not seen, as long as no more than this share of values may be expected to be such.
_UNSEEN_DEVIATIONS = 3.0
_EXPECTED_SHARE = 0.01
_LEAST_DEVIATIONS = 1e-3

# Standard deviations beyond which values count as this far, so that squares remain finite.
_MOST_DEVIATIONS = 1e75


@dataclass(frozen=True)
class EncodedRows:
    """Rows in comparable units, which components of the score take.

    Attributes
    ----------
    points : ndarray of shape (n_samples, n_points)
        Rows between which distances are measured; NaN where a number is missing.

    plain : ndarray of shape (n_samples, n_numbers)
        Rows in standard deviations, not squashed; zero where a value is missing.

    values : ndarray of shape (n_samples, n_numbers)
        Rows that denoisers restore; zero where a value is missing.

    observed : ndarray of bool of shape (n_samples, n_numbers) or None
        Values that count in an error; None: all.

    unseen : ndarray of shape (n_samples, n_columns) or None
        Of a table, deviations of unseen categories and of unexpected missing values; they are
        points too.

    missing : ndarray of shape (n_samples, n_columns)
        Part of each missing number in the mean error of its row, in mean errors.

    n_counted : int or ndarray of int of shape (n_samples,)
        Number of columns over which errors are averaged.

    dtype : dtype
        Of the inputs of denoisers.
    """

    points: Array
    plain: Array
    values: Array
    observed: Array | None
    unseen: Array | None
    missing: Array
    n_counted: Any
    dtype: Any

    def __len__(self) -> int:
        return len(self.points)

    def take(self, index: Array) -> "EncodedRows":
        """The rows at these positions."""
        arrays = {k: v[index] for k, v in vars(self).items() if isinstance(v, np.ndarray)}
        return replace(self, **arrays)


@dataclass(frozen=True)
class NumberEncoding:
    """Encoding of numeric rows: standardised columns, or rows as they are.

    Parameters
    ----------
    layout : ColumnLayout
        One value per column.

    scaler : SquashingScaler or None
        Units in which rows are compared; None: those of the data.

    seen_range : tuple of ndarray of shape (n_features,)
        Least and greatest value of each column, in the units of the data.

    missing_error : ndarray of shape (n_features,)
        Error of a missing value in each column, in mean errors of a value.
    """

    layout: ColumnLayout
    scaler: SquashingScaler | None
    seen_range: tuple[Array, Array]
    missing_error: Array

    is_table = False

    @classmethod
    def from_data(cls, rows: Rows, scaled: bool = True) -> "NumberEncoding":
        """Encoding fitted to rows that may be trained on."""
        scaler = SquashingScaler.from_data(rows.inputs, rows.weight) if scaled else None
        layout = ColumnLayout.numeric(rows.inputs.shape[1])
        return cls(layout, scaler, range_of(rows.inputs), missing_error(rows))

    def encode(self, X: Array) -> EncodedRows:
        """Rows of the matrix, (n_samples, n_features), for the components of the score."""
        points, missing = self._scaled(X), np.isnan(X)
        any_missing = bool(missing.any())
        return EncodedRows(
            points,
            filled(self.to_plain(X))
            .astype(np.float64)
            .clip(-_MOST_DEVIATIONS, _MOST_DEVIATIONS),
            filled(points).astype(X.dtype, copy=False),
            observed=~missing if any_missing else None,
            unseen=None,
            missing=np.where(missing, self.missing_error, 0.0) / X.shape[1],
            n_counted=(~missing).sum(axis=1) if any_missing else X.shape[1],
            dtype=X.dtype,
        )

    def to_network(self, X: Array) -> Array:
        """Rows in comparable units, as `X`, (n_samples, n_features); NaN is missing."""
        return self._scaled(X).astype(X.dtype, copy=False)

    @property
    def zero(self) -> Array:
        """Standard deviations of the number zero in each column, (n_features,)."""
        if self.scaler is None:
            return np.zeros(self.layout.n_numbers)
        return np.asarray(-self.scaler.centre / self.scaler.scale)

    @property
    def deviation(self) -> Array:
        """Standard deviation of each column in the units of the data, (n_features,)."""
        return np.ones(self.layout.n_numbers) if self.scaler is None else self.scaler.scale

    def to_plain(self, X: Array) -> Array:
        """Rows X, (n_samples, n_features), in standard deviations."""
        return X if self.scaler is None else (X - self.scaler.centre) / self.scaler.scale

    def to_points(self, plain: Array) -> Array:
        """Rows in comparable units, of standard deviations `plain`, (n_samples, n_features)."""
        return plain if self.scaler is None else squash(plain)

    def to_data(self, Z: Array) -> Array:
        """Rows in the units of the data, (n_samples, n_features), within what was seen."""
        X = Z if self.scaler is None else self.scaler.inverse_transform(Z)
        return X.clip(*self.seen_range)

    def _scaled(self, X: Array) -> Array:
        """Rows, (n_samples, n_features), in comparable units."""
        return X if self.scaler is None else self.scaler.transform(X)


@dataclass(frozen=True)
class TableEncoding:
    """Encoding of rows of a table, which a TabularEncoder has standardised.

    Its matrix has the numbers of the encoder and for each column of the table the deviations of
    an unseen value: one that is missing where none was in training, or a category that was not
    seen. In training rows these deviations are zero.

    Parameters
    ----------
    layout : ColumnLayout
        Of the numbers of the encoder.

    deviations : ndarray of shape (n_columns,)
        Of an unseen value in each column.

    seen_range : tuple of ndarray of shape (n_numbers,) or None
        Least and greatest number in each column of the encoder's matrix.

    zero : ndarray of shape (n_numbers,) or None
        Standard deviations of the number zero; NaN in columns of times and categories.

    deviation : ndarray of shape (n_numbers,) or None
        Standard deviation of each number in the units of the data; NaN there, too.

    time_zero : ndarray of shape (n_numbers,) or None
        Time of the number zero in seconds since 1970; NaN but in columns of times.

    time_unit : ndarray of shape (n_numbers,) or None
        Seconds of one standard deviation; NaN but in columns of times.
    """

    layout: ColumnLayout
    deviations: Array
    seen_range: tuple[Array, Array] | None = None
    zero: Array | None = None
    deviation: Array | None = None
    time_zero: Array | None = None
    time_unit: Array | None = None

    is_table = True

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
        missing = np.zeros((len(X), n_columns))
        plain = self.to_plain(Z).clip(-_MOST_DEVIATIONS, _MOST_DEVIATIONS)
        return EncodedRows(X, plain, Z, observed, unseen, missing, n_columns, np.float32)

    def to_plain(self, Z: Array) -> Array:
        """Numbers of the encoder in standard deviations, (n_samples, n_numbers)."""
        layout = self.layout
        return np.where(layout.is_flag | layout.is_indicator, Z, unsquash(Z))

    def to_points(self, plain: Array) -> Array:
        """Numbers of the encoder, of standard deviations `plain`, (n_samples, n_numbers)."""
        layout = self.layout
        return np.where(layout.is_flag | layout.is_indicator, plain, squash(plain))

    def to_network(self, X: Array) -> Array:
        """The numbers of the encoder, (n_samples, n_numbers)."""
        return X[:, : self.layout.n_numbers]

    def to_data(self, Z: Array) -> Array:
        """Numbers of the encoder, (n_samples, n_numbers), within what was seen."""
        return Z if self.seen_range is None else Z.clip(*self.seen_range)


def range_of(X: Array) -> tuple[Array, Array]:
    """Least and greatest observed value of each column of X, (n_features,) each."""
    return np.fmin.reduce(X, axis=0), np.fmax.reduce(X, axis=0)


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
    return np.maximum(_UNSEEN_DEVIATIONS * rarity, _LEAST_DEVIATIONS)


def share_of_new_categories(columns: Iterable[ColumnValues], weight: Any) -> Array:
    """Share of new values in each column that may be an unseen category, (n_columns,).

    Names and keys often have a category of their own, which is then no anomaly. Rows whose
    `weight`, (n_samples,), is zero do not count.
    """
    shares = []
    for column in columns:
        counts = column.observed
        counts = counts if weight is None else counts & (np.asarray(weight) > 0)
        values = column.values[counts].tolist() if column.family == "category" else []
        shares.append(unseen_share(Counter(values)))
    return np.array(shares)
