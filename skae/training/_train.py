"""Training of a Keras model on arrays, on whichever backend Keras runs."""

import threading
import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Literal

import keras
import numpy as np
from numpy.typing import NDArray

from skae.training import _optimizers
from skae.training._engine import Arrays, Engine, Snapshot
from skae.training._optimizers import Stopping
from skae.utils._rows import Rows

_ENGINES = {"tensorflow": "TensorFlowEngine", "jax": "JaxEngine", "torch": "TorchEngine"}

# XLA takes longer to compile than TensorFlow's own graph, and each step is then up to three
# times faster: far below this many steps a first fit is quicker without it. A step gains more
# with more weights. The expected number of steps decides and not whether a program is compiled
# already, so that a fit gives the same bits whatever was fitted before.
_XLA_MIN_STEPS = 2000
_XLA_MANY_WEIGHTS = 100_000

# XLA's program has one thread on a CPU. A step of so many rows and so many products of a row
# and a weight, or more, takes no longer in TensorFlow's own graph, which has all cores.
_GRAPH_ROWS, _GRAPH_PRODUCTS = 128, 4e7

# A program for a table of ten thousand columns holds a hundred megabytes of weights.
_MOST_ENGINES = 32
_MOST_BYTES = 2**29

Ending = Literal["max_iter", "converged", "behind", "callback", "diverged", "interrupted"]


@dataclass
class Training:
    """Result of a training run; losses are the means of an epoch, in parts, (n_parts,)."""

    best: Snapshot  # of the best epoch, as the backend holds it
    unpack: Callable[[Snapshot], tuple[Arrays, Arrays]]  # weights and statistics of a snapshot
    max_iter: int = 0  # epochs at most
    best_iter: int = 0  # the best epoch; 0 is the initialization
    parts: Arrays = field(default_factory=list)  # training losses
    validation_parts: Arrays = field(default_factory=list)  # first those of the initialization
    ending: Ending = "max_iter"  # why training ended
    # Validation losses until the learning rate began to fall, where it does.
    held_curve: list[float] = field(default_factory=list)
    optimizer_state: Arrays | None = None  # for a warm start
    seconds: float = 0.0  # with compilation; until training ends, those of the compilation
    # Mean validation loss: of the initialization, then of each epoch.
    validation_curve: list[float] = field(default_factory=list)

    @property
    def weights(self) -> Arrays:
        """Weights of the best epoch."""
        return self.unpack(self.best)[0]

    @property
    def loss_curve(self) -> list[float]:
        """Mean training loss of each epoch."""
        return [float(parts.sum()) for parts in self.parts]


class EngineCache:
    """Idle engines, up to a number and a size; the least recently used is dropped first.

    An engine in use is out of the cache: two threads that fit the same shape at once
    train two engines, and nothing waits while another trains.
    """

    def __init__(self, max_size: int = _MOST_ENGINES, max_bytes: int = _MOST_BYTES) -> None:
        self.max_size = max_size
        self.max_bytes = max_bytes
        self._idle: list[tuple[Hashable, Engine]] = []  # keys and engines, the last used last
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._idle)

    @contextmanager
    def borrow(self, key: Hashable | None, make: Callable[[], Engine]) -> Iterator[Engine]:
        """An engine for this key, made if none is idle; None is never kept.

        After an exception the engine is not used again.
        """
        with self._lock:
            same = [i for i, (other, _) in enumerate(self._idle) if other == key]
            engine = self._idle.pop(same[-1])[1] if same else None
        if engine is None:
            engine = make()
        yield engine
        engine.release()
        if key is None or engine.nbytes > self.max_bytes:
            return
        with self._lock:
            self._idle.append((key, engine))
            nbytes = sum(engine.nbytes for _, engine in self._idle)
            while len(self._idle) > self.max_size or nbytes > self.max_bytes:
                nbytes -= self._idle.pop(0)[1].nbytes


CACHE = EngineCache()


def _compiles_whole(allow_xla: bool, steps: int, n_weights: int) -> bool:
    """True if XLA compiles the epoch."""
    if keras.backend.backend() == "tensorflow":
        return allow_xla and steps * max(n_weights / _XLA_MANY_WEIGHTS, 1) >= _XLA_MIN_STEPS
    return keras.backend.backend() == "jax"


def train(
    build: Callable[[], Any],
    key: Hashable | None,  # equal for models that compile to one program; None: never share
    weights: Arrays,  # at first, in the order of the model's trainable variables
    training: Rows,
    validation: Rows | None,
    *,
    optimizer: Any,  # by name or object
    learning_rate: Any,  # or schedule; as the weight decay, of an optimizer by name
    weight_decay: float = 0.0,
    clip_norm: float | None = None,  # to which longer gradients are clipped
    batch_size: int,
    stopping: Stopping,
    rng: np.random.RandomState,  # the only source of randomness
    # Methods of a Training: `begin` and `end` of an epoch, True stops it, and `close`, by an
    # error too.
    monitor: Any,
    # Values of the first of the model's non-trainable variables, which are constants, and in a
    # warm start of the next ones; none: new ones.
    settings: Sequence[NDArray[Any]] = (),
    statistics: Sequence[NDArray[Any]] = (),
    optimizer_state: Arrays | None = None,  # of an earlier fit, for a warm start
    keeps_state: bool = False,  # whether the optimizer's state is a part of the result
    allow_xla: bool = True,  # whether the network gains from XLA
    n_fits: int = 1,  # fits like this one that share a compilation
    first: Sequence[float] = (),  # losses from another initialization: see `is_hopeless`
) -> Training:
    """Fit the Keras model that `build` returns, whose output is the loss of each row."""
    began = time.perf_counter()
    backend = keras.backend.backend()
    if backend not in _ENGINES:
        raise RuntimeError(
            "skae trains with the Keras backends 'tensorflow', 'jax' and 'torch'; "
            f"Keras runs on {backend!r}. Set KERAS_BACKEND before Keras is imported."
        )
    kind = getattr(import_module(f"skae.training._backend_{backend}"), _ENGINES[backend])
    n_rows, n_epochs = len(training), stopping.max_iter
    if stopping.rate is not None:
        n_epochs = min(n_epochs, _optimizers.TYPICAL_EPOCHS)
    steps = -(-n_rows // batch_size) * n_epochs * n_fits
    n_weights = sum(map(np.size, weights))
    if batch_size >= _GRAPH_ROWS and batch_size * n_weights >= _GRAPH_PRODUCTS:
        allow_xla = allow_xla and kind.has_accelerator()
    options: dict[str, Any] = {
        "batch_size": batch_size,
        "clip_norm": clip_norm,
        "paired": (
            training.targets is not None,
            validation is not None and validation.targets is not None,
        ),
        "whole_program": _compiles_whole(allow_xla, steps, n_weights),
    }
    devices, optimizer_key = kind.devices(), _optimizers.key(optimizer, weight_decay)
    if key is not None:
        key = (key, optimizer_key, devices, *options.values()) if optimizer_key else None
    if not isinstance(optimizer, str):
        learning_rate = _optimizers.learning_rate_of(optimizer)

    def make() -> Engine:
        engine: Engine = kind(build(), optimizer, weight_decay, **options)
        return engine

    with CACHE.borrow(key, make) as engine:
        engine.load(weights, settings, statistics, optimizer_state, learning_rate, rng)
        engine.put(training, validation, stopping.n_rounds)
        del training, validation  # the engine has its own
        done = run(engine, n_rows, stopping, rng, monitor, first)
        if keeps_state:
            done.optimizer_state = engine.optimizer_state()
    done.seconds = time.perf_counter() - began
    return done


def run(
    engine: Engine,
    n_rows: int,
    stopping: Stopping,
    rng: np.random.RandomState,
    monitor: Any,
    first: Sequence[float],
) -> Training:
    """Train an engine that has weights and data of `n_rows` training rows.

    A loss that is not finite or a KeyboardInterrupt ends training with the best epoch until
    then. See :func:`train` for the other arguments.
    """
    began = time.perf_counter()
    training = Training(engine.snapshot(), engine.unpacked, stopping.max_iter)
    validated = engine.n_validation > 0
    order = np.zeros(engine.epoch_length, np.int32)
    _, start = engine.epoch(order, 0)
    training.seconds = time.perf_counter() - began
    training.validation_parts.append(start)
    training.validation_curve.append(float(start.sum()))
    best = start.sum() if validated else np.inf
    schedule = _optimizers.Schedule(stopping, best)
    try:
        for epoch in range(1, stopping.max_iter + 1):
            monitor.begin(training)
            total: Any = 0.0
            n_done, is_over, is_behind = 0, False, False
            for order, n in engine.orders(rng, n_rows):
                loss, validation = engine.epoch(order, n, schedule.rates)
                monitored = (validation if validated else loss).sum()
                total, n_done = total + n * loss, n_done + n
                diverged = not np.isfinite(loss.sum() + monitored)
                is_over = diverged or schedule.update(monitored)
                is_behind = not is_over and stopping.is_hopeless(schedule.curve, first)
                if is_over or is_behind:
                    break
            loss = loss if n_done == n else total / n_done
            if diverged:
                training.ending = "diverged"
                break
            training.parts.append(loss)
            training.validation_parts.append(validation)
            training.validation_curve.append(float(validation.sum()))
            if monitored < best or not stopping.keep_best:
                best = monitored
                training.best_iter = epoch
                training.best = engine.snapshot()
            if monitor.end(training):
                training.ending = "callback"
                break
            if is_over:
                training.ending = "converged" if schedule.has_converged else "max_iter"
                break
            if is_behind:
                training.ending = "behind"
                break
    except KeyboardInterrupt:
        training.ending = "interrupted"
    finally:
        monitor.close(training)
    training.held_curve = schedule.curve[: schedule.n_held]
    return training


def train_for(n_steps: int, learning_rate: float, training: Rows, **options: Any) -> Training:
    """Train for about `n_steps` steps, in whole epochs, at Adam's rate that falls to zero.

    There is no validation, and the result is the last epoch. `options` are for :func:`train`.
    An interruption is raised, and so is a loss that is not finite.
    """
    steps_an_epoch = -(-len(training) // options["batch_size"])
    n_epochs = max(round(n_steps / steps_an_epoch), 1)
    n_steps = n_epochs * steps_an_epoch
    done = train(
        training=training,
        validation=None,
        optimizer="adam",
        learning_rate=lambda steps: learning_rate * np.maximum(1 - steps / n_steps, 0),
        stopping=Stopping(n_epochs, n_iter_no_change=1, tol=None, keep_best=False),
        **options,
    )
    if done.ending == "interrupted":
        raise KeyboardInterrupt
    if done.ending == "diverged":
        raise ValueError(
            f"The loss is not finite in epoch {len(done.parts) + 1}: choose a smaller "
            "learning_rate."
        )
    return done
