"""JAX: weights are values, the epoch is one pure function."""

from collections.abc import Callable, Hashable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from keras import distribution
from numpy.typing import NDArray

from skae.training._engine import Engine, State
from skae.training._tensors import weighted_sum


class JaxEngine(Engine):
    """Trains with JAX, on the devices over which Keras is told to distribute.

    Each holds weights and data as a whole and computes the losses of its part of a batch.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._distribution = distribution.distribution()
        # A GPU that does not know how often a loop is run asks before each step, which
        # takes as long as the step; a program for each number of steps is the price.
        known = (0, 1) if self._is_accelerated else ()
        self._function = jax.jit(self._epochs, static_argnums=known)

    @classmethod
    def devices(cls) -> Hashable:
        """Over which Keras is told to distribute; None: it is not told so."""
        told = distribution.distribution()
        if told is None:
            return None
        if not isinstance(told, distribution.DataParallel):
            raise ValueError(
                "skae trains on several devices with keras.distribution.DataParallel; "
                f"Keras is set to {type(told).__name__}."
            )
        return tuple(told.device_mesh.devices.flat)

    def _tensor(self, array: NDArray[Any]) -> Any:
        if self._distribution is None:
            return jnp.asarray(array)
        layout = distribution.TensorLayout([None] * array.ndim, self._distribution.device_mesh)
        return distribution.distribute_tensor(array, layout)

    def _losses(
        self, weights: Sequence[Any], state: State, x: Any, target: Any, training: bool
    ) -> tuple[Any, list[Any]]:
        if self._distribution is not None:
            x, target = (
                distribution.distribute_tensor(
                    rows, self._distribution.get_data_layout(rows.shape)
                )
                for rows in (x, target)
            )
        return super()._losses(weights, state, x, target, training)

    def _step(self, state: State, x: Any, target: Any, weight: Any) -> tuple[State, Any]:
        def objective(weights: list[Any]) -> tuple[Any, Any]:
            losses, others = self._losses(weights, state, x, target, True)
            parts = weighted_sum(losses, weight)
            return jnp.sum(parts), (parts, others)

        (_, (parts, others)), gradients = jax.value_and_grad(objective, has_aux=True)(
            self._unflattened(state["params"])
        )
        params, slots = self.optimizer.stateless_apply(
            state["optimizer"], self._flattened(self._cut(gradients)), state["params"]
        )
        return {"params": params, "optimizer": slots, "others": list(others)}, parts

    @property
    def _is_accelerated(self) -> bool:
        return any(device.platform != "cpu" for device in self._params[0].value.devices())

    def _run(
        self, order: Any, rates: NDArray[Any], n_rows: int, n_steps: int, n_chunks: int
    ) -> tuple[Any, Any]:
        fit = (self._state, order, rates, n_rows, *self._data)

        def program(fits: Sequence[Any]) -> Sequence[Any]:
            return self._function(n_steps, n_chunks, *fits)

        if self.company is None:
            (done,) = program([fit])
        else:
            kind = id(self._function), n_steps, n_chunks, *map(jnp.shape, jax.tree.leaves(fit))
            done = self.company.run(kind, program, fit)
        self._state, total, validation = done
        return total, validation

    def _epochs(self, n_steps: Any, n_chunks: Any, *fits: Any) -> Sequence[Any]:
        """The epoch of each of some fits, which are as long."""

        def epoch(state: State, order: Any, rates: Any, n_rows: Any, *data: Any) -> Any:
            return self._epoch(state, order, rates, n_rows, n_steps, n_chunks, *data)

        if len(fits) == 1:
            return [epoch(*fits[0])]
        side_by_side = jax.tree.map(lambda *leaves: jnp.stack(leaves), *fits)
        done = jax.vmap(epoch)(*side_by_side)
        return [jax.tree.map(lambda leaf, i=i: leaf[i], done) for i in range(len(fits))]

    def _kept(self, tensors: Sequence[Any]) -> list[Any]:
        return list(tensors)  # no JAX array ever changes

    def _mapped(self, schedule: Callable[[Any], Any]) -> Callable[[NDArray[Any]], Any]:
        return jax.jit(jax.vmap(schedule))
