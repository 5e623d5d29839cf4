"""Trains what puts missing cells back: nearness, and a network that corrects."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skae.corruption._draws import draw_pool
from skae.imputation._soft_knn import KernelRegression
from skae.inference._dense import DenseForward
from skae.networks._dense import DenseCoder
from skae.tables import squashed, stretched
from skae.utils._rows import Rows

Array = NDArray[Any]

# Rows that are read for nearness in training, where entries of rows, columns and read rows
# allow it, and in imputation.
_MOST_REFERENCES, _MOST_ENTRIES = 500, 2**23
_MOST_READ = 3000

# Small tables are repeated to about this many rows.
_ROWS_AN_EPOCH = 2048

# Widths of the first kernels that are tried: weight of a column, times the root of the
# number of columns.
_FIRST_WEIGHTS = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
_ROWS_TO_TRY = 300

# How much faster than a network's the logarithms of the weights of columns are learnt.
_RATE = 30.0


@dataclass(frozen=True)
class Layout:
    """Which columns of a matrix stand for a column of a table.

    Parameters
    ----------
    column_of : ndarray of int of shape (n_values,)
        The column of the table that each column of the matrix stands for.

    is_number : ndarray of bool of shape (n_values,)
        Whether it is a number, drawn in beyond three deviations, and no flag.
    """

    column_of: Array
    is_number: Array

    @property
    def n_columns(self) -> int:
        """Columns of the table."""
        return int(self.column_of.max()) + 1

    def spread(self, cells: Array) -> Array:
        """What is said of cells of the table, said of cells of the matrix."""
        return np.asarray(cells[:, self.column_of])

    def plain(self, X: Array) -> Array:
        """Numbers as they are, not drawn in: of these, errors are squared."""
        return np.where(self.is_number, stretched(X), X)

    def drawn_in(self, X: Array) -> Array:
        """What `plain` undoes."""
        return np.where(self.is_number, squashed(X), X)


@dataclass(frozen=True)
class ImputationTraining:
    """How the networks are trained.

    Parameters
    ----------
    hidden : tuple of int
        Widths of the hidden layers.

    activation : str
        Of the hidden layers.

    n_steps : int
        Steps of each network, about.

    batch_size : int
        Rows in a step.

    learning_rate : float
        At the first step.
    """

    hidden: tuple[int, ...]
    activation: str
    n_steps: int
    batch_size: int
    learning_rate: float


@dataclass(frozen=True)
class HoledRows:
    """Rows to learn from.

    Attributes
    ----------
    X, plain, scores : ndarray of shape (n_samples, n_values)
        Values drawn in, not drawn in, and as normal scores; zero where missing.

    filled : ndarray of shape (n_samples, n_values)
        Scores, with what is expected of missing ones.

    there : ndarray of bool of shape (n_samples, n_columns)
        Which cells are not missing.
    """

    X: Array
    plain: Array
    scores: Array
    filled: Array
    there: Array


class Member:
    """Nearness and corrector, trained together.

    Parameters
    ----------
    nearness : KernelRegression
        Means over near rows, of values and of values not drawn in, side by side.

    corrector : DenseForward
        What is added to the means.

    place : ndarray of int of shape (n_samples,)
        Which reference row each row is; -1: none.
    """

    trust: Array

    def __init__(
        self, nearness: KernelRegression, corrector: DenseForward, place: Array
    ) -> None:
        self.nearness = nearness
        self.corrector = corrector
        self.place = place


def taken_out(there: Array, rng: np.random.RandomState) -> Array:
    """Which cells are left after some were taken, as in training."""
    n, c = there.shape
    rate, as_others = rng.uniform(size=(n, 1)), rng.uniform(size=(n, 1)) < 0.5
    kept = rng.uniform(size=(n, c)) >= rate * np.where(as_others, 0.3, 0.7)
    return there & kept & (there[rng.permutation(n)] | ~as_others)


def train_member(
    layout: Layout,
    rows: HoledRows,
    used: Array,
    start: Array,
    how: ImputationTraining,
    rng: np.random.RandomState,
    monitor: Any,
) -> tuple[Member, list[float]]:
    """Nearness and corrector of the rows that are used, and the loss of each epoch.

    Parameters
    ----------
    layout : Layout
        Which columns of the matrix are whose.

    rows : HoledRows
        All rows: those that are not used may be read for nearness.

    used : ndarray of bool of shape (n_samples,)
        Of which rows cells are taken out.

    start : ndarray of shape (n_columns, n_values)
        Weights of the columns for nearness.

    how : ImputationTraining
        How it is trained.

    rng : RandomState
        Source of all that is drawn.

    monitor : Monitor
        Told of each epoch.
    """
    from skae.training._train import train_for

    n, p = rows.X.shape
    read = rng.permutation(n)[: _n_references(layout, how.batch_size)]
    place = _places(read, n)
    settings = _settings(layout, rows, read, how, rng)
    coder = DenseCoder(3 * p, p, how.hidden, how.activation, "linear", linear_path=False)
    shapes = {name: np.shape(value) for name, value in settings.items()}

    def build() -> Any:
        from skae.imputation._objective import ImputationObjective

        return ImputationObjective(coder.build("corrector"), layout.n_columns, p, shapes)

    learnt = _learnt_rows(layout, rows, used, place)
    weights = coder.random_weights(rng)
    weights[coder.output_kernel][:] = 0
    done = train_for(
        how.n_steps,
        how.learning_rate,
        learnt,
        build=build,
        key=("imputation", coder, *shapes.values()),
        weights=[np.log(start) / _RATE, *weights],
        settings=list(settings.values()),
        batch_size=how.batch_size,
        rng=rng,
        monitor=monitor,
    )
    read = rng.permutation(n)[:_MOST_READ]  # more rows than training can afford
    nearness = _nearness(layout, rows, read, np.exp(_RATE * done.weights[0]))
    corrector = DenseForward(coder, done.weights[1:])
    return Member(nearness, corrector, _places(read, n)), done.loss_curve


def _n_references(layout: Layout, batch_size: int) -> int:
    most = _MOST_ENTRIES // (layout.n_columns * batch_size)
    return int(np.clip(most, 64, _MOST_REFERENCES))


def _places(read: Array, n: int) -> Array:
    place = np.full(n, -1)
    place[read] = np.arange(len(read))
    return place


def _settings(
    layout: Layout,
    rows: HoledRows,
    read: Array,
    how: ImputationTraining,
    rng: np.random.RandomState,
) -> dict[str, Array]:
    table = layout.column_of == np.arange(layout.n_columns)[:, np.newaxis]
    settings: dict[str, Any] = {
        "rate": _RATE,
        "uniform_pool": draw_pool("uniform", rng, (how.batch_size, layout.n_columns)),
        "table": table,
        "reference": rows.filled[read],
        "values": rows.X[read],
        "barred": ~rows.there[read].T,
    }
    return {name: np.asarray(value, np.float32) for name, value in settings.items()}


def _learnt_rows(layout: Layout, rows: HoledRows, used: Array, place: Array) -> Rows:
    index = np.flatnonzero(used)
    index = np.tile(index, max(-(-_ROWS_AN_EPOCH // len(index)), 1))
    cells = layout.spread(rows.there[index])
    inputs = np.hstack([rows.scores[index], cells, place[index, np.newaxis]])
    return Rows(inputs.astype(np.float32), rows.X[index].astype(np.float32))


def _nearness(layout: Layout, rows: HoledRows, read: Array, weight: Array) -> KernelRegression:
    return KernelRegression(
        weight,
        np.tile(layout.column_of, 2),
        rows.filled[read],
        np.hstack([rows.X[read], rows.plain[read]]),
        rows.there[read],
    )


def first_weights(layout: Layout, rows: HoledRows, rng: np.random.RandomState) -> Array:
    """Of a few widths, the best for each column: all columns weigh the same."""
    c, (n, p) = layout.n_columns, rows.X.shape
    order = rng.permutation(n)
    index, read = order[:_ROWS_TO_TRY], order[: 2 * _ROWS_TO_TRY]
    kept = taken_out(rows.there, rng)[index]
    wanted = rows.there[index] & ~kept
    own = _places(read, n)[index]
    lost: list[Array] = []
    tried = np.array(_FIRST_WEIGHTS) / np.sqrt(p)
    for width in tried:
        nearness = _nearness(layout, rows, read, np.full((c, p), width))
        means = nearness(rows.scores[index], layout.spread(kept), wanted, own)[:, :p]
        error = np.square(means - rows.X[index]) * layout.spread(wanted)
        lost.append(np.bincount(layout.column_of, error.sum(axis=0), c))
    best = tried[np.argmin(lost, axis=0)]
    return np.repeat(best[:, np.newaxis], p, axis=1)
