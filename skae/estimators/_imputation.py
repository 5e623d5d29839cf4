"""What belongs in missing cells: four answers, and how far each column trusts them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from skae.corruption import draw_pool
from skae.inference import DenseForward, NearnessForward
from skae.networks import DenseCoder
from skae.tables import Gaussian, NormalScores, squashed, stretched
from skae.utils._rows import Rows

Array = NDArray[Any]

# Fewer rows than this teach nothing but a normal distribution.
_LEAST_ROWS = 10

# Rows that are read for nearness in training, where entries of rows, columns and read rows
# allow it, and in imputation.
_MOST_REFERENCES, _MOST_ENTRIES = 1000, 2**23
_MOST_READ = 5000

# Of the rows, what each member leaves out, to learn there how far to trust whom.
_FOLDS = 5
_ROWS_TO_WEIGH = 1500

# With fewer rows than this for each column, two distributions of them differ.
_STEADY = 30

# Small tables are repeated to about this many rows.
_ROWS_AN_EPOCH = 2048

# Widths of the first kernels that are tried: weight of a column, times the root of the
# number of columns.
_FIRST_WEIGHTS = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
_ROWS_TO_TRY = 500

# Cells that equal trust in all answers is worth: as a share of those that judge, and more.
_PRIOR_SHARE, _PRIOR_CELLS = 0.005, 1.25
_N_ANSWERS = 4


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


class Imputation:
    """Rows with missing cells filled in, as a matrix.

    Four answers are joined: what a normal distribution of the columns makes expect, and
    one of their normal scores; the mean over the nearest rows; and what a network makes of
    that mean. How far a column trusts each is learnt on rows that were left out in
    training, from which cells were taken.

    Parameters
    ----------
    layout : Layout
        Which columns of the matrix are whose.

    X : ndarray of shape (n_samples, n_values)
        Rows to learn from; what stands in missing cells does not matter.

    there : ndarray of bool of shape (n_samples, n_columns)
        Which cells of the table are not missing.

    rng : RandomState
        Source of all that is drawn.
    """

    def __init__(
        self, layout: Layout, X: Array, there: Array, rng: np.random.RandomState
    ) -> None:
        self.layout = layout
        cells = layout.spread(there)
        self.low = np.where(cells, X, np.inf).min(axis=0)
        self.high = np.where(cells, X, -np.inf).max(axis=0)
        X = np.where(cells, X, 0.0)
        self.scores = NormalScores.of(X, cells)
        scores = self.scores.inward(X)
        self.models = self._models(X, scores, cells, rng)
        self.members: list[Member] = []
        self.loss_curves: list[list[float]] = []

    def train(
        self,
        X: Array,
        there: Array,
        n_members: int,
        how: ImputationTraining,
        rng: np.random.RandomState,
        monitor: Any,
    ) -> None:
        """Train the networks, and learn whom to trust.

        Parameters
        ----------
        X, there : ndarray
            The rows that the object was made from.

        n_members : int
            How many networks.

        how : ImputationTraining
            How each is trained.

        rng : RandomState
            Source of all that is drawn.

        monitor : Monitor
            Told of each epoch.
        """
        if len(X) < _LEAST_ROWS or self.layout.n_columns < 2:
            return
        rows = self._rows(X, there)
        fold = rng.permutation(len(X)) % _FOLDS
        for k in range(n_members):
            out = fold == k % _FOLDS
            member, losses = train_member(self.layout, rows, ~out, how, rng, monitor)
            member.trust = self._trust(member, rows, np.flatnonzero(out), rng)
            self.members.append(member)
            self.loss_curves.append(losses)

    def _rows(self, X: Array, there: Array) -> "HoledRows":
        cells = self.layout.spread(there)
        X = np.where(cells, X, 0.0)
        scores = np.where(cells, self.scores.inward(X), 0.0)
        filled = self.models[1].fill(scores, cells)
        return HoledRows(X, self.layout.plain(X), scores, filled, there)

    def __call__(self, X: Array, there: Array) -> Array:
        """Rows with every missing cell filled.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_values)
            Rows; what stands in missing cells does not matter.

        there : ndarray of bool of shape (n_samples, n_columns)
            Which cells of the table are not missing.
        """
        filled = np.array(X, dtype=np.float64)
        holed = np.flatnonzero(~there.all(axis=1))
        if len(holed):
            rows, kept = X[holed], there[holed]
            said = self.layout.drawn_in(self._answer(rows, kept, ~kept))
            filled[holed] = np.where(self.layout.spread(kept), rows, said)
        return filled

    def draw(self, X: Array, there: Array, rng: np.random.RandomState) -> Array:
        """Rows with every missing cell drawn, one column after the other.

        What is drawn is known to the columns that come later, so that cells of a row
        belong together.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_values)
            Rows; what stands in missing cells does not matter.

        there : ndarray of bool of shape (n_samples, n_columns)
            Which cells of the table are not missing.

        rng : RandomState
            Source of what is drawn.
        """
        if not self.members:
            return self(X, there)
        layout, kept = self.layout, there.copy()
        filled = np.where(layout.spread(there), X, 0.0)
        for j in rng.permutation(layout.n_columns):
            index = np.flatnonzero(~there[:, j])
            if len(index) == 0:
                continue
            mine = layout.column_of == j
            filled[np.ix_(index, mine)] = self._drawn(filled[index], kept[index], j, rng)
            kept[index, j] = True
        return filled

    def _drawn(self, X: Array, kept: Array, j: int, rng: np.random.RandomState) -> Array:
        """A level of a near row, or its distance from the mean of the near rows added."""
        layout, mine = self.layout, self.layout.column_of == j
        wanted = np.zeros_like(kept)
        wanted[:, j] = True
        member = self.members[rng.randint(len(self.members))]
        cells = layout.spread(kept)
        scores = np.where(cells, self.scores.inward(X), 0.0)
        drawn, mean = member.nearness.draw(scores, cells, j, rng)
        n_values = len(layout.column_of)
        if not layout.is_number[mine].all():
            return drawn[:, : mine.sum()]
        told = self._answer(X, kept, wanted)[:, mine]
        told = told + drawn[:, mine.sum() :] - mean[:, mine.sum() :]
        both = np.zeros((len(X), n_values))
        both[:, mine] = told
        return layout.drawn_in(both)[:, mine].clip(self.low[mine], self.high[mine])

    def _answer(self, X: Array, kept: Array, wanted: Array) -> Array:
        """What the members make of the answers, on the mean; numbers as they are."""
        linear = self._linear(X, kept)
        if not self.members:
            return np.mean(linear, axis=0)
        scores = np.where(self.layout.spread(kept), self.scores.inward(X), 0.0)
        total = np.zeros(X.shape)
        for member in self.members:
            answers = [*linear, *self._of_member(member, X, scores, kept, wanted)]
            total += (member.trust[:, np.newaxis] * answers).sum(axis=0)
        return total / len(self.members)

    def _models(
        self, X: Array, scores: Array, cells: Array, rng: np.random.RandomState
    ) -> tuple[Gaussian, Gaussian]:
        """Normal distributions of values and of scores."""
        return Gaussian.of(X, cells, rng), Gaussian.of(scores, cells, rng)

    def _linear(
        self, X: Array, kept: Array, models: tuple[Gaussian, Gaussian] | None = None
    ) -> list[Array]:
        """What the two normal distributions expect."""
        of_values, of_scores = models or self.models
        cells = self.layout.spread(kept)
        X = np.where(cells, X, 0.0)
        by_scores = of_scores.fill(self.scores.inward(X), cells)
        answers = [of_values.fill(X, cells), self.scores.outward(by_scores)]
        return [self._in_range(answer) for answer in answers]

    def _of_member(
        self,
        member: "Member",
        X: Array,
        scores: Array,
        kept: Array,
        wanted: Array,
        own: Array | None = None,
    ) -> list[Array]:
        """What the nearest rows say, and what the network makes of that."""
        cells, n_values = self.layout.spread(kept), X.shape[1]
        means = member.nearness(scores, cells, wanted, own)
        known = np.where(cells, X, means[:, :n_values])
        read = np.hstack([known, np.where(cells, scores, 0.0), cells]).astype(np.float32)
        said = known + member.corrector(read)
        return [means[:, n_values:], self._in_range(said)]

    def _in_range(self, X: Array) -> Array:
        return self.layout.plain(X.clip(self.low, self.high))

    def _trust(
        self, member: "Member", rows: "HoledRows", out: Array, rng: np.random.RandomState
    ) -> Array:
        """Shares of the answers in each column, from cells taken from rows left out."""
        own = member.place[out]
        models = self.models
        if len(rows.X) < _STEADY * rows.X.shape[1]:
            # Few rows: a distribution that has seen the cells would be trusted too far.
            left = np.setdiff1d(np.arange(len(rows.X)), out)
            cells = self.layout.spread(rows.there[left])
            models = self._models(rows.X[left], rows.scores[left], cells, rng)
        parts = []
        for _ in range(int(np.clip(_ROWS_TO_WEIGH // len(out), 1, 20))):
            kept = taken_out(rows.there, rng)[out]
            wanted = rows.there[out] & ~kept
            X, scores = rows.X[out], rows.scores[out]
            answers = self._linear(X, kept, models)
            answers += self._of_member(member, X, scores, kept, wanted, own)
            parts.append((np.array(answers), self.layout.spread(wanted), rows.plain[out]))
        answers, wanted, target = (np.concatenate(p, axis=-2) for p in zip(*parts, strict=True))
        trust = np.empty((_N_ANSWERS, X.shape[1]))
        for j in range(self.layout.n_columns):
            mine = np.flatnonzero(self.layout.column_of == j)
            cells = wanted[:, mine]
            told = np.stack([answer[:, mine][cells] for answer in answers], axis=1)
            trust[:, mine] = shares(told, target[:, mine][cells])[:, np.newaxis]
        return trust


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
    nearness : NearnessForward
        Means over near rows, of values and of values not drawn in, side by side.

    corrector : DenseForward
        What is added to the means.

    place : ndarray of int of shape (n_samples,)
        Which reference row each row is; -1: none.
    """

    trust: Array

    def __init__(
        self, nearness: NearnessForward, corrector: DenseForward, place: Array
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


def shares(told: Array, target: Array) -> Array:
    """Shares of the answers that miss the target least, drawn a little to equal ones.

    Parameters
    ----------
    told : ndarray of shape (n_cells, n_answers)
        The answers.

    target : ndarray of shape (n_cells,)
        What they should be.
    """
    n = told.shape[1]
    equal = np.full(n, 1 / n)
    if len(target) < n + 1:
        return equal
    variance = max(float(target.var()), 1e-6)
    prior = np.sqrt(variance * (_PRIOR_SHARE * len(target) + _PRIOR_CELLS))
    # They add up to one: an equation that counts more than all others.
    whole = 1e3 * np.sqrt(variance)
    rows = np.vstack([told, prior * np.eye(n), np.full((1, n), whole)])
    share, _ = nnls(rows, np.concatenate([target, prior * equal, [whole]]))
    return np.asarray(share / share.sum()) if share.sum() else equal


def train_member(
    layout: Layout,
    rows: HoledRows,
    used: Array,
    how: ImputationTraining,
    rng: np.random.RandomState,
    monitor: Any,
) -> tuple[Member, list[float]]:
    """Nearness and corrector of the rows that are used, and the loss of each epoch."""
    from skae import training

    n, p = rows.X.shape
    read = rng.permutation(n)[: _n_references(layout, how.batch_size)]
    place = _places(read, n)
    settings = _settings(layout, rows, read, how, rng)
    coder = DenseCoder(3 * p, p, how.hidden, how.activation, "linear", linear_path=False)
    shapes = {name: np.shape(value) for name, value in settings.items()}

    def build() -> Any:
        from skae.models import ImputationObjective

        return ImputationObjective(coder.build("corrector"), layout.n_columns, p, shapes)

    first = _first_weights(layout, rows, np.flatnonzero(used), read, rng)
    learnt = _learnt_rows(layout, rows, used, place)
    n_steps = -(-len(learnt) // how.batch_size)
    n_epochs = max(round(how.n_steps / n_steps), 1)
    weights = coder.random_weights(rng)
    weights[coder.output_kernel][:] = 0
    done = training.train(
        build,
        key=("imputation", coder, *shapes.values()),
        weights=[np.log(first) / NEARNESS_RATE, *weights],
        settings=list(settings.values()),
        training=learnt,
        validation=None,
        optimizer="adam",
        learning_rate=training.falling(how.learning_rate, n_epochs * n_steps),
        batch_size=how.batch_size,
        stopping=training.Stopping(n_epochs, n_iter_no_change=1, tol=None, keep_best=False),
        rng=rng,
        monitor=monitor,
    )
    if done.ending == "interrupted":
        raise KeyboardInterrupt
    if done.ending == "diverged":
        raise ValueError(
            f"The loss is not finite in epoch {len(done.parts) + 1}: choose a smaller "
            "learning_rate."
        )
    read = rng.permutation(n)[:_MOST_READ]
    nearness = _nearness(layout, rows, read, np.exp(NEARNESS_RATE * done.weights[0]))
    corrector = DenseForward(coder, done.weights[1:])
    return Member(nearness, corrector, _places(read, n)), done.loss_curve


# Of the logarithms of the weights of nearness, as `skae.models` has them: a network's rate
# is too slow for them.
NEARNESS_RATE = 30.0


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
    settings = {
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


def _nearness(layout: Layout, rows: HoledRows, read: Array, weight: Array) -> NearnessForward:
    return NearnessForward(
        weight,
        np.tile(layout.column_of, 2),
        rows.filled[read],
        np.hstack([rows.X[read], rows.plain[read]]),
        rows.there[read],
    )


def _first_weights(
    layout: Layout, rows: HoledRows, index: Array, read: Array, rng: np.random.RandomState
) -> Array:
    """Of a few widths, the best for each column: all columns weigh the same."""
    c, p = layout.n_columns, rows.X.shape[1]
    index = index[:_ROWS_TO_TRY]
    kept = taken_out(rows.there, rng)[index]
    wanted = rows.there[index] & ~kept
    own = _places(read, len(rows.X))[index]
    lost: list[Array] = []
    tried: Sequence[float] = [width / np.sqrt(p) for width in _FIRST_WEIGHTS]
    for width in tried:
        nearness = _nearness(layout, rows, read, np.full((c, p), width))
        means = nearness(rows.scores[index], layout.spread(kept), wanted, own)[:, :p]
        error = np.square(means - rows.X[index]) * layout.spread(wanted)
        lost.append(np.bincount(layout.column_of, error.sum(axis=0), c))
    best = np.asarray(tried)[np.argmin(lost, axis=0)]
    return np.repeat(best[:, np.newaxis], p, axis=1)
