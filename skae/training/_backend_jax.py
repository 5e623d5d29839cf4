"""JAX: weights are values, the epoch is one pure function."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from numpy.typing import NDArray

from skae.training._engine import Arrays, Engine, State, weighted_sum


class JaxEngine(Engine):
    """Trains with JAX."""

    _function: Any = None

    def _step(self, state: State, x: Any, target: Any, weight: Any) -> tuple[State, Any]:
        def objective(weights: list[Any]) -> tuple[Any, Any]:
            losses, others = self._losses(weights, state, x, target, True)
            parts = weighted_sum(losses, weight)
            return jnp.sum(parts), (parts, others)

        (_, (parts, others)), gradients = jax.value_and_grad(objective, has_aux=True)(
            self._unflattened(state["params"])
        )
        params, slots = self.optimizer.stateless_apply(
            state["optimizer"], self._flattened(gradients), state["params"]
        )
        return {"params": params, "optimizer": slots, "others": list(others)}, parts

    def _run(
        self, order: Any, n_rows: int, rates: NDArray[Any], n_validation: int
    ) -> tuple[Any, Any]:
        if self._function is None:
            self._function = jax.jit(self._epoch)
        self._state, total, validation = self._function(
            self._state, order, rates, n_rows, n_validation, *self._data
        )
        return total, validation

    def _mapped(self, schedule: Callable[[Any], Any]) -> Callable[[NDArray[Any]], Any]:
        return jax.jit(jax.vmap(schedule))

    def _begin(self, params: Arrays, optimizer: Arrays, others: Arrays) -> None:
        values = {"params": params, "optimizer": optimizer, "others": others}
        self._state = {k: [jnp.asarray(v) for v in vs] for k, vs in values.items()}

    def _fetch(self) -> tuple[Sequence[Any], Sequence[Any], Sequence[Any]]:
        return self._state["params"], self._state["optimizer"], self._state["others"]

    def _current_params(self, state: State) -> Sequence[Any]:
        return state["params"]

    def _current_slots(self, state: State) -> Sequence[Any]:
        return state["optimizer"]
