"""PyTorch: weights are variables, the epoch is a plain loop."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from keras import ops
from numpy.typing import NDArray

from skae.training._engine import Arrays, Engine, State, weighted_sum


class TorchEngine(Engine):
    """Trains with PyTorch."""

    def _step(self, state: State, x: Any, target: Any, weight: Any) -> tuple[State, Any]:
        params = [v.value for v in self._params]
        with torch.enable_grad():
            weights = self._unflattened(params)
            losses, others = self._losses(weights, state, x, target, True)
            parts = weighted_sum(losses, weight)
            loss = torch.sum(parts)
            gradients = torch.autograd.grad(loss, params, materialize_grads=True)
        self.optimizer.apply(self._cut(gradients), self._params)
        return {"others": [v.detach() for v in others]}, parts.detach()

    def _run(
        self, order: Any, n_rows: int, rates: NDArray[Any], n_validation: int
    ) -> tuple[Any, Any]:
        order = ops.convert_to_tensor(order)
        with torch.no_grad():
            self._state, total, validation = self._epoch(
                self._state, order, rates, n_rows, n_validation, *self._data
            )
        return total, validation

    def _mapped(self, schedule: Callable[[Any], Any]) -> Callable[[NDArray[Any]], Any]:
        return lambda steps: torch.stack(
            [ops.cast(schedule(step), "float32") for step in steps]
        )

    def _begin(self, params: Arrays, optimizer: Arrays, others: Arrays) -> None:
        variables = [*self._params, *self.optimizer.variables]
        for variable, value in zip(variables, [*params, *optimizer], strict=True):
            variable.assign(value)
        self._state = {"others": [ops.convert_to_tensor(value) for value in others]}

    def _fetch(self) -> tuple[Sequence[Any], Sequence[Any], Sequence[Any]]:
        return self._params, self.optimizer.variables, self._state["others"]
