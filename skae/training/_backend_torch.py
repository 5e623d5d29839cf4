"""PyTorch: weights are values, the epoch is a loop in Python."""

from collections.abc import Callable
from typing import Any

import torch
from numpy.typing import NDArray

from skae.training._engine import Engine, State


class TorchEngine(Engine):
    """Trains with PyTorch."""

    def _step(self, state: State, x: Any, target: Any, weight: Any) -> tuple[State, Any]:
        """One batch: x, target : (n_rows, ...); weight : (n_rows,)."""
        with torch.enable_grad():
            leaves = [value.detach().requires_grad_() for value in state["params"]]
            weights = self._unflattened(leaves)
            parts, others = self._losses(weights, state, x, target, weight, training=True)
            gradients = torch.autograd.grad(torch.sum(parts), leaves, materialize_grads=True)
        params, slots = self.optimizer.stateless_apply(
            state["optimizer"], self._clipped(gradients), state["params"]
        )
        others = [value.detach() for value in others]
        return {"params": params, "optimizer": slots, "others": others}, parts.detach()

    def _run(self, order: Any, rates: NDArray[Any], *numbers: int) -> tuple[State, Any, Any]:
        """Call the epoch without gradients; order (n_visits,), rates (n_steps,)."""
        with torch.no_grad():
            visits, steps = map(self._tensor, (order, rates))
            return self._epoch(self._state, visits, steps, *numbers, *self._data)

    def _repeat(self, times: int, function: Callable[..., Any], *carried: Any) -> Any:
        # A counter on the device would be waited for in each step.
        for i in range(times):
            carried = function(i, *carried)
        return carried

    def _mapped(self, schedule: Callable[[Any], Any]) -> Callable[[NDArray[Any]], Any]:
        return lambda steps: torch.stack(
            [torch.as_tensor(schedule(step), dtype=torch.float32) for step in steps]
        )
