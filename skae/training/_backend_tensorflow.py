"""TensorFlow: weights are variables, the epoch is one `tf.function`."""

import math
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any

import tensorflow as tf
from numpy.typing import NDArray

from skae.training._data import in_shape
from skae.training._engine import Arrays, Engine, State
from skae.utils import _rows


class TensorFlowEngine(Engine):
    """Trains with TensorFlow."""

    _function: Any = None
    _executor: Any = nullcontext  # makes the context in which it runs

    @classmethod
    def has_accelerator(cls) -> bool:
        """True if TensorFlow has a GPU."""
        return bool(tf.config.list_logical_devices("GPU"))

    def _tensor(self, array: NDArray[Any]) -> Any:
        """An array of any shape on the device; on the CPU many rows are not copied."""
        if self._is_accelerated or array.nbytes < _rows.LARGE_PAGE:
            return tf.convert_to_tensor(array)
        return tf.experimental.dlpack.from_dlpack(array.__dlpack__())

    def _rows(self, array: Any, index: Any) -> Any:
        return tf.gather(array, index)  # Keras' function allows negative positions

    def _unflattened(self, params: Sequence[Any]) -> list[Any]:
        """The optimizer's variables as the model's weights."""
        if not self._flat:
            return list(params)
        # Keras computes the sizes of the parts in the graph: a tenth of its operations.
        parts = tf.split(params[0], [math.prod(shape) for shape in self._shapes])
        return list(map(in_shape, parts, self._shapes))

    def _step(self, state: State, x: Any, target: Any, weight: Any) -> tuple[State, Any]:
        """One batch: x, target : (n_rows, ...); weight : (n_rows,)."""
        weights = self._unflattened([tf.convert_to_tensor(v.value) for v in self._params])
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(weights)
            parts, others = self._losses(weights, state, x, target, weight, training=True)
        gradients = tape.gradient(  # of their sum
            parts, weights, unconnected_gradients=tf.UnconnectedGradients.ZERO
        )
        # One device has nothing to reduce. TensorFlow would register a gradient of the
        # reduction, which is never freed and holds the whole graph.
        self.optimizer._all_reduce_sum_gradients = list
        self.optimizer.apply(self._clipped(gradients), self._params)
        return {"others": list(others)}, parts

    def _run(self, order: Any, rates: NDArray[Any], *numbers: int) -> tuple[State, Any, Any]:
        """Call the epoch, compiled the first time; order (n_visits,), rates (n_steps,)."""
        arguments = map(tf.constant, (order, rates, *numbers))
        if self._function is None:
            if self._flat and not (self.whole_program or self._is_accelerated):
                # Operations of a small network take less time than to hand them to threads.
                executor = tf.experimental.function_executor_type
                self._executor = partial(executor, "SINGLE_THREADED_EXECUTOR")
            with self._executor():
                compiled = self._compiled()
            if _has_branches(compiled):
                self._executor = nullcontext
            self._function = _of_a_list(compiled)
        with self._executor():
            result: tuple[State, Any, Any] = self._function(
                [*self._state["others"], *arguments, *self._data]
            )
        return result

    def _compiled(self) -> Any:
        """The epoch as a concrete function, for any number of rows."""
        others = [tf.TensorSpec(v.shape, v.dtype) for v in self._state["others"]]
        return tf.function(
            self._epoch,
            input_signature=[
                {"others": others},
                tf.TensorSpec([None], tf.int32),
                tf.TensorSpec([None], tf.float32),
                *[tf.TensorSpec([], tf.int32)] * 3,
                *[tf.TensorSpec([None, *a.shape[1:]], a.dtype) for a in self._data],
            ],
            jit_compile=self.whole_program,
            autograph=False,
        ).get_concrete_function()

    def _mapped(self, schedule: Callable[[Any], Any]) -> Callable[[NDArray[Any]], Any]:
        def rate(step: Any) -> Any:
            return tf.cast(schedule(step), tf.float32)

        of_steps = tf.function(
            lambda steps: tf.map_fn(rate, steps, fn_output_signature=tf.float32),
            input_signature=[tf.TensorSpec([None], tf.int32)],
            autograph=False,
        ).get_concrete_function()
        return lambda steps: of_steps(tf.constant(steps))

    def _begin(self, params: Arrays, optimizer: Arrays, others: Arrays) -> None:
        """Assign arrays of the shapes of the variables."""
        variables = [*self._params, *self.optimizer.variables]
        for variable, value in zip(variables, [*params, *optimizer], strict=True):
            variable.assign(value)
        self._state = {"others": [tf.constant(value) for value in others]}

    def _complete(self, state: State) -> State:
        variables = {"params": self._params, "optimizer": self.optimizer.variables}
        return {kind: [v.value for v in held] for kind, held in variables.items()} | state


def _has_branches(function: Any) -> bool:
    """True if a concrete function chooses between others, as accumulated gradients do.

    One thread would wait for the chosen one, which waits for a thread: on one core for ever.
    """
    functions = function.graph.as_graph_def().library.function
    branches = {"If", "StatelessIf", "Case", "StatelessCase"}
    return any(node.op in branches for each in functions for node in each.node_def)


def _of_a_list(function: Any) -> Callable[[list[Any]], Any]:
    """A concrete function of all its tensors in a list.

    The checks of arguments take a twentieth of an epoch of a small table, and are skipped
    where TensorFlow has the private function behind them.
    """
    call = getattr(function, "_call_flat", None)
    if call is not None:
        captured = function.captured_inputs
        return lambda tensors: call(tensors, captured)
    arguments, _ = function.structured_input_signature
    return lambda tensors: function(*tf.nest.pack_sequence_as(arguments, tensors))
