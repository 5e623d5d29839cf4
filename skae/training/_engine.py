"""One epoch as one program, written once for all backends."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Sequence
from contextlib import closing
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from skae.networks._layers import values
from skae.training._data import VALIDATION_ROWS, Chunk, Stream, bucket, shuffled
from skae.training._optimizers import LearningRate, Rate, is_elementwise
from skae.training._schedule import Rates
from skae.training._tensors import (
    clipped,
    compact,
    flatten,
    rows_from,
    unflatten,
    weighted_sum,
)
from skae.utils._lazy import FEW_BYTES
from skae.utils._process import malloc_trim
from skae.utils._rows import Rows

Arrays = list[NDArray[Any]]
State = dict[str, list[Any]]
Snapshot = tuple[list[Any], list[Any]]

# Up to so many weights are one vector for the optimizer: a step costs one update, not one for
# every array. With more, gathering the gradients costs more than that saves.
_MOST_FLAT = 8192

_FLOAT_BYTES = 4

# An accelerator holds rows of so many bytes as a whole; on a CPU they would be there twice.
_MOST_ON_ACCELERATOR = 2**30


class Engine(ABC):
    """A model, an optimizer and the function that trains the one with the other.

    The function takes the data, an order of the rows, their number and the numbers of batches
    to train on and to validate (0: none), and processes all of them without a return to
    Python. Too many rows for the device come chunk by chunk, one call each.

    - `load` sets weights, seeds, settings and the optimizer's state, and `put` the rows: all
      that a fit depends on. An engine is expensive to make and cheap to use again.
    - `_epoch` is the program, in `keras.ops`; a backend defines the gradient (`_step`), the
      compilation (`_run`) and where the state is held (`_begin`, `_fetch`).
    - `skae.training._loop` chooses learning rates, the best epoch and the end.

    Parameters
    ----------
    model : keras.Model
        Its output for ``(inputs, targets)`` is the loss of each row, of shape (n_rows,)
        or, in parts that add up, (n_rows, n_parts).

    optimizer : keras.optimizers.Optimizer
        Not yet built; its learning rate is `rate`.

    rate : Rate
        Set to the learning rate of each step.

    batch_size : int
        Rows in a step.

    clip_norm : float or None
        The norm to which longer gradients are clipped.

    paired : tuple of bool
        Whether targets differ from inputs, in training and in validation.

    whole_program : bool
        Whether XLA compiles the epoch, where the backend leaves a choice.
    """

    def __init__(
        self,
        model: Any,
        optimizer: Any,
        rate: Rate,
        *,
        batch_size: int,
        clip_norm: float | None = None,
        paired: tuple[bool, bool] = (False, False),
        whole_program: bool = False,
    ) -> None:
        self.model = model
        self.optimizer = optimizer
        self.rate = rate
        self.batch_size = batch_size
        self.clip_norm = clip_norm
        self.paired = paired
        self.whole_program = whole_program
        self._shapes = [tuple(v.shape) for v in model.trainable_variables]
        total = sum(int(np.prod(shape)) for shape in self._shapes)
        self._flat = total <= _MOST_FLAT and is_elementwise(optimizer)
        if self._flat:
            vector = np.zeros(total, np.float32)
            self._params = [keras.Variable(vector, dtype="float32", name="weights")]
        else:
            self._params = list(model.trainable_variables)
        optimizer.build(self._params)
        self._fresh_optimizer = [compact(v) for v in values(optimizer.variables)]
        self._fresh_others = [compact(v) for v in values(model.non_trainable_variables)]
        self._n_parts = getattr(model, "n_parts", 1)
        self._seeds = [v.name == "seed_generator_state" for v in model.non_trainable_variables]
        # Memory of an idle engine.
        variables = {id(v): v for v in [*model.variables, *self._params, *optimizer.variables]}
        self.nbytes = sum(_FLOAT_BYTES * math.prod(v.shape) for v in variables.values())
        self._state: State = {}
        self._training: list[Any] = []
        self._validation: list[Any] = []
        self._stream: Stream | None = None
        self._n_validation = self._n_settings = self._n_steps = 0
        self._has_run = False
        self._learning_rate: LearningRate = 0.0

    # Defined by backends

    @classmethod
    def devices(cls) -> Hashable:
        """Devices for which a program is made, where a backend distributes."""
        return None

    def _tensor(self, array: NDArray[Any]) -> Any:
        """An array of any shape on the device, or on each of them."""
        return ops.convert_to_tensor(array)

    def _tensors(self, arrays: Sequence[NDArray[Any]]) -> list[Any]:
        """Arrays of any shapes on the device."""
        return [self._tensor(array) for array in arrays]

    def _copies(self, tensors: Sequence[Any]) -> list[Any]:
        """Copies that later epochs do not change."""
        return values(tensors)

    def _repeat(self, times: Any, function: Callable[..., Any], *carried: Any) -> Any:
        """Call a function of the number of the call and of the results of the one before."""
        _, *carried = ops.while_loop(
            lambda i, *_: i < times,
            lambda i, *carried: (i + 1, *function(i, *carried)),
            (ops.zeros((), "int32"), *carried),
        )
        return carried

    @abstractmethod
    def _step(self, state: State, x: Any, target: Any, weight: Any) -> tuple[State, Any]:
        """One batch: the next state and the weighted sums of the losses, (n_parts,)."""

    @abstractmethod
    def _run(
        self, order: Any, rates: NDArray[Any], n_rows: int, n_steps: int, n_chunks: int
    ) -> tuple[Any, Any]:
        """Call `_epoch` and set the state; order (n_visits,), rates (n_steps,)."""

    @abstractmethod
    def _mapped(self, schedule: Callable[[Any], Any]) -> Callable[[NDArray[Any]], Any]:
        """A function of one step as a function of many."""

    def _fetch(self) -> tuple[Sequence[Any], Sequence[Any], Sequence[Any]]:
        """Current values of weights, optimizer variables and other variables."""
        return self._state["params"], self._state["optimizer"], self._state["others"]

    def _begin(self, params: Arrays, optimizer: Arrays, others: Arrays) -> None:
        """Set what `_fetch` returns."""
        values = {"params": params, "optimizer": optimizer, "others": others}
        # Tensors may share the memory of the arrays.
        self._state = {k: self._tensors([v.copy() for v in vs]) for k, vs in values.items()}

    # Called by the loop

    def load(
        self,
        weights: Sequence[NDArray[Any]],
        *,
        rng: np.random.RandomState,
        settings: Sequence[NDArray[Any]] = (),
        statistics: Sequence[NDArray[Any]] = (),
        optimizer_state: Arrays | None = None,
        learning_rate: LearningRate = 0.0,
    ) -> None:
        """Set the initial state, new or that of an earlier fit.

        Parameters
        ----------
        weights : sequence of ndarray
            In the order of the model's trainable variables.

        rng : RandomState
            Seeds the model's generators (dropout and the like).

        settings : sequence of ndarray
            Values of the first of the model's non-trainable variables.

        statistics : sequence of ndarray
            Values of the next ones, without seeds; the remaining ones are new.

        optimizer_state : list of ndarray or None
            Of an earlier fit; None, or of another optimizer: a new state.

        learning_rate : float, LearningRateSchedule or callable
            One for all steps, a schedule, or a function of an array of step numbers.
        """
        params = [np.asarray(w, np.float32) for w in weights]
        if self._flat:
            params = [np.concatenate([w.ravel() for w in params])]
        fresh = []
        self._n_settings = len(settings)
        given = iter([*settings, *statistics])
        for is_seed, value in zip(self._seeds, self._fresh_others, strict=True):
            if is_seed:
                seed = np.array([rng.randint(2**31 - 1), 0]).astype(value.dtype)
                fresh.append(seed)
            else:
                fresh.append(next(given, value))
        fits = [v.shape for v in optimizer_state or []] == [
            v.shape for v in self._fresh_optimizer
        ]
        slots = list(optimizer_state if optimizer_state and fits else self._fresh_optimizer)
        if isinstance(learning_rate, keras.optimizers.schedules.LearningRateSchedule):
            learning_rate = self._mapped(learning_rate)
        self._learning_rate = learning_rate
        self._n_steps = int(slots[self._position(self.optimizer._iterations)])
        if self.optimizer.use_ema and not fits:
            for position, value in zip(self._positions_of_averages(), params, strict=True):
                slots[position] = value
        self._begin(params, slots, fresh)

    def put(self, training: Rows, validation: Rows | None) -> None:
        """Move the data to the device, once for a fit, or prepare to do so in chunks."""
        n_rows = len(training)
        self.epoch_length = bucket(n_rows, self.batch_size)
        self._stream = None
        if training.is_lazy and n_rows * training.row_bytes > self._most_bytes:
            self._stream = Stream(training, self.batch_size)
        else:
            self._training = self._tensors(training.padded(bucket(n_rows)))
        self._n_validation = 0 if validation is None else len(validation)
        if validation is None:
            validation = training.take(np.zeros(0, np.intp))
        length = bucket(max(len(validation), 1), self._chunk_rows)
        self._validation = self._tensors(validation.padded(length))

    @property
    def _data(self) -> list[Any]:
        """Tensors of the data."""
        return self._training + self._validation

    @property
    def _most_bytes(self) -> int:
        """Largest size of lazy rows that this device holds as a whole."""
        return _MOST_ON_ACCELERATOR if self._is_accelerated else FEW_BYTES

    @property
    def _is_accelerated(self) -> bool:
        """True if the device is not the CPU."""
        device = getattr(self._params[0].value, "device", "cpu")
        return "cpu" not in str(device).lower()

    @property
    def _is_serial(self) -> bool:
        """True if XLA compiles for the CPU, where the program has one thread."""
        return self.whole_program and not self._is_accelerated

    @property
    def has_validation(self) -> bool:
        """True if there are validation rows."""
        return self._n_validation > 0

    def release(self) -> None:
        """Release the data and whatever else `load` and `put` set."""
        self._training, self._validation, self._state = [], [], {}
        self._stream = None
        self._learning_rate = 0.0

    def order(self, rng: np.random.RandomState, n_rows: int) -> NDArray[np.int32]:
        """Rows of an epoch in the order in which they are visited, up to its padded length."""
        if self._stream is not None:
            return self._stream.order(rng, self.epoch_length)
        return shuffled(rng, n_rows, self.epoch_length)

    def epoch(
        self, order: NDArray[np.int32], n_rows: int, rates: Rates = None
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        """Train on `n_rows` rows in this order; mean losses of training and validation.

        Each is an array (n_parts,), of NaN without rows. With ``n_rows=0`` the weights stay.
        `rates` are the learning rates at the beginning and at the end; None: as loaded.
        """
        steps = self._rates(n_rows, rates)
        if self._stream is None:
            sums = self._call(order, n_rows, steps, self._n_validation)
        else:
            sums = self._run_in_chunks(self._stream, order, n_rows, steps)
        total, validation = values(sums)
        return (
            total / (n_rows or np.nan),
            validation / (self._n_validation or np.nan),
        )

    def _call(
        self, order: NDArray[np.int32], n_rows: int, rates: NDArray[Any], n_validation: int
    ) -> tuple[Any, Any]:
        """Run an epoch; order (n_visits,), rates (n_steps,)."""
        n_steps, n_chunks = -(-n_rows // self.batch_size), -(-n_validation // self._chunk_rows)
        sums = self._run(order, rates, n_rows, n_steps, n_chunks)
        if self.whole_program and not self._has_run:
            malloc_trim()
        self._has_run = True
        return sums

    def _run_in_chunks(
        self, stream: Stream, order: NDArray[np.int32], n_rows: int, rates: NDArray[np.float32]
    ) -> tuple[Any, Any]:
        """The same of rows that are read while it runs, then validation."""

        def run(chunk: Chunk, n_validation: int) -> tuple[Any, Any]:
            self._training = []  # makes room for the next chunk
            self._training = self._tensors(chunk.arrays)
            steps = np.zeros(stream.n_steps, np.float32)
            steps[: chunk.steps.stop - chunk.steps.start] = rates[chunk.steps]
            return self._call(chunk.order, chunk.n_rows, steps, n_validation)

        total: Any = 0.0
        with closing(stream.chunks(order, n_rows)) as chunks:
            for chunk in chunks:
                total += run(chunk, 0)[0]
        nothing, validation = run(stream.blank(), self._n_validation)
        return total + nothing, validation

    def snapshot(self) -> Snapshot:
        """Copies of the weights, averaged if the optimizer averages them, and statistics."""
        params, slots, others = self._fetch()
        if self.optimizer.use_ema:
            params = [slots[i] for i in self._positions_of_averages()]
        others = [v for v, is_seed in zip(others, self._seeds, strict=True) if not is_seed]
        return self._copies(params), self._copies(others[self._n_settings :])

    def unpacked(self, snapshot: Snapshot) -> tuple[Arrays, Arrays]:
        """Weights and statistics of a snapshot, in the order of the model's variables."""
        params, statistics = map(values, snapshot)
        if self._flat:
            params = unflatten(np.split, np.reshape, params[0], self._shapes)
        return params, statistics

    def optimizer_state(self) -> Arrays:
        """Copy of the optimizer's variables."""
        return values(self._fetch()[1])

    # The program

    def _epoch(
        self,
        state: State,
        order: Any,
        rates: Any,
        n_rows: Any,
        n_steps: Any,
        n_chunks: Any,
        *data: Any,
    ) -> tuple[State, Any, Any]:
        size = self.batch_size
        n_train = 2 + self.paired[0]
        training, validation = list(data[:n_train]), data[n_train:]
        row_number = ops.arange(size, dtype="int32")

        def train_batch(i: Any, state: State, total: Any) -> tuple[State, Any]:
            index = rows_from(order, i * size, size)
            *x, weight = [ops.take(array, index, axis=0) for array in training]
            n_remaining = n_rows - i * size
            weight = weight * ops.cast(row_number < n_remaining, "float32")
            count = ops.cast(ops.minimum(n_remaining, size), "float32")
            with self.rate.at(ops.reshape(ops.slice(rates, [i], [1]), ())):
                state, parts = self._step(state, x[0], x[-1], weight / count)
            return state, total + parts * count

        nothing = ops.zeros((self._n_parts,), "float32")
        state, total = self._repeat(n_steps, train_batch, state, nothing)

        chunk = self._chunk_rows

        def validate_chunk(i: Any, total: Any) -> tuple[Any]:
            *x, weight = [rows_from(array, i * chunk, chunk) for array in validation]
            weights = self._unflattened(self._evaluated(state))
            losses, _ = self._losses(weights, state, x[0], x[-1], False)
            return (total + weighted_sum(losses, weight),)

        (validation_total,) = self._repeat(n_chunks, validate_chunk, nothing)
        return state, total, validation_total

    def _losses(
        self, weights: Sequence[Any], state: State, x: Any, target: Any, training: bool
    ) -> tuple[Any, list[Any]]:
        """Losses (n_rows, n_parts), and the next values of variables that are not trained."""
        losses, others = self.model.stateless_call(
            list(weights), state["others"], (x, target), training=training
        )
        return ops.reshape(losses, (-1, self._n_parts)), others

    def _unflattened(self, params: Sequence[Any]) -> list[Any]:
        """The optimizer's variables as the model's weights."""
        if not self._flat:
            return list(params)
        return unflatten(ops.split, ops.reshape, params[0], self._shapes)

    def _clipped(self, gradients: Sequence[Any]) -> list[Any]:
        """Gradients of the model's weights, clipped, as the optimizer takes them."""
        gradients = list(gradients)
        if self.clip_norm is not None:
            gradients = clipped(gradients, self.clip_norm, self._is_serial)
        if not self._flat:
            return gradients
        return [flatten(gradients, self._params[0].shape[0], self._is_serial)]

    def _evaluated(self, state: State) -> Sequence[Any]:
        """Weights for validation: averaged if the optimizer averages them."""
        if not self.optimizer.use_ema:
            return self._current_params(state)
        slots = self._current_slots(state)
        return [slots[i] for i in self._positions_of_averages()]

    def _current_params(self, state: State) -> Sequence[Any]:
        return state["params"]

    def _current_slots(self, state: State) -> Sequence[Any]:
        return state["optimizer"]

    # Positions and rates

    def _rates(self, n_rows: int, ends: Rates) -> NDArray[np.float32]:
        """Learning rates of the steps of an epoch, zero up to the length of a full one."""
        rates = np.zeros(self.epoch_length // self.batch_size, np.float32)
        n_steps = -(-n_rows // self.batch_size)
        if ends is not None:
            rates[:n_steps] = np.linspace(*ends, n_steps, endpoint=False)
        elif n_steps and callable(self._learning_rate):
            steps = np.arange(self._n_steps, self._n_steps + n_steps, dtype=np.int32)
            (rates[:n_steps],) = values([self._learning_rate(steps)])
        elif n_steps:
            rates[:n_steps] = self._learning_rate
        self._n_steps += n_steps
        return rates

    @property
    def _chunk_rows(self) -> int:
        return max(self.batch_size, VALIDATION_ROWS)

    def _positions_of_averages(self) -> list[int]:
        averages = self.optimizer._model_variables_moving_average
        return [self._position(v) for v in averages]

    def _position(self, variable: Any) -> int:
        return next(i for i, v in enumerate(self.optimizer.variables) if v is variable)
