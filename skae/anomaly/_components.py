"""Components of the anomaly score: what is wrong with a row, seen in one way.

A component is fitted to the training rows and returns the score of a row by each fold model,
and the shares of the columns in it. `COMPONENTS` lists those of the detector: a new one is a
class here and an entry there. `scores` computes ONNX tensors as it does arrays, as long as it
uses functions that ``persistence/onnx/_tensors.py`` supports, and asks for no value.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skae.anomaly._calibration import lower_quantile
from skae.anomaly._encoding import EncodedRows, NumberEncoding, TableEncoding
from skae.anomaly._folds import Folds, trim_mask
from skae.anomaly._neighbors import NearestRows
from skae.anomaly._training import DenoiserTraining, is_wide
from skae.inference._dense import DenseForward
from skae.networks._base import ACTIVATIONS
from skae.tables._layout import ColumnLayout
from skae.utils._arrays import whole_numbers
from skae.utils._rows import Rows, filled

Array = NDArray[Any]

# Share of the highest noise level at which rows are scored, and number of pairs of opposite
# noise. Higher levels cost as much and separate no better.
_LEVEL = 0.25
_N_PAIRS = 1

# Rows over which a mean error is taken, at most; entries of numeric rows, if these are rows
# enough.
MOST_ROWS = 2000
_MOST_ENTRIES, _FEWEST_ROWS = 2**20, 400

# Least error of a column, relative to the mean of all, that is a unit: a column that follows
# from the others makes a row anomalous, and does not drown the others.
_LEAST_UNIT = 0.02

# Quantile of the errors of a column of a table in which its error is compared with those of the
# others, and the least, in mean errors: an unpredictable column with large errors now and then
# does not drown the others. Chosen with benchmarks/entry_errors.py, on half of its tables.
_HIGH = 0.99
_LEAST_HIGH = 1e-3

# Number of neighbours, and of the reference rows drawn at random, by `novelty`. Where anomalies
# may be among the rows, few neighbours among many rows would often be anomalies themselves.
_NEIGHBORS = {True: (3, 5000), False: (20, 500)}

# Rows that are not neighbours, relative to the share that is not trained on.
_CONTAMINATION_TRIM = 2.0

# Added to numbers that may be zero before a logarithm or a quotient; the product of two of
# these is far below any real score.
TINY = 1e-9

# Added to distances, in their mean: where many rows equal others, the logarithm of a distance
# of zero would set the unit of the score. Chosen with benchmarks/anomaly.py.
NEAR = 0.01


@dataclass(frozen=True)
class TrainingData:
    """Data to which components are fitted."""

    rows: EncodedRows  # all training rows
    weight: Array | None  # of the rows, (n_samples,)
    encoding: NumberEncoding | TableEncoding
    folds: Folds
    reference_mask: Array  # rows that are normal by the components before, (n_samples,)
    rng: np.random.RandomState
    monitor: Any  # called after each epoch


class Component(ABC):
    """One component of the score."""

    #: Mean training loss of each epoch, by fold model.
    loss_curves: Sequence[Sequence[float]] = ()

    #: Numbers held for each row while rows are scored.
    row_entries = 0

    #: Added to the scores before their logarithm is taken.
    least: float = TINY

    @classmethod
    @abstractmethod
    def from_params(cls, params: Mapping[str, Any]) -> "Component":
        """Component for these parameters of the detector."""

    @abstractmethod
    def fit(self, data: TrainingData) -> "Component":
        """Fit to the training rows."""

    @abstractmethod
    def scores(self, rows: EncodedRows, models: Iterable[int]) -> Iterable[Array]:
        """Score of each row by each of these fold models, (n_models, n_samples)."""

    @abstractmethod
    def shares(self, rows: EncodedRows) -> Iterable[Array]:
        """Shares of the columns in the score, as terms of shape (n_samples, n_columns).

        The sum of all terms over the columns is one for each row.
        """

    def trim(self, data: TrainingData) -> Array:
        """Mask of the rows that the components after this one may take to be normal."""
        return data.reference_mask


class DenoisingError(Component):
    """Squared error of denoisers that take the noise level as an input.

    The same noise is added to every row, in pairs of opposite sign, so that the error of a row
    depends on nothing but the row. Of numbers the unit of an error is the mean over the
    training rows of a fold model; of a table it is one for each column, the mean over rows held
    out, so that neither columns of many categories nor unpredictable ones drown the others.
    Denoisers of tables are trained with blank columns. In tables, where one wrong value of many
    columns is common, the largest error of a column counts as much as the mean of all
    components, relative to a high quantile of the errors of that column.
    """

    training: DenoiserTraining
    # Share of the rows that are not neighbours, those with the largest errors; None: all are.
    contamination_trim: float | None
    layout: ColumnLayout
    has_blanks: bool
    denoisers: list[DenseForward]
    noise: Array  # (n_pairs, n_numbers)
    level: float
    unit: Array  # (n_models, 1) or, of a table, (n_models, n_columns)
    high: Array | None = None  # quantile of the errors of each column of a table, (n_columns,)

    def __init__(self, training: DenoiserTraining, contamination_trim: float | None) -> None:
        self.training = training
        self.contamination_trim = contamination_trim

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> "DenoisingError":
        """Component for these parameters of the detector."""
        training = DenoiserTraining(
            whole_numbers("hidden_layer_sizes", params["hidden_layer_sizes"], 0),
            noise_level=float(params["noise_level"]),
            n_steps=int(params["n_steps"]),
            batch_size=int(params["batch_size"]),
            learning_rate=float(params["learning_rate"]),
            in_order=bool(params["verbose"]),
        )
        trim = min(_CONTAMINATION_TRIM * float(params["trim_fraction"]), 0.5)
        return cls(training, None if params["novelty"] else trim)

    def fit(self, data: TrainingData) -> "DenoisingError":
        """Train a denoiser for each fold, and measure the units of its errors."""
        rows = data.rows
        self.layout = data.encoding.layout
        self.has_blanks = data.encoding.is_table
        parts = [data.rng.permutation(np.flatnonzero(mask)) for mask in data.folds.train_mask]
        targets = rows.observed
        if targets is not None:
            targets = targets.astype(np.float64) if self.has_blanks else rows.points
        columns = self.layout.membership if self.has_blanks else None
        denoised = Rows(rows.values, targets, data.weight)
        self.denoisers, self.loss_curves = self.training.train(
            denoised, parts, data.rng, data.monitor, columns
        )
        self.noise = data.rng.standard_normal((_N_PAIRS, rows.values.shape[1]))
        self.level = _LEVEL * self.training.noise_level
        self.set_units(data, parts)
        return self

    def set_units(self, data: TrainingData, parts: Sequence[Array]) -> None:
        """Set the unit of the errors, with the positions of the training rows of each fold."""
        self.unit = np.ones((len(self.denoisers), 1))
        if not self.has_blanks:
            # Of many columns fewer rows have as many errors.
            most = min(MOST_ROWS, max(_MOST_ENTRIES // self.layout.n_numbers, _FEWEST_ROWS))
            means = []
            for model, part in enumerate(parts):
                rows = data.rows.take(part[:most])
                total = next(self.totals(rows, [model])).sum()
                means.append(total / max(rows.n_counted.sum(), 1) or 1.0)
            self.unit = np.array(means)[:, np.newaxis]
            return
        errors = data.folds.held_out_values(
            lambda j, i: next(self.errors(data.rows.take(i), [j]))
        )
        unit = column_units(errors, data.reference_mask, data.weight)
        self.unit = np.tile(unit, (len(self.denoisers), 1))
        held_out = ~np.isnan(errors).any(axis=1)
        weight = None if data.weight is None else data.weight[held_out]
        high = [
            lower_quantile(error, _HIGH, weight) for error in errors[held_out].T / unit[:, None]
        ]
        self.high = np.maximum(high, _LEAST_HIGH)

    def scores(self, rows: EncodedRows, models: Iterable[int]) -> list[Array]:
        """Mean error of the columns of each row by each fold model, (n_models, n_samples).

        Of a table times the square of the largest relative error, which is then a factor of the
        geometric mean of the components.
        """
        n_counted, missing = np.maximum(rows.n_counted, 1), rows.missing.sum(axis=1)
        if self.high is None:
            return [total / n_counted + missing for total in self.totals(rows, models)]
        scores = []
        for errors in self.errors(rows, models):
            score = errors.sum(axis=1) / n_counted + missing
            largest = (errors / self.high).max(axis=1)
            scores.append((score + TINY) * np.square(largest + TINY))
        return scores

    def shares(self, rows: EncodedRows) -> Iterator[Array]:
        """Shares of the columns in the logarithms of the errors, a term for each fold model.

        Of a table the mean of shares in the errors and in the relative errors.
        """
        missing = rows.missing * rows.n_counted[:, np.newaxis]
        for errors in self.errors(rows):
            errors = errors + missing + TINY
            shares = errors / errors.sum(axis=1, keepdims=True)
            if self.high is not None:
                relative = errors / self.high
                shares = (shares + relative / relative.sum(axis=1, keepdims=True)) / 2
            yield shares / len(self.denoisers)

    def trim(self, data: TrainingData) -> Array:
        """Mask of the rows without those that have the largest errors when held out."""
        if not self.contamination_trim:
            return data.reference_mask
        errors = data.folds.held_out_values(
            lambda j, i: next(self.totals(data.rows.take(i), [j]))
        )
        errors = errors / np.maximum(data.rows.n_counted, 1)
        fewer = trim_mask(errors, data.rows.points, self.contamination_trim)
        fewer &= data.reference_mask
        is_enough = (data.folds.train_mask & fewer).sum(axis=1).min() > 1
        return fewer if is_enough else data.reference_mask

    def totals(self, rows: EncodedRows, models: Iterable[int]) -> Iterator[Array]:
        """Sum of the errors of the columns by each of these fold models, (n_samples,).

        In rows of many columns the restored values are not computed: the square of the distance
        to a point in the span of the last hidden units takes two products of the rows.
        """
        hidden, n_numbers = self.training.hidden, rows.values.shape[1]
        if self.has_blanks or rows.observed is not None or not is_wide(n_numbers, hidden):
            yield from (errors.sum(axis=1) for errors in self.errors(rows, models))
            return
        X, dtype = rows.values.astype(rows.dtype, copy=False), rows.dtype
        noise = np.vstack([sign * self.level * self.noise for sign in (1, -1)]).astype(dtype)
        for model in models:
            denoiser = self.denoisers[model]
            _, (first, *_, last) = denoiser.prepared(dtype)
            coder = replace(denoiser.coder, n_inputs=hidden[0], hidden=hidden[1:])
            after_first = DenseForward(coder, denoiser.weights[2:])
            kernel, of_level = first.kernel[:, :-1].T, self.level * first.kernel[:, -1]
            residual = X - last.bias[:, 0]
            along = (residual @ last.kernel).astype(np.float64)
            inputs, squares = X @ kernel, np.square(residual).sum(axis=1, dtype=np.float64)
            total = np.zeros(len(X))
            for shift in noise @ kernel + of_level.astype(dtype) + first.bias[:, 0]:
                units = ACTIVATIONS[coder.activation](inputs + shift)
                units = after_first(units, last_layer=False).astype(np.float64)
                total += squares + ((units @ denoiser.gram - 2 * along) * units).sum(axis=1)
            total = total.clip(0) / len(noise)
            yield total / self.unit[model]

    def errors(
        self, rows: EncodedRows, models: Iterable[int] | None = None, blank: Array | None = None
    ) -> Iterator[Array]:
        """Error of each column in its unit, by each fold model: float64 (n_samples, n_columns).

        By all fold models if `models` is None. Denoisers do not see values of a table in the
        mask `blank`, (n_samples, n_columns).
        """
        models = range(len(self.denoisers)) if models is None else list(models)
        outputs = self.outputs(rows, models, self.level, blank)
        for model, restored in zip(models, outputs, strict=True):
            squares = np.square(restored - rows.values)
            values = sum(squares) / rows.values.dtype.type(squares.shape[0])
            if rows.observed is not None:
                values = values * rows.observed
            errors = self.layout.sum_by_column(values)
            if rows.unseen is not None:
                errors = errors + np.square(rows.unseen)
            errors = errors / self.unit[model].astype(errors.dtype)
            yield errors.astype(np.float64, copy=False)

    def restored(self, rows: EncodedRows, level: float, blank: Array | None = None) -> Array:
        """Mean output of the fold models, (n_samples, n_numbers), at a level of the noise.

        Without the values in the mask `blank`, (n_samples, n_columns).
        """
        models = range(len(self.denoisers))
        outputs = self.outputs(rows, models, level, blank)
        return np.asarray(sum(sum(each) / len(each) for each in outputs) / len(models))

    def outputs(
        self, rows: EncodedRows, models: Iterable[int], level: float, blank: Array | None
    ) -> Iterator[Array]:
        """Outputs of these fold models in draws of noise, (n_draws, n_samples, n_numbers)."""
        n_numbers, dtype = rows.values.shape[1], rows.values.dtype
        noise = np.zeros((1, 1, n_numbers), dtype)
        if level:
            size = dtype.type(level) * self.noise.astype(dtype)
            noise = np.stack([size, -size], axis=1).reshape(-1, 1, n_numbers)
        values = (rows.values + noise).astype(rows.dtype, copy=False)
        # A row with noise, flags of the blank columns of a table, and the level.
        parts = [values, np.full_like(values[:, :, :1], level)]
        if self.has_blanks:
            values *= rows.observed
            flags = np.zeros((len(noise), len(rows), self.layout.n_columns), rows.dtype)
            if blank is not None:
                values *= ~blank[:, self.layout.column]
                flags[:] = blank
            parts.insert(1, flags)
        inputs = np.concatenate(parts, axis=2)
        inputs = inputs.reshape(-1, inputs.shape[2])
        for model in models:
            outputs = self.denoisers[model](inputs).reshape(len(noise), -1, n_numbers)
            yield outputs.astype(dtype, copy=False)


class NeighborDistance(Component):
    """Squared distance to the nearest of the training rows, in units of its mean over these."""

    n_neighbors: int
    n_reference: int  # rows among which neighbours are searched, at most
    relative: bool  # to the distance of the neighbours, see :class:`NearestRows`
    layout: ColumnLayout
    nearest: NearestRows
    least: float = TINY  # in earlier files

    def __init__(self, n_neighbors: int, n_reference: int, relative: bool) -> None:
        self.n_neighbors = n_neighbors
        self.n_reference = n_reference
        self.relative = relative

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> "NeighborDistance":
        """Component for these parameters of the detector."""
        novelty = bool(params["novelty"])
        few, n_reference = _NEIGHBORS[novelty]
        n_neighbors = few if params["n_neighbors"] == "auto" else int(params["n_neighbors"])
        return cls(n_neighbors, n_reference, relative=novelty)

    def fit(self, data: TrainingData) -> "NeighborDistance":
        """Draw the reference rows and measure the distances between them."""
        self.layout = data.encoding.layout
        if self.relative and not data.encoding.is_table:
            self.least = NEAR
        at = data.rng.permutation(np.flatnonzero(data.reference_mask))[: self.n_reference]
        points, masks = self.points(data.rows.take(at)), data.folds.train_mask[:, at]
        self.nearest = NearestRows(points, masks, self.n_neighbors, self.relative)
        return self

    def points(self, rows: EncodedRows) -> Array:
        """Rows between which distances are measured, (n_samples, n_points)."""
        return filled(rows.points)

    @property
    def row_entries(self) -> int:  # type: ignore[override]
        """Number of reference rows that are candidates for a row."""
        most = self.nearest.n_neighbors + 1
        return sum(min(most, len(at)) for at, _ in self.nearest.blocks)

    def scores(self, rows: EncodedRows, models: Iterable[int]) -> list[Array]:
        """Distance of each row by each fold model, (n_models, n_samples)."""
        missing = rows.missing.sum(axis=1)
        return [score + missing for score in self.nearest.scores(self.points(rows), models)]

    def shares(self, rows: EncodedRows) -> Iterator[Array]:
        """Shares of the columns in the squared distance, a mean over fold models."""
        points, missing = self.points(rows), rows.missing
        # Points of a table are its numbers, and deviations of unseen values of each column.
        numbers, unseen = np.split(self.nearest.shares(points), [self.layout.n_numbers], axis=1)
        shares = self.layout.sum_by_column(numbers)
        if unseen.shape[1]:
            shares = shares + unseen
        if missing.any():
            models = range(len(self.nearest.unit))
            distance = np.mean(self.nearest.scores(points, models), axis=0)[:, np.newaxis]
            total = distance + missing.sum(axis=1, keepdims=True)
            shares = (distance * shares + missing) / total
        yield shares

    def remaining(self, rows: EncodedRows, blank: Array, n_reference: int) -> Array:
        """Squared distance in columns that are not blank, in mean distances, (n_samples,).

        Rows are those of a table, `blank` is a mask of shape (n_samples, n_columns), and
        distances are taken to so many reference rows at most.
        """
        X, reference = rows.points, self.nearest.rows[:n_reference]
        counts = np.hstack([~blank[:, self.layout.column], ~blank]).astype(np.float64)
        square = (counts * np.square(X)).sum(axis=1, keepdims=True)
        square = square - 2 * (counts * X) @ reference.T + counts @ np.square(reference).T
        k = min(self.nearest.n_neighbors, len(reference))
        distance = np.partition(square, k - 1, axis=1)[:, :k].mean(axis=1).clip(0)
        unit = self.nearest.unit.mean() * X.shape[1] / self.layout.n_columns
        return np.asarray(distance / (unit or 1.0))


#: Components of the score, in the order in which they are fitted.
COMPONENTS: tuple[type[Component], ...] = (DenoisingError, NeighborDistance)


def column_units(errors: Array, mask: Array, weight: Array | None) -> Array:
    """Mean error of each column, (n_columns,), over held-out rows, none far below their mean.

    Of errors (n_samples, n_columns), NaN where a row was never held out, in the rows of the
    reference, a mask (n_samples,), with weights (n_samples,). Where none of these was held out,
    all rows count.
    """
    held_out = ~np.isnan(errors).any(axis=1)
    counted = mask & held_out if (mask & held_out).any() else held_out
    at = np.flatnonzero(counted)[:MOST_ROWS]
    unit = np.average(errors[at], axis=0, weights=None if weight is None else weight[at])
    return np.asarray(np.maximum(unit, _LEAST_UNIT * unit.mean()) + TINY)
