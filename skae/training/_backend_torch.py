"""PyTorch: weights are values, and a step is recorded once and then repeated."""

from collections.abc import Callable
from threading import Lock
from typing import Any, cast

import torch
from numpy.typing import NDArray
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils import _pytree as trees

from skae.training._engine import Engine, State
from skae.training._tensors import weighted_sum

Arguments = tuple[Any, ...]
Step = Callable[..., tuple[list[Any], list[Any], list[Any], Any]]

# How much of the length of an array a recorded step may miss the other by: some products of
# a GPU do not give the same bits again.
_TOLERANCE = 1e-3


class TorchEngine(Engine):
    """Trains with PyTorch."""

    _recorded: Step | None = None
    _recording = Lock()

    def _step(self, state: State, x: Any, target: Any, weight: Any) -> tuple[State, Any]:
        arguments = (
            *(state["params"], state["optimizer"], state["others"]),
            *(x, target, weight, self.rate()),
        )
        if self._recorded is None:
            self._recorded = self._record(arguments)
        params, slots, others, parts = self._recorded(*arguments)
        return {"params": params, "optimizer": slots, "others": others}, parts

    def _record(self, arguments: Arguments) -> Step:
        """A step as PyTorch's own operations, one after the other.

        What Keras does around them takes three quarters of a step of a small network. A step
        that asks for a number while it is recorded, as dropout does for its seed, is taken
        as it is; so is one of which something was missed.
        """
        try:
            # On a GPU gradients would be computed in another thread, unseen.
            with self._recording, torch.autograd.set_multithreading_enabled(False):
                recorded = make_fx(lambda *values: self._taken(*values))(*_copied(arguments))
            state, (x, *others) = arguments[:3], arguments[3:]
            elsewhere = (*state, x.flip(0), *others)
            if _agree(recorded(*_copied(elsewhere)), self._taken(*_copied(elsewhere))):
                return cast(Step, recorded)
        except Exception:
            pass
        return self._taken

    def _taken(
        self,
        params: list[Any],
        slots: list[Any],
        others: list[Any],
        x: Any,
        target: Any,
        weight: Any,
        rate: Any,
    ) -> tuple[list[Any], list[Any], list[Any], Any]:
        """A step: the next values of all that changes, and the parts of the loss."""
        with torch.enable_grad():
            leaves = [value.detach().requires_grad_() for value in params]
            weights = self._unflattened(leaves)
            losses, others = self._losses(weights, {"others": others}, x, target, True)
            parts = weighted_sum(losses, weight)
            gradients = torch.autograd.grad(torch.sum(parts), leaves, materialize_grads=True)
        with self.rate.at(rate):
            params, slots = self.optimizer.stateless_apply(slots, self._cut(gradients), params)
        return params, slots, [value.detach() for value in others], parts.detach()

    def _run(
        self, order: Any, rates: NDArray[Any], n_rows: int, n_steps: int, n_chunks: int
    ) -> tuple[Any, Any]:
        with torch.no_grad():
            self._state, total, validation = self._epoch(
                self._state,
                *self._tensors([order, rates]),
                n_rows,
                n_steps,
                n_chunks,
                *self._data,
            )
        return total, validation

    def _repeat(self, times: int, function: Callable[..., Any], *carried: Any) -> Any:
        # A counter on the device would be waited for in each step.
        for i in range(times):
            carried = function(i, *carried)
        return carried

    def _mapped(self, schedule: Callable[[Any], Any]) -> Callable[[NDArray[Any]], Any]:
        return lambda steps: torch.stack(
            [torch.as_tensor(schedule(step), dtype=torch.float32) for step in steps]
        )


def _copied(arguments: Arguments) -> Arguments:
    """Copies: optimizers change what they are given."""
    copies: Arguments = trees.tree_map(torch.clone, arguments)
    return copies


def _agree(one: Any, other: Any) -> bool:
    """Whether two steps came to the same."""
    return all(
        a.equal(b) or torch.dist(a.float(), b.float()) <= _TOLERANCE * torch.norm(b.float())
        for a, b in zip(trees.tree_leaves(one), trees.tree_leaves(other), strict=True)
    )
