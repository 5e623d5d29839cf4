"""How odd a row is, column by column: what the anomaly detector fits and asks."""

import numpy as np

from skae.anomaly._neighbors import NearestRows
from skae.anomaly._residuals import DenoisingResiduals
from skae.corruption import draw_pool
from skae.inference import DenseForward
from skae.networks import DenseCoder
from skae.tables import SquashScale
from skae.utils._random import offspring
from skae.utils._rows import Rows

# At which shares of the highest noise level rows are denoised, and how often at each, in
# pairs of opposite noise.
_LEVELS = np.array([0.25, 0.5, 0.75, 1.0])
_PAIRS = 1

# Rows that stand for all the others: as neighbours, and where a mean is taken.
_MOST_REFERENCE = 5000
_MOST_JUDGED = 2000

# Small tables are repeated to about this many rows: epochs of tables of all sizes then
# share a compilation, and there are few of them.
_ROWS_AN_EPOCH = 2**13

# Entries of the neighbours that are held at a time.
_CHUNK_ENTRIES = 2**20

# How many times its fair share a cell has in the score of a row to be blanked, and how
# often blanked cells are filled. Found with planted anomalies: once misses twice as much.
_ODD = 2.0
_ROUNDS = 5

# Of a score without a scale; two of these in a product are far below any real score.
_TINY = 1e-9


class DenoisingScore:
    """Geometric mean of the error of a denoiser and the distance to the nearest rows.

    Both are squared differences in standardised columns, averaged over columns, in units
    of their mean over training rows.

    Parameters
    ----------
    scale : SquashScale
        Units in which rows are compared.

    residuals : DenoisingResiduals
        What the denoiser misses.

    nearest : NearestRows
        Training rows.

    distance : float
        Mean squared difference of a cell to the neighbours, of training rows.

    loss_curve : list of float
        Mean training loss of each epoch.
    """

    def __init__(self, scale, residuals, nearest, distance, loss_curve):
        self.scale = scale
        self.residuals = residuals
        self.nearest = nearest
        self.distance = distance
        self.loss_curve = loss_curve

    @classmethod
    def fit(
        cls, rows, rng, monitor, *, hidden, n_neighbors, noise_level, n_steps, batch_size,
        learning_rate,
    ):  # fmt: skip
        """Scale, train, and measure what is usual."""
        scale = SquashScale.of(rows.inputs, rows.weight)
        Z = scale.inward(rows.inputs)
        coder = DenseCoder(
            Z.shape[1] + 1, Z.shape[1], hidden, "leaky_relu", "linear", linear_path=False
        )
        training = _train(
            coder, Z, rows.weight, rng, monitor, noise_level, n_steps, batch_size, learning_rate
        )
        order = rng.permutation(len(Z))
        judged = Z[order[:_MOST_JUDGED]]
        noise = rng.standard_normal((len(_LEVELS), _PAIRS, Z.shape[1]))
        denoiser = DenseForward(coder, training.weights)
        residuals = DenoisingResiduals(denoiser, noise_level * _LEVELS, noise, judged)
        nearest = NearestRows(Z[order[:_MOST_REFERENCE]], n_neighbors)
        distance = nearest.squared(judged).mean() + _TINY
        return cls(scale, residuals, nearest, distance, training.loss_curve)

    def contributions(self, X):
        """Part of each column in the score of each row."""
        return self._in_chunks(self._contributions, X)

    def score(self, X):
        """The score of each row."""
        return self._in_chunks(lambda rows: self._contributions(rows).sum(axis=1), X)

    def expected(self, X):
        """What the network expected in each cell, in the units of the data.

        A denoiser believes much of what it reads. So cells with a large part in the score
        are blanked first, and filled by the network from the others, time and again.
        """
        return self._in_chunks(self._expected, X)

    def _contributions(self, X):
        Z = self.scale.inward(X)
        error = self.residuals.squared(Z.astype(X.dtype, copy=False)).astype(np.float64)
        error = (error + _TINY) / Z.shape[1]
        distance = (self.nearest.squared(Z) / self.distance + _TINY) / Z.shape[1]
        error_sum, distance_sum = error.sum(axis=1), distance.sum(axis=1)
        score = np.sqrt(error_sum * distance_sum)
        # The logarithm of the score is half that of each: each hands out a half.
        share = error / error_sum[:, np.newaxis] + distance / distance_sum[:, np.newaxis]
        return score[:, np.newaxis] * share / 2

    def _expected(self, X):
        Z = self.scale.inward(X)
        contributions = self._contributions(X)
        least = min(_ODD / Z.shape[1], 0.5)
        odd = contributions > least * contributions.sum(axis=1, keepdims=True)
        filled = np.where(odd, 0.0, Z)
        for _ in range(_ROUNDS):
            denoised = self.residuals.denoised(filled)
            filled = np.where(odd, denoised, Z)
        return self.scale.outward(denoised)

    def _in_chunks(self, function, X):
        n_rows = max(_CHUNK_ENTRIES // (X.shape[1] * (self.nearest.n_neighbors + 1)), 1)
        return np.concatenate([function(X[i : i + n_rows]) for i in range(0, len(X), n_rows)])


class ReconstructionScore:
    """Loss of an autoencoder, in units of its mean over training rows.

    Parameters
    ----------
    scale : SquashScale or None
        Units in which rows are reconstructed; None: those of the data.

    autoencoder : autoencoder
        Fitted.

    shape : tuple of int
        Of one row.

    rows : ndarray of shape (n_samples, n_features)
        Rows whose mean score is one.
    """

    def __init__(self, scale, autoencoder, shape, rows):
        self.scale = scale
        self.autoencoder = autoencoder
        self.shape = shape
        self.usual = 1.0
        self.usual = float(self.score(rows).mean()) or 1.0

    @classmethod
    def fit(cls, rows, rng, autoencoder, shape):
        """Scale the columns of a table, train, and measure what is usual."""
        scale = SquashScale.of(rows.inputs, rows.weight) if len(shape) == 1 else None
        autoencoder.set_params(random_state=offspring(rng))
        X = _in_units(scale, rows.inputs).reshape(-1, *shape)
        autoencoder.fit(X, sample_weight=rows.weight)
        order = rng.permutation(len(X))[:_MOST_JUDGED]
        return cls(scale, autoencoder, shape, rows.inputs[order])

    @property
    def loss_curve(self):
        """Mean training loss of each epoch."""
        return self.autoencoder.loss_curve_

    def contributions(self, X):
        """Part of each column in the score of each row, by its squared residual."""
        X = _in_units(self.scale, X)
        squared = np.square(X - self._reconstructed(X)).astype(np.float64) + _TINY
        share = squared / squared.sum(axis=1, keepdims=True)
        return self._losses(X)[:, np.newaxis] * share

    def score(self, X):
        """The score of each row."""
        return self._losses(_in_units(self.scale, X))

    def expected(self, X):
        """The reconstruction, in the units of the data."""
        reconstructed = self._reconstructed(_in_units(self.scale, X))
        return reconstructed if self.scale is None else self.scale.outward(reconstructed)

    def _reconstructed(self, X):
        rows = self.autoencoder.reconstruct(X.reshape(-1, *self.shape))
        return rows.reshape(len(X), -1)

    def _losses(self, X):
        scores = self.autoencoder.score_samples(X.reshape(-1, *self.shape))
        losses = -scores.astype(np.float64, copy=False)
        if losses.min() < 0:
            raise ValueError(
                "estimator must be an autoencoder whose score_samples is minus an error, "
                f"so never positive; that of {type(self.autoencoder).__name__} reaches "
                f"{-losses.min():.6g}."
            )
        return losses / self.usual


def _in_units(scale, X):
    """Rows as a network reads them, in their dtype."""
    return X if scale is None else scale.inward(X).astype(X.dtype, copy=False)


def _train(
    coder, Z, weight, rng, monitor, noise_level, n_steps, batch_size, learning_rate
):  # fmt: skip
    """Train a denoiser of these rows."""
    from skae import training

    rows = Rows(Z.astype(np.float32), None, weight).take(
        _index(len(Z), n_steps, batch_size, rng)
    )
    settings = {
        "noise_level": np.float32(noise_level),
        "normal_pool": draw_pool("normal", rng, (batch_size, Z.shape[1])),
        "uniform_pool": draw_pool("uniform", rng, (batch_size, 1)),
    }
    shapes = {name: np.shape(value) for name, value in settings.items()}

    def build():
        from skae.models import LeveledDenoisingObjective

        return LeveledDenoisingObjective(coder.build("denoiser"), shapes)

    n_epochs = -(-n_steps // -(-len(rows) // batch_size))
    done = training.train(
        build,
        key=("denoiser", coder, *shapes.values()),
        weights=coder.random_weights(rng),
        settings=[np.asarray(value, np.float32) for value in settings.values()],
        training=rows,
        validation=None,
        optimizer="adam",
        learning_rate=training.falling(learning_rate, n_steps),
        batch_size=batch_size,
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
    return done


def _index(n_samples, n_steps, batch_size, rng):
    """Which rows an epoch has: each as often as any other, and no more than are needed."""
    if n_samples > n_steps * batch_size:
        return rng.permutation(n_samples)[: n_steps * batch_size]
    return np.tile(np.arange(n_samples), -(-_ROWS_AN_EPOCH // n_samples))
