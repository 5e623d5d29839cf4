"""How odd a row is, column by column: what the anomaly detector fits and asks."""

import numpy as np

from skae.corruption import draw_pool
from skae.inference import DenoisingResiduals, DenseForward, NearestRows
from skae.networks import DenseCoder
from skae.preprocessing import SquashScale

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

# Of a score without a scale; two of these in a product are far below any real score.
_TINY = 1e-9


class DenoisingScore:
    """Geometric mean of the error of a denoiser and the distance to the nearest rows.

    Both are squared differences in standardised columns, averaged over columns, in units
    of their mean over training rows: an ordinary row has a score of about one.

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

    dtype : dtype
        In which rows were given to `fit`.
    """

    def __init__(self, scale, residuals, nearest, distance):
        self.scale = scale
        self.residuals = residuals
        self.nearest = nearest
        self.distance = distance

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
        weights = _train(
            coder, Z, rows.weight, rng, monitor, noise_level, n_steps, batch_size, learning_rate
        )
        order = rng.permutation(len(Z))
        judged = Z[order[:_MOST_JUDGED]]
        noise = rng.standard_normal((len(_LEVELS), _PAIRS, Z.shape[1]))
        denoiser = DenseForward(coder, weights)
        residuals = DenoisingResiduals(denoiser, noise_level * _LEVELS, noise, judged)
        nearest = NearestRows(Z[order[:_MOST_REFERENCE]], n_neighbors)
        return cls(scale, residuals, nearest, nearest.squared(judged).mean() + _TINY)

    def contributions(self, X):
        """Part of each column in the score of each row."""
        return self._in_chunks(self._contributions, X)

    def score(self, X):
        """The score of each row."""
        return self._in_chunks(lambda rows: self._contributions(rows).sum(axis=1), X)

    def expected(self, X):
        """What the network expected where a column is odd, in the units of the data.

        Odd cells are first set to what the nearest rows have there, since a denoiser
        believes much of what it reads.
        """
        return self._in_chunks(self._expected, X)

    def _contributions(self, X):
        error, distance = self._terms(self.scale.inward(X), X.dtype)
        error_sum, distance_sum = error.sum(axis=1), distance.sum(axis=1)
        score = np.sqrt(error_sum * distance_sum)
        # The logarithm of the score is half that of each: each hands out a half.
        share = error / error_sum[:, np.newaxis] + distance / distance_sum[:, np.newaxis]
        return score[:, np.newaxis] * share / 2

    def _terms(self, Z, dtype):
        """Error and distance of each cell, a row's mean of each being about one."""
        error = self.residuals.squared(Z.astype(dtype, copy=False)).astype(np.float64)
        distance = self.nearest.squared(Z) / self.distance
        return (error + _TINY) / Z.shape[1], (distance + _TINY) / Z.shape[1]

    def _expected(self, X):
        Z = self.scale.inward(X)
        return self.scale.outward(self.residuals.denoised(Z))

    def _in_chunks(self, function, X):
        n_rows = max(_CHUNK_ENTRIES // (X.shape[1] * (self.nearest.n_neighbors + 1)), 1)
        chunks = [function(X[i : i + n_rows]) for i in range(0, len(X), n_rows)]
        return np.concatenate(chunks)


def _train(
    coder, Z, weight, rng, monitor, noise_level, n_steps, batch_size, learning_rate
):  # fmt: skip
    """Weights of a denoiser of these rows."""
    from skae import training
    from skae.utils._rows import Rows

    rows = Rows(Z.astype(np.float32), None, weight).take(_index(len(Z), n_steps, batch_size, rng))
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
    return done.weights


def _index(n_samples, n_steps, batch_size, rng):
    """Which rows an epoch has: each as often as any other, and no more than are needed."""
    if n_samples > n_steps * batch_size:
        return rng.permutation(n_samples)[: n_steps * batch_size]
    return np.tile(np.arange(n_samples), -(-_ROWS_AN_EPOCH // n_samples))
