"""What belongs in missing cells: four answers, and how far each column trusts them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from skae.imputation._gaussian import Gaussian
from skae.imputation._normal_scores import NormalScores
from skae.imputation._training import (
    HoledRows,
    ImputationTraining,
    Layout,
    Member,
    first_weights,
    taken_out,
    train_member,
)

Array = NDArray[Any]

# Fewer rows than this teach nothing but a normal distribution.
_LEAST_ROWS = 10

# Of the rows, what each member leaves out, to learn there how far to trust whom.
_FOLDS = 5
_ROWS_TO_WEIGH = 1500

# With fewer rows than this for each column, two distributions of them differ.
_STEADY = 30

# Cells that equal trust in all answers is worth: as a share of those that judge, and more.
_PRIOR_SHARE, _PRIOR_CELLS = 0.005, 1.25
_N_ANSWERS = 4


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

    layout: Layout
    low: Array
    high: Array
    scores: NormalScores
    models: tuple[Gaussian, Gaussian]
    members: list[Member]
    loss_curves: list[list[float]]

    def __init__(
        self, layout: Layout, X: Array, there: Array, rng: np.random.RandomState
    ) -> None:
        self.layout = layout
        cells = layout.spread(there)
        self.low = np.where(cells, X, np.inf).min(axis=0)
        self.high = np.where(cells, X, -np.inf).max(axis=0)
        X = np.where(cells, X, 0.0)
        self.scores = NormalScores.of(X, cells)
        scores = self.scores.transform(X)
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
        start = first_weights(self.layout, rows, rng)
        for k in range(n_members):
            out = fold == k % _FOLDS
            member, losses = train_member(self.layout, rows, ~out, start, how, rng, monitor)
            member.trust = self._trust(member, rows, np.flatnonzero(out), rng)
            self.members.append(member)
            self.loss_curves.append(losses)

    def _rows(self, X: Array, there: Array) -> HoledRows:
        cells = self.layout.spread(there)
        X = np.where(cells, X, 0.0)
        scores = np.where(cells, self.scores.transform(X), 0.0)
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
        scores = np.where(cells, self.scores.transform(X), 0.0)
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
        scores = np.where(self.layout.spread(kept), self.scores.transform(X), 0.0)
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
        by_scores = of_scores.fill(self.scores.transform(X), cells)
        answers = [of_values.fill(X, cells), self.scores.inverse_transform(by_scores)]
        return [self._in_range(answer) for answer in answers]

    def _of_member(
        self,
        member: Member,
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
        self, member: Member, rows: HoledRows, out: Array, rng: np.random.RandomState
    ) -> Array:
        """Shares of the answers in each column, from cells taken from rows left out."""
        out = rng.permutation(out)[:_ROWS_TO_WEIGH]
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
            told = self._linear(X, kept, models)
            told += self._of_member(member, X, scores, kept, wanted, own)
            parts.append((np.array(told), self.layout.spread(wanted), rows.plain[out]))
        joined = [np.concatenate(part, axis=-2) for part in zip(*parts, strict=True)]
        answers, wanted, target = joined
        trust = np.empty((_N_ANSWERS, X.shape[1]))
        for j in range(self.layout.n_columns):
            mine = np.flatnonzero(self.layout.column_of == j)
            cells = wanted[:, mine]
            of_column = np.stack([answer[:, mine][cells] for answer in answers], axis=1)
            trust[:, mine] = shares(of_column, target[:, mine][cells])[:, np.newaxis]
        return trust


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
