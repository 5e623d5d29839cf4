"""Encoders and decoders as functions of rows; Keras compiles the not dense ones."""

import threading
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skae.inference._dense import Affine, DenseForward
from skae.networks._dense import DenseNetwork
from skae.networks._layers import load
from skae.networks._stacked import BuiltNetwork
from skae.utils._arrays import as_array, overridable
from skae.utils._process import prepare_backend

Array = NDArray[Any]
Forward = Callable[[Array], Array]

# Rows that are computed at a time; the last chunk is padded, so that one program serves any
# number of rows and results do not depend on the other rows.
_CHUNK_ROWS = 64
_MOST_PROGRAMS = 32


@dataclass(eq=False)
class CompiledForward:
    """An encoder or a decoder with its weights, as a function of rows.

    Holds arrays; the program is compiled when it is called.
    """

    network: BuiltNetwork
    position: int  # 0: encoder; 1: decoder
    weights: list[Array]  # float32
    statistics: list[Array]  # moving ones
    before: Affine | None = None  # units of the input, which is centred and scaled first
    after: Affine | None = None  # units of the output

    def keras_model(self, name: str) -> Any:
        """Keras model with these weights, in the units of the network, which names it."""
        model = self.network.build()[self.position]
        load(model, self.weights, self.statistics)
        return model

    @overridable
    def run(self, rows: Array) -> Array:
        """Output for rows (n_samples, n_inputs), both in the units of the network."""
        prepare_backend()
        return _program(self.network, self.position).run(self, rows)

    def __call__(self, X: Array, *, scaled: bool = True) -> Array:
        """Output for rows X (n_samples, n_inputs), computed in float32, in the dtype of X.

        Not `scaled` it is in the network's units and not in those of the data.
        """
        rows = X if self.before is None else self.before.transform(X)
        output = self.run(rows).astype(X.dtype)
        if scaled and self.after is not None:
            output *= X.dtype.type(self.after.scale)
            output += self.after.centre.astype(X.dtype, copy=False)
        return output


class _Program:
    """A compiled Keras model with the weights of its last user."""

    def __init__(self, network: BuiltNetwork, position: int) -> None:
        import keras

        self._model = network.build()[position]
        if keras.backend.backend() == "torch":
            # Nothing is compiled, and NumPy warns of how Keras converts the output.
            self._output = self._model
        else:
            # XLA is slow at convolutions on CPUs; without it JAX does not compile at all.
            self._model.compile(jit_compile=keras.backend.backend() == "jax")
            self._output = self._model.predict_on_batch
        self._lock = threading.Lock()
        self._owner: Any = lambda: None

    def run(self, owner: CompiledForward, rows: Array) -> Array:
        """Output (n_rows, n_outputs) for rows (n_rows, n_inputs), by the weights of `owner`."""
        with self._lock:
            if self._owner() is not owner:
                load(self._model, owner.weights, owner.statistics)
                self._owner = weakref.ref(owner)
            outputs = []
            for start in range(0, len(rows), _CHUNK_ROWS):
                some = rows[start : start + _CHUNK_ROWS]
                chunk = np.zeros((_CHUNK_ROWS, rows.shape[1]), np.float32)
                chunk[: len(some)] = some
                outputs.append(as_array(self._output(chunk))[: len(some)])
            return np.concatenate(outputs)


_program = lru_cache(maxsize=_MOST_PROGRAMS)(_Program)


def forward(
    network: Any,
    weights: Sequence[Array],
    statistics: Sequence[Array],
    before: Affine,
    after: Affine | None,
) -> tuple[Forward, Forward]:
    """Encoder and decoder as functions of rows in the units of the data.

    NumPy computes dense networks; of an ordered one all components are used together.
    `weights` are of the shapes `network.shapes`; `before` and `after` the units of the
    encoder's input and of the decoder's output, None: those of the network.
    """
    if not isinstance(network, DenseNetwork | BuiltNetwork):
        network, weights, statistics = network.inside(weights, statistics)
        return forward(network, weights, statistics, before, after)
    if isinstance(network, BuiltNetwork):
        prepare_backend()  # Keras knows the shapes by which weights are split
    encoder, decoder = network.split(weights, statistics)
    if isinstance(network, DenseNetwork):
        return (
            DenseForward(network.coders[0], *encoder, before=before),
            DenseForward(network.coders[1], *decoder, after=after),
        )
    return (
        CompiledForward(network, 0, *encoder, before=before),
        CompiledForward(network, 1, *decoder, after=after),
    )
