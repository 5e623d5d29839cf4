"""Explanations of the score of a row: which values are wrong, and what was expected.

A denoiser relies much on the values that it is given, so that one wrong value makes others look
wrong. Therefore values are blanked until those remain blank that are wrong together.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from skae.anomaly._components import TINY, DenoisingError, NeighborDistance
from skae.anomaly._rare import RareValues
from skae.tables import TabularEncoder
from skae.tables._column_values import ColumnValues
from skae.utils._rows import filled

# Numbers: how often blank values are filled again, how often the set of them changes, and the
# share of the largest squared residual that a wrong value has. Found with planted anomalies in
# one to three values.
_N_FILLINGS = 5
_N_TRIALS = 3
_WRONG = 0.25

# Tables: the reduction of the error of other columns, in mean errors of a column, for which a
# blank value is blamed; the number of blamed values, and of the candidates, at most; and the
# share of a fair part in the score that a candidate has.
_LEAST_REDUCTION = 4.0
_MOST_BLAMED = 4
_MOST_CANDIDATES = 12
_LEAST_CANDIDATE = 0.25

# Rows to which distances are taken for it, at most.
_MOST_REFERENCE = 500

# Weight of a broken relation in a score from which its columns are named: where the components
# are large, too, several values may be wrong, and the network is asked.
_DECISIVE = 2 / 3

# Size of a residual, relative to the largest, of a column that a broken relation connects.
_CONNECTED = 0.6

# Remaining error for which the outermost values are blamed instead, relative to the others.
_BETTER = 0.35

# Kinds of columns whose values are numbers between others.
_CONTINUOUS = ("numeric", "integer", "date")

# Significant digits of a number, at most.
_MOST_DIGITS = 12


class Reasons(NamedTuple):
    """Explanation of the scores of rows.

    Attributes
    ----------
    blamed : ndarray of bool of shape (n_samples, n_columns)
        Values that are wrong together. None where each is within its typical residual of what
        was expected: such a row is far from the others, and no value is wrong by itself.

    shares : ndarray of shape (n_samples, n_columns)
        Shares of the columns in the score; their sum is one for each row.

    expected : ndarray of shape (n_samples, n_numbers)
        Expected values, in the units of the data or as numbers of the encoder of a table.
    """

    blamed: np.ndarray
    shares: np.ndarray
    expected: np.ndarray


def explanation_of(score):
    """Explanation of a combined score, for rows of numbers or of a table."""
    kind = TableExplanation if score.encoding.is_table else NumberExplanation
    return kind(score)


def above_fair_share(shares):
    """Mask of the shares, (n_samples, n_columns), above their mean; in any case the largest."""
    mask = shares > shares.mean(axis=1, keepdims=True)
    none = ~mask.any(axis=1)
    mask[none, shares[none].argmax(axis=1)] = True
    return mask


class _Explanation:
    """Shares of the columns, by components or relations, and what fills blank values."""

    def __init__(self, score):
        self.score = score
        self.encoding = score.encoding
        self.components = components = score.components
        self.denoising = next(c for c in components if isinstance(c, DenoisingError))
        every = (*components, *score.distances)
        self.n_candidates = sum(component.row_entries for component in every)

    def plain_shares(self, rows):
        """Share of each column in the components and distances, (n_samples, n_columns).

        The mean of the components, and of distances in other units by what each adds.
        """
        # In the order of earlier versions, for the same last digits.
        terms = (term for c in reversed(self.components) for term in c.shares(rows))
        shares = sum(terms) / len(self.components)
        if not len(self.score.distances):
            return shares
        added = self.score.terms(rows)
        raised = added[:, 1:].any(axis=1)
        weight = added.clip(TINY)
        weight /= weight.sum(axis=1, keepdims=True)
        shares[raised] *= weight[raised, :1]
        for distance, of_distance in zip(self.score.distances, weight.T[1:], strict=True):
            of_columns = sum(distance.shares(rows.take(raised)))
            shares[raised] += of_distance[raised, np.newaxis] * of_columns
        return shares

    def shares(self, rows):
        """Shares of the columns, (n_samples, n_columns), by what decides the score of a row."""
        shares = self.shares_by_network(rows)
        for relation, decides, _ in self._deciding(rows):
            shares[decides] = sum(relation.shares(rows.take(decides)))
        return shares

    def reasons(self, rows):
        """Values that are wrong together, the share of each column, and expected values.

        By the network; where a broken relation counts far more than all else, the columns that
        it connects, each as the others determine it.
        """
        blamed, shares, expected = self.by_network(rows)
        blamed = blamed & self._deviates(rows, expected)
        column = self.encoding.layout.column
        for relation, decides, weight in self._deciding(rows):
            some = rows.take(decides)
            shares[decides] = sum(relation.shares(some))
            named = (weight > _DECISIVE) | ~blamed[decides].any(axis=1)
            decides, some = decides[named], some.take(named)
            if not len(decides):
                continue
            blamed[decides] = relation.by_column(some) > _CONNECTED
            if isinstance(relation, RareValues):
                by_others = self._one_by_one(some, blamed[decides])
            else:
                by_others = self.encoding.to_points(relation.expected(some))
                by_others = self.encoding.to_data(by_others)
            is_connected = blamed[decides][:, column]
            expected[decides] = np.where(is_connected, by_others, expected[decides])
        return Reasons(blamed, shares, expected)

    def _one_by_one(self, rows, blamed):
        """Expected value of each blamed one given all others, (n_samples, n_numbers)."""
        expected, layout = np.zeros(rows.values.shape), self.encoding.layout
        for column in np.flatnonzero(blamed.any(axis=0)):
            at, numbers = np.flatnonzero(blamed[:, column]), layout.column == column
            blank = np.zeros((len(at), layout.n_columns), dtype=bool)
            blank[:, column] = True
            some = rows.take(at)
            restored = self.denoising.restored(some, self.denoising.clean(some, blank))
            expected[np.ix_(at, numbers)] = restored[:, numbers]
        return expected

    def _deciding(self, rows):
        """Relations, the positions of the rows whose score each decides, and its weight there.

        The weight is the part of its view in the sum of it and that of the components.
        """
        if not len(self.score.relations):
            return
        views = self.score.views(rows)
        largest, views = views.argmax(axis=1), views.clip(TINY)
        for at, relation in enumerate(self.score.relations, start=1):
            decides = np.flatnonzero(largest == at)
            if len(decides):
                view = views[decides, at]
                yield relation, decides, view / (view + views[decides, 0])

    def _deviates(self, rows, expected):
        """Mask of the values that differ by more than is typical, (n_samples, n_columns)."""
        typical = self.score.typical_residual
        deviates = np.ones((len(rows), self.encoding.layout.n_columns), dtype=bool)
        if typical is None:
            return deviates
        residual = np.abs(rows.plain - self.encoding.to_plain(expected))
        small = residual <= np.nan_to_num(typical, nan=-1.0)
        if rows.observed is not None:
            small &= rows.observed
        is_number = ~np.isnan(typical)
        deviates[:, self.encoding.layout.column[is_number]] = ~small[:, is_number]
        return deviates


class NumberExplanation(_Explanation):
    """Explanation for numeric rows."""

    def row_entries(self, n_features):
        """Numbers held for each row."""
        return max(self.n_candidates, 1) * n_features

    def shares_by_network(self, rows):
        """Shares of the columns in the components, (n_samples, n_columns)."""
        return self.plain_shares(rows)

    def by_network(self, rows):
        """Columns above their fair share, the shares, and expected values.

        Values above their fair share are blanked and filled by the denoisers from the others,
        several times. Those near what was filled in are then restored, and the others filled
        again: values that are wrong together remain blank.
        """
        shares = self.shares_by_network(rows)
        missing, Z = np.isnan(rows.points), filled(rows.points)
        blank = (shares > 1 / Z.shape[1]) | missing
        for _ in range(_N_TRIALS):
            restored = self._fill(rows, Z, blank)
            squared = np.square(Z - restored) * (blank & ~missing)
            wrong = (squared > _WRONG * squared.max(axis=1, keepdims=True)) | missing
            if (wrong == blank).all():
                break
            blank = wrong
        else:
            restored = self._fill(rows, Z, blank)
        return Reasons(above_fair_share(shares), shares, self.encoding.to_data(restored))

    def _fill(self, rows, Z, blank):
        """Output of the denoisers, (n_samples, n_features), for blank values filled by it."""
        Z = Z.astype(np.float32)
        denoised = np.zeros_like(Z)
        for _ in range(_N_FILLINGS):
            values = np.where(blank, denoised, Z)
            some = replace(rows, values=values, dtype=np.float32)
            noisy = self.denoising.corrupted(some, self.denoising.training.noise_level)
            denoised = self.denoising.restored(some, noisy)
        return denoised.astype(np.float64)


class TableExplanation(_Explanation):
    """Explanation for rows of a table, whose denoisers are trained with blank columns."""

    def row_entries(self, n_points):
        """Numbers held for each row."""
        n_tried = min(self.encoding.layout.n_columns, _MOST_CANDIDATES)
        return max(max(self.n_candidates, n_tried) * n_points, _MOST_REFERENCE)

    def shares_by_network(self, rows):
        """Shares of the columns in the components, (n_samples, n_columns)."""
        return self._blame(rows)[1]

    def by_network(self, rows):
        """Values that are wrong together, the share of each column, and expected values.

        Values are blanked one after the other, always the one that leaves the least error in
        the others, as long as it reduces this enough; or the outermost values together, where
        they leave far less. Expected is the output of the denoisers with these values blank.
        """
        blamed, shares = self._blame(rows)
        expected = self.denoising.restored(rows, self.denoising.clean(rows, blamed))
        return Reasons(blamed, shares, expected)

    def _blame(self, rows):
        """Mask of the blamed values, and shares, of shape (n_samples, n_columns) each."""
        shares = self.plain_shares(rows)
        candidates = _candidates(shares)
        blamed = np.zeros(shares.shape, dtype=bool)
        reductions = np.zeros(shares.shape)
        remaining = self._remaining_error(rows, blamed)
        at = np.arange(len(rows))
        for _ in range(_MOST_BLAMED):
            others = candidates[at] & ~blamed[at]
            reduced = -self._changes(rows, blamed, at, others, remaining)
            reductions[at] = np.where(others, reduced, reductions[at])
            best = reduced.argmax(axis=1)
            largest = reduced[np.arange(len(at)), best]
            enough = largest > _LEAST_REDUCTION
            at, best, largest = at[enough], best[enough], largest[enough]
            if len(at) == 0:
                break
            blamed[at, best] = True
            remaining[at] -= largest
        self._blame_outermost(rows, blamed, remaining)
        shares = self._weighted(rows, shares, candidates | blamed, blamed, reductions)
        none = ~blamed.any(axis=1)
        blamed[none, shares[none].argmax(axis=1)] = True
        return blamed, shares

    def _blame_outermost(self, rows, blamed, remaining):
        """Blame the outermost values of a row instead, where that leaves far less error.

        Wrong values that agree support each other, and to blank one of them may reduce nothing.
        The mask `blamed`, (n_samples, n_columns), is changed in place; `remaining`,
        (n_samples,), is the error of the other values.
        """
        at = np.flatnonzero(blamed.any(axis=1))
        if len(at) == 0:
            return
        some = rows.take(at)
        outer = self.encoding.layout.sum_by_column(np.square(some.values) * some.observed)
        outer = outer + np.square(some.unseen)
        rank = np.argsort(np.argsort(-outer, axis=1, kind="stable"), axis=1)
        least = remaining[at] + self._remaining_distance(some, blamed[at])
        least += _LEAST_REDUCTION * blamed[at].sum(axis=1)
        for n_blank in range(2, min(_MOST_BLAMED, blamed.shape[1] - 1) + 1):
            blank = rank < n_blank
            error = self._remaining_error(some, blank) + self._remaining_distance(some, blank)
            cost = error + _LEAST_REDUCTION * n_blank
            better = cost < _BETTER * least
            blamed[at] = np.where(better[:, np.newaxis], blank, blamed[at])
            least = np.where(better, cost / _BETTER, least)

    def _changes(self, rows, blank, at, tried, remaining):
        """Change of the remaining error when a value is blanked, or is no longer blank.

        Of the values `tried`, (n_at, n_columns), each by itself, in the rows at these
        positions, with the blank values and remaining error of all rows, (n_samples,
        n_columns) and (n_samples,).
        """
        row, column = np.nonzero(tried)
        changes = np.zeros(tried.shape)
        if len(row):
            changed = blank[at[row]]
            changed[np.arange(len(row)), column] ^= True
            error = self._remaining_error(rows.take(at[row]), changed)
            changes[row, column] = error - remaining[at[row]]
        return changes

    def _weighted(self, rows, shares, candidates, blamed, reductions):
        """Shares times the root of the reductions, all of shape (n_samples, n_columns)."""
        at = np.flatnonzero(blamed.sum(axis=1) > 1)
        if len(at):
            remaining = np.zeros(len(rows))
            remaining[at] = self._remaining_error(rows.take(at), blamed[at])
            changes = self._changes(rows, blamed, at, candidates[at], remaining)
            reductions[at] = np.where(blamed[at], changes, -changes)
        weighted = shares * np.sqrt(reductions.clip(TINY))
        return weighted / weighted.sum(axis=1, keepdims=True)

    def _remaining_error(self, rows, blank):
        """Error of the values that are not blank (n_samples, n_columns), (n_samples,)."""
        errors = sum(self.denoising.errors(rows, blank=blank)) / len(self.denoising.denoisers)
        return (errors * ~blank).sum(axis=1)

    def _remaining_distance(self, rows, blank):
        """Distance in the columns that are not blank (n_samples, n_columns), (n_samples,)."""
        neighbors = (c for c in self.components if isinstance(c, NeighborDistance))
        return sum(each.remaining(rows, blank, _MOST_REFERENCE) for each in neighbors)


def _candidates(shares):
    """Mask of the values that may be blamed by their shares, (n_samples, n_columns)."""
    least = -np.sort(-shares, axis=1)[:, :_MOST_CANDIDATES][:, -1:]
    return shares >= np.maximum(least, _LEAST_CANDIDATE / shares.shape[1])


# Texts of values, as a person writes them


def number(value: float, digits: int = 6) -> str:
    """A number with so many significant digits and commas between thousands."""
    if not math.isfinite(value) or value == 0:
        return f"{value:g}"
    rounded = float(f"{value:.{digits}g}")
    if 1e-4 <= abs(rounded) < 1e15:
        decimals = max(digits - 1 - math.floor(math.log10(abs(rounded))), 0)
        text = f"{rounded:,.{decimals}f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    return f"{rounded:g}"


def significant_digits(value: float, spread: float, fewest: int) -> int:
    """Significant digits of a value down to the first digit of a spread, at least so many."""
    if not (math.isfinite(value) and math.isfinite(spread)) or value == 0 or spread <= 0:
        return fewest
    digits = math.floor(math.log10(abs(value))) - math.floor(math.log10(spread)) + 1
    return min(max(digits, fewest), _MOST_DIGITS)


def _texts_of_number(value: float, spread: float) -> tuple[str, str]:
    """Texts of a number in a column of a spread of residuals: exact and about."""
    exact = number(value, significant_digits(value, spread, 6))
    return exact, f"about {number(value, significant_digits(value, spread, 3))}"


def texts_of_numbers(
    X: NDArray[Any], expected: NDArray[Any], spread: NDArray[Any] | None
) -> tuple[list[Any], list[Any]]:
    """Texts of rows of numbers and of expected numbers, (n_samples, n_features) each.

    With the spread of residuals of each column, (n_features,).
    """
    spread = np.full(X.shape[1], np.nan) if spread is None else spread
    values, about = (
        [
            [
                ("missing", "missing") if np.isnan(x) else _texts_of_number(x, of_column)
                for x, of_column in zip(row, spread, strict=True)
            ]
            for row in rows
        ]
        for rows in (X, expected)
    )
    return values, about


def texts_of_table(
    columns: Iterable[ColumnValues], encoder: TabularEncoder, spread: NDArray[Any] | None
) -> list[tuple[tuple[str, str], ...]]:
    """Texts of the values of a table, row by row: exact and about.

    With the spread of residuals of each column, (n_columns,).
    """
    spread = np.full(len(encoder.blocks_), np.nan) if spread is None else spread
    texts = [
        [_texts(column, row, block.kind, of_column) for row in range(len(column.values))]
        for column, block, of_column in zip(columns, encoder.blocks_, spread, strict=True)
    ]
    return list(zip(*texts, strict=True))


def _texts(column: ColumnValues, row: int, kind: str, spread: float) -> tuple[str, str]:
    """Texts of one value: exact and about."""
    if not column.observed[row]:
        return "missing", "missing"
    value = column.values[row]
    if column.unit is not None:
        text = _time(column, row)
        return text, f"about {text}"
    if isinstance(value, bool | np.bool_) or not isinstance(
        value, int | float | np.integer | np.floating
    ):
        text = f'"{value}"' if isinstance(value, str) else str(value)
        return text, text
    exact, about = _texts_of_number(float(value), spread)
    return exact, about if kind in _CONTINUOUS else exact


def _time(column: ColumnValues, row: int) -> str:
    """A time in its format, or in ISO 8601, no finer than it must be."""
    value, unit = column.values[row : row + 1].astype(np.int64), column.unit
    if column.type == "duration":
        return str(value.astype(f"m8[{unit}]").astype("m8[us]").tolist()[0])
    if column.format is not None and column.type in ("period", "time of day"):
        return str(column.format.objects(value, unit)[0])
    text = str(value.astype(f"M8[{unit}]")[0])
    whole = text.split(".")[0] if set(text.partition(".")[2]) <= {"0"} else text
    return whole.removesuffix("T00:00:00")


def describe_row(
    names: Sequence[str],
    values: Sequence[tuple[str, str]],
    expected: Sequence[tuple[str, str]],
    blamed: NDArray[Any],
    shares: NDArray[Any],
    n_columns: int,
) -> str:
    """Description of a row: its blamed values, or that it is far from all others.

    The mask of the blamed values and the shares in the score, (n_features,) each; so many
    columns are named at most.
    """
    order = np.argsort(-shares, kind="stable")
    wrong = [i for i in order if blamed[i] and values[i][1] != expected[i][1]]
    if wrong:
        return "; ".join(
            f"{names[i]} {values[i][0]}, expected {expected[i][1]}" for i in wrong[:n_columns]
        )
    above = [str(names[i]) for i in order if shares[i] * len(shares) > 1][:n_columns]
    *others, last = above or [str(names[order[0]])]
    columns = f"{', '.join(others)} and {last} together" if others else last
    return f"far from all rows in {columns}"
