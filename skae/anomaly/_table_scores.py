"""How odd a row of a table is, column by column, and which of its cells are wrong together."""

import numpy as np

from skae.anomaly._neighbors import NearestRows
from skae.anomaly._scores import LEVEL, MOST_JUDGED, PAIRS, TINY, DenoisingScore, ReconstructionScore
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

# Cells that spare at least this share of the most are not told apart by it.
_TIED = 0.5


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
        missed = np.stack([self._missed(j, X).mean(axis=1) for j in members])
        return (np.log(missed + TINY) + np.log(far + TINY)) / 2

    def blamed(self, X):
        """Which cells are wrong together, (n_samples, n_columns); at least one in a row.

        Cell after cell is blanked, always the one that leaves the least to be missed of
        the others, as long as it spares enough.
        """
        return self._in_chunks(lambda rows: self._blame(rows)[0], X, self._entries)

    def shares(self, X):
        """Part of each column in the score of each row; the parts of a row add up to one."""
        return self._in_chunks(lambda rows: self._blame(rows)[1], X, self._entries)

    def expected(self, X):
        """What the networks expect in each cell, as numbers of the encoder.

        Cells that are blamed are blank to the networks.
        """

        def expect(rows):
            return self._said(rows, self._blame(rows)[0])

        return self._in_chunks(expect, X, self._entries)

    @property
    def _entries(self):
        n_numbers, n_columns = self.layout.n_numbers, len(self.layout.columns)
        n_tried = min(n_columns, _MOST_SUSPECTS)
        return max(self.nearest.n_candidates, n_tried) * (n_numbers + n_columns)

    def _blame(self, X):
        """Which cells are blamed, and the part of each in the score."""
        shares = self._plain_shares(X)
        blame = np.zeros(shares.shape, dtype=bool)
        spared = np.zeros(shares.shape)
        suspect = _suspects(shares)
        at, left = np.arange(len(X)), self._left(X, blame)
        for _ in range(_MOST_BLAMED):
            others = suspect[at] & ~blame[at]
            spares = self._changed(X, blame, at, others, left)
            spared[at] = np.where(others, -spares, spared[at])
            rows = np.flatnonzero(spares.min(axis=1) < -_SPARED)
            if len(rows) == 0:
                break
            at, spares, left = at[rows], spares[rows], left[rows]
            best = self._farthest(X, blame, at, spares)
            blame[at, best] = True
            left = left + spares[np.arange(len(at)), best]
        return self._with_one(blame, shares), self._weighed(X, shares, blame, spared)

    def _farthest(self, X, blame, at, spares):
        """Which cell to blame, of those that spare about the most.

        Two columns that say the same in other words contradict each other: either spares
        the row as much. All of them are blanked, and the one is wrong that is farthest
        from what the networks fill in.
        """
        tied = spares < _TIED * spares.min(axis=1, keepdims=True)
        unsure = np.flatnonzero(tied.sum(axis=1) > 1)
        best = spares.argmin(axis=1)
        if len(unsure):
            rows = X[at[unsure]]
            Z, counts, foreign = self.layout.parts(rows)
            said = self._said(rows, blame[at[unsure]] | tied[unsure])
            off = self.layout.by_column(np.square(said - Z) * counts) + np.square(foreign)
            best[unsure] = np.where(tied[unsure], off, -1.0).argmax(axis=1)
        return best

    def _changed(self, X, blank, at, cells, left):
        """How what is left to be explained changes with a cell that is blank or not.

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

        left : ndarray of shape (n_rows,)
            What is left to be explained as it is.
        """
        row, column = np.nonzero(cells)
        tried = blank[at[row]]
        tried[np.arange(len(row)), column] ^= True
        changed = np.zeros(cells.shape)
        if len(row):
            changed[row, column] = self._left(X[at[row]], tried) - left[row]
        return changed

    def _weighed(self, X, shares, blame, spared):
        """Shares times what cells spare the others, to the root; their sum is one."""
        several = np.flatnonzero(blame.sum(axis=1) > 1)
        if len(several):
            left = self._left(X[several], blame[several])
            changed = self._changed(X, blame, several, blame[several], left)
            spared[several] = np.where(blame[several], changed, spared[several])
        weighed = shares * np.sqrt(spared.clip(TINY))
        return weighed / weighed.sum(axis=1, keepdims=True)

    def _left(self, X, blank):
        """What is missed of the cells that are not blank, in usual residuals of a cell."""
        missed = sum(self._missed(j, X, blank) for j in self._all) / len(self.residuals)
        return (missed * ~blank).sum(axis=1)

    @staticmethod
    def _with_one(blame, shares):
        """Where no cell is blamed, the one with the largest part in the score."""
        none = ~blame.any(axis=1)
        blame = blame.copy()
        blame[none, shares[none].argmax(axis=1)] = True
        return blame

    def _said(self, X, blank):
        said = sum(member.said(X, blank) for member in self.residuals)
        return said / len(self.residuals)

    def _plain_shares(self, X):
        """Part of each column in the error and the distance."""
        shares = self.layout.by_column(self.nearest.shares(X))
        for j in self._all:
            missed = self._missed(j, X) + TINY
            shares += missed / missed.sum(axis=1, keepdims=True) / len(self._all)
        return shares / 2

    def _missed(self, member, X, blank=None):
        return self.residuals[member].squared(X, blank) / self.usual


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
        squared = np.square(Z - self.scale.inward(super().expected(X))) * counts
        parts = self.scale.by_column(squared) + np.square(foreign) + TINY
        return parts / parts.sum(axis=1, keepdims=True)

    def blamed(self, X):
        """Which cells have more than their share in the score."""
        shares = self.shares(X)
        return shares >= np.minimum(1 / shares.shape[1], shares.max(axis=1, keepdims=True))

    def expected(self, X):
        """The reconstruction, as numbers of the encoder."""
        return self.scale.inward(super().expected(X))


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
