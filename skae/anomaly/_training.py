"""Training of the denoisers of an anomaly detector, one for each fold."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

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
        if columns is None and rows.targets is not None:
            loss = ObservedLoss(loss)
        shared_monitor = _SharedMonitor(monitor)

        def build() -> Any:
            from skae.anomaly._objective import NoiseConditionalDenoising

            return NoiseConditionalDenoising(coder.build("denoiser"), shapes, loss)

        def train_one(part: Array, seed: int) -> Any:
            rng = np.random.RandomState(seed)
            return train_for(
                self.n_steps,
                self.learning_rate,
                rows.take(part[self._epoch(len(part), rng)]),
                build=build,
                key=("denoiser", coder, loss, *shapes.values()),
                weights=coder.random_weights(rng),
                settings=[np.asarray(value, np.float32) for value in settings.values()],
                batch_size=self.batch_size,
                rng=rng,
                monitor=shared_monitor,
                n_fits=len(parts),
            )

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
        return (
            [DenseForward(coder, training.weights) for training in trained],
            [training.loss_curve for training in trained],
        )

    def _epoch(self, n_samples: int, rng: np.random.RandomState) -> Array:
        """Positions of the rows of an epoch, each as often as any other."""
        most = self.n_steps * self.batch_size
        if n_samples > most:
            return rng.permutation(n_samples)[:most]
        repeats = max(round(min(_ROWS_PER_EPOCH, most) / n_samples), 1)
        return np.tile(np.arange(n_samples), repeats)


class _SharedMonitor:
    """Monitor by which another thread can end training after the epoch."""

    def __init__(self, monitor: Any) -> None:
        self.begin, self.close = monitor.begin, monitor.close
        self.monitor = monitor
        self.stopped = False

    def end(self, training: Any) -> bool:
        """After an epoch; True stops training."""
        return bool(self.monitor.end(training)) or self.stopped
