"""How odd a row of a table is, column by column, and which of its cells are wrong together."""

import numpy as np

from skae.anomaly._neighbors import NearestRows
from skae.anomaly._scores import (
    LEVEL,
    MOST_JUDGED,
    PAIRS,
    TINY,
    DenoisingScore,
    ReconstructionScore,
)
from skae.anomaly._table_residuals import TableResiduals
from skae.anomaly._trimming import without_farthest
from skae.utils._rows import Rows

# Of the mean residual of all columns, what that of a column counts as at least: one that
# follows from the others makes a row odd, and does not drown what else is.
_LEAST_USUAL = 0.02

# What a cell must spare a row by being blank to be blamed, in usual residuals of a cell; how
# many cells are blamed at most; and among which: those with the largest parts in the score,
# as long as these are more than this share of a fair one.
_SPARED = 4.0
_MOST_BLAMED = 4
_MOST_SUSPECTS = 12
_LEAST_SUSPECT = 0.25

# Rows to which distances are taken for it, at most.
_MOST_REFERENCE = 500

# What the outermost cells must leave of what others do, to be blamed instead.
_BETTER = 0.35


class TableScore(DenoisingScore):
    """Geometric mean of the error of denoisers and the distance to the nearest rows.

    As :class:`DenoisingScore`, for rows of an encoded table. The error is a mean over the
    columns of the table, each in units of what is missed of it in rows that were held out,
    so that neither many levels nor a column that nothing foretells drown the others.

    Parameters
    ----------
    layout : TableLayout
        Which numbers stand for which column.

    residuals : list of TableResiduals
        What the denoiser of each member misses.

    usual : ndarray of shape (n_columns,)
        What is missed of each column, on the mean over rows that were held out.

    nearest : NearestRows
        Training rows, as each member knows them.

    loss_curves : list of list of float
        Mean training loss of each epoch, of each member.
    """

    # Of scores of numbers alone.
    scale = noise_level = seen_range = None

    layout: object
    usual: np.ndarray

    def __init__(self, layout, residuals, usual, nearest, loss_curves):
        self.layout = layout
        self.residuals = residuals
        self.usual = np.maximum(usual, _LEAST_USUAL * usual.mean()) + TINY
        self.nearest = nearest
        self.loss_curves = loss_curves

    @classmethod
    def fit(
        cls, rows, folds, rng, monitor, *, layout, training, n_neighbors, n_reference, doubted
    ):
        """Train, and measure what is usual.

        Parameters
        ----------
        rows : Rows
            All training rows, as the layout gives them.

        folds : Folds
            Which of them each member may see, and which it is to judge.

        rng : RandomState
            The only source of randomness.

        monitor : Monitor
            Told of each epoch.

        layout : TableLayout
            Which numbers stand for which column.

        training : DenoiserTraining
            How denoisers are trained.

        n_neighbors, n_reference : int
            How many of the nearest rows count, and among how many at most.

        doubted : float or None
            Where the rows may hold anomalies, the share of them that are no neighbours,
            those that the denoisers miss by most; None: all rows are normal.
        """
        trusted = folds.seen.any(axis=0)
        X = rows.inputs
        Z, counts, _ = layout.parts(X)
        parts = [rng.permutation(np.flatnonzero(mask)) for mask in folds.seen]
        denoisers, loss_curves = training.train(
            Rows(Z, counts, rows.weight), parts, rng, monitor, layout.columns
        )
        noise = rng.standard_normal((PAIRS, Z.shape[1]))
        level = LEVEL * training.noise_level
        residuals = [TableResiduals(denoiser, layout, level, noise) for denoiser in denoisers]
        missed = folds.judged(lambda j, i: residuals[j].squared(X[i]))
        usual = _usual(missed, trusted, rows.weight)
        if doubted:
            far = (missed / np.maximum(usual, _LEAST_USUAL * usual.mean())).mean(axis=1)
            fewer = trusted & without_farthest(far, X, doubted)
            if (folds.seen & fewer).sum(axis=1).min() > 1:
                trusted = fewer
        reference = rng.permutation(np.flatnonzero(trusted))[:n_reference]
        known = folds.seen[:, reference]
        nearest = NearestRows(X[reference], known, n_neighbors, relative=doubted is None)
        return cls(layout, residuals, usual, nearest, loss_curves)

    def _logarithms(self, X, members):
        far = self.nearest.scores(X, members)
        missed = np.stack([each.mean(axis=1) for each in self._missed(members, X)])
        return (np.log(missed + TINY) + np.log(far + TINY)) / 2

    def reasons(self, X):
        """Which cells are wrong together, the part of each in the score, and what is expected.

        Cell after cell is blanked, always the one that leaves the least to be missed of
        the others, as long as it spares enough; or the outermost cells together, where that
        leaves far less. What is expected is what the networks say with these cells blank.

        Returns
        -------
        blamed : ndarray of bool of shape (n_samples, n_columns)
            At least one cell in a row.

        shares : ndarray of shape (n_samples, n_columns)
            The parts of a row add up to one.

        expected : ndarray of shape (n_samples, n_numbers)
            As numbers of the encoder.
        """

        def reason(rows):
            blame, shares = self._blame(rows)
            return np.hstack([blame, shares, self._said(rows, blame)])

        blame, shares, said = np.split(
            self._in_chunks(reason, X, self._entries),
            [len(self.layout.columns), 2 * len(self.layout.columns)],
            axis=1,
        )
        return blame > 0, shares, said

    def shares(self, X):
        """Part of each column in the score of each row; the parts of a row add up to one."""
        return self.reasons(X)[1]

    def expected(self, X):
        """What the networks expect in each cell, as numbers of the encoder."""
        return self.reasons(X)[2]

    @property
    def _entries(self):
        n_numbers, n_columns = self.layout.n_numbers, len(self.layout.columns)
        n_tried = min(n_columns, _MOST_SUSPECTS)
        size = n_numbers + n_columns
        return max(max(self.nearest.n_candidates, n_tried) * size, _MOST_REFERENCE)

    def _blame(self, X):
        """Which cells are blamed, and the part of each in the score."""
        shares = self._plain_shares(X)
        suspect = _suspects(shares)
        blame = np.zeros(shares.shape, dtype=bool)
        spared = np.zeros(shares.shape)
        left = self._left(X, blame)
        at = np.arange(len(X))
        for _ in range(_MOST_BLAMED):
            others = suspect[at] & ~blame[at]
            spares = -self._changed(X, blame, at, others, left)
            spared[at] = np.where(others, spares, spared[at])
            best = spares.argmax(axis=1)
            most = spares[np.arange(len(at)), best]
            more = most > _SPARED
            at, best, most = at[more], best[more], most[more]
            if len(at) == 0:
                break
            blame[at, best] = True
            left[at] -= most
        self._blame_outermost(X, blame, left)
        shares = self._weighed(X, shares, suspect | blame, blame, spared)
        none = ~blame.any(axis=1)
        blame[none, shares[none].argmax(axis=1)] = True
        return blame, shares

    def _blame_outermost(self, X, blame, left):
        """Blame the outermost cells of a row instead, where that leaves far less to be missed.

        Cells that are wrong together vouch for each other, and blanking one of them may
        spare nothing.
        """
        at = np.flatnonzero(blame.any(axis=1))
        if len(at) == 0:
            return
        Z, counts, foreign = self.layout.parts(X[at])
        outer = self.layout.by_column(np.square(Z) * counts) + np.square(foreign)
        rank = np.argsort(np.argsort(-outer, axis=1, kind="stable"), axis=1)
        least = left[at] + self._far(X[at], blame[at]) + _SPARED * blame[at].sum(axis=1)
        for n_blank in range(2, min(_MOST_BLAMED, blame.shape[1] - 1) + 1):
            blank = rank < n_blank
            left = self._left(X[at], blank) + self._far(X[at], blank)
            cost = left + _SPARED * n_blank
            better = cost < _BETTER * least
            blame[at] = np.where(better[:, np.newaxis], blank, blame[at])
            least = np.where(better, cost / _BETTER, least)

    def _changed(self, X, blank, at, cells, left):
        """How what is left to be missed changes with a cell that is blank, or is no more.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_numbers + n_columns)
            Rows.

        blank : ndarray of bool of shape (n_samples, n_columns)
            Which cells are blank.

        at : ndarray of int of shape (n_rows,)
            Which rows are asked about.

        cells : ndarray of bool of shape (n_rows, n_columns)
            Which of their cells are tried, each by itself.

        left : ndarray of shape (n_samples,)
            What is left to be missed of rows as it is.
        """
        row, column = np.nonzero(cells)
        row_in_X = at[row]
        tried = blank[row_in_X]
        tried[np.arange(len(row)), column] ^= True
        changed = np.zeros(cells.shape)
        if len(row):
            changed[row, column] = self._left(X[row_in_X], tried) - left[row_in_X]
        return changed

    def _weighed(self, X, shares, suspect, blame, spared):
        """Shares times what cells spare the others, to the root; their sum is one."""
        at = np.flatnonzero(blame.sum(axis=1) > 1)
        if len(at):
            left = np.zeros(len(X))
            left[at] = self._left(X[at], blame[at])
            changed = self._changed(X, blame, at, suspect[at], left)
            spared[at] = np.where(blame[at], changed, -changed)
        weighed = shares * np.sqrt(spared.clip(TINY))
        return weighed / weighed.sum(axis=1, keepdims=True)

    def _left(self, X, blank):
        """What is missed of the cells that are not blank, in usual residuals of a cell."""
        missed = sum(self._missed(self._all, X, blank)) / len(self.residuals)
        return (missed * ~blank).sum(axis=1)

    def _far(self, X, blank):
        """Squared distance to the nearest rows without blank cells, in usual ones of a cell."""
        counts = np.hstack([1 - blank @ self.layout.columns, ~blank])
        rows = self.nearest.rows[:_MOST_REFERENCE]
        square = (counts * np.square(X)).sum(axis=1, keepdims=True)
        square = square - 2 * (counts * X) @ rows.T + counts @ np.square(rows).T
        k = min(self.nearest.n_neighbors, len(rows))
        nearest = np.partition(square, k - 1, axis=1)[:, :k].mean(axis=1).clip(0)
        usual = self.nearest.usual.mean() * X.shape[1] / len(self.layout.columns)
        return nearest / (usual or 1.0)

    def _said(self, X, blank):
        said = sum(member.said(X, blank) for member in self.residuals)
        return said / len(self.residuals)

    def _plain_shares(self, X):
        """Part of each column in the error and the distance."""
        shares = self.layout.by_column(self.nearest.shares(X))
        for missed in self._missed(self._all, X):
            missed = missed + TINY
            shares += missed / missed.sum(axis=1, keepdims=True) / len(self._all)
        return shares / 2

    def _missed(self, members, X, blank=None):
        """What is missed of each cell by each of these members, which read the same."""
        rows = self.residuals[0].corrupted(X, blank)
        for j in members:
            yield self.residuals[j].squared_of(rows) / self.usual


class TableReconstructionScore(ReconstructionScore):
    """Loss of autoencoders of encoded tables, as :class:`ReconstructionScore`.

    The scale is the layout of the table.
    """

    def score_of_member(self, member, X):
        """The score of each row, by one member."""
        foreign = self.scale.parts(X)[2]
        return super().score_of_member(member, X) + np.square(foreign).mean(axis=1)

    def shares(self, X):
        """Part of each column in the score of each row, by its squared residual."""
        Z, counts, foreign = self.scale.parts(X)
        squared = np.square(Z - self.scale.transform(super().expected(X))) * counts
        parts = self.scale.by_column(squared) + np.square(foreign) + TINY
        return parts / parts.sum(axis=1, keepdims=True)

    def reasons(self, X):
        """Which cells have more than their share, the shares, and the reconstruction."""
        shares = self.shares(X)
        fair = np.minimum(1 / shares.shape[1], shares.max(axis=1, keepdims=True))
        return shares >= fair, shares, self.expected(X)

    def expected(self, X):
        """The reconstruction, as numbers of the encoder."""
        return self.scale.transform(super().expected(X))


def _suspects(shares):
    """Which cells may be blamed."""
    least = -np.sort(-shares, axis=1)[:, :_MOST_SUSPECTS][:, -1:]
    return shares >= np.maximum(least, _LEAST_SUSPECT / shares.shape[1])


def _usual(missed, trusted, weight):
    """Mean of what is missed of each column, over trusted rows that were held out."""
    judged = trusted & ~np.isnan(missed).any(axis=1)
    judged = judged if judged.any() else ~np.isnan(missed).any(axis=1)
    at = np.flatnonzero(judged)[:MOST_JUDGED]
    return np.average(missed[at], axis=0, weights=None if weight is None else weight[at])
