"""One epoch as one program, written once for all backends."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from contextlib import closing
from functools import cached_property
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from skae.networks._layers import values
from skae.training._data import Stream, compact, flatten, rows_from, sum_of_squares, unflatten
from skae.training._optimizers import LearningRate, Rate, Rates, is_elementwise, make
from skae.utils._lazy import FEW_BYTES
from skae.utils._process import malloc_trim
from skae.utils._rows import Rows

Arrays = list[NDArray[Any]]
State = dict[str, list[Any]]
Snapshot = tuple[list[Any], list[Any]]

# Rows that the validation pass takes at a time, at least.
_VALIDATION_ROWS = 256

# Up to so many rows are padded to a power of two: a whole table then mostly shares a
# compilation with its folds.
_FEW_ROWS = 2**13

# Up to so many weights are one vector for the optimizer: a step costs one update, not one for
# every array. With more, gathering the gradients costs more than that saves.
_MOST_FLAT = 8192

# An accelerator holds rows of so many bytes as a whole; on a CPU they would be there twice.
_MOST_ON_ACCELERATOR = 2**30


def bucket(n: int, multiple_of: int = 1) -> int:
    """Round up, so that similar sizes share one compilation; many rows by an eighth at most."""
    power = 2 ** max(n - 1, 1).bit_length()
    step = power if n <= _FEW_ROWS else power // 16
    n = -(-n // step) * step
    return -(-n // multiple_of) * multiple_of


class Engine(ABC):
    """A model, an optimizer and the function that trains the one with the other.

    The function takes the data, an order of the rows, their number and the numbers of batches
    to train on and to validate (0: none), and processes all of them without a return to
    Python. Too many rows for the device come chunk by chunk, one call each.

    - `load` sets weights, seeds, settings and the optimizer's state, and `put` the rows: all
      that a fit depends on. An engine is expensive to make and cheap to use again.
    - `_epoch` is the program, in `keras.ops`; a backend defines the gradient (`_step`), the
      compilation (`_run`) and where the state is held (`_begin`, `_complete`).
    - `skae.training._train.run` chooses learning rates, the best epoch and the end.
    """

    def __init__(
        self,
        model: Any,  # gives losses of rows (inputs, targets), (n_rows,) or (n_rows, n_parts)
        optimizer: Any,  # this and the weight decay as for :func:`make`
        weight_decay: float,
        *,
        batch_size: int,
        clip_norm: float | None,  # to which longer gradients are clipped
        paired: tuple[bool, bool],  # targets differ from inputs, in training and in validation
        whole_program: bool,  # XLA compiles the epoch, where the backend leaves a choice
    ) -> None:
        self.model = model
        self.rate = Rate()
        self.optimizer = optimizer = make(optimizer, self.rate, weight_decay)
        self.batch_size = batch_size
        self.clip_norm = clip_norm
        self.paired = paired
        self.whole_program = whole_program
        self._shapes = [tuple(v.shape) for v in model.trainable_variables]
        total = sum(map(math.prod, self._shapes))
        self._flat = total <= _MOST_FLAT and is_elementwise(optimizer)
        if self._flat:
            vector = np.zeros(total, np.float32)
            self._params = [keras.Variable(vector, dtype="float32", name="weights")]
        else:
            self._params = list(model.trainable_variables)
        optimizer.build(self._params)
        position = {id(v): i for i, v in enumerate(optimizer.variables)}
        self._step_counter = position[id(optimizer._iterations)]
        # Positions of the averages of the weights, if the optimizer averages them.
        averages = optimizer._model_variables_moving_average if optimizer.use_ema else ()
        self._averages = [position[id(v)] for v in averages]
        self._fresh_optimizer = [compact(v) for v in values(optimizer.variables)]
        self._fresh_others = [compact(v) for v in values(model.non_trainable_variables)]
        self._seeds = [v.name == "seed_generator_state" for v in model.non_trainable_variables]
        self._n_parts = getattr(model, "n_parts", 1)
        self._validation_batch = max(batch_size, _VALIDATION_ROWS)
        # Memory of an idle engine, nearly all of it float32.
        variables = {id(v): v for v in [*model.variables, *self._params, *optimizer.variables]}
        self.nbytes = 4 * sum(math.prod(v.shape) for v in variables.values())
        self._has_run = False
        self.release()

    def release(self) -> None:
        """Release the data and whatever else `load` and `put` set."""
        self._state: State = {}
        self._learning_rate: LearningRate = 0.0
        self._n_settings = self._n_steps = self.n_validation = 0
        self.epoch_length = self.round_rows = 0  # rows of a round, with padding and without
        self._data: list[Any] = []
        self._stream: Stream | None = None

    # Defined by backends

    @classmethod
    def devices(cls) -> Hashable:
        """Devices for which a program is made, where a backend distributes."""
        return None

    @classmethod
    def has_accelerator(cls) -> bool:
        """True if programs run on a GPU, where the backend asks before it compiles them."""
        return False

    @cached_property
    def _is_accelerated(self) -> bool:
        """True if the device is not the CPU."""
        device = getattr(self._params[0].value, "device", "cpu")
        return "cpu" not in str(device).lower()

    def _tensor(self, array: NDArray[Any]) -> Any:
        """An array of any shape on the device, or on each of them."""
        return ops.convert_to_tensor(array)

    #: Copies of tensors that later epochs do not change.
    _copies: Callable[..., list[Any]] = staticmethod(values)

    def _rows(self, array: Any, index: Any) -> Any:
        """Rows of a tensor, by positions or one, that are those of rows."""
        return ops.take(array, index, axis=0)

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
        """One batch: the next state and the weighted sums of the losses, (n_parts,).

        x, target : (n_rows, ...); weight : (n_rows,).
        """

    @abstractmethod
    def _run(self, order: Any, rates: NDArray[Any], *numbers: int) -> tuple[State, Any, Any]:
        """Call `_epoch`; order (n_visits,), rates (n_steps,), numbers of rows and batches."""

    @abstractmethod
    def _mapped(self, schedule: Callable[[Any], Any]) -> Callable[[NDArray[Any]], Any]:
        """A function of one step as a function of many."""

    def _begin(self, params: Arrays, optimizer: Arrays, others: Arrays) -> None:
        """Set the state: weights, variables of the optimizer and other variables."""
        values = {"params": params, "optimizer": optimizer, "others": others}
        # Tensors may share the memory of the arrays.
        self._state = {k: [self._tensor(v.copy()) for v in vs] for k, vs in values.items()}

    def _complete(self, state: State) -> State:
        """The state with the weights and the variables of the optimizer."""
        return state

    # Called by the loop

    def load(
        self,
        weights: Sequence[NDArray[Any]],
        settings: Sequence[NDArray[Any]],
        statistics: Sequence[NDArray[Any]],
        optimizer_state: Arrays | None,
        learning_rate: LearningRate,
        rng: np.random.RandomState,
    ) -> None:
        """Set the initial state, new or that of an earlier fit, as :func:`train` describes it.

        `rng` seeds the model's generators (dropout and the like). A state of another optimizer
        is not used.
        """
        params = [np.asarray(w, np.float32) for w in weights]
        if self._flat:
            params = [np.concatenate([w.ravel() for w in params])]
        self._n_settings = len(settings)
        given, others = iter([*settings, *statistics]), []
        for is_seed, value in zip(self._seeds, self._fresh_others, strict=True):
            if is_seed:
                others.append(np.array([rng.randint(2**31 - 1), 0]).astype(value.dtype))
            else:
                others.append(next(given, value))
        state, fresh = optimizer_state or [], self._fresh_optimizer
        fits = [v.shape for v in state] == [v.shape for v in fresh]
        slots = list(state if fits else fresh)
        if isinstance(learning_rate, keras.optimizers.schedules.LearningRateSchedule):
            learning_rate = self._mapped(learning_rate)
        self._learning_rate = learning_rate
        self._n_steps = int(slots[self._step_counter])
        if self._averages and not fits:
            for position, value in zip(self._averages, params, strict=True):
                slots[position] = value
        self._begin(params, slots, others)

    def put(self, training: Rows, validation: Rows | None, n_rounds: int = 1) -> None:
        """Move the data to the device, once for a fit, or prepare to do so in chunks.

        An epoch has `n_rounds` calls of the program, each of so many batches.
        """
        n_rows = len(training)
        self.round_rows = -(-n_rows // (n_rounds * self.batch_size)) * self.batch_size
        self.epoch_length = bucket(min(n_rows, self.round_rows), self.batch_size)
        # The largest size of lazy rows that this device holds as a whole.
        most = _MOST_ON_ACCELERATOR if self._is_accelerated else FEW_BYTES
        if training.is_lazy and n_rows * training.row_bytes > most:
            self._stream, self._data = Stream(training, self.batch_size), []
        else:
            self._stream = None
            self._data = [self._tensor(array) for array in training.padded(bucket(n_rows))]
        self.n_validation = 0 if validation is None else len(validation)
        if validation is None:
            validation = training.take(np.zeros(0, np.intp))
        length = bucket(max(self.n_validation, 1), self._validation_batch)
        self._data += [self._tensor(array) for array in validation.padded(length)]

    def orders(
        self, rng: np.random.RandomState, n_rows: int
    ) -> Iterator[tuple[NDArray[np.int32], int]]:
        """Rows of each round of an epoch in the order in which they are visited, padded.

        And the number of rows that count. Repeated rows do not count in the loss; they complete
        the last batch with rows like the others, for batch normalization.
        """
        order = rng.permutation(n_rows) if self._stream is None else self._stream.order(rng)
        for start in range(0, n_rows, self.round_rows):
            part = order[start : start + self.round_rows].astype(np.int32)
            yield np.resize(part, self.epoch_length), len(part)

    def epoch(
        self, order: NDArray[np.int32], n_rows: int, rates: Rates = None
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        """Train on `n_rows` rows in this order, an epoch or a round of it; mean losses.

        Those of training and of validation, each an array (n_parts,), of NaN without rows. With
        ``n_rows=0`` the weights stay. `rates` are the learning rates at the beginning and at
        the end; None: as loaded.
        """
        # Learning rates of the steps, zero up to the length of a full round.
        steps = np.zeros(self.epoch_length // self.batch_size, np.float32)
        n_steps = -(-n_rows // self.batch_size)
        if rates is not None:
            steps[:n_steps] = np.linspace(*rates, n_steps, endpoint=False)
        elif n_steps and callable(self._learning_rate):
            numbers = np.arange(self._n_steps, self._n_steps + n_steps, dtype=np.int32)
            (steps[:n_steps],) = values([self._learning_rate(numbers)])
        elif n_steps:
            steps[:n_steps] = self._learning_rate
        self._n_steps += n_steps
        n_chunks = -(-self.n_validation // self._validation_batch)
        if self._stream is None:
            self._state, *sums = self._run(order, steps, n_rows, n_steps, n_chunks)
        else:
            sums = self._run_in_chunks(self._stream, order, steps, n_rows, n_chunks)
        total, validation = values(sums)
        if self.whole_program and not self._has_run:
            malloc_trim()
        self._has_run = True
        return total / (n_rows or np.nan), validation / (self.n_validation or np.nan)

    def _run_in_chunks(
        self, stream: Stream, order: Any, rates: NDArray[Any], n_rows: int, n_chunks: int
    ) -> list[Any]:
        """`_run` on rows that are read meanwhile; order (n_visits,), rates (n_steps,)."""
        validation, total, losses = self._data, 0.0, None
        with closing(stream.chunks(order, n_rows)) as chunks:
            for chunk in chunks:
                first, n_steps = chunk.first_step, chunk.n_steps
                steps = np.zeros(stream.n_steps, np.float32)
                steps[:n_steps] = rates[first : first + n_steps]
                self._data = [*map(self._tensor, chunk.arrays), *validation]
                self._state, part, losses = self._run(
                    chunk.order, steps, chunk.n_rows, n_steps, n_chunks * chunk.is_last
                )
                self._data = validation  # makes room for the next chunk
                total += part
        return [total, losses]

    def snapshot(self) -> Snapshot:
        """Copies of the weights, averaged if the optimizer averages them, and statistics."""
        seeds = zip(self._state["others"], self._seeds, strict=True)
        others = [value for value, is_seed in seeds if not is_seed]
        weights = self._averaged(self._state)
        return self._copies(weights), self._copies(others[self._n_settings :])

    def unpacked(self, snapshot: Snapshot) -> tuple[Arrays, Arrays]:
        """Weights and statistics of a snapshot, in the order of the model's variables."""
        params, statistics = map(values, snapshot)
        return unflatten(np, params[0], self._shapes) if self._flat else params, statistics

    def optimizer_state(self) -> Arrays:
        """Copy of the optimizer's variables."""
        return values(self._complete(self._state)["optimizer"])

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
        n_train = 1 + self.paired[0]
        training, weight, validation = data[:n_train], data[n_train], data[n_train + 1 :]
        # All that steps need besides rows and weights: in each of them a dozen operations on a
        # few numbers would take longer than the products.
        order = ops.reshape(order, (-1, size))
        number = ops.reshape(ops.arange(ops.size(order), dtype="int32"), (-1, size))
        counts = ops.cast(ops.clip(n_rows - number[:, 0], 1, size), "float32")
        shares = self._rows(weight, order) / ops.expand_dims(counts, 1)
        shares = ops.where(number < n_rows, shares, 0.0)

        def train_batch(i: Any, state: State, total: Any) -> tuple[State, Any]:
            index, share, count, self.rate.value = (
                self._rows(array, i) for array in (order, shares, counts, rates)
            )
            x = [self._rows(array, index) for array in training]
            state, parts = self._step(state, x[0], x[-1], share)
            self.rate.value = 0.0
            return state, total + parts * count

        nothing = ops.zeros((self._n_parts,), "float32")
        state, total = self._repeat(n_steps, train_batch, state, nothing)

        chunk = self._validation_batch

        def validate_chunk(i: Any, total: Any) -> tuple[Any]:
            *x, weight = [rows_from(array, i * chunk, chunk) for array in validation]
            weights = self._unflattened(self._averaged(state))
            parts, _ = self._losses(weights, state, x[0], x[-1], weight, training=False)
            return (total + parts,)

        (validation_total,) = self._repeat(n_chunks, validate_chunk, nothing)
        return state, total, validation_total

    def _losses(
        self, weights: Any, state: State, x: Any, target: Any, weight: Any, training: bool
    ) -> tuple[Any, list[Any]]:
        """Weighted sums of the losses, (n_parts,), and the next values of other variables.

        x, target : (n_rows, ...); weight : (n_rows,).
        """
        losses, others = self.model.stateless_call(
            list(weights), state["others"], (x, target), training=training
        )
        if len(losses.shape) == 1:
            losses = ops.expand_dims(losses, 1)
        return ops.sum(losses * ops.expand_dims(weight, 1), axis=0), others

    def _averaged(self, state: State) -> list[Any]:
        """The optimizer's weights, or their averages if it takes them."""
        state = self._complete(state)
        return [state["optimizer"][i] for i in self._averages] or state["params"]

    def _unflattened(self, params: Sequence[Any]) -> list[Any]:
        """The optimizer's variables as the model's weights."""
        return unflatten(ops, params[0], self._shapes) if self._flat else list(params)

    def _clipped(self, gradients: Iterable[Any]) -> list[Any]:
        """Gradients of the model's weights as the optimizer takes them, long ones clipped.

        All are scaled by one factor where their global norm is larger than `clip_norm`.
        """
        gradients = list(gradients)
        # On a CPU the program that XLA compiles has one thread.
        is_serial = self.whole_program and not self._is_accelerated
        if self._flat:
            gradients = [flatten(gradients, self._params[0].shape[0], is_serial)]
        if self.clip_norm is not None:
            norm = ops.sqrt(sum(sum_of_squares(g, is_serial) for g in gradients))
            factor = self.clip_norm / ops.maximum(norm, self.clip_norm)
            gradients = [g * factor for g in gradients]
        return gradients
