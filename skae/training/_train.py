"""Training of a Keras model on arrays, on whichever backend Keras runs."""

import time
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from skae.training import _optimizers
from skae.training._cache import CACHE
from skae.training._engine import Arrays, Engine
from skae.training._loop import Monitor, Training, run
from skae.training._schedule import Stopping
from skae.utils._process import refuse_forked_process
from skae.utils._rows import Rows

# XLA takes longer to compile than TensorFlow's own graph, and each step is then up to three
# times faster: far below this many steps a first fit is quicker without it. The more weights
# there are, the more a step gains. The number of steps that are likely decides and not what
# happens to be compiled already, so that a fit gives the same bits whatever was fitted before.
_XLA_MIN_STEPS = 2000
_XLA_MANY_WEIGHTS = 100_000


def _engine_class() -> type[Engine]:
    backend = keras.backend.backend()
    if backend == "tensorflow":
        from skae.training._backend_tensorflow import TensorFlowEngine

        return TensorFlowEngine
    if backend == "jax":
        from skae.training._backend_jax import JaxEngine

        return JaxEngine
    if backend == "torch":
        from skae.training._backend_torch import TorchEngine

        return TorchEngine
    raise RuntimeError(
        "skae trains with the Keras backends 'tensorflow', 'jax' and 'torch'; "
        f"Keras runs on {backend!r}. Set KERAS_BACKEND before Keras is imported."
    )


def _compiles_whole(allow_xla: bool, steps: int, n_weights: int) -> bool:
    if keras.backend.backend() == "tensorflow":
        worth = steps * max(n_weights / _XLA_MANY_WEIGHTS, 1)
        return allow_xla and worth >= _XLA_MIN_STEPS
    return keras.backend.backend() == "jax"


def train(
    build: Callable[[], Any],
    key: Hashable | None,
    weights: Arrays,
    training: Rows,
    validation: Rows | None,
    *,
    optimizer: Any,
    learning_rate: Any,
    weight_decay: float = 0.0,
    clip_norm: float | None = None,
    batch_size: int,
    stopping: Stopping,
    rng: np.random.RandomState,
    monitor: Monitor,
    settings: Sequence[NDArray[Any]] = (),
    statistics: Sequence[NDArray[Any]] = (),
    optimizer_state: Arrays | None = None,
    allow_xla: bool = True,
    n_fits: int = 1,
    first: Sequence[float] = (),
) -> Training:
    """Fit a Keras model whose output is the loss of each row.

    Parameters
    ----------
    build : callable
        Makes the model.

    key : hashable or None
        Equal for models that compile to the same program; None: never share.

    weights : list of ndarray
        Where training starts, in the order of the model's trainable variables.

    training, validation : Rows
        Rows to train on and rows to judge by, if any.

    optimizer : str or keras.optimizers.Optimizer
        By name or object.

    learning_rate : float or LearningRateSchedule
        For an optimizer given by name.

    weight_decay : float
        For an optimizer given by name.

    clip_norm : float or None
        The norm to which longer gradients are cut.

    batch_size : int
        Rows in a step.

    stopping : Stopping
        When training ends.

    rng : RandomState
        The only source of randomness.

    settings : sequence of ndarray
        Values of the first of the model's non-trainable variables, which stay.

    statistics : sequence of ndarray
        Values of the next ones, for training that goes on; none: afresh.

    optimizer_state : list of ndarray or None
        For training that goes on.

    monitor : Monitor
        Told of each epoch; may stop training.

    allow_xla : bool
        Whether the network gains from XLA on this device.

    n_fits : int
        How many fits like this one there will be, one after the other: what one
        compilation is worth.

    first : sequence of float
        Losses after each epoch of another start, see :func:`run`.

    Returns
    -------
    Training
    """
    refuse_forked_process()
    began = time.perf_counter()
    optimizer_key = _optimizers.key(optimizer, weight_decay)
    steps = -(-len(training) // batch_size) * stopping.likely_epochs * n_fits
    options: dict[str, Any] = {
        "batch_size": batch_size,
        "clip_norm": clip_norm,
        "paired": (
            training.targets is not None,
            validation is not None and validation.targets is not None,
        ),
        "whole_program": _compiles_whole(allow_xla, steps, sum(map(np.size, weights))),
    }
    kind = _engine_class()
    devices = kind.devices()
    if key is not None:
        key = (key, optimizer_key, devices, *options.values()) if optimizer_key else None

    def make() -> Engine:
        rate = _optimizers.Rate()
        made = _optimizers.make(optimizer, rate, weight_decay)
        return kind(build(), made, rate, **options)

    with CACHE.borrow(key, make) as engine:
        engine.load(
            weights,
            rng=rng,
            settings=settings,
            statistics=statistics,
            optimizer_state=optimizer_state,
            learning_rate=_optimizers.learning_rate_of(optimizer, learning_rate),
        )
        engine.put(training, validation)
        n_rows = len(training)
        del training, validation  # the engine has its own
        done = run(engine, n_rows, stopping, rng, monitor, first)
    done.seconds = time.perf_counter() - began
    return done


def train_for(n_steps: int, learning_rate: float, training: Rows, **options: Any) -> Training:
    """Train for about so many steps, whole epochs, at a rate that falls to zero.

    Parameters
    ----------
    n_steps : int
        How many, about.

    learning_rate : float
        Of Adam, at the first step.

    training : Rows
        Rows to train on; none are held out, and the last epoch is kept.

    **options
        For :func:`train`.

    Returns
    -------
    Training

    Raises
    ------
    KeyboardInterrupt
        If training is interrupted.

    ValueError
        If the loss is not finite.
    """
    steps_an_epoch = -(-len(training) // options["batch_size"])
    n_epochs = max(round(n_steps / steps_an_epoch), 1)
    done = train(
        training=training,
        validation=None,
        optimizer="adam",
        learning_rate=_optimizers.falling(learning_rate, n_epochs * steps_an_epoch),
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
