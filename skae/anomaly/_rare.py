"""View of a row by its rarest value: a category, the sign of a number, the order of two dates.

Denoisers see a new spelling of a category as they see any other category that they did not
expect, and minus two as they see four less than two. Here a value counts by how rare it is, so
that one wrong value stands out of a row whose other values are as expected.
"""

from collections.abc import Iterable, Iterator
from itertools import combinations, permutations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skae.anomaly._components import TINY, TrainingData
from skae.anomaly._encoding import EncodedRows, TableEncoding
from skae.tables._layout import ColumnLayout

Array = NDArray[Any]

# Times between which orders are counted, at most.
_MOST_TIMES = 30

# Differences that are zero: of a number from zero in deviations, relative to the mean, and of
# two times in seconds.
_SAME, _SAME_TIME = 1e-9, 1e-3

# Outcomes of a comparison: less, equal, greater.
_N_ORDERS = 3

# A category determines another column if no more than this share of the rows contradict it, of
# those with a category that so many rows have.
_MOST_CONTRADICTING = 0.01
_FEWEST_ROWS = 5

# Columns of categories among which these rules are searched, at most.
_MOST_CATEGORICAL = 60


class RareValues:
    """Inverse share of the rows with a value as rare as the rarest of a row.

    The values of a row are the categories in its columns, the signs of its numbers, the orders
    of its times, and whether a category agrees with another one that determines it. Each counts
    by the share of the rows whose value in the same place is as rare or rarer, which is small
    for few rows, however many rare categories a column has. By each fold model these are the
    rows that are not held out from it. A value that was not seen is as rare as those that were
    seen once, whose share is an estimate of that of new ones.
    """

    #: Least unit of the logarithms, whether only what is above one unit counts, and the least
    #: origin: no value that a twentieth of the rows have counts more than other rows. The unit
    #: was chosen with benchmarks/entry_errors.py, on half of its tables: a value that none of
    #: thousands of rows have is to count as much as a sum that does not add up.
    least_unit = 0.3
    above_unit = False
    least_origin = float(np.log(20))

    #: Power of the inverse shares of the columns that is their share in the score.
    power = 1

    layout: ColumnLayout
    # Of each number in standard deviations, (n_numbers,), as in the encoding; NaN: none.
    zero: Array
    time_zero: Array
    time_unit: Array
    pairs: Array  # times that are compared, (n_pairs, 2)
    rules: Array  # features, the first of which determines the second, (n_rules, 2)
    # Code of the second for each code of the first, -1: none, (n_models, n_rules, n_codes).
    determined: Array
    # Minus the logarithm of the share of each code, (n_models, n_features, n_codes + 1); the
    # last one is that of a missing value, zero.
    surprise: Array

    def fit(self, data: TrainingData) -> "RareValues":
        """Count the values of the training rows."""
        encoding, rows = data.encoding, data.rows
        assert isinstance(encoding, TableEncoding)
        self.layout = encoding.layout
        unknown = np.full(self.layout.n_numbers, np.nan)
        self.zero, self.time_zero, self.time_unit = (
            unknown if each is None else each
            for each in (encoding.zero, encoding.time_zero, encoding.time_unit)
        )
        times = np.flatnonzero(~np.isnan(self.time_unit))[:_MOST_TIMES]
        self.pairs = np.array(list(combinations(times, 2)), dtype=np.intp).reshape(-1, 2)
        codes, weight = self.codes(rows), np.ones(len(rows))
        if data.weight is not None:
            weight = data.weight / data.weight[data.weight > 0].mean()
        counted = np.ones((len(data.folds.held_out), len(rows)), dtype=bool)
        for mask, held_out in zip(counted, data.folds.held_out, strict=True):
            mask[held_out] = False
        n_codes = max([_N_ORDERS, *(max(len(flags), 2) + 1 for flags in self._flags)])
        rules = []
        for a, b in permutations(range(min(len(self._flags), _MOST_CATEGORICAL)), 2):
            other, share = _determined(codes[:, a], codes[:, b], weight, n_codes)
            if share <= _MOST_CONTRADICTING and len(np.unique(other[other >= 0])) > 1:
                rules.append((a, b))
        self.rules = np.array(rules, dtype=np.intp).reshape(-1, 2)
        self.determined = np.full((len(counted), len(rules), n_codes), -1)
        surprises = []
        for model, mask in enumerate(counted):
            for rule, (a, b) in enumerate(rules):
                some = codes[mask, a], codes[mask, b], weight[mask]
                self.determined[model, rule] = _determined(*some, n_codes)[0]
            features = self._with_rules(codes[mask], model)
            surprises.append(_surprise(features, weight[mask], n_codes))
        self.surprise = np.stack(surprises)
        if encoding.new_share is not None:
            # Of many categories the rarest share a flag, which hides those that were seen once.
            for feature, at in enumerate(self._flags):
                of_new = self.surprise[:, feature, max(len(at), 2)]
                expected = encoding.new_share[self.layout.column[at[0]]]
                np.minimum(of_new, -np.log(max(expected, TINY)), out=of_new)
        return self

    @property
    def applies(self) -> bool:
        """True if there are values that may be rare."""
        return bool(self.surprise.size)

    def logs(self, rows: EncodedRows, models: Iterable[int]) -> list[Array]:
        """Minus the logarithm of the share of the rarest value, (n_models, n_samples)."""
        return [of_values.max(axis=1) for of_values in self._of_values(rows, models)]

    def by_column(self, rows: EncodedRows) -> Array:
        """Inverse share of the rarest value of each column, relative to the largest.

        Shape (n_samples, n_columns). Two times whose order is rare count both.
        """
        surprise = np.mean(list(self._of_values(rows, range(len(self.surprise)))), axis=0)
        relative = np.exp(surprise - surprise.max(axis=1, keepdims=True))
        # Columns of each feature: those of categories and of numbers have one, others have two.
        signed = np.flatnonzero(~np.isnan(self.zero))
        numbers = *(flags[:1] for flags in self._flags), *signed[:, np.newaxis], *self.pairs
        columns = [self.layout.column[at] for at in numbers]
        columns += [np.concatenate([columns[i] for i in rule]) for rule in self.rules]
        parts = np.zeros((len(rows), self.layout.n_columns))
        for column, part in zip(columns, relative.T, strict=True):
            parts[:, column] = np.maximum(parts[:, column], part[:, np.newaxis])
        return parts

    def codes(self, rows: EncodedRows) -> Array:
        """Codes of the values, (n_samples, n_features): -1 where one is missing.

        Features are categories, then signs, then orders of times. The first code after those of
        the categories of a column is that of a category that was not seen.
        """
        assert rows.observed is not None
        assert rows.unseen is not None
        codes = []
        for at in self._flags:
            flags = rows.values[:, at]
            code = flags.argmax(axis=1) if len(at) > 1 else (flags[:, 0] > 0).astype(int)
            code = np.where(rows.observed[:, at[0]], code, -1)
            is_new = rows.unseen[:, self.layout.column[at[0]]] > 0
            codes.append(np.where(is_new, max(len(at), 2), code))
        signed = np.flatnonzero(~np.isnan(self.zero))
        difference = rows.plain[:, signed] - self.zero[signed]
        order = _order(difference, _SAME * (1 + np.abs(self.zero[signed])))
        codes.extend(np.where(rows.observed[:, signed], order, -1).T)
        for a, b in self.pairs:
            seconds = rows.plain[:, [a, b]] * self.time_unit[[a, b]]
            difference = seconds[:, 0] - seconds[:, 1] + (self.time_zero[a] - self.time_zero[b])
            both = rows.observed[:, a] & rows.observed[:, b]
            codes.append(np.where(both, _order(difference, _SAME_TIME), -1))
        return np.array(codes, dtype=np.intp).reshape(-1, len(rows)).T

    @property
    def _flags(self) -> list[Array]:
        """Positions of the flags of each column of categories, (n_flags,) each."""
        layout = self.layout
        values = zip(layout.starts, layout.n_values, layout.categorical, strict=True)
        return [np.arange(start, start + n) for start, n, is_flag in values if is_flag and n]

    def _of_values(self, rows: EncodedRows, models: Iterable[int]) -> Iterator[Array]:
        """Minus the logarithms of shares by each fold model, (n_samples, n_features)."""
        codes = self.codes(rows)
        for model in models:
            features = self._with_rules(codes, model)
            yield self.surprise[model][np.arange(features.shape[1]), features]

    def _with_rules(self, codes: Array, model: int) -> Array:
        """Codes and those of the rules: 1 where one holds, 0 where it is contradicted.

        From (n_samples, n_features) to (n_samples, n_features + n_rules), by a fold model.
        """
        held = []
        for (a, b), determined in zip(self.rules, self.determined[model], strict=True):
            given, other = codes[:, a], codes[:, b]
            expected = np.where(given >= 0, determined[given], -1)
            holds = (expected == other).astype(np.intp)
            held.append(np.where((expected >= 0) & (other >= 0), holds, -1))
        return np.column_stack([codes, *held])


def _surprise(codes: Array, weight: Array, n_codes: int) -> Array:
    """Minus the logarithm of the share of each code, (n_features, n_codes + 1).

    From codes (n_samples, n_features) and weights (n_samples,) of mean one. That of a missing
    value, the last one, is zero.
    """
    surprise = np.zeros((codes.shape[1], n_codes + 1))
    for code, entries in zip(codes.T, surprise, strict=True):
        counts = np.bincount(code[code >= 0], weight[code >= 0], minlength=n_codes)
        total = max(counts.sum(), 1.0)
        as_rare = counts <= np.maximum(counts, 1.0)[:, np.newaxis]
        share = np.maximum((as_rare * counts).sum(axis=1), 1.0) / total
        entries[:n_codes] = -np.log(np.minimum(share, 1.0))
    return surprise


def _order(difference: Array, same: Any) -> Array:
    """Codes of a difference by its sign, of its shape; up to `same` it is zero."""
    return 1 + np.sign(difference).astype(np.intp) * (np.abs(difference) > same)


def _determined(a: Array, b: Array, weight: Array, n_codes: int) -> tuple[Array, float]:
    """Code of b that each code of a determines, (n_codes,), and the share that contradicts it.

    From codes and weights, (n_samples,) each; -1 for codes of a that few rows have.
    """
    both = (a >= 0) & (b >= 0)
    pairs = a[both] * n_codes + b[both]
    counts = np.bincount(pairs, weight[both], n_codes**2).reshape(n_codes, n_codes)
    totals = counts.sum(axis=1)
    enough = totals >= _FEWEST_ROWS
    total = totals[enough].sum()
    contradicting = total - counts[enough].max(axis=1, initial=0).sum()
    share = contradicting / total if total else 1.0
    return np.where(enough, counts.argmax(axis=1), -1), float(share)
