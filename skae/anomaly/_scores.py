"""How odd a row is, column by column: what the anomaly detector fits and asks.

A score is made of members, one for each fold: a member has not seen the rows of its fold.
New rows are judged by all of them.
"""

import numpy as np

from skae.anomaly._layout import FOREIGN, foreign_error
from skae.anomaly._neighbors import NearestRows
from skae.anomaly._residuals import DenoisingResiduals
from skae.anomaly._trimming import without_farthest
from skae.estimators._fit_callbacks import fit_without_warning
from skae.tables import SquashingScaler
from skae.utils._random import draw_seed
from skae.utils._rows import Rows, filled, observed_mean

# At which share of the highest noise level rows are judged, and with how many pairs of
# opposite noise. Higher levels cost as much and tell no more.
LEVEL = 0.25
PAIRS = 1

# Rows where a mean is taken.
MOST_JUDGED = 2000

# Entries that are held at a time.
_CHUNK_ENTRIES = 2**20

# How often blanked cells are filled, how often some of them are given back, and which are
# not: those that are off by more than this share of the largest square. Found with planted
# anomalies in one to three cells.
_ROUNDS = 5
_TRIALS = 3
_WRONG = 0.25

# Error of a missing value in a column in which none was missing in fit, in mean squared
# errors of a value.
_MISSING_ERROR = FOREIGN**2

# Of a score without a scale; two of these in a product are far below any real score.
TINY = 1e-9


class DenoisingScore:
    """Geometric mean of the error of denoisers and the distance to the nearest rows.

    Both are squared differences in standardised columns, averaged over columns, in units
    of their mean over training rows; the score is the geometric mean over members as well.
    Rows may have NaN: a missing value is at the mean where networks and distances need one,
    and its error is that of :func:`missing_error`.

    Parameters
    ----------
    scale : SquashingScaler
        Units in which rows are compared.

    residuals : list of DenoisingResiduals
        What the denoiser of each member misses.

    nearest : NearestRows
        Training rows, as each member knows them.

    noise_level : float
        The highest noise level that was trained.

    seen_range : tuple of ndarray of shape (n_features,)
        Least and greatest value of each column, in the units of the data.

    loss_curves : list of list of float
        Mean training loss of each epoch, of each member.

    missing_error : float or ndarray of shape (n_features,)
        Error of a missing value in each column.
    """

    scale: object
    residuals: list
    nearest: NearestRows
    noise_level: float
    seen_range: tuple
    loss_curves: list

    # Of columns in which no value was missing in fit.
    missing_error: object = _MISSING_ERROR

    def __init__(
        self,
        scale,
        residuals,
        nearest,
        noise_level,
        seen_range,
        loss_curves,
        missing_error=_MISSING_ERROR,
    ):
        self.scale = scale
        self.residuals = residuals
        self.nearest = nearest
        self.noise_level = noise_level
        self.seen_range = seen_range
        self.loss_curves = loss_curves
        self.missing_error = missing_error

    @classmethod
    def fit(cls, rows, folds, rng, monitor, *, training, n_neighbors, n_reference, doubted):
        """Scale, train, and measure what is usual.

        Parameters
        ----------
        rows : Rows
            All training rows.

        folds : Folds
            Which of them each member may see, and which it is to judge.

        rng : RandomState
            The only source of randomness.

        monitor : Monitor
            Told of each epoch.

        training : DenoiserTraining
            How denoisers are trained.

        n_neighbors, n_reference : int
            How many of the nearest rows count, and among how many at most.

        doubted : float or None
            Where the rows may hold anomalies, the share of them that are no neighbours,
            those that the denoisers miss by most; None: all rows are normal.
        """
        trusted = folds.seen.any(axis=0)
        some = rows.take(trusted)
        scale = SquashingScaler.of(some.inputs, some.weight)
        Z = scale.transform(rows.inputs)
        parts = [rng.permutation(np.flatnonzero(mask)) for mask in folds.seen]
        clean = Rows(filled(Z), None if rows.observed is None else Z, rows.weight)
        denoisers, loss_curves = training.train(clean, parts, rng, monitor)
        level = LEVEL * training.noise_level
        noise = rng.standard_normal((PAIRS, Z.shape[1]))
        residuals = [
            DenoisingResiduals(denoiser, level, noise, Z[part[:MOST_JUDGED]])
            for denoiser, part in zip(denoisers, parts, strict=True)
        ]
        if doubted:
            single = Z.astype(np.float32)
            missed = folds.judged(lambda j, i: observed_mean(residuals[j].squared(single[i])))
            fewer = trusted & without_farthest(missed, Z, doubted)
            if (folds.seen & fewer).sum(axis=1).min() > 1:
                trusted = fewer
        reference = rng.permutation(np.flatnonzero(trusted))[:n_reference]
        known = folds.seen[:, reference]
        near = filled(Z[reference])
        nearest = NearestRows(near, known, n_neighbors, relative=doubted is None)
        level, seen_range = training.noise_level, _range_of(some)
        return cls(
            scale, residuals, nearest, level, seen_range, loss_curves, missing_error(some)
        )

    def score(self, X):
        """The score of each row, by all members."""
        return self._score(X, self._all)

    def score_of_member(self, member, X):
        """The score of each row, by one member."""
        return self._score(X, [member])

    def shares(self, X):
        """Part of each column in the score of each row; the parts of a row add up to one."""
        return self._in_chunks(self._shares, X, self.nearest.n_candidates * X.shape[1])

    def expected(self, X):
        """What the networks expected in each cell, in the units of the data.

        A denoiser believes much of what it reads. So all cells with more than their share
        in the score are blanked and filled by the networks from the others, time and
        again. Those that turn out to be near what was filled in are given back, and the
        others filled again: what is left blank are the cells that are wrong together.
        """
        return self._in_chunks(self._expected, X, self.nearest.n_candidates * X.shape[1])

    @property
    def _all(self):
        return range(len(self.residuals))

    def _score(self, X, members):
        """Geometric mean of the scores by these members."""
        return self._in_chunks(
            lambda rows: np.exp(self._logarithms(rows, members).mean(axis=0)),
            X,
            self.nearest.n_candidates + X.shape[1],
        )

    def _logarithms(self, X, members):
        """Logarithms of the scores by these members, (n_members, n_samples)."""
        Z = self.scale.transform(X)
        missing = _of_missing(X, self.missing_error).sum(axis=1)
        far = self.nearest.scores(filled(Z), members) + missing
        missed = [observed_mean(each) for each in self._missed(members, Z, X.dtype)]
        missed = np.stack(missed) + missing
        return (np.log(missed + TINY) + np.log(far + TINY)) / 2

    def _shares(self, X):
        Z = self.scale.transform(X)
        shares = self.nearest.shares(filled(Z))
        missing = _of_missing(X, self.missing_error)
        if missing.any():
            far = self.nearest.scores(filled(Z), self._all).mean(axis=0)[:, np.newaxis]
            shares = (far * shares + missing) / (far + missing.sum(axis=1, keepdims=True))
        n_observed = (~np.isnan(X)).sum(axis=1, keepdims=True)
        for missed in self._missed(self._all, Z, X.dtype):
            missed = np.where(np.isnan(X), missing * n_observed, missed) + TINY
            # The logarithm of the score is half that of each: each hands out a half.
            shares += missed / missed.sum(axis=1, keepdims=True) / len(self._all)
        return shares / 2

    def _missed(self, members, Z, dtype):
        """Squared residuals of cells by each of these members, which read the same."""
        Z = Z.astype(dtype, copy=False)
        read = self.residuals[0].corrupted(Z, self.residuals[0].level)
        for j in members:
            yield self.residuals[j].squared(Z, read).astype(np.float64, copy=False)

    def _expected(self, X):
        Z = self.scale.transform(X)
        missing = np.isnan(Z)
        Z, blank = filled(Z), (self._shares(X) > 1 / Z.shape[1]) | missing
        for _ in range(_TRIALS):
            restored = self._filled(Z, blank)
            missed = np.square(Z - restored) * (blank & ~missing)
            wrong = (missed > _WRONG * missed.max(axis=1, keepdims=True)) | missing
            if (wrong == blank).all():
                break
            blank = wrong
        else:
            restored = self._filled(Z, blank)
        return self.scale.inverse_transform(restored).clip(*self.seen_range)

    def _filled(self, Z, blank):
        """What the networks make of rows whose blank cells are taken from themselves."""
        Z = Z.astype(np.float32)
        denoised = np.zeros_like(Z)
        for _ in range(_ROUNDS):
            denoised = self._denoised(np.where(blank, denoised, Z))
        return denoised.astype(np.float64)

    def _denoised(self, Z):
        read = self.residuals[0].corrupted(Z, self.noise_level)
        outputs = [member.denoised(Z, read) for member in self.residuals]
        return sum(outputs) / len(outputs)

    @staticmethod
    def _in_chunks(function, X, entries):
        n_rows = max(_CHUNK_ENTRIES // entries, 1)
        return np.concatenate([function(X[i : i + n_rows]) for i in range(0, len(X), n_rows)])


class ReconstructionScore:
    """Loss of autoencoders, in units of its mean over training rows, averaged over members.

    Parameters
    ----------
    scale : SquashingScaler or None
        Units in which rows are reconstructed; None: those of the data.

    autoencoders : list of autoencoder
        Fitted.

    shape : tuple of int
        Of one row.

    seen_range : tuple of ndarray of shape (n_features,)
        Least and greatest value of each column, in the units of the data.

    missing_error : float or ndarray of shape (n_features,)
        Error of a missing value in each column, in mean losses.
    """

    scale: object
    autoencoders: list
    shape: tuple
    seen_range: tuple
    usual: list

    # Of columns in which no value was missing in fit, and of tables, which mark them.
    missing_error: object = _MISSING_ERROR

    def __init__(self, scale, autoencoders, shape, seen_range, missing_error=_MISSING_ERROR):
        self.scale = scale
        self.autoencoders = autoencoders
        self.shape = shape
        self.seen_range = seen_range
        self.missing_error = missing_error
        self.usual = [1.0] * len(autoencoders)

    @classmethod
    def fit(cls, rows, folds, rng, make, shape, scale=None):
        """Scale the columns of a table, train, and measure what is usual.

        Parameters
        ----------
        rows : Rows
            All training rows.

        folds : Folds
            Which of them each member may see.

        rng : RandomState
            The only source of randomness.

        make : callable
            Returns an autoencoder to be fitted.

        shape : tuple of int
            Of one row.

        scale : SquashingScaler, default=None
            Units of the columns; None: those of the training rows, if these are a table.
        """
        some = rows.take(folds.seen.any(axis=0))
        if scale is None and len(shape) == 1:
            scale = SquashingScaler.of(some.inputs, some.weight)
        parts = [rng.permutation(np.flatnonzero(mask)) for mask in folds.seen]
        autoencoders = []
        for part in map(rows.take, parts):
            X = _in_units(scale, part.inputs).reshape(-1, *shape)
            autoencoder = make().set_params(random_state=draw_seed(rng))
            autoencoders.append(fit_without_warning(autoencoder, X, part.weight))
        score = cls(scale, autoencoders, shape, _range_of(some), missing_error(some))
        score.usual = [
            score.score_of_member(j, rows.inputs[part[:MOST_JUDGED]]).mean() or 1.0
            for j, part in enumerate(parts)
        ]
        return score

    @property
    def loss_curves(self):
        """Mean training loss of each epoch, of each member."""
        return [autoencoder.loss_curve_ for autoencoder in self.autoencoders]

    def score(self, X):
        """The score of each row, by all members."""
        return self._mean(lambda j: self.score_of_member(j, X))

    def score_of_member(self, member, X):
        """The score of each row, by one member."""
        autoencoder = self.autoencoders[member]
        missing = _of_missing(X, self.missing_error).sum(axis=1)
        X = _in_units(self.scale, X).reshape(-1, *self.shape)
        losses = -autoencoder.score_samples(X).astype(np.float64, copy=False)
        if losses.min() < 0:
            raise ValueError(
                "estimator must be an autoencoder whose score_samples is minus an error, "
                f"so never positive; that of {type(autoencoder).__name__} reaches "
                f"{-losses.min():.6g}."
            )
        return losses / self.usual[member] + missing

    def shares(self, X):
        """Part of each column in the score of each row, by its squared residual."""
        missing = _of_missing(X, self.missing_error) * X.shape[1] * np.mean(self.usual)
        X = _in_units(self.scale, X)
        squared = self._mean(lambda j: np.square(X - self._reconstructed(j, X)))
        squared = np.nan_to_num(np.where(np.isnan(X), missing, squared)) + TINY
        return squared / squared.sum(axis=1, keepdims=True)

    def expected(self, X):
        """The reconstruction, in the units of the data."""
        X = _in_units(self.scale, X)
        reconstructed = self._mean(lambda j: self._reconstructed(j, X))
        if self.scale is not None:
            reconstructed = self.scale.inverse_transform(reconstructed)
        return reconstructed.clip(*self.seen_range)

    def _mean(self, of_member):
        values = [of_member(j).astype(np.float64) for j in range(len(self.autoencoders))]
        mean = sum(values) / len(values)
        if np.isnan(mean).any():
            # A column without a value in a fold is NaN where its autoencoder reconstructs.
            known = sum(~np.isnan(each) for each in values)
            total = sum(np.nan_to_num(each) for each in values)
            mean = np.where(known > 0, total / np.maximum(known, 1), np.nan)
        return mean

    def _reconstructed(self, member, X):
        rows = self.autoencoders[member].reconstruct(X.reshape(-1, *self.shape))
        return rows.reshape(len(X), -1)


def missing_error(rows):
    """Squared error of a missing value in each column, (n_features,).

    As of a category that was not seen: the more are missing, the less one counts. Zero where
    all are missing.
    """
    observed = rows.observed_share
    if observed is None:
        return np.full(rows.inputs.shape[1], _MISSING_ERROR)
    return np.where(observed > 0, foreign_error(1 - observed) ** 2, 0.0)


def _of_missing(X, error):
    """Part of each missing value in the mean error of its row, (n_samples, n_features)."""
    return np.where(np.isnan(X), error, 0.0) / X.shape[1]


def _range_of(rows):
    """Least and greatest observed value of each column, (n_features,) each."""
    return np.fmin.reduce(rows.inputs, axis=0), np.fmax.reduce(rows.inputs, axis=0)


def _in_units(scale, X):
    """Rows as a network reads them, in their dtype."""
    return X if scale is None else scale.transform(X).astype(X.dtype, copy=False)
