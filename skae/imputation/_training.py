"""Training of a kernel regression, and of a network that corrects it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skae.corruption._draws import draw_pool
from skae.imputation._masking import hide_values
from skae.imputation._soft_knn import KernelRegression
from skae.inference._dense import DenseForward
from skae.networks._dense import DenseCoder
from skae.tables._squashing_scaler import squash, unsquash
from skae.utils._rows import Rows

Array = NDArray[Any]

# Reference rows in training, where entries of rows, columns and reference rows allow it, and
# in imputation.
_MOST_REFERENCES, _MOST_ENTRIES = 500, 2**23
_MOST_FINAL_REFERENCES = 3000

# Small tables are repeated to about this many rows.
_ROWS_AN_EPOCH = 2048

# Initial weights of the columns that are tried, times the root of the number of columns; and
# the rows that choose.
_INITIAL_WEIGHTS = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
_ROWS_TO_TRY = 300

# How much faster than the network the logarithms of the weights of columns are trained.
_RATE = 30.0


@dataclass(frozen=True)
class Layout:
    """Columns of a matrix that belong to the columns of a table.

    Parameters
    ----------
    column_of : ndarray of int of shape (n_values,)
        The column of the table that each column of the matrix belongs to.

    is_number : ndarray of bool of shape (n_values,)
        Whether it is a number, squashed beyond three deviations, and no flag.
    """

    column_of: Array
    is_number: Array

    @property
    def n_columns(self) -> int:
        """Columns of the table."""
        return int(self.column_of.max()) + 1

    def spread(self, mask: Array) -> Array:
        """Mask of the table, (n_samples, n_columns), as one of the matrix, (..., n_values)."""
        return np.asarray(mask[:, self.column_of])

    def stretched(self, X: Array) -> Array:
        """Numbers before they were squashed, of which errors are squared; (..., n_values)."""
        return np.where(self.is_number, unsquash(X), X)

    def squashed(self, X: Array) -> Array:
        """Invert `stretched`, shape (n_samples, n_values)."""
        return np.where(self.is_number, squash(X), X)


@dataclass(frozen=True)
class ImputationTraining:
    """Parameters of training, as in :class:`AEImputer`."""

    hidden: tuple[int, ...]
    activation: str
    n_steps: int
    batch_size: int
    learning_rate: float


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


class FoldModel:
    """Kernel regression and corrector, trained together on all folds but one.

    `neighbors` gives means of values squashed and not squashed, side by side, and the output
    of `corrector` is added to them. `stacking_weights` : (n_predictions, n_values), set on
    the fold that was left out.
    """

    neighbors: KernelRegression
    corrector: DenseForward

    stacking_weights: Array

    def __init__(self, neighbors: KernelRegression, corrector: DenseForward) -> None:
        self.neighbors = neighbors
        self.corrector = corrector


def train_fold_model(
    layout: Layout,
    rows: TrainingRows,
    train_mask: Array,
    initial_weight: Array,
    config: ImputationTraining,
    rng: np.random.RandomState,
    monitor: Any,
) -> tuple[FoldModel, Array, list[float]]:
    """Train a kernel regression and its corrector on the rows of `train_mask`, (n_samples,).

    Any row may be a reference row. `initial_weight` : (n_columns, n_values), weights of the
    columns in distances. Returns the model without stacking weights, the reference row that
    each row is itself, (n_samples,), or -1, and the loss of each epoch.
    """
    from skae.training._train import train_for

    n, p = rows.X.shape
    most = _MOST_ENTRIES // (layout.n_columns * config.batch_size)
    reference = rng.permutation(n)[: int(np.clip(most, 64, _MOST_REFERENCES))]
    settings = _settings(layout, rows, reference, config, rng)
    coder = DenseCoder(3 * p, p, config.hidden, config.activation, "linear", linear_path=False)
    shapes = {name: np.shape(value) for name, value in settings.items()}

    def build() -> Any:
        from skae.imputation._objective import ImputationObjective

        return ImputationObjective(coder.build("corrector"), layout.n_columns, p, shapes)

    weights = coder.random_weights(rng)
    coder.named(weights).output.kernel[:] = 0
    done = train_for(
        config.n_steps,
        config.learning_rate,
        _inputs_and_targets(rows, np.flatnonzero(train_mask), _self_index(reference, n)),
        build=build,
        key=("imputation", coder, *shapes.values()),
        weights=[np.log(initial_weight) / _RATE, *weights],
        settings=list(settings.values()),
        batch_size=config.batch_size,
        rng=rng,
        monitor=monitor,
    )
    reference = rng.permutation(n)[:_MOST_FINAL_REFERENCES]  # more than training can afford
    neighbors = _neighbors(layout, rows, reference, np.exp(_RATE * done.weights[0]))
    model = FoldModel(neighbors, DenseForward(coder, done.weights[1:]))
    return model, _self_index(reference, n), done.loss_curve


def _self_index(reference: Array, n: int) -> Array:
    """Position of each of n rows among the reference rows, (n_reference,); -1: none."""
    index = np.full(n, -1)
    index[reference] = np.arange(len(reference))
    return index


def _settings(
    layout: Layout,
    rows: TrainingRows,
    reference: Array,
    config: ImputationTraining,
    rng: np.random.RandomState,
) -> dict[str, Array]:
    """Settings of the objective; reference : (n_reference,) positions of rows."""
    settings: dict[str, Any] = {
        "rate": _RATE,
        "uniform_pool": draw_pool("uniform", rng, (config.batch_size, layout.n_columns)),
        "table": layout.column_of == np.arange(layout.n_columns)[:, np.newaxis],
        "reference": rows.filled[reference],
        "targets": rows.X[reference],
        "masked": ~rows.observed[reference].T,
    }
    return {name: np.asarray(value, np.float32) for name, value in settings.items()}


def _inputs_and_targets(rows: TrainingRows, index: Array, self_index: Array) -> Rows:
    """Training rows of the objective; index : (n_train,), self_index : (n_samples,)."""
    index = np.tile(index, max(-(-_ROWS_AN_EPOCH // len(index)), 1))
    inputs = np.hstack(
        [rows.scores[index], rows.observed[index], self_index[index, np.newaxis]]
    )
    return Rows(inputs.astype(np.float32), rows.X[index].astype(np.float32))


def _neighbors(
    layout: Layout, rows: TrainingRows, reference: Array, weight: Array
) -> KernelRegression:
    """Kernel regression on (n_reference,) rows by weights (n_columns, n_values)."""
    return KernelRegression(
        weight,
        np.tile(layout.column_of, 2),
        rows.filled[reference],
        np.hstack([rows.X[reference], rows.stretched[reference]]),
        rows.observed[reference],
    )


def initial_weight(layout: Layout, rows: TrainingRows, rng: np.random.RandomState) -> Array:
    """The best of a few weights for each column, shape (n_columns, n_values).

    In the distances of a column of the table all columns have the same weight.
    """
    c, (n, p) = layout.n_columns, rows.X.shape
    order = rng.permutation(n)
    index, reference = order[:_ROWS_TO_TRY], order[: 2 * _ROWS_TO_TRY]
    visible = hide_values(rows.observed, rng)[index]
    target_mask = rows.observed[index] & ~visible
    self_index = _self_index(reference, n)[index]
    errors: list[Array] = []
    tried = np.array(_INITIAL_WEIGHTS) / np.sqrt(p)
    for weight in tried:
        neighbors = _neighbors(layout, rows, reference, np.full((c, p), weight))
        means = neighbors(rows.scores[index], layout.spread(visible), target_mask, self_index)
        squares = np.square(means[:, :p] - rows.X[index]) * layout.spread(target_mask)
        errors.append(np.bincount(layout.column_of, squares.sum(axis=0), c))
    best = tried[np.argmin(errors, axis=0)]
    return np.repeat(best[:, np.newaxis], p, axis=1)
