"""Views of a row beside the components of the score: distances in other units, and relations.

The denoisers see what does not fit the rest of a row, to within their noise. Relations here are
tighter than the noise. A distance depends on the units of the columns, and no units are right
for all tables: a row that is far from the others in several of them counts.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from skae.anomaly._components import NEAR, TINY, NeighborDistance, TrainingData
from skae.anomaly._encoding import EncodedRows
from skae.anomaly._rare import RareValues
from skae.tables._layout import ColumnLayout
from skae.tables._squashing_scaler import squash
from skae.utils._arrays import overridable

Array = NDArray[Any]

# Quantiles of a column between which normal scores are linear, evenly spaced as such scores.
_N_KNOTS = 33

# Columns between which relations are estimated, at most; the least ridge penalty of their
# correlations, and the factor of the square of columns over rows in it.
_MOST_NUMBERS = 500
_LEAST_PENALTY = 1e-8
_PENALTY = 0.01

# A relation is tight where residuals are smaller than this share of the spread of the column:
# looser ones are seen by the components, and here would be noise. The quantiles and least unit
# are those of residuals, on a log scale.
_TIGHT = 0.3
_QUANTILES = 0.5, 0.95
_LEAST_UNIT = 0.7

# Large residuals of logarithms, relative to those of values, of a relation of logarithms.
_TIGHTER = 0.1

# Smallest residual, in the least difference of two values of a column and in deviations;
# differences that may be rounding, relative to the range of the values.
_ROUNDING = 0.05
_LEAST_RESIDUAL = 1e-7
_RELATIVE_ROUNDING = 1e-9

# Rounds of estimating relations, in which missing values are filled and, where rows may be
# anomalies, this share with the largest residuals is omitted; rounds of filling for new rows,
# and deviations of a value that is filled, at most.
_N_ROUNDS = 2
_OMITTED = 0.1
_N_FILLINGS = 3
_MOST_FILLED = 10.0

# Share of the values of a positive column that are not positive, at most, where rows may be
# anomalies: a wrong sign does not hide the relations of the others. The least value that has a
# logarithm, relative to the least positive one in training.
_NOT_POSITIVE = 0.01
_LEAST_POSITIVE = 1e-3

# Standard deviation of a normal distribution in medians of the absolute values; the distance
# between its quartiles in standard deviations, and the least one in those of a column: smaller
# ones may be rounding.
_MEDIANS = 1.4826
_QUARTILES = 1.349
_LEAST_SPREAD = 1e-9


class RangeDistance(NeighborDistance):
    """Distance to the nearest training rows in columns that are divided by their range."""

    least = NEAR  # in earlier files, too
    range: Array

    def fit(self, data: TrainingData) -> "RangeDistance":
        """Measure the ranges, and the distances between the reference rows."""
        size = np.ptp(data.rows.plain[data.reference_mask], axis=0)
        self.range = np.where(size > 0, size, 1.0)
        super().fit(data)
        return self

    def points(self, rows: EncodedRows) -> Array:
        """Rows in ranges of the columns, (n_samples, n_points)."""
        points: Array = rows.plain / self.range
        return points


class QuartileDistance(NeighborDistance):
    """Distance in columns that are divided by the distance between their quartiles.

    A column in which half of the rows are equal keeps its unit, and values far from the median
    count by their logarithm.
    """

    centre: Array  # median of each number, (n_numbers,)
    spread: Array  # its unit

    def fit(self, data: TrainingData) -> "QuartileDistance":
        """Find the quartiles, and the distances between the reference rows."""
        plain = data.rows.plain[data.reference_mask]
        low, self.centre, high = np.quantile(plain, [0.25, 0.5, 0.75], axis=0)
        spread = (high - low) / _QUARTILES
        self.spread = np.where(spread > _LEAST_SPREAD, spread, 1.0)
        super().fit(data)
        return self

    def points(self, rows: EncodedRows) -> Array:
        """Rows in distances between quartiles, squashed, (n_samples, n_points)."""
        return squash((rows.plain - self.centre) / self.spread)


class NormalScoreDistance(NeighborDistance):
    """Distance to the nearest training rows in normal scores of the columns [1]_.

    A value counts by its rank, as the quantile of a normal distribution: piecewise linear, and
    constant beyond the least and the greatest value. Columns have a standard deviation of one.
    Relative to the distance of the neighbours it counts by the whole quotient, not by its root.

    References
    ----------
    .. [1] B. L. van der Waerden, "Order tests for the two-sample problem and their power",
       Indagationes Mathematicae 14, 1952.
    """

    least = NEAR  # in earlier files, too
    # Values of each column, ascending, and their scores, (n_numbers, n_knots).
    knots: Array
    heights: Array

    def fit(self, data: TrainingData) -> "NormalScoreDistance":
        """Find the normal scores, and the distances between the reference rows."""
        columns = data.rows.plain[data.reference_mask].T
        pairs = [_normal_scores(column) for column in columns]
        self.knots, self.heights = (np.stack(arrays) for arrays in zip(*pairs, strict=True))
        super().fit(data)
        self.nearest.power = 1.0
        return self

    def points(self, rows: EncodedRows) -> Array:
        """Normal scores of the rows, (n_samples, n_points)."""
        return interpolated(rows.plain, self.knots, self.heights)


class ConditionalResiduals:
    """Largest residual of a column given the others, where these determine it.

    Each column is predicted from the others by ridge regression, by each fold model. A
    residual counts by its logarithm, over the median and in units of the spread of the
    logarithms of held-out rows. A column of a table has a cell for its values, whose residual
    is the norm of those of its numbers, and one for its missing indicator.
    """

    #: Whether positive columns count by their logarithms.
    in_logs = False

    #: Least unit of the logarithms, and whether only what is above one unit counts: relations
    #: that hold do not mix with the ranks by the components.
    least_unit = 0.5
    above_unit = True
    least_origin = -np.inf

    #: Power of the residuals of the columns that is their share.
    power = 2

    omitted: float  # share of the rows with the largest residuals that are not used
    layout: ColumnLayout
    # Of each number, (n_numbers,): whether its logarithm counts, and then zero in standard
    # deviations and the least value above it; mean and deviation of what counts.
    is_log: Array
    zero: Array
    least: Array
    centre: Array
    deviation: Array
    # Of each fold model: (n_models, n_numbers, n_numbers), and twice (n_models, n_numbers).
    weights: Array
    offset: Array
    residual_deviation: Array
    floor: Array  # smallest residual of each cell, (n_cells,)
    rounding: Array  # residual that may be a rounding of rows to float32, (n_numbers,)
    # Logarithms of held-out residuals of each cell, (n_cells,): the median, and their unit.
    median: Array
    unit: Array
    tight: Array  # cells that count, (n_cells,)
    # Large residuals relative to the spread of each cell, (n_cells,); None in earlier files.
    looseness: Array | None = None

    def __init__(self, omitted: float) -> None:
        self.omitted = omitted

    def fit(self, data: TrainingData) -> "ConditionalResiduals":
        """Estimate the relations by each fold model, and the residuals of held-out rows."""
        self.layout, rows, masks = data.encoding.layout, data.rows, data.folds.train_mask
        n_numbers = self.layout.n_numbers
        n_cells = self.layout.n_columns + len(self.layout.with_indicator)
        if n_numbers > _MOST_NUMBERS:
            self.tight = np.zeros(n_cells, dtype=bool)
            return self
        zero = np.full(n_numbers, np.nan) if data.encoding.zero is None else data.encoding.zero
        self._set_scale(rows, zero)
        # Relations by the rows of each fold model, where enough of them are normal.
        enough = masks & data.reference_mask
        enough = np.where(enough.sum(axis=1, keepdims=True) > 1, enough, masks)
        found = [self._relations(rows.take(mask)) for mask in enough]
        self.weights, self.offset, self.residual_deviation = map(
            np.stack, zip(*found, strict=True)
        )
        X = self.values(rows)
        self.floor = np.full(n_cells, _LEAST_RESIDUAL)
        gap = np.where(self.layout.is_flag, 1.0, [_least_difference(x) for x in X.T])
        np.maximum.at(self.floor, self.cell, _ROUNDING * gap)
        self.rounding = np.zeros(n_numbers)
        if not data.encoding.is_table:
            size = np.abs(rows.plain - zero).max(axis=0)
            size = np.where(self.is_log, 1.0, size) / self.deviation
            largest = np.max([np.abs(W).T @ size for W in self.weights], axis=0)
            self.rounding = np.finfo(np.float32).eps * largest
        log = data.folds.held_out_values(lambda j, i: self.log_residuals(rows.take(i), j))
        self.median, high = np.nanquantile(log, _QUANTILES, axis=0)
        self.unit = np.maximum(high - self.median, _LEAST_UNIT)
        spread = np.quantile(self._sizes(X - np.median(X, axis=0)), _QUANTILES[1], axis=0)
        self.looseness = np.exp(high) / np.maximum(spread, TINY)
        self.tight = np.exp(high) < _TIGHT * spread
        return self

    @property
    def applies(self) -> bool:
        """True if there are tight relations."""
        return bool(self.tight.any())

    def logs(self, rows: EncodedRows, models: Iterable[int]) -> list[Array]:
        """Largest residual of each row by each fold model, (n_models, n_samples), in units.

        Of the logarithms of tight cells, over their median.
        """
        tight = self.tight
        excesses = (
            (self.log_residuals(rows, j)[:, tight] - self.median[tight]) / self.unit[tight]
            for j in models
        )
        return [excess.max(axis=1) for excess in excesses]

    def by_column(self, rows: EncodedRows) -> Array:
        """Residuals in standard deviations, relative to the largest, (n_samples, n_columns).

        Were one value wrong and the others right, its residual would be the largest, also
        where its column is related loosely and the others tightly.
        """
        parts = np.zeros((len(rows), self.layout.n_columns))
        sizes = sum(
            np.abs(self.residuals(rows, j)) / deviation
            for j, deviation in enumerate(self.residual_deviation)
        )
        for column, size in zip(self.layout.column, sizes.T, strict=True):
            parts[:, column] = np.maximum(parts[:, column], size)
        return parts / (parts.max(axis=1, keepdims=True) + TINY)

    def expected(self, rows: EncodedRows) -> Array:
        """Expected numbers in standard deviations, given others, (n_samples, n_numbers)."""
        X, n_models = self.values(rows), len(self.weights)
        X = X - sum(self.residuals(rows, j) for j in range(n_models)) / n_models
        X = X * self.deviation + self.centre
        return np.where(self.is_log, np.exp(np.where(self.is_log, X, 0)) + self.zero, X)

    def values(self, rows: EncodedRows) -> Array:
        """Standardised numbers, or logarithms of those of positive columns, as `plain`."""
        X = rows.plain
        if self.is_log.any():
            positive = np.maximum(X - self.zero, self.least)
            X = np.where(self.is_log, np.log(positive), X)
        X = (X - self.centre) / self.deviation
        return X if rows.observed is None else X * rows.observed

    def residuals(self, rows: EncodedRows, model: int) -> Array:
        """Residual of each number given the other columns, (n_samples, n_numbers).

        Missing values are filled from the others, and have no residual. Of numbers in float32
        a residual that may be rounding does not count.
        """
        X, W, offset = self.values(rows), self.weights[model], self.offset[model]
        residuals = X @ W - offset
        observed = rows.observed
        if observed is not None and (rows.unseen is None or not observed.all()):
            for _ in range(_N_FILLINGS):
                X = _filled(X, residuals, observed)
                residuals = X @ W - offset
            residuals = residuals * observed
        if rows.unseen is None and rows.dtype == np.float32:
            residuals = np.sign(residuals) * (np.abs(residuals) - self.rounding).clip(0)
        return residuals

    def log_residuals(self, rows: EncodedRows, model: int) -> Array:
        """Logarithms of the residuals of the cells by a fold model, (n_samples, n_cells)."""
        return np.log(self._sizes(self.residuals(rows, model)) + self.floor)

    @property
    def cell(self) -> Array:
        """Cell of each number, (n_numbers,): that of its column, or one of an indicator."""
        is_indicator = self.layout.is_indicator
        after = self.layout.n_columns - 1 + np.cumsum(is_indicator)
        return np.where(is_indicator, after, self.layout.column)

    def _sizes(self, X: Array) -> Array:
        """Euclidean norms of the numbers of each cell, (n_samples, n_cells)."""
        cell, n_cells = self.cell, len(self.floor)
        if n_cells == X.shape[1] and (cell == np.arange(n_cells)).all():
            return np.abs(X)
        return np.sqrt(np.square(X) @ (cell[:, np.newaxis] == np.arange(n_cells)))

    def _set_scale(self, rows: EncodedRows, zero: Array) -> None:
        """Columns in logs, with the standard deviations of zero, (n_numbers,); mean, spread."""
        plain = rows.plain
        if rows.observed is not None:
            plain = np.where(rows.observed, plain, np.nan)
        above_zero = plain - zero
        n_known = np.maximum((~np.isnan(above_zero)).sum(axis=0), 1)
        n_wrong = (above_zero <= 0).sum(axis=0)
        is_positive = n_wrong <= (_NOT_POSITIVE * n_known if self.omitted else 0)
        least = np.fmin.reduce(np.where(above_zero > 0, above_zero, np.nan), axis=0)
        self.is_log = is_positive & ~np.isnan(least) & self.in_logs
        self.zero = np.where(self.is_log, zero, 0.0)
        self.least = np.where(self.is_log, _LEAST_POSITIVE * least, 1.0)
        self.centre, self.deviation = np.zeros(len(zero)), np.ones(len(zero))
        X = self.values(rows)
        self.centre, deviation = X.mean(axis=0), X.std(axis=0)
        self.deviation = np.where(deviation > 0, deviation, 1.0)

    def _relations(self, rows: EncodedRows) -> tuple[Array, Array, Array]:
        """Relations by the rows of a fold model: X @ W - offset are residuals; their spread.

        W, (n_numbers, n_numbers), has for each column of a table, given the others, the numbers
        of the column times the block of the inverse covariance, over its own.
        """
        X, counted = self.values(rows), np.ones(len(rows), dtype=bool)
        for _ in range(_N_ROUNDS):
            Z = X[counted]
            mean, deviation = Z.mean(axis=0), Z.std(axis=0) + TINY
            Z = (Z - mean) / deviation
            n, p = Z.shape
            penalty = max(_LEAST_PENALTY, _PENALTY * (p / n) ** 2)
            P = np.linalg.inv(Z.T @ Z / n + penalty * np.eye(p))
            variance = 1 / np.diag(P)
            W = P * variance
            starts = self.layout.starts
            for start, stop in zip(starts, [*starts[1:], p], strict=True):
                if stop - start > 1:
                    block = np.linalg.inv(P[start:stop, start:stop])
                    W[:, start:stop] = P[:, start:stop] @ block
                    variance[start:stop] = np.diag(block)
            W = W * deviation / deviation[:, np.newaxis]
            offset = mean @ W
            residuals = X @ W - offset
            if rows.observed is not None:
                X = _filled(X, residuals, rows.observed)
            if self.omitted:
                sizes = np.abs(residuals)
                sizes = sizes / (np.quantile(sizes, _QUANTILES[1], axis=0) + TINY)
                largest = sizes.max(axis=1)
                counted = largest <= np.quantile(largest, 1 - self.omitted)
        return W, offset, np.sqrt(np.maximum(variance, _LEAST_PENALTY)) * deviation


class LogConditionalResiduals(ConditionalResiduals):
    """The same for products and ratios: positive columns count by their logarithms."""

    in_logs = True


def make_views(
    params: Mapping[str, Any], is_table: bool
) -> tuple[list[Any], list[NeighborDistance]]:
    """Relations, and distances in other units, for these parameters of a detector.

    Rare values in tables, as only there is it known what a column stands for. No distances for
    tables, where anomalies are mostly single values. Where training rows may be anomalies, in
    units that these do not change: ranges and ranks would bring them nearer to the others.
    """
    omitted = 0.0 if params["novelty"] else _OMITTED
    relations: list[Any] = [ConditionalResiduals(omitted), LogConditionalResiduals(omitted)]
    if is_table:
        return [*relations, RareValues()], []
    kinds: tuple[type[NeighborDistance], ...] = RangeDistance, NormalScoreDistance
    if not params["novelty"]:
        kinds = (QuartileDistance,)
    return relations, [kind.from_params(params) for kind in kinds]


def fit_relations(
    relations: Iterable[Any], data: TrainingData
) -> tuple[list[Any], Array | None]:
    """Relations that apply to the training rows, and the typical residual of each number.

    Logarithms count only in columns that they determine far better than values do: elsewhere
    their residuals are those of a curve, extremes of a column that another one determines by
    its values. A typical residual is the standard deviation, if residuals of values are normal,
    in standard deviations of the column, (n_numbers,); NaN of flags. None without relations.
    """
    fitted = [relation.fit(data) for relation in relations]
    estimated: dict[bool, Any] = {
        each.in_logs: each
        for each in fitted
        if isinstance(each, ConditionalResiduals) and each.looseness is not None
    }
    of_values, of_logs, typical = estimated.get(False), estimated.get(True), None
    if of_values is not None:
        if of_logs is not None:
            of_logs.tight &= of_logs.looseness < _TIGHTER * of_values.looseness
        layout = of_values.layout
        typical = _MEDIANS * np.exp(of_values.median)[of_values.cell] * of_values.deviation
        typical = np.where(layout.is_flag | layout.is_indicator, np.nan, typical)
    return [relation for relation in fitted if relation.applies], typical


@overridable
def interpolated(X: Array, knots: Array, heights: Array) -> Array:
    """Values of X, (n_samples, n_columns), by lines between knots, (n_columns, n_knots)."""
    columns = zip(X.T, knots, heights, strict=True)
    return np.stack([np.interp(*each) for each in columns], axis=1)


def _normal_scores(values: Array) -> tuple[Array, Array]:
    """Quantiles of a column, (n_samples,), and their normal scores, (_N_KNOTS,) each.

    Values that are equal have the mean of their ranks.
    """
    n, ascending = len(values), np.sort(values)
    greatest = ndtri((n + 0.5) / (n + 1))
    levels = ndtr(np.linspace(-greatest, greatest, _N_KNOTS))
    knots = np.quantile(ascending, levels)
    knots[[0, -1]] = ascending[[0, -1]]
    below, up_to = (np.searchsorted(ascending, knots, side) for side in ("left", "right"))
    ranks = np.clip((below + up_to) / 2 + 0.5, 0.5, n + 0.5)
    heights = ndtri(ranks / (n + 1))
    deviation = np.interp(ascending, knots, heights).std()
    return knots, heights / (deviation if deviation > 0 else 1.0)


def _filled(X: Array, residuals: Array, observed: Array) -> Array:
    """Rows X with missing values nearer to their expectation, (n_samples, n_numbers)."""
    return np.where(observed, X, (X - residuals).clip(-_MOST_FILLED, _MOST_FILLED))


def _least_difference(values: Array) -> float:
    """Least difference of two values, (n_samples,), beyond rounding; 0 where all are equal."""
    difference = np.diff(np.unique(values))
    difference = difference[difference > _RELATIVE_ROUNDING * np.ptp(values)]
    return float(difference.min()) if len(difference) else 0.0
