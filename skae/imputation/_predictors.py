"""Predictors of missing values in NumPy, linear and by near rows; masks that hide values."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri
from sklearn.utils import gen_batches
from sklearn.utils.extmath import randomized_svd

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

# With more columns than this, only the rows and columns of missing values are solved.
_NARROW = 32

# With more columns than this in all, they are fitted in blocks of like columns, each together
# with factors of the columns outside: chosen on MNIST and on made tables, `imputation.py`.
MOST_TOGETHER, _FACTORS = 128, 32

# Entries of the matrices that are solved at a time, where few have the size of all columns and
# where they are small, and of the matrix of rows and reference rows that is computed at a time.
_CHUNK_ENTRIES, _SMALL_CHUNK_ENTRIES = 2**22, 2**16
_KERNEL_ENTRIES = 2**18

# Added to variances: covariances of equal columns stay invertible.
_LEAST_VARIANCE = 1e-6

# Points of the curve of a column.
_MOST_POINTS = 200

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
    to; `is_number` : (n_values,), True for numbers, which are squashed beyond three deviations;
    `shared_kernels` : (n_columns,), the kernel of each column of the table, None: its own.
    """

    column_of: Array
    is_number: Array
    shared_kernels: Any = None

    @property
    def kernel_of(self) -> Array:
        """The kernel of each column of the table, (n_columns,)."""
        if self.shared_kernels is None:
            return np.arange(self.column_of.max() + 1)
        return np.asarray(self.shared_kernels)

    def of_kernels(self, mask: Array) -> Array:
        """Mask of the kernels of which any column is in a mask; (n_samples, n_kernels).

        mask : (n_samples, n_columns).
        """
        if self.shared_kernels is None:
            return mask
        kernels = np.arange(self.kernel_of.max() + 1)
        return np.asarray(mask @ (self.kernel_of[:, np.newaxis] == kernels))

    def stretched(self, X: Array) -> Array:
        """Numbers before they were squashed, of which errors are squared; (..., n_values)."""
        return np.where(self.is_number, unsquash(X), X)


@dataclass(frozen=True)
class TrainingRows:
    """Values squashed, not squashed, and as normal scores, (n_samples, n_values).

    They are zero where missing; `filled` has the conditional mean of missing scores.
    `observed` : (n_samples, n_columns). `targets`, of which means over near rows are taken, are
    X; where columns share kernels, with `filled` as values where X is missing.
    """

    X: Array
    stretched: Array
    scores: Array
    filled: Array
    observed: Array
    targets: Array

    def masked(self, layout: Layout) -> Array:
        """Rows that are no reference for a kernel, (n_kernels, n_samples)."""
        if layout.shared_kernels is None:
            return ~self.observed.T
        return np.zeros((layout.kernel_of.max() + 1, len(self.X)), dtype=bool)


@dataclass(frozen=True)
class Gaussian:
    """Mean (n_features,) and covariance of the columns, by which missing values are filled."""

    mean: Array
    covariance: Array

    @classmethod
    @BLAS_LIMITS.single()  # small products, as in KernelRegression
    def from_data(cls, X: Array, observed: Array, rng: np.random.RandomState) -> "Gaussian":
        """Fit by expectation maximisation, shrunk a little to independent columns.

        X, and the mask of observed values : (n_samples, n_features). `rng` chooses rows where
        there are many.
        """
        X, observed = enough_rows(X, observed, X.shape[1], rng)
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

    @BLAS_LIMITS.single()
    def fill(self, X: Array, observed: Array, remaining: Array | None = None) -> Array:
        """X with the conditional mean where a value is missing; all (n_samples, n_features).

        To `remaining`, (n_features, n_features), the conditional covariance of the missing
        values of each row is added.
        """
        p = X.shape[1]
        filled = np.array(X, dtype=np.float64)
        n_missing = np.count_nonzero(~observed, axis=1)
        incomplete = np.flatnonzero(n_missing)
        is_narrow = p <= _NARROW
        if not is_narrow:
            # Rows that miss about as many values are solved together.
            incomplete = incomplete[np.argsort(-n_missing[incomplete], kind="stable")]
        precision = np.linalg.inv(self.covariance)
        start = 0
        while start < len(incomplete):
            m = p if is_narrow else n_missing[incomplete[start]]
            entries = _CHUNK_ENTRIES if is_narrow else _SMALL_CHUNK_ENTRIES
            index = incomplete[start : start + max(entries // (m * m), 1)]
            start += len(index)
            known = observed[index]
            pulls = np.where(known, X[index] - self.mean, 0) @ precision * ~known
            # Missing values first, and observed ones where other rows miss more.
            columns = np.tile(np.arange(p), (len(index), 1))
            matrix = precision
            if not is_narrow:
                columns = np.argsort(known, axis=1, kind="stable")[:, :m]
                pulls = np.take_along_axis(pulls, columns, axis=1)
                matrix = precision[columns[:, :, np.newaxis], columns[:, np.newaxis, :]]
            unknown = ~np.take_along_axis(known, columns, axis=1)
            # Rows and columns of observed values become those of the unit matrix.
            both = unknown[:, :, np.newaxis] & unknown[:, np.newaxis, :]
            matrix = matrix * both
            diagonal = np.arange(m)
            matrix[:, diagonal, diagonal] += ~unknown
            if remaining is None:
                shift = np.linalg.solve(matrix, pulls[:, :, np.newaxis])
            else:
                inverse = np.linalg.inv(matrix)
                at = columns[:, :, np.newaxis] * p + columns[:, np.newaxis, :]
                sums = np.bincount(at.ravel(), (inverse * both).ravel(), p * p)
                remaining += sums.reshape(p, p)
                shift = inverse @ pulls[:, :, np.newaxis]
            row, place = np.nonzero(unknown)
            column = columns[row, place]
            filled[index[row], column] = self.mean[column] - shift[row, place, 0]
        return filled

    @BLAS_LIMITS.single()
    def by_others(self, X: Array, observed: Array) -> Array:
        """Conditional mean of each value given the other observed ones of its row.

        All arrays : (n_samples, n_features).
        """
        means, diagonal = np.empty(X.shape), np.arange(X.shape[1])
        for part in gen_batches(len(X), max(_CHUNK_ENTRIES // X.shape[1] ** 2, 1)):
            known = observed[part]
            matrix = self.covariance * (known[:, :, np.newaxis] & known[:, np.newaxis, :])
            matrix[:, diagonal, diagonal] += ~known
            inverse = np.linalg.inv(matrix)
            centred = np.where(known, X[part] - self.mean, 0)
            pulls = (inverse @ centred[:, :, np.newaxis])[:, :, 0]
            shift = centred - pulls / inverse[:, diagonal, diagonal]
            means[part] = self.mean + np.where(known, shift, pulls @ self.covariance)
        return means


@dataclass(frozen=True)
class BlockGaussian:
    """Normal distributions of blocks of like columns, for tables with many columns.

    The columns of a block are distributed together with factors of all columns outside of the
    block, which each row has by its observed values; time is linear in the columns.

    `center`, `scale` : (n_features,); `loadings` : (n_features, n_factors), of standardised
    columns, and `noise` : their mean variance besides; `blocks` : (n_features,), the number of
    each column's block; `gaussians` : of each block, and after its columns the factors.
    """

    center: Array
    scale: Array
    loadings: Array
    noise: float
    blocks: Array
    gaussians: tuple[Gaussian, ...]

    @classmethod
    @BLAS_LIMITS.single()
    def from_data(cls, X: Array, observed: Array, rng: np.random.RandomState) -> Self:
        """Fit to rows, of which some are chosen by `rng` where there are many.

        X, and the mask of observed values : (n_samples, n_features).
        """
        X, observed = enough_rows(X, observed, MOST_TOGETHER, rng)
        count = np.maximum(observed.sum(axis=0), 1)
        center = np.where(observed, X, 0).sum(axis=0) / count
        centred = np.where(observed, X - center, 0)
        scale = np.sqrt(np.square(centred).sum(axis=0) / count + _LEAST_VARIANCE)
        Z = centred / scale
        _, singular, directions = randomized_svd(
            Z, min(_FACTORS, len(Z)), random_state=rng.randint(2**31 - 1)
        )
        loadings = directions.T * singular / np.sqrt(len(Z))
        noise = max(1 - float(np.square(loadings).sum(axis=1).mean()), 0.1)
        blocks = like_columns(np.abs(Z.T @ Z), MOST_TOGETHER - _FACTORS)
        model = cls(center, scale, loadings, noise, blocks, ())
        gaussians = tuple(
            Gaussian.from_data(rows, mask, rng)
            for _, rows, mask in model._with_factors(X, observed)
        )
        return cls(center, scale, loadings, noise, blocks, gaussians)

    @BLAS_LIMITS.single()
    def fill(self, X: Array, observed: Array) -> Array:
        """X with the conditional mean where a value is missing; all (n_samples, n_features)."""
        filled = np.array(X, dtype=np.float64)
        size = max(_CHUNK_ENTRIES // self.loadings.shape[1] ** 2, 1)
        for start in range(0, len(X), size):
            part = slice(start, start + size)
            blocks = self._with_factors(X[part], observed[part])
            for gaussian, (columns, rows, mask) in zip(self.gaussians, blocks, strict=True):
                filled[part, columns] = gaussian.fill(rows, mask)[:, : len(columns)]
        return filled

    def _with_factors(self, X: Array, observed: Array) -> Iterator[tuple[Array, Array, Array]]:
        """Columns of each block; rows with them and the factors; the mask of observed values.

        The factors have their conditional mean given the observed values outside the block.
        """
        n, k = len(X), self.loadings.shape[1]
        Z = np.where(observed, (X - self.center) / self.scale, 0)
        squares = self.loadings[:, :, np.newaxis] * self.loadings[:, np.newaxis]
        squares, mask = squares.reshape(-1, k * k), observed.astype(np.float64)
        precision, pulls = mask @ squares, Z @ self.loadings
        for block in range(self.blocks.max() + 1):
            columns = np.flatnonzero(self.blocks == block)
            outside = precision - mask[:, columns] @ squares[columns]
            matrix = outside.reshape(n, k, k) + self.noise * np.eye(k)
            pull = pulls - Z[:, columns] @ self.loadings[columns]
            factors = np.linalg.solve(matrix, pull[:, :, np.newaxis])[:, :, 0]
            known = np.hstack([observed[:, columns], np.ones(factors.shape, dtype=bool)])
            yield columns, np.hstack([X[:, columns], factors]), known


def enough_rows(
    X: Array, observed: Array, n_columns: int, rng: np.random.RandomState
) -> tuple[Array, Array]:
    """Rows of X and of the mask, chosen at random where there are more than are needed."""
    enough = max(_ENOUGH_ROWS, _ROWS_A_COLUMN * n_columns)
    if len(X) <= enough:
        return X, observed
    chosen = rng.permutation(len(X))[:enough]
    return X[chosen], observed[chosen]


def like_columns(similarity: Array, size: int) -> Array:
    """Groups of at most `size` columns that are like each other, their numbers (n_columns,).

    The column that is most like all others and those nearest to it are a group, and so on.
    """
    remaining, group = np.arange(len(similarity)), np.zeros(len(similarity), dtype=int)
    number = 0
    while len(remaining):
        among = similarity[np.ix_(remaining, remaining)]
        nearest = np.argsort(-among[among.sum(axis=1).argmax()], kind="stable")[:size]
        group[remaining[nearest]] = number
        remaining, number = np.delete(remaining, nearest), number + 1
    return group


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
    """Weighted means over reference rows, with a kernel for each column of a table or several.

    The logarithm of the weight of a reference row is minus the squared distance over the
    observed values of a row, in which every column has a weight.

    `weight` : (n_kernels, n_values), of the columns of the matrix in the distances of each
    kernel; `reference` : (n_reference, n_values), rows without missing values, between which
    distances are measured; `targets` : (n_reference, n_targets), values of which means are
    taken, all float32; `column_of` : (n_targets,), the kernels that these belong to;
    `observed` : (n_reference, n_kernels), mask of the targets; `log_odds` : (n_reference,
    n_kernels), of a value to be missing, by which rows are weighted besides for missing values.
    """

    weight: Array
    column_of: Array
    reference: Array
    targets: Array
    observed: Array
    log_odds: Any = None

    @classmethod
    def from_rows(
        cls,
        layout: Layout,
        rows: TrainingRows,
        reference: Array,
        weight: Array,
        slopes: Array | None = None,
    ) -> "KernelRegression":
        """Kernel regression on (n_reference,) rows by weights (n_kernels, n_values).

        slopes : (n_columns,), of the log-odds to be missing in scores, where any is not zero.
        """
        targets, log_odds = rows.targets[reference], None
        if slopes is not None:
            first = np.searchsorted(layout.column_of, np.arange(len(slopes)))
            log_odds = (rows.scores[np.ix_(reference, first)] * slopes).astype(np.float32)
        return cls(
            weight.astype(np.float32),
            np.tile(layout.kernel_of[layout.column_of], 2),
            rows.filled[reference].astype(np.float32),
            np.hstack([targets, layout.stretched(targets)]).astype(np.float32),
            ~rows.masked(layout)[:, reference].T,
            log_odds,
        )

    def __call__(
        self,
        X: Array,
        visible: Array,
        target_mask: Array,
        self_index: Array | None = None,
        tilted: bool = False,
    ) -> Array:
        """Means where the target mask, (n_samples, n_kernels), is true; zero elsewhere.

        They are those of observed values, or if `tilted` those of missing ones.

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
                parts = self._kernel(j, X[index], visible[index], at, tilted)
                for part, kernel, total, targets in parts:
                    means[np.ix_(index[part], columns)] = kernel @ targets / total
        return means

    def draw(
        self, X: Array, visible: Array, j: int, rng: np.random.RandomState
    ) -> tuple[Array, Array]:
        """Targets of kernel j in a reference row that is drawn by weight, and their mean.

        Both are those of missing values. The reference rows are weighted at random besides, as
        in a Bayesian bootstrap (Rubin, 1981), so that samples vary by as much as is unknown.
        X, visible : (n_samples, n_values); both results : (n_samples, n_targets of the kernel).
        """
        X = np.where(visible, X, 0).astype(np.float32)
        values = np.zeros((len(X), np.count_nonzero(self.column_of == j)))
        mean = np.zeros_like(values)
        weight = rng.exponential(size=np.count_nonzero(self.observed[:, j]))
        for part, kernel, total, targets in self._kernel(j, X, visible, None, True):
            mean[part] = kernel @ targets / total
            cumulative = np.cumsum(kernel * weight, axis=1)
            point = cumulative[:, -1:] * rng.uniform(size=total.shape)
            row = (cumulative < point).sum(axis=1)
            values[part] = targets[row.clip(0, len(targets) - 1)]
        return values, mean

    def _kernel(
        self, j: int, X: Array, visible: Array, self_index: Array | None, tilted: bool
    ) -> Iterator[tuple[slice, Array, Array, Array]]:
        """Kernel j (n_part, n_usable), its sums, and targets, some rows at a time.

        X, visible : (n_samples, n_values); targets : (n_usable, n_targets of the kernel).
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
            if tilted and self.log_odds is not None:
                logit += self.log_odds[usable, j]
            logit -= logit.max(axis=1, keepdims=True)
            kernel = np.exp(logit, out=logit)
            yield part, kernel, kernel.sum(axis=1, keepdims=True), targets
