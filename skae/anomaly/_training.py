"""Training of the denoisers of an anomaly detector, one for each fold."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.extmath import randomized_svd

from skae.corruption._corruptions import draw_pool
from skae.inference._dense import DenseForward
from skae.losses._reconstruction import LOSSES, ObservedLoss
from skae.networks._dense import DenseCoder
from skae.utils._calls import draw_seed
from skae.utils._rows import Rows

Array = NDArray[Any]

# Small tables are repeated to about this many rows: epochs of tables of all sizes then share a
# compilation, and there are few of them.
_ROWS_PER_EPOCH = 2**13

# Denoisers are trained two at a time, from so many steps in all: a program uses several cores
# itself, and each thread compiles one of its own.
_N_WORKERS = 2
_STEPS_TO_SHARE = 1500

# Networks of so many times as many columns as units in their narrowest hidden layer, which
# passes no more directions, are trained on as many principal components. Rows by which these
# are found, at most, rounds of finding them, and of filling missing values.
_WIDE = 2
_MOST_ROWS = 2000
_N_ROUNDS = 2
_N_FILLINGS = 3


def is_wide(n_numbers: int, hidden: Sequence[int]) -> bool:
    """True if there are far more columns than units in the narrowest hidden layer."""
    return bool(hidden) and n_numbers >= _WIDE * min(hidden)


@dataclass(frozen=True)
class DenoiserTraining:
    """Settings of the training of denoisers."""

    hidden: tuple[int, ...]  # widths of the hidden layers
    noise_level: float  # the highest standard deviation of the noise
    n_steps: int  # of each denoiser, about
    batch_size: int
    learning_rate: float  # at the first step
    in_order: bool  # one denoiser after the other, for what is printed
    blank_rate: float = 0.5  # for rows of a table, the highest share of columns that are blank

    def train(
        self,
        rows: Rows,
        parts: Sequence[Array],
        rng: np.random.RandomState,
        monitor: Any,
        columns: Array | None = None,
    ) -> tuple[list[DenseForward], list[list[float]]]:
        """A denoiser for the rows at each of these positions, and its loss in each epoch.

        The targets of the rows, in comparable columns, are the rows, NaN where a value is
        missing, or None. For a table, `columns`, (n_columns, n_features), is one where a number
        stands for a column, the targets are one where a number counts and zero elsewhere, and
        columns are blanked.
        """
        from skae.training._train import train_for

        d, k = rows.inputs.shape[1], 0 if columns is None else len(columns)
        projects = columns is None and is_wide(d, self.hidden)
        if projects:
            d = min(*self.hidden, *map(len, parts))
        coder = DenseCoder(d + k + 1, d, self.hidden, "leaky_relu", "linear", linear_path=False)
        settings: dict[str, Any] = {
            "noise_level": np.float32(self.noise_level),
            "normal_pool": draw_pool("normal", rng, (self.batch_size, d)),
            "uniform_pool": draw_pool("uniform", rng, (self.batch_size, max(k, 1))),
        }
        if columns is not None:
            settings |= {"blank_rate": np.float32(self.blank_rate), "columns": columns}
        shapes = {name: np.shape(value) for name, value in settings.items()}
        loss = LOSSES["squared_error"]
        if columns is None and rows.targets is not None and not projects:
            loss = ObservedLoss(loss)
        shared_monitor = _SharedMonitor(monitor)

        def build() -> Any:
            from skae.anomaly._objective import NoiseConditionalDenoising

            return NoiseConditionalDenoising(coder.build("denoiser"), shapes, loss)

        def train_one(part: Array, seed: int) -> Any:
            rng, some, of_model = np.random.RandomState(seed), rows, settings
            if projects:
                some = rows.take(part)
                projection = Projection.from_data(some, d, rng)
                some, part = projection.rows(some), np.arange(len(part))
                of_model = settings | {"noise_level": self.noise_level / projection.scale}
            done = train_for(
                self.n_steps,
                self.learning_rate,
                some.take(part[self._epoch(len(part), rng)]),
                build=build,
                key=("denoiser", coder, loss, *shapes.values()),
                weights=coder.random_weights(rng),
                settings=[np.asarray(value, np.float32) for value in of_model.values()],
                batch_size=self.batch_size,
                rng=rng,
                monitor=shared_monitor,
                n_fits=len(parts),
            )
            if not projects:
                return done.weights, done.loss_curve
            return projection.of_columns(done.weights), projection.losses(done.loss_curve)

        seeds = [draw_seed(rng) for _ in parts]
        is_long = self.n_steps * len(parts) >= _STEPS_TO_SHARE
        in_parallel = is_long and not (self.in_order or monitor.is_followed)
        n_workers = min(_N_WORKERS, os.cpu_count() or 1, len(parts)) if in_parallel else 1
        with ThreadPoolExecutor(n_workers) as pool:
            try:
                trained = list(pool.map(train_one, parts, seeds))
            except BaseException:
                shared_monitor.stopped = True
                pool.shutdown(cancel_futures=True)
                raise
        if projects:
            n = rows.inputs.shape[1]
            coder = replace(coder, n_inputs=n + 1, n_outputs=n)
        denoisers = [DenseForward(coder, weights) for weights, _ in trained]
        return denoisers, [curve for _, curve in trained]

    def _epoch(self, n_samples: int, rng: np.random.RandomState) -> Array:
        """Positions of the rows of an epoch, each as often as any other."""
        most = self.n_steps * self.batch_size
        if n_samples > most:
            return rng.permutation(n_samples)[:most]
        repeats = max(round(min(_ROWS_PER_EPOCH, most) / n_samples), 1)
        return np.tile(np.arange(n_samples), repeats)


@dataclass(frozen=True)
class Projection:
    """Principal components of many columns, in which a denoiser is trained.

    Noise of equal size in all columns is noise of equal size in the components, and errors have
    the same sum of squares in both, beside what is not in the components.
    """

    centre: Array  # (n_features,)
    axes: Array  # (n_features, n_components), orthonormal
    scale: float  # root of the mean variance of the components, by which they are divided
    rest: float  # sum of the variance of the columns that is not in the components

    @classmethod
    def from_data(cls, rows: Rows, n_components: int, rng: np.random.RandomState) -> Self:
        """Components of the rows, or of some of them."""
        some = rows.take(rng.permutation(len(rows))[:_MOST_ROWS])
        centre = np.average(some.inputs, axis=0, weights=some.weight).astype(np.float32)
        X = some.inputs.astype(np.float32, copy=False) - centre
        weight = np.ones(len(X)) if some.weight is None else some.weight / some.weight.mean()
        X *= np.sqrt(weight)[:, np.newaxis].astype(np.float32)
        _, size, axes = randomized_svd(X, n_components, n_iter=_N_ROUNDS, random_state=rng)
        variance = np.square(size, dtype=np.float64) / len(X)
        rest = np.square(X, dtype=np.float64).sum() / len(X) - variance.sum()
        return cls(centre, axes.T, float(np.sqrt(variance.mean())) or 1.0, float(max(rest, 0)))

    def rows(self, rows: Rows) -> Rows:
        """Rows in components, (n_samples, n_components); missing values are zero.

        The targets, where some are missing, have them as the components complete them.
        """
        X = (rows.inputs - self.centre).astype(np.float32, copy=False)
        inputs = targets = X @ self.axes
        if rows.targets is not None:
            missing = np.isnan(rows.targets)
            for _ in range(_N_FILLINGS):
                X = np.where(missing, targets @ self.axes.T, X)
                targets = X @ self.axes
        targets = None if rows.targets is None else targets / self.scale
        return Rows(inputs / self.scale, targets, rows.weight)

    def losses(self, curve: Sequence[float]) -> list[float]:
        """Mean losses of columns from those of components, which are those of each epoch."""
        n_features, n_components = self.axes.shape
        variance = n_components * self.scale**2
        return [(variance * loss + self.rest) / n_features for loss in curve]

    def of_columns(self, weights: Sequence[Array]) -> list[Array]:
        """Weights of a denoiser of columns, from those of one of components."""
        kernel, bias, *others, last_kernel, last_bias = weights
        kernel = kernel / self.scale
        of_rows = self.axes @ kernel[:-1]
        first = [np.vstack([of_rows, kernel[-1:]]), bias - self.centre @ of_rows]
        back = self.scale * self.axes.T
        last = [last_kernel @ back, last_bias @ back + self.centre]
        return [array.astype(np.float32) for array in (*first, *others, *last)]


class _SharedMonitor:
    """Monitor by which another thread can end training after the epoch."""

    def __init__(self, monitor: Any) -> None:
        self.begin, self.close = monitor.begin, monitor.close
        self.monitor = monitor
        self.stopped = False

    def end(self, training: Any) -> bool:
        """After an epoch; True stops training."""
        return bool(self.monitor.end(training)) or self.stopped
