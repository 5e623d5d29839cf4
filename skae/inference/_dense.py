"""The forward pass of dense networks in NumPy: no Keras, no backend."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from skae.networks._activations import ACTIVATIONS
from skae.networks._dense import NORMALIZATION_EPSILON, DenseCoder
from skae.utils._lazy import LazyRows
from skae.utils._threads import parallel_slices

Array = NDArray[Any]

# Entries of the widest layer that are computed at a time: what lies between two layers
# stays in the cache.
_CHUNK_ENTRIES = 2**17

# A centre this many scales from zero is subtracted from float32 rows before the first
# product and not after it, which would lose the digits that matter.
_FAR_FROM_ZERO = 64


class Affine(NamedTuple):
    """Units of the data: ``(x - centre) / scale`` is what a network sees."""

    centre: Array
    scale: float | Array

    def transform(self, X: Any) -> Any:
        """From the units of the data to the network's."""
        if isinstance(X, LazyRows):
            return X.within(self)
        rows = self.centred(X)
        rows /= X.dtype.type(self.scale)
        return rows

    def centred(self, X: Array) -> Array:
        """Rows less the centre."""
        centre = self.centre.astype(X.dtype, copy=False)
        rows = X - centre
        if self.is_far_for(X.dtype):
            # What float32 does not hold of the centre may be a scale and more.
            rows -= (self.centre - centre).astype(X.dtype)
        return rows

    def is_far_for(self, dtype: np.dtype[Any]) -> bool:
        """Whether the centre is too far from zero for rows of this dtype."""
        far = np.abs(self.centre) > _FAR_FROM_ZERO * np.asarray(self.scale)
        return bool(dtype == np.float32 and far.any())


class DenseForward:
    """A dense coder with its weights, as a function of rows.

    Centre and scale of the data become part of the first and last layer. Layers are
    computed with samples along the last axis, where adding a bias is one long loop for
    each unit.

    Parameters
    ----------
    coder : DenseCoder
        The architecture.

    weights : list of ndarray
        float32, in the order of `coder.shapes`.

    before : Affine or None
        Units of the input, which is centred and scaled before it enters the network.

    after : Affine or None
        Units of the output, to which it is brought from what the network says.

    statistics : list of ndarray
        Moving mean and variance of each layer that is normalised by batches.
    """

    def __init__(
        self,
        coder: DenseCoder,
        weights: Sequence[Array],
        *,
        before: Affine | None = None,
        after: Affine | None = None,
        statistics: Sequence[Array] = (),
    ) -> None:
        self.coder = coder
        self.weights = list(weights)
        self.statistics = list(statistics)
        self.before = before
        self.after = after
        self._prepared: dict[Any, tuple[Affine | None, list[Array]]] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_prepared": {}}

    def __call__(self, X: Array) -> Array:
        """Output for rows of input.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_inputs)
            Rows, float32 or float64.

        Returns
        -------
        ndarray of shape (n_samples, n_outputs)
            Computed in the dtype of `X` and of that dtype.
        """
        return self._computed(self._forward, X, self.coder.n_outputs)

    def plain(self, X: Array) -> Array:
        """The same as the network says it, not in the units of the output."""
        return self._computed(self._forward, X, self.coder.n_outputs, scaled=False)

    def hidden(self, X: Array) -> Array:
        """What the last layer reads: the units before it, or the rows if there are none."""
        n_units = (self.coder.n_inputs, *self.coder.hidden)[-1]
        return self._computed(self._hidden, X, n_units, scaled=False)

    def _computed(
        self,
        function: Callable[[list[Array], Array], Array],
        X: Array,
        n_outputs: int,
        scaled: bool = True,
    ) -> Array:
        """A function of prepared weights and of rows, which are its last axis."""
        before, weights = self.prepared(X.dtype, scaled)
        output = np.empty((len(X), n_outputs), X.dtype)
        widest = max(self.coder.n_inputs, self.coder.n_outputs, *self.coder.hidden)

        def compute(at: slice) -> None:
            rows = X[at] if before is None else before.centred(X[at])
            output[at] = function(weights, rows.T).T

        n_multiplications = len(X) * sum(w.size for w in weights)
        parallel_slices(compute, len(X), max(_CHUNK_ENTRIES // widest, 1), n_multiplications)
        return output

    def prepared(
        self, dtype: np.dtype[Any], scaled: bool = True
    ) -> tuple[Affine | None, list[Array]]:
        """What centres rows of this dtype beforehand, and kernels and biases for them.

        Parameters
        ----------
        dtype : dtype
            float32 or float64.

        scaled : bool
            Whether the output is in its units.

        Returns
        -------
        before : Affine or None
            None: the centre is part of the biases.

        weights : list of ndarray
            Kernels of shape (n_outputs, n_inputs) and vectors of shape (n_outputs, 1), in the
            order of `weights`, with normalisation by batches and units folded in.
        """
        key = dtype, scaled
        if key not in self._prepared:
            self._prepared[key] = self._prepare(dtype, self.after if scaled else None)
        return self._prepared[key]

    def _prepare(
        self, dtype: np.dtype[Any], after: Affine | None
    ) -> tuple[Affine | None, list[Array]]:
        weights = self._without_batch_statistics()
        last = self._last(weights)
        path = [(len(weights) - 1, last)] if self.coder.has_linear_path else []
        before = None
        if self.before is not None:
            before = self.before if self.before.is_far_for(dtype) else None
            for kernel, output in [(0, 0), *path]:
                weights[kernel] /= np.reshape(self.before.scale, (-1, 1))
                if before is None:
                    weights[output + 1] -= self.before.centre @ weights[kernel]
        if after is not None:
            for position in [last, last + 1, *(kernel for kernel, _ in path)]:
                weights[position] *= after.scale
            weights[last + 1] += after.centre
        return before, [
            np.ascontiguousarray(w.T if w.ndim == 2 else w[:, None], dtype) for w in weights
        ]

    def _without_batch_statistics(self) -> list[Array]:
        """Weights in float64, normalisation by batches made part of kernel and bias."""
        weights = [w.astype(np.float64) for w in self.weights]
        if self.coder.normalization != "batch":
            return weights
        folded = []
        for i in range(len(self.coder.hidden)):
            kernel, bias, scale, shift = weights[4 * i : 4 * i + 4]
            mean, variance = self.statistics[2 * i : 2 * i + 2]
            scale = scale / np.sqrt(variance + NORMALIZATION_EPSILON)
            folded += [kernel * scale, (bias - mean) * scale + shift]
        return folded + weights[self.coder.output_kernel :]

    def _forward(self, weights: list[Array], x: Array) -> Array:
        last = self._last(weights)
        output = weights[last] @ self._hidden(weights, x)
        if self.coder.has_linear_path:
            output += weights[-1] @ x
        output += weights[last + 1]
        return ACTIVATIONS[self.coder.output_activation](output)

    def _hidden(self, weights: list[Array], x: Array) -> Array:
        activate = ACTIVATIONS[self.coder.activation]
        normalises = self.coder.normalization == "layer"
        hidden = x
        for i in range(0, self._last(weights), 4 if normalises else 2):
            hidden = weights[i] @ hidden
            hidden += weights[i + 1]
            if normalises:
                hidden = _normalised(hidden) * weights[i + 2] + weights[i + 3]
            hidden = activate(hidden)
        return hidden

    def _last(self, weights: list[Array]) -> int:
        """Position of the last layer's kernel; its bias comes next, and then the path."""
        return len(weights) - 2 - self.coder.has_linear_path


def _normalised(units: Array) -> Array:
    """Each row, along the last axis, with its mean at zero and its variance at one."""
    variance = units.var(axis=0) + units.dtype.type(NORMALIZATION_EPSILON)
    return (units - units.mean(axis=0)) / np.sqrt(variance)
