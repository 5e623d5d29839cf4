"""Trains the denoisers of an anomaly detector."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skae.corruption._draws import draw_pool
from skae.inference._dense import DenseForward
from skae.losses._reconstruction import ObservedLoss
from skae.losses._registry import LOSSES
from skae.networks._dense import DenseCoder
from skae.utils._random import draw_seed
from skae.utils._rows import Rows

Array = NDArray[Any]

# Small tables are repeated to about this many rows: epochs of tables of all sizes then
# share a compilation, and there are few of them.
_ROWS_AN_EPOCH = 2**13

# Denoisers are trained two at a time: a program uses several cores itself, and more at a
# time gain little.
_N_WORKERS = 2
_STEPS_TO_SHARE = 1500


@dataclass(frozen=True)
class DenoiserTraining:
    """How the denoisers of a detector are trained.

    Parameters
    ----------
    hidden : tuple of int
        Widths of the hidden layers.

    noise_level : float
        The highest standard deviation of the noise.

    n_steps : int
        Steps of each denoiser, about.

    batch_size : int
        Rows in a step.

    learning_rate : float
        At the first step.

    in_order : bool
        Whether denoisers are trained one after the other, for what is printed.

    blank_rate : float
        Where rows are those of a table, the highest share of columns that are left blank.
    """

    hidden: tuple[int, ...]
    noise_level: float
    n_steps: int
    batch_size: int
    learning_rate: float
    in_order: bool
    blank_rate: float = 0.5

    def train(
        self,
        rows: Rows,
        parts: Sequence[Array],
        rng: np.random.RandomState,
        monitor: Any,
        columns: Array | None = None,
    ) -> tuple[list[DenseForward], list[list[float]]]:
        """A denoiser for each of these sets of rows, and its loss in each epoch.

        Parameters
        ----------
        rows : Rows
            Rows, in comparable columns. With `columns`, the targets tell which numbers
            count; without, they are the rows, NaN where a value is missing, or None.

        parts : sequence of ndarray of int
            Which rows each denoiser is trained on.

        rng : RandomState
            Seeds the weights and the noise.

        monitor : Monitor
            Told of each epoch.

        columns : ndarray of shape (n_columns, n_features), default=None
            Of a table: one where a number stands for a column. Columns are left blank then.
        """
        d, k = rows.inputs.shape[1], 0 if columns is None else len(columns)
        coder = DenseCoder(d + k + 1, d, self.hidden, "leaky_relu", "linear", linear_path=False)
        settings: dict[str, Any] = {
            "noise_level": np.float32(self.noise_level),
            "normal_pool": draw_pool("normal", rng, (self.batch_size, d)),
            "uniform_pool": draw_pool("uniform", rng, (self.batch_size, max(k, 1))),
        }
        if columns is not None:
            settings |= {"blank_rate": np.float32(self.blank_rate), "columns": columns}
        watched = _Watched(monitor)

        def train_one(part: Array, seed: int) -> Any:
            rng = np.random.RandomState(seed)
            return self._one(coder, rows, part, settings, len(parts), rng, watched)

        seeds = [draw_seed(rng) for _ in parts]
        # Each worker compiles a program of its own: worth it where there is much to train.
        worth_it = self.n_steps * len(parts) >= _STEPS_TO_SHARE and not self.in_order
        n_workers = min(_N_WORKERS, os.cpu_count() or 1, len(parts)) if worth_it else 1
        with ThreadPoolExecutor(n_workers) as pool:
            try:
                trained = list(pool.map(train_one, parts, seeds))
            except BaseException:
                watched.stopped = True
                pool.shutdown(cancel_futures=True)
                raise
        return (
            [DenseForward(coder, training.weights) for training in trained],
            [training.loss_curve for training in trained],
        )

    def _one(
        self,
        coder: DenseCoder,
        rows: Rows,
        part: Array,
        settings: dict[str, Any],
        n_denoisers: int,
        rng: np.random.RandomState,
        monitor: Any,
    ) -> Any:
        from skae.training._train import train_for

        rows = rows.take(part[self._index(len(part), rng)])
        shapes = {name: np.shape(value) for name, value in settings.items()}
        loss = LOSSES["squared_error"]
        if "columns" not in shapes and rows.targets is not None:
            loss = ObservedLoss(loss)

        def build() -> Any:
            from skae.anomaly._noise_conditional import NoiseConditionalDenoising
            from skae.anomaly._table_objective import TableDenoisingObjective

            if "columns" in shapes:
                return TableDenoisingObjective(coder.build("denoiser"), shapes)
            return NoiseConditionalDenoising(coder.build("denoiser"), shapes, loss)

        return train_for(
            self.n_steps,
            self.learning_rate,
            rows,
            build=build,
            key=("denoiser", coder, loss, *shapes.values()),
            weights=coder.random_weights(rng),
            settings=[np.asarray(value, np.float32) for value in settings.values()],
            batch_size=self.batch_size,
            rng=rng,
            monitor=monitor,
            n_fits=n_denoisers,
        )

    def _index(self, n_samples: int, rng: np.random.RandomState) -> Array:
        """Which rows an epoch has: each as often as any other, no more than are needed."""
        most = self.n_steps * self.batch_size
        if n_samples > most:
            return rng.permutation(n_samples)[:most]
        repeats = max(round(min(_ROWS_AN_EPOCH, most) / n_samples), 1)
        return np.tile(np.arange(n_samples), repeats)


class _Watched:
    """A monitor by which another thread can end training after the epoch.

    Parameters
    ----------
    monitor : Monitor
        Told of each epoch.
    """

    def __init__(self, monitor: Any) -> None:
        self.monitor = monitor
        self.stopped = False

    def begin(self) -> None:
        """Before an epoch."""
        self.monitor.begin()

    def end(self, training: Any) -> bool:
        """After an epoch; True stops training."""
        return bool(self.monitor.end(training)) or self.stopped

    def close(self, training: Any) -> None:
        """When training has ended."""
        self.monitor.close(training)
