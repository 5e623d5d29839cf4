"""Components of the anomaly score: what is wrong with a row, seen in one way.

A component is fitted to the training rows and returns the score of a row by each fold model,
and the shares of the columns in it. `COMPONENTS` lists those of the detector: a new one is a
class here and an entry there; one that ONNX is to support has a function in
``persistence/_onnx_detector.py`` too.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skae.anomaly._calibration import lower_quantile
from skae.anomaly._encoding import EncodedRows, NumberEncoding, TableEncoding
from skae.anomaly._folds import Folds, trim_mask
from skae.anomaly._neighbors import NearestRows
from skae.anomaly._training import DenoiserTraining
from skae.inference._dense import DenseForward
from skae.tables._layout import ColumnLayout
from skae.utils._rows import Rows, filled

Array = NDArray[Any]

# Share of the highest noise level at which rows are scored, and number of pairs of opposite
# noise. Higher levels cost as much and separate no better.
_LEVEL = 0.25
_N_PAIRS = 1

# Rows over which a mean error is taken, at most.
MOST_ROWS = 2000

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


@dataclass(frozen=True)
class TrainingData:
    """Data to which components are fitted.

    Attributes
    ----------
    rows : EncodedRows
        All training rows.

    weight : ndarray of shape (n_samples,) or None
        Weights of the rows.

    encoding : NumberEncoding or TableEncoding
        Encoding of the rows.

    folds : Folds
        Rows that each fold model is trained on, and rows held out.

    reference_mask : ndarray of bool of shape (n_samples,)
        Rows that are normal by the components before.

    rng : RandomState
        The only source of randomness.

    monitor : Monitor
        Called after each epoch.
    """

    rows: EncodedRows
    weight: Array | None
    encoding: NumberEncoding | TableEncoding
    folds: Folds
    reference_mask: Array
    rng: np.random.RandomState
    monitor: Any


class Component(ABC):
    """One component of the score."""

    #: Mean training loss of each epoch, by fold model.
    loss_curves: Sequence[Sequence[float]] = ()

    #: Numbers held for each row while rows are scored.
    row_entries = 0

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

    Parameters
    ----------
    training : DenoiserTraining
        Settings of the training.

    contamination_trim : float or None
        Share of the rows that are not neighbours, those with the largest errors; None: all rows
        are normal.
    """

    training: DenoiserTraining
    contamination_trim: float | None
    layout: ColumnLayout
    has_blanks: bool
    denoisers: list[DenseForward]
    noise: Array
    level: float
    unit: Array
    # High quantile of the errors of each column of a table, (n_columns,), or None.
    high: Array | None = None

    def __init__(self, training: DenoiserTraining, contamination_trim: float | None) -> None:
        self.training = training
        self.contamination_trim = contamination_trim

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> "DenoisingError":
        """Component for these parameters of the detector."""
        trim = min(_CONTAMINATION_TRIM * float(params["trim_fraction"]), 0.5)
        training = DenoiserTraining.from_params(params)
        return cls(training, None if params["novelty"] else trim)

    def fit(self, data: TrainingData) -> "DenoisingError":
        """Train a denoiser for each fold, and measure the units of its errors."""
        rows, masks = data.rows, data.folds.train_mask
        self.layout = data.encoding.layout
        self.has_blanks = data.encoding.is_table
        parts = [data.rng.permutation(np.flatnonzero(mask)) for mask in masks]
        targets = rows.observed
        if targets is not None:
            targets = targets.astype(np.float64) if self.has_blanks else rows.points
        self.denoisers, self.loss_curves = self.training.train(
            Rows(rows.values, targets, data.weight),
            parts,
            data.rng,
            data.monitor,
            self.layout.membership if self.has_blanks else None,
        )
        self.noise = data.rng.standard_normal((_N_PAIRS, rows.values.shape[1]))
        self.level = _LEVEL * self.training.noise_level
        self.set_units(data, parts)
        return self

    def set_units(self, data: TrainingData, parts: Sequence[Array]) -> None:
        """Set the unit of the errors, with the positions of the training rows of each fold."""
        self.unit = np.ones((len(self.denoisers), 1))
        if not self.has_blanks:
            some = (data.rows.take(part[:MOST_ROWS]) for part in parts)
            means = [self._mean_of_values(j, rows) for j, rows in enumerate(some)]
            self.unit = np.array(means)[:, np.newaxis]
            return
        errors = data.folds.held_out_values(
            lambda j, i: next(self.errors(data.rows.take(i), [j]))
        )
        unit = floored(held_out_mean(errors, data.reference_mask, data.weight))
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
        missing, scores = rows.missing.sum(axis=1), []
        for errors in self.errors(rows, models):
            score = _mean(errors, rows) + missing
            if self.high is not None:
                largest = (errors / self.high).max(axis=1)
                score = (score + TINY) * np.square(largest + TINY)
            scores.append(score)
        return scores

    def shares(self, rows: EncodedRows) -> Iterator[Array]:
        """Shares of the columns in the logarithms of the errors, a term for each fold model.

        Of a table the mean of shares in the errors and in the relative errors.
        """
        missing = rows.missing * np.reshape(rows.n_counted, (-1, 1))
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
        rows, folds = data.rows, data.folds

        def mean_error(model: int, index: Array) -> Array:
            some = rows.take(index)
            return _mean(next(self.errors(some, [model])), some)

        errors = folds.held_out_values(mean_error)
        fewer = trim_mask(errors, rows.points, self.contamination_trim) & data.reference_mask
        is_enough = (folds.train_mask & fewer).sum(axis=1).min() > 1
        return fewer if is_enough else data.reference_mask

    def errors(
        self,
        rows: EncodedRows,
        models: Iterable[int] | None = None,
        blank: Array | None = None,
    ) -> Iterator[Array]:
        """Error of each column in its unit, by each fold model: float64 (n_samples, n_columns).

        By all fold models if `models` is None. Denoisers do not see values of a table in the
        mask `blank`, (n_samples, n_columns).
        """
        inputs = self.corrupted(rows, self.level, blank)
        for j in range(len(self.denoisers)) if models is None else models:
            squares = np.square(self._outputs(j, inputs, rows) - rows.values)
            values = sum(squares) / rows.values.dtype.type(len(squares))
            if rows.observed is not None:
                values = values * rows.observed
            errors = self.layout.sum_by_column(values)
            if rows.unseen is not None:
                errors = errors + np.square(rows.unseen)
            errors = errors / self.unit[j].astype(errors.dtype)
            yield errors.astype(np.float64, copy=False)

    def restored(self, rows: EncodedRows, inputs: Array) -> Array:
        """Mean output of the fold models over draws of noise, (n_samples, n_numbers)."""
        outputs = (self._outputs(j, inputs, rows) for j in range(len(self.denoisers)))
        return np.asarray(sum(sum(each) / len(each) for each in outputs) / len(self.denoisers))

    def corrupted(self, rows: EncodedRows, level: float, blank: Array | None = None) -> Array:
        """Inputs of the denoisers, (2 * n_draws * n_samples, n_inputs), in noise of a level."""
        size = rows.values.dtype.type(level) * self.noise.astype(rows.values.dtype)
        noise = np.stack([size, -size], axis=1).reshape(-1, 1, rows.values.shape[1])
        return self._inputs(rows, noise, level, blank)

    def clean(self, rows: EncodedRows, blank: Array) -> Array:
        """Inputs of the denoisers without noise, of shape (n_samples, n_inputs)."""
        return self._inputs(rows, np.zeros((1, 1, rows.values.shape[1])), 0.0, blank)

    def _inputs(
        self, rows: EncodedRows, noise: Array, level: float, blank: Array | None
    ) -> Array:
        """Values with noise (n_draws, 1, n_numbers), flags of blank columns, and the level."""
        n_numbers = rows.values.shape[1]
        width = n_numbers + self.layout.n_columns * self.has_blanks + 1
        inputs = np.empty((len(noise), len(rows), width), rows.dtype)
        values, flags = inputs[..., :n_numbers], inputs[..., n_numbers:-1]
        np.add(rows.values, noise, out=values, casting="same_kind")
        inputs[..., -1] = level
        if self.has_blanks:
            values *= rows.observed
            flags[:] = 0 if blank is None else blank
            if blank is not None:
                values *= ~blank[:, self.layout.column]
        return inputs.reshape(-1, width)

    def _outputs(self, model: int, inputs: Array, rows: EncodedRows) -> Array:
        """Outputs of a fold model, of shape (n_draws, n_samples, n_numbers)."""
        outputs = self.denoisers[model](inputs).reshape(-1, *rows.values.shape)
        return outputs.astype(rows.values.dtype, copy=False)

    def _mean_of_values(self, model: int, rows: EncodedRows) -> float:
        """Mean error of all observed values of these rows; one if it is zero."""
        errors = next(self.errors(rows, [model]))
        n_values = np.broadcast_to(rows.n_counted, len(rows)).sum()
        return float(errors.sum() / max(n_values, 1)) or 1.0


class NeighborDistance(Component):
    """Squared distance to the nearest of the training rows, in units of its mean over these.

    Parameters
    ----------
    n_neighbors : int
        Number of the nearest rows.

    n_reference : int
        Number of rows among which they are searched, at most.

    relative : bool
        If True, the distance is relative to that of the neighbours, see :class:`NearestRows`.
    """

    n_neighbors: int
    n_reference: int
    relative: bool
    layout: ColumnLayout
    nearest: NearestRows

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
        return self.nearest.n_candidates

    def scores(self, rows: EncodedRows, models: Iterable[int]) -> list[Array]:
        """Distance of each row by each fold model, (n_models, n_samples)."""
        missing = rows.missing.sum(axis=1)
        distances = self.nearest.scores(self.points(rows), list(models))
        return [distance + missing for distance in distances]

    def shares(self, rows: EncodedRows) -> Iterator[Array]:
        """Shares of the columns in the squared distance, a mean over fold models."""
        points, missing = self.points(rows), rows.missing
        shares = self._sum_by_column(self.nearest.shares(points))
        if missing.any():
            models = range(len(self.nearest.unit))
            distance = self.nearest.scores(points, models).mean(axis=0)[:, np.newaxis]
            shares = (distance * shares + missing) / (
                distance + missing.sum(axis=1, keepdims=True)
            )
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

    def _sum_by_column(self, values: Array) -> Array:
        """Sums over points, (n_samples, n_points), that stand for a column of a table."""
        numbers, unseen = np.split(values, [self.layout.n_numbers], axis=1)
        sums = self.layout.sum_by_column(numbers)
        return sums + unseen if unseen.shape[1] else sums


#: Components of the score, in the order in which they are fitted.
COMPONENTS: tuple[type[Component], ...] = (DenoisingError, NeighborDistance)


def make_components(params: Mapping[str, Any]) -> list[Component]:
    """Components that are not fitted, for these parameters of a detector."""
    return [component.from_params(params) for component in COMPONENTS]


def held_out_mean(errors: Array, mask: Array, weight: Array | None) -> Array:
    """Mean error of each column, (n_columns,), over held-out rows of the reference.

    Of errors (n_samples, n_columns), NaN where a row was never held out, with weights
    (n_samples,). Where no row of the mask (n_samples,) was held out, all rows count.
    """
    held_out = ~np.isnan(errors).any(axis=1)
    counted = mask & held_out if (mask & held_out).any() else held_out
    at = np.flatnonzero(counted)[:MOST_ROWS]
    return np.average(errors[at], axis=0, weights=None if weight is None else weight[at])


def floored(unit: Array) -> Array:
    """Units of columns, (n_columns,), none of them far below their mean."""
    return np.asarray(np.maximum(unit, _LEAST_UNIT * unit.mean()) + TINY)


def _mean(errors: Array, rows: EncodedRows) -> Array:
    """Mean of errors (n_samples, n_columns) over the columns that count, (n_samples,)."""
    return np.asarray(errors.sum(axis=1) / np.maximum(rows.n_counted, 1))
