"""Explanations of the score of a row: which values are wrong, and what was expected.

A denoiser relies much on the values that it is given, so that one wrong value makes others look
wrong. Therefore values are blanked until those remain blank that are wrong together.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from difflib import get_close_matches
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from skae.anomaly._components import TINY, DenoisingError, NeighborDistance
from skae.anomaly._rare import RareValues
from skae.tables import TabularEncoder
from skae.tables._category_column import CategoryColumn
from skae.tables._column_values import ColumnValues
from skae.tables._columns import Column
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

# Tables: quantile of the residuals of a column of numbers up to which one is as expected, and
# how many are measured, about, and at least in each column. At the median, numbers that nothing
# predicts are named, such as identifiers (benchmarks/entry_errors.py).
_USUAL = 0.9
_N_RESIDUALS, _FEWEST_RESIDUALS = 2**14, 2**5

# Weight of a broken relation in a score from which its columns are named: where the components
# are large, too, several values may be wrong, and the network is asked.
_DECISIVE = 2 / 3

# Size of a residual, relative to the largest, of a column that a broken relation connects.
_CONNECTED = 0.6

# Remaining error for which the outermost values are blamed instead, relative to the others.
_BETTER = 0.35

# Kinds of columns whose values are numbers between others.
_CONTINUOUS = ("numeric", "integer", "date")

# Share of a category for which a misspelled one may stand, at least, and relative to the share
# of the latter; and the least similarity of the two, by difflib.
_LEAST_SHARE = 0.01
_FREQUENT = 20
_ALIKE = 0.75

# Significant digits of a number, at most.
_MOST_DIGITS = 12


class Reasons(NamedTuple):
    """Explanation of the scores of rows.

    No value is blamed where each is within its typical residual of what was expected: such a
    row is far from the others, and no value is wrong by itself.
    """

    blamed: np.ndarray  # values that are wrong together, bool, (n_samples, n_columns)
    shares: np.ndarray  # of the columns in the score, with a sum of one, as `blamed`
    # In the units of the data or as numbers of the encoder of a table, (n_samples, n_numbers).
    expected: np.ndarray


def explanation_of(score):
    """Explanation of a combined score, for rows of numbers or of a table."""
    return (TableExplanation if score.encoding.is_table else NumberExplanation)(score)


def residual_quantiles(denoising, data):
    """Residuals of the numbers of a table that few held-out rows exceed, (n_numbers,).

    In standard deviations, each with its column blank; NaN of flags. None for wide tables.
    """
    layout, held_out = data.encoding.layout, data.folds.held_out
    most = np.where(layout.is_flag | layout.is_indicator, np.nan, 0.0)
    numbers = np.flatnonzero(most == 0)
    if len(numbers) > _N_RESIDUALS // _FEWEST_RESIDUALS:
        return None
    n_rows = max(_N_RESIDUALS // (len(held_out) * max(len(numbers), 1)), 1)
    for number in numbers:
        blank, residuals = layout.column[number] == np.arange(layout.n_columns), [0.0]
        for model, at in enumerate(held_out):
            rows = data.rows.take(at[:n_rows])
            (restored,) = denoising.outputs(rows, [model], 0.0, blank[np.newaxis])
            residual = np.abs(rows.plain - data.encoding.to_plain(restored[0]))
            residuals.extend(residual[rows.observed[:, number], number])
        most[number] = np.quantile(residuals, _USUAL)
    return most


def above_fair_share(shares):
    """Mask of the shares, (n_samples, n_columns), above their mean; in any case the largest."""
    mask = shares > shares.mean(axis=1, keepdims=True)
    none = ~mask.any(axis=1)
    mask[none, shares[none].argmax(axis=1)] = True
    return mask


class _Explanation:
    """Shares of the columns, and reasons, by the network or by what else decides a score."""

    def __init__(self, score):
        self.score = score
        self.encoding = score.encoding
        self.layout = score.encoding.layout
        self.denoising = next(c for c in score.components if isinstance(c, DenoisingError))

    def shares(self, rows):
        """Shares of the columns, (n_samples, n_columns), by what decides the score of a row."""
        logs = self._logs(rows)
        _, shares = self.blame(rows, logs)
        for _, decides, _, _, of_relation in self._deciding(rows, logs):
            shares[decides] = of_relation
        return shares

    def reasons(self, rows):
        """Values that are wrong together, the share of each column, and expected values.

        By the network; where a broken relation counts far more than all else, the columns that
        it connects, each as the others determine it.
        """
        logs = self._logs(rows)
        blamed, shares = self.blame(rows, logs)
        expected = self.expected(rows, blamed, shares)
        most = self.score.residual_quantile
        if most is None:
            most = self.score.typical_residual
        if most is not None:
            # A number is wrong if it differs by more than is usual.
            small = np.abs(rows.plain - self.encoding.to_plain(expected)) <= most
            if rows.observed is not None:
                small &= rows.observed
            is_number = ~np.isnan(most)
            blamed[:, self.layout.column[is_number]] &= ~small[:, is_number]
        for relation, decides, weight, parts, of_relation in self._deciding(rows, logs):
            shares[decides] = of_relation
            named = (weight > _DECISIVE) | ~blamed[decides].any(axis=1)
            decides, some = decides[named], rows.take(decides[named])
            if not len(decides):
                continue
            blamed[decides] = parts[named] > _CONNECTED
            if isinstance(relation, RareValues):
                by_others = self._one_by_one(some, blamed[decides])
            else:
                by_others = self.encoding.to_points(relation.expected(some))
                by_others = self.encoding.to_data(by_others)
            is_connected = blamed[decides][:, self.layout.column]
            expected[decides] = np.where(is_connected, by_others, expected[decides])
        return Reasons(blamed, shares, expected)

    def plain_shares(self, rows, logs):
        """Shares of the columns in the components and distances, (n_samples, n_columns).

        The mean of the components, and of distances in other units by what each adds.
        """
        components = self.score.components
        shares = sum(term for c in components for term in c.shares(rows)) / len(components)
        if self.score.distances:
            added = self.score.terms(logs)
            raised = added[:, 1:].any(axis=1)
            weight = added.clip(TINY)
            weight /= weight.sum(axis=1, keepdims=True)
            shares[raised] *= weight[raised, :1]
            for distance, of_distance in zip(self.score.distances, weight.T[1:], strict=True):
                of_columns = sum(distance.shares(rows.take(raised)))
                shares[raised] += of_distance[raised, np.newaxis] * of_columns
        return shares

    def _logs(self, rows):
        """Logarithms of the parts of the score, where there are views beside components."""
        has_views = self.score.relations or self.score.distances
        return self.score.logs(rows) if has_views else None

    def _deciding(self, rows, logs):
        """Relations, with the positions of the rows whose score each decides.

        Then its weight there, the part of its view in the sum of it and that of the components;
        the parts of the columns in it and their shares, (n_decided, n_columns). From the
        results of `_logs`.
        """
        if not self.score.relations:
            return
        is_encoded = np.add(self.layout.n_values, self.layout.indicator) > 0
        views = self.score.views(logs)
        largest, views = views.argmax(axis=1), views.clip(TINY)
        for at, relation in enumerate(self.score.relations, start=1):
            decides = np.flatnonzero(largest == at)
            if len(decides):
                weight = views[decides, at] / (views[decides, at] + views[decides, 0])
                parts = relation.by_column(rows.take(decides))
                shares = parts**relation.power + TINY**2 * is_encoded
                yield (
                    relation,
                    decides,
                    weight,
                    parts,
                    shares / shares.sum(axis=1)[:, np.newaxis],
                )

    def _one_by_one(self, rows, blamed):
        """Expected value of each blamed one given all others, (n_samples, n_numbers)."""
        expected, columns = np.zeros(rows.values.shape), np.arange(self.layout.n_columns)
        for column in np.flatnonzero(blamed.any(axis=0)):
            at, numbers = np.flatnonzero(blamed[:, column]), self.layout.column == column
            blank = np.tile(columns == column, (len(at), 1))
            restored = self.denoising.restored(rows.take(at), 0.0, blank)
            expected[np.ix_(at, numbers)] = restored[:, numbers]
        return expected


class NumberExplanation(_Explanation):
    """Explanation for numeric rows."""

    def row_entries(self, n_features):
        """Numbers held for each row."""
        return max(self.score.row_entries, 1) * n_features

    def blame(self, rows, logs):
        """Columns above their fair share, and shares, (n_samples, n_columns) each."""
        shares = self.plain_shares(rows, logs)
        return above_fair_share(shares), shares

    def expected(self, rows, blamed, shares):
        """Expected values in the units of the data, (n_samples, n_features).

        Values above their fair share are blanked and filled by the denoisers from the others,
        several times. Those near what was filled in are then restored, and the others filled
        again: values that are wrong together remain blank.
        """
        missing, Z = np.isnan(rows.points), filled(rows.points)
        blank, single = (shares > 1 / Z.shape[1]) | missing, Z.astype(np.float32)
        for _ in range(_N_TRIALS + 1):
            denoised = np.zeros_like(single)
            for _ in range(_N_FILLINGS):
                values = np.where(blank, denoised, single)
                some = replace(rows, values=values, dtype=np.float32)
                denoised = self.denoising.restored(some, self.denoising.training.noise_level)
            restored = denoised.astype(np.float64)
            squared = np.square(Z - restored) * (blank & ~missing)
            wrong = (squared > _WRONG * squared.max(axis=1, keepdims=True)) | missing
            if (wrong == blank).all():
                break
            blank = wrong
        return self.encoding.to_data(restored)


class TableExplanation(_Explanation):
    """Explanation for rows of a table, whose denoisers are trained with blank columns."""

    def row_entries(self, n_points):
        """Numbers held for each row."""
        n_tried = min(self.layout.n_columns, _MOST_CANDIDATES)
        return max(max(self.score.row_entries, n_tried) * n_points, _MOST_REFERENCE)

    def expected(self, rows, blamed, shares):
        """Output of the denoisers with the blamed values blank, (n_samples, n_numbers)."""
        return self.denoising.restored(rows, 0.0, blamed)

    def blame(self, rows, logs):
        """Mask of the values that are wrong together, and shares, (n_samples, n_columns) each.

        Values are blanked one after the other, always the one that leaves the least error in
        the others, as long as it reduces this enough; or the outermost values together, where
        they leave far less.
        """
        shares = self.plain_shares(rows, logs)
        # Candidates have a share that is among the largest and not far below a fair one.
        least = -np.sort(-shares, axis=1)[:, :_MOST_CANDIDATES][:, -1:]
        candidates = shares >= np.maximum(least, _LEAST_CANDIDATE / shares.shape[1])
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
        self._blame_outermost(rows, blamed)
        # Shares count by the root of the reduction by each value, given the others blamed.
        at = np.flatnonzero(blamed.sum(axis=1) > 1)
        if len(at):
            remaining[at] = self._remaining_error(rows.take(at), blamed[at])
            tried = candidates[at] | blamed[at]
            changes = self._changes(rows, blamed, at, tried, remaining)
            reductions[at] = np.where(blamed[at], changes, -changes)
        shares = shares * np.sqrt(reductions.clip(TINY))
        shares /= shares.sum(axis=1, keepdims=True)
        none = ~blamed.any(axis=1)
        blamed[none, shares[none].argmax(axis=1)] = True
        return blamed, shares

    def _blame_outermost(self, rows, blamed):
        """Blame the outermost values of a row instead, where that leaves far less error.

        Wrong values that agree support each other, and to blank one of them may reduce nothing.
        The mask `blamed`, (n_samples, n_columns), is changed in place.
        """
        at = np.flatnonzero(blamed.any(axis=1))
        if len(at) == 0:
            return
        some = rows.take(at)
        outer = self.layout.sum_by_column(np.square(some.values) * some.observed)
        outer = outer + np.square(some.unseen)
        rank = np.argsort(np.argsort(-outer, axis=1, kind="stable"), axis=1)
        neighbors = [c for c in self.score.components if isinstance(c, NeighborDistance)]

        def remaining(blank):
            error = self._remaining_error(some, blank) + _LEAST_REDUCTION * blank.sum(axis=1)
            return error + sum(c.remaining(some, blank, _MOST_REFERENCE) for c in neighbors)

        least = remaining(blamed[at])
        for n_blank in range(2, min(_MOST_BLAMED, blamed.shape[1] - 1) + 1):
            error = remaining(rank < n_blank)
            better = error < _BETTER * least
            blamed[at[better]] = rank[better] < n_blank
            least = np.where(better, error / _BETTER, least)

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

    def _remaining_error(self, rows, blank):
        """Error of the values that are not blank (n_samples, n_columns), (n_samples,)."""
        errors = sum(self.denoising.errors(rows, blank=blank)) / len(self.denoising.denoisers)
        return (errors * ~blank).sum(axis=1)


# Texts of values, as a person writes them


def number(value: float, digits: int = 6) -> str:
    """A number with so many significant digits and commas between thousands."""
    rounded = float(f"{value:.{digits}g}")
    if 1e-4 <= abs(rounded) < 1e15:
        return f"{rounded:,}".removesuffix(".0")
    return f"{rounded:g}"


def _texts_of_number(value: float, spread: float) -> tuple[str, str]:
    """Texts of a number, exact and about, down to the first digit of a spread of residuals."""
    if math.isnan(value):
        return "missing", "missing"
    digits = 0
    if math.isfinite(value) and math.isfinite(spread) and value != 0 and spread > 0:
        digits = math.floor(math.log10(abs(value))) - math.floor(math.log10(spread)) + 1
    exact, about = (number(value, min(max(digits, least), _MOST_DIGITS)) for least in (6, 3))
    return exact, f"about {about}"


def texts_of_numbers(
    X: NDArray[Any], spread: NDArray[Any] | None
) -> list[list[tuple[str, str]]]:
    """Texts of numbers X, (n_samples, n_features), row by row: exact and about.

    With the spread of residuals of each column, (n_features,).
    """
    spread = np.full(X.shape[1], np.nan) if spread is None else spread
    return [[_texts_of_number(*pair) for pair in zip(row, spread, strict=True)] for row in X]


def texts_of_table(
    columns: Iterable[ColumnValues], encoder: TabularEncoder, spread: NDArray[Any] | None
) -> list[tuple[tuple[str, str], ...]]:
    """Texts of the values of a table, row by row: exact and about.

    With the spread of residuals of each column, (n_columns,).
    """
    spread = np.full(len(encoder.blocks_), np.nan) if spread is None else spread
    texts = [
        [_texts(column, row, encoded, of_column) for row in range(len(column.values))]
        for column, encoded, of_column in zip(columns, encoder._columns, spread, strict=True)
    ]
    return list(zip(*texts, strict=True))


def _texts(column: ColumnValues, row: int, encoded: Column, spread: float) -> tuple[str, str]:
    """Texts of one value: exact and about, which is the same for categories with one flag."""
    if not column.observed[row]:
        return "missing", "missing"
    value = column.values[row]
    if column.unit is not None:
        # A time in its format, or in ISO 8601, no finer than it must be.
        counts, unit = column.values[row : row + 1].astype(np.int64), column.unit
        if column.type == "duration":
            text = str(counts.astype(f"m8[{unit}]").astype("m8[us]").tolist()[0])
        elif column.format is not None and column.type in ("period", "time of day"):
            text = str(column.format.objects(counts, unit)[0])
        else:
            text = str(counts.astype(f"M8[{unit}]")[0])
            text = text.split(".")[0] if set(text.partition(".")[2]) <= {"0"} else text
            text = text.removesuffix("T00:00:00")
        return text, f"about {text}"
    if isinstance(value, bool) or not isinstance(value, int | float | np.number):
        about = value
        if isinstance(encoded, CategoryColumn) and value in encoded.flag_of:
            about = encoded.categories[encoded.flag_of[value]]
        return _quoted(value), _quoted(about)
    exact, about = _texts_of_number(float(value), spread)
    return exact, about if encoded.kind in _CONTINUOUS else exact


def _quoted(value: Any) -> str:
    """Text of a category."""
    return f'"{value}"' if isinstance(value, str) else str(value)


def spellings(
    columns: Iterable[ColumnValues], encoder: TabularEncoder, blamed: NDArray[Any]
) -> list[dict[int, str]]:
    """Frequent categories of which blamed rare ones may be misspelled, row by row.

    As texts by column, such as 'perhaps "Manhattan"', with the mask (n_samples, n_columns).
    """
    found: list[dict[int, str]] = [{} for _ in blamed]
    for j, (column, encoded) in enumerate(zip(columns, encoder._columns, strict=True)):
        if encoded.kind != "categorical":
            continue
        share = dict(zip(encoded.categories, encoded.share, strict=True))
        rows_of: dict[Any, list[Any]] = {}
        for row in np.flatnonzero(blamed[:, j] & column.observed):
            rows_of.setdefault(column.values[row], []).append(row)
        for value, rows in rows_of.items():
            least = max(_FREQUENT * share.get(value, 0.0), _LEAST_SHARE)
            frequent = {str(c).strip().casefold(): c for c in share if share[c] > least}
            text = str(value).strip().casefold()
            for alike in get_close_matches(text, frequent, 1, _ALIKE):
                for at in rows:
                    found[at][j] = f"perhaps {_quoted(frequent[alike])}"
    return found


def describe_row(
    names: Sequence[str],
    values: Sequence[tuple[str, str]],
    expected: Sequence[tuple[str, str]],
    blamed: NDArray[Any],
    shares: NDArray[Any],
    n_columns: int,
    spelling: dict[int, str] | None = None,
) -> str:
    """Description of a row: its blamed values, or that it is far from all others.

    The mask of the blamed values and the shares in the score, (n_features,) each; so many
    columns are named at most. `spelling` is described instead of what was expected.
    """
    order = np.argsort(-shares, kind="stable")
    wrong = [i for i in order if blamed[i] and values[i][1] != expected[i][1]]
    if wrong:
        reasons = {i: f"expected {expected[i][1]}" for i in wrong} | (spelling or {})
        return "; ".join(f"{names[i]} {values[i][0]}, {reasons[i]}" for i in wrong[:n_columns])
    above = [str(names[i]) for i in order if shares[i] * len(shares) > 1][:n_columns]
    *others, last = above or [str(names[order[0]])]
    columns = f"{', '.join(others)} and {last} together" if others else last
    return f"far from all rows in {columns}"
