"""JAX: weights are values, the epoch is one pure function."""

from collections.abc import Callable, Hashable
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
from keras import distribution
from numpy.typing import NDArray

from skae.training._engine import Engine, State


class JaxEngine(Engine):
    """Trains with JAX, on the devices of Keras' data distribution.

    Each holds weights and data as a whole and computes the losses of its part of a batch.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._distribution = distribution.distribution()
        # A GPU checks the condition of a loop on the host before each step, which takes as long
        # as the step: there the numbers of steps are static, with a program for each.
        static = (4, 5) if self._is_accelerated else ()
        self._function = jax.jit(self._epoch, static_argnums=static)

    @classmethod
    def devices(cls) -> Hashable:
        """Devices of Keras' distribution; None: there is none."""
        current = distribution.distribution()
        if current is None:
            return None
        if not isinstance(current, distribution.DataParallel):
            raise ValueError(
                "skae trains on several devices with keras.distribution.DataParallel; "
                f"Keras is set to {type(current).__name__}."
            )
        return tuple(current.device_mesh.devices.flat)

    def _tensor(self, array: NDArray[Any]) -> Any:
        """An array of any shape on the device, or on each of them."""
        if self._distribution is None:
            return jnp.asarray(array)
        layout = distribution.TensorLayout([None] * array.ndim, self._distribution.device_mesh)
        return distribution.distribute_tensor(array, layout)

    def _losses(
        self, weights: Any, state: State, x: Any, target: Any, weight: Any, training: bool
    ) -> tuple[Any, list[Any]]:
        """The sums of the base class, of x and target, (n_rows, ...), laid out over devices."""
        if self._distribution is not None:
            x, target = (
                distribution.distribute_tensor(
                    rows, self._distribution.get_data_layout(rows.shape)
                )
                for rows in (x, target)
            )
        return super()._losses(weights, state, x, target, weight, training)

    def _step(self, state: State, x: Any, target: Any, weight: Any) -> tuple[State, Any]:
        """One batch: x, target : (n_rows, ...); weight : (n_rows,)."""

        def objective(weights: list[Any]) -> tuple[Any, Any]:
            parts, others = self._losses(weights, state, x, target, weight, training=True)
            return jnp.sum(parts), (parts, others)

        (_, (parts, others)), gradients = jax.value_and_grad(objective, has_aux=True)(
            self._unflattened(state["params"])
        )
        params, slots = self.optimizer.stateless_apply(
            state["optimizer"], self._clipped(gradients), state["params"]
        )
        return {"params": params, "optimizer": slots, "others": list(others)}, parts

    @cached_property
    def _is_accelerated(self) -> bool:
        return any(device.platform != "cpu" for device in self._params[0].value.devices())

    def _run(self, order: Any, rates: NDArray[Any], *numbers: int) -> tuple[State, Any, Any]:
        """Call the compiled epoch; order (n_visits,), rates (n_steps,)."""
        result: tuple[State, Any, Any] = self._function(
            self._state, order, rates, *numbers, *self._data
        )
        return result

    _copies: Callable[..., list[Any]] = staticmethod(list)  # no JAX array ever changes

    def _mapped(self, schedule: Callable[[Any], Any]) -> Callable[[NDArray[Any]], Any]:
        return jax.jit(jax.vmap(schedule))
