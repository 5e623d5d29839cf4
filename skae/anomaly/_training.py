"""Training of the denoisers of an anomaly detector, one for each fold."""

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skae.corruption._corruptions import draw_pool
from skae.inference._dense import DenseForward
from skae.losses._reconstruction import LOSSES, ObservedLoss
from skae.networks._base import whole_numbers
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
    """Settings of the training of denoisers.

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
        If True, denoisers are trained one after the other, for what is printed.

    blank_rate : float
        For rows of a table, the highest share of columns that are blank.
    """

    hidden: tuple[int, ...]
    noise_level: float
    n_steps: int
    batch_size: int
    learning_rate: float
    in_order: bool
    blank_rate: float = 0.5

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> "DenoiserTraining":
        """Settings for these parameters of the detector."""
        return cls(
            whole_numbers("hidden_layer_sizes", params["hidden_layer_sizes"], 0),
            noise_level=float(params["noise_level"]),
            n_steps=int(params["n_steps"]),
            batch_size=int(params["batch_size"]),
            learning_rate=float(params["learning_rate"]),
            in_order=bool(params["verbose"]),
        )

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
            Rows in comparable columns. The targets are the rows, NaN where a value is missing,
            or None; with `columns`, they are one where a number counts and zero elsewhere.

        parts : sequence of ndarray of int
            Positions of the rows that each denoiser is trained on.

        rng : RandomState
            Seeds the weights and the noise.

        monitor : Monitor
            Called after each epoch.

        columns : ndarray of shape (n_columns, n_features), default=None
            Of a table: one where a number stands for a column. Columns are blanked then.
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
        shared_monitor = _SharedMonitor(monitor)

        def train_one(part: Array, seed: int) -> Any:
            rng = np.random.RandomState(seed)
            return self._train_one(coder, rows, part, settings, len(parts), rng, shared_monitor)

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

    def _train_one(
        self,
        coder: DenseCoder,
        rows: Rows,
        part: Array,
        settings: dict[str, Any],
        n_denoisers: int,
        rng: np.random.RandomState,
        monitor: Any,
    ) -> Any:
        """Train one denoiser on the rows at the positions `part`, (n_part,)."""
        from skae.training._train import train_for

        rows = rows.take(part[self._epoch(len(part), rng)])
        shapes = {name: np.shape(value) for name, value in settings.items()}
        loss = LOSSES["squared_error"]
        if "columns" not in shapes and rows.targets is not None:
            loss = ObservedLoss(loss)

        def build() -> Any:
            from skae.anomaly._objective import NoiseConditionalDenoising

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

    def _epoch(self, n_samples: int, rng: np.random.RandomState) -> Array:
        """Positions of the rows of an epoch, each as often as any other."""
        most = self.n_steps * self.batch_size
        if n_samples > most:
            return rng.permutation(n_samples)[:most]
        repeats = max(round(min(_ROWS_PER_EPOCH, most) / n_samples), 1)
        return np.tile(np.arange(n_samples), repeats)


class _SharedMonitor:
    """Monitor by which another thread can end training after the epoch.

    Parameters
    ----------
    monitor : Monitor
        Called before and after each epoch.
    """

    def __init__(self, monitor: Any) -> None:
        self.monitor = monitor
        self.stopped = False

    def begin(self, training: Any) -> None:
        """Before an epoch."""
        self.monitor.begin(training)

    def end(self, training: Any) -> bool:
        """After an epoch; True stops training."""
        return bool(self.monitor.end(training)) or self.stopped

    def close(self, training: Any) -> None:
        """When training has ended."""
        self.monitor.close(training)
