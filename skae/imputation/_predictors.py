"""Predictors of missing values in NumPy, linear and by near rows; masks that hide values."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from skae.corruption._corruptions import Draws, NumpyDraws
from skae.tables._squashing_scaler import unsquash
from skae.utils._process import BLAS_LIMITS

Array = NDArray[Any]

# Share of the rows that miss what another row misses, and the largest share of values that
# is hidden besides: in these rows, and in the others.
_LIKE_OTHERS = 0.5
_MOST_BESIDES, _MOST = 0.3, 0.7

# Rows that the distribution is fitted to, in all and for each column, where there are more;
# and rounds of expectation maximisation.
_ENOUGH_ROWS, _ROWS_A_COLUMN = 1000, 20
_ROUNDS = 12

# Entries of the matrices that are solved at a time, and of the matrix of rows and reference
# rows that is computed at a time.
_CHUNK_ENTRIES = 2**22
_KERNEL_ENTRIES = 2**18

# Added to variances: covariances of equal columns stay invertible.
_LEAST_VARIANCE = 1e-6

# Points of the curve of a column.
_MOST_POINTS = 200

# Initial weights of the columns in distances that are tried, times the root of the number of
# columns; and the rows that choose.
_INITIAL_WEIGHTS = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
_ROWS_TO_TRY = 300

# Logit of a reference row that is masked.
MASKED = -1e9


def visible_mask(
    xp: Any, draws: Draws, observed: Any, in_other_rows: Callable[[Any], Any]
) -> Any:
    """Mask of the observed values that are not hidden, 0 or 1, (n_samples, n_columns).

    Half of the rows miss what another row misses and some more; of the others a share of the
    values is hidden that is drawn for each row. Written, as corruptions are, for `xp` = `numpy`
    or `keras.ops`. `in_other_rows` gives, for a mask, that of another row for each row.
    """
    rate, kind = draws.uniform(observed[:, :1]), draws.uniform(observed[:, :1])
    like_others = kind < _LIKE_OTHERS
    rate = rate * xp.where(like_others, _MOST_BESIDES, _MOST)
    visible = xp.where(draws.uniform(observed) >= rate, observed, 0.0)
    return xp.where(like_others, visible * in_other_rows(observed), visible)


def hide_values(observed: Array, rng: np.random.RandomState) -> Array:
    """Mask (n_samples, n_columns) of the observed values that are not hidden."""
    draws, mask = NumpyDraws(rng), observed.astype(np.float64)
    visible = visible_mask(np, draws, mask, lambda mask: mask[rng.permutation(len(mask))])
    return np.asarray(visible > 0)


@dataclass(frozen=True)
class Layout:
    """Columns of a matrix that belong to the columns of a table.

    `column_of` : (n_values,), the column of the table that each column of the matrix belongs
    to; `is_number` : (n_values,), True for numbers, which are squashed beyond three deviations.
    """

    column_of: Array
    is_number: Array

    def stretched(self, X: Array) -> Array:
        """Numbers before they were squashed, of which errors are squared; (..., n_values)."""
        return np.where(self.is_number, unsquash(X), X)


@dataclass(frozen=True)
class TrainingRows:
    """Values squashed, not squashed, and as normal scores, (n_samples, n_values).

    They are zero where missing; `filled` has the conditional mean of missing scores.
    `observed` : (n_samples, n_columns).
    """

    X: Array
    stretched: Array
    scores: Array
    filled: Array
    observed: Array


@dataclass(frozen=True)
class Gaussian:
    """Mean (n_features,) and covariance of the columns, by which missing values are filled."""

    mean: Array
    covariance: Array

    @classmethod
    def from_data(cls, X: Array, observed: Array, rng: np.random.RandomState) -> "Gaussian":
        """Fit by expectation maximisation, shrunk a little to independent columns.

        X, and the mask of observed values : (n_samples, n_features). `rng` chooses rows where
        there are many.
        """
        enough = max(_ENOUGH_ROWS, _ROWS_A_COLUMN * X.shape[1])
        if len(X) > enough:
            chosen = rng.permutation(len(X))[:enough]
            X, observed = X[chosen], observed[chosen]
        n, p = X.shape
        count = np.maximum(observed.sum(axis=0), 1)
        mean = np.where(observed, X, 0).sum(axis=0) / count
        squares = np.where(observed, np.square(X - mean), 0)
        variance = squares.sum(axis=0) / count + _LEAST_VARIANCE
        # As many rows of independent columns as keep small tables steady.
        prior = 2 + np.sqrt(p) / 2
        model = cls(mean, np.diag(variance))
        for _ in range(1 if observed.all() else _ROUNDS):
            remaining = np.zeros((p, p))
            filled = model.fill(X, observed, remaining)
            mean = filled.mean(axis=0)
            around = filled - mean
            covariance = around.T @ around + remaining + prior * np.diag(variance)
            covariance = covariance / (n + prior) + _LEAST_VARIANCE * np.eye(p)
            model = cls(mean, covariance)
        return model

    def fill(self, X: Array, observed: Array, remaining: Array | None = None) -> Array:
        """X with the conditional mean where a value is missing; all (n_samples, n_features).

        To `remaining`, (n_features, n_features), the conditional covariance of the missing
        values of each row is added.
        """
        p = X.shape[1]
        filled = np.array(X, dtype=np.float64)
        incomplete = np.flatnonzero(~observed.all(axis=1))
        precision = np.linalg.inv(self.covariance)
        size = max(_CHUNK_ENTRIES // (p * p), 1)
        diagonal = np.arange(p)
        for start in range(0, len(incomplete), size):
            index = incomplete[start : start + size]
            known, unknown = observed[index], ~observed[index]
            pulls = np.where(known, X[index] - self.mean, 0) @ precision * unknown
            # Rows and columns of observed values become those of the unit matrix.
            both = unknown[:, :, np.newaxis] & unknown[:, np.newaxis, :]
            matrix = precision * both
            matrix[:, diagonal, diagonal] += known
            if remaining is None:
                shift = np.linalg.solve(matrix, pulls[:, :, np.newaxis])
            else:
                inverse = np.linalg.inv(matrix)
                remaining += (inverse * both).sum(axis=0)
                shift = inverse @ pulls[:, :, np.newaxis]
            filled[index] = np.where(known, X[index], self.mean - shift[:, :, 0])
        return filled


@dataclass(frozen=True)
class NormalScores:
    """Columns by their ranks, so that each has nearly a normal distribution.

    `curves` has values and scores of each column, between which it is interpolated; None: the
    column has at most two values, and stays.
    """

    curves: Sequence[tuple[Array, Array] | None]

    @classmethod
    def from_data(cls, X: Array, observed: Array) -> "NormalScores":
        """Scores of the observed values; X, observed : (n_samples, n_features)."""
        curves: list[tuple[Array, Array] | None] = []
        for j in range(X.shape[1]):
            points, counts = np.unique(X[observed[:, j], j], return_counts=True)
            if len(points) <= 2:
                curves.append(None)
                continue
            # The middle of the ranks of equal values.
            scores = ndtri((np.cumsum(counts) - counts / 2) / counts.sum())
            if len(points) > _MOST_POINTS:
                chosen = np.unique(np.linspace(0, len(points) - 1, _MOST_POINTS).astype(int))
                points, scores = points[chosen], scores[chosen]
            curves.append((points, scores))
        return cls(curves)

    def transform(self, X: Array) -> Array:
        """Values as scores, both (n_samples, n_features)."""
        result = np.array(X, dtype=np.float64)
        for j, curve in enumerate(self.curves):
            if curve is not None:
                result[:, j] = np.interp(X[:, j], *curve)
        return result

    def inverse_transform(self, Z: Array) -> Array:
        """Scores as values, both (n_samples, n_features)."""
        return NormalScores([curve and curve[::-1] for curve in self.curves]).transform(Z)


@dataclass(frozen=True, eq=False)
class KernelRegression:
    """Weighted means over reference rows, with a kernel for each column of a table.

    The logarithm of the weight of a reference row is minus the squared distance over the
    observed values of a row, in which every column has a weight.

    `weight` : (n_columns, n_values), of the columns of the matrix in the distances of each
    column of the table; `reference` : (n_reference, n_values), rows without missing values,
    between which distances are measured; `targets` : (n_reference, n_targets), values of which
    means are taken, all float32; `column_of` : (n_targets,), the columns of the table that
    these belong to; `observed` : (n_reference, n_columns), mask of the targets.
    """

    weight: Array
    column_of: Array
    reference: Array
    targets: Array
    observed: Array

    @classmethod
    def from_rows(
        cls, layout: Layout, rows: TrainingRows, reference: Array, weight: Array
    ) -> "KernelRegression":
        """Kernel regression on (n_reference,) rows by weights (n_columns, n_values)."""
        return cls(
            weight.astype(np.float32),
            np.tile(layout.column_of, 2),
            rows.filled[reference].astype(np.float32),
            np.hstack([rows.X[reference], rows.stretched[reference]]).astype(np.float32),
            rows.observed[reference],
        )

    def __call__(
        self, X: Array, visible: Array, target_mask: Array, self_index: Array | None = None
    ) -> Array:
        """Means where the target mask, (n_samples, n_columns), is true; zero elsewhere.

        X, and the mask of the values that distances depend on : (n_samples, n_values);
        self_index : (n_samples,), the reference row that a row is itself, which is masked,
        or any number that none has; result : (n_samples, n_targets).
        """
        means = np.zeros((len(X), len(self.column_of)))
        X = np.where(visible, X, 0).astype(np.float32)
        # The products are narrow: where cores are busy, threads that wait for each other
        # take several times as long as one.
        with BLAS_LIMITS.single():
            for j in np.flatnonzero(target_mask.any(axis=0)).tolist():
                index = np.flatnonzero(target_mask[:, j])
                at = None if self_index is None else self_index[index]
                columns = np.flatnonzero(self.column_of == j)
                parts = self._kernel(j, X[index], visible[index], at)
                for part, kernel, total, targets in parts:
                    means[np.ix_(index[part], columns)] = kernel @ targets / total
        return means

    def draw(
        self, X: Array, visible: Array, j: int, rng: np.random.RandomState
    ) -> tuple[Array, Array]:
        """Values of one column of the table in a reference row drawn by weight, and their mean.

        X, visible : (n_samples, n_values), as above; both results : (n_samples, n_targets of
        column j).
        """
        X = np.where(visible, X, 0).astype(np.float32)
        values = np.zeros((len(X), np.count_nonzero(self.column_of == j)))
        mean = np.zeros_like(values)
        for part, kernel, total, targets in self._kernel(j, X, visible, None):
            point = total * rng.uniform(size=total.shape)
            row = (np.cumsum(kernel, axis=1) < point).sum(axis=1)
            values[part] = targets[row.clip(0, len(targets) - 1)]
            mean[part] = kernel @ targets / total
        return values, mean

    def _kernel(
        self, j: int, X: Array, visible: Array, self_index: Array | None
    ) -> Iterator[tuple[slice, Array, Array, Array]]:
        """Kernel (n_part, n_usable) of column j, its sums, and targets, some rows at a time.

        X, visible : (n_samples, n_values); targets : (n_usable, n_targets of the column).
        """
        usable = np.flatnonzero(self.observed[:, j])
        targets = self.targets[np.ix_(usable, self.column_of == j)]
        rows = self.reference[usable]
        rows = np.hstack([rows, np.square(rows)]).T.copy()
        size = max(_KERNEL_ENTRIES // max(len(usable), 1), 1)
        for start in range(0, len(X) if len(usable) else 0, size):
            part = slice(start, start + size)
            weight = np.hstack([2 * X[part], -visible[part].astype(np.float32)])
            logit = weight * np.tile(self.weight[j], 2) @ rows
            if self_index is not None:
                logit[self_index[part, np.newaxis] == usable] = MASKED
            logit -= logit.max(axis=1, keepdims=True)
            kernel = np.exp(logit, out=logit)
            yield part, kernel, kernel.sum(axis=1, keepdims=True), targets


def initial_weight(layout: Layout, rows: TrainingRows, rng: np.random.RandomState) -> Array:
    """The best of a few weights for each column, shape (n_columns, n_values).

    In the distances of a column of the table all columns have the same weight.
    """
    (n, p), c = rows.X.shape, rows.observed.shape[1]
    order = rng.permutation(n)
    # The first of the reference rows are the rows themselves.
    index, reference = order[:_ROWS_TO_TRY], order[: 2 * _ROWS_TO_TRY]
    visible = hide_values(rows.observed, rng)[index]
    hidden = rows.observed[index] & ~visible
    visible_values, hidden_values = visible[:, layout.column_of], hidden[:, layout.column_of]
    errors: list[Array] = []
    tried = np.array(_INITIAL_WEIGHTS) / np.sqrt(p)
    for weight in tried:
        neighbors = KernelRegression.from_rows(layout, rows, reference, np.full((c, p), weight))
        means = neighbors(rows.scores[index], visible_values, hidden, np.arange(len(index)))
        squares = np.square(means[:, :p] - rows.X[index]) * hidden_values
        errors.append(np.bincount(layout.column_of, squares.sum(axis=0), c))
    best = tried[np.argmin(errors, axis=0)]
    return np.repeat(best[:, np.newaxis], p, axis=1)
