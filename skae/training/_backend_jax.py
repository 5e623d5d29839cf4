"""JAX: weights are values, the epoch is one pure function."""

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager, nullcontext
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
from jax.experimental.compilation_cache import compilation_cache
from keras import distribution
from numpy.typing import NDArray

from skae.training._engine import Engine, State
from skae.utils._process import cache_folder

# Seconds of compilation from which a program is kept on disk.
_LEAST_SECONDS = 0.1


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
        self._compiled: set[tuple[int, ...]] = set()  # static arguments of the programs

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
            return jax.device_put(array)  # NumPy's functions compile a copy for each shape
        layout = distribution.TensorLayout([None] * array.ndim, self._distribution.device_mesh)
        return distribution.distribute_tensor(array, layout)

    def _rows(self, array: Any, index: Any) -> Any:
        return array.at[index].get(mode="promise_in_bounds")

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
        static = numbers[1:] if self._is_accelerated else ()
        with nullcontext() if static in self._compiled else _programs_on_disk():
            result: tuple[State, Any, Any] = self._function(
                self._state, order, rates, *numbers, *self._data
            )
        self._compiled.add(static)
        return result

    _copies: Callable[..., list[Any]] = staticmethod(list)  # no JAX array ever changes

    def _mapped(self, schedule: Callable[[Any], Any]) -> Callable[[NDArray[Any]], Any]:
        return jax.jit(jax.vmap(schedule))


@contextmanager
def _programs_on_disk() -> Iterator[None]:
    """Look for programs in the folder of compiled ones, and keep them there.

    JAX has this cache for all programs of the process. Where the user has set it, it is used
    as it is; otherwise it is off again afterwards.
    """
    config, folder = jax.config, cache_folder()
    if folder is None or config.jax_compilation_cache_dir is not None:
        yield
        return
    names = "jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs"
    before = [getattr(config, name) for name in names]

    def update(values: Any) -> None:
        for name, value in zip(names, values, strict=True):
            config.update(name, value)
        compilation_cache.reset_cache()  # JAX looks at its settings once

    update([str(folder), _LEAST_SECONDS])
    try:
        yield
    finally:
        update(before)
