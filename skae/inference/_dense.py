"""The forward pass of dense networks in NumPy: no Keras, no backend."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from skae.networks._activations import ACTIVATIONS
from skae.networks._dense import DenseCoder, DenseLayer, DenseWeights
from skae.networks._layers import NORMALIZATION_EPSILON
from skae.utils._lazy import LazyRows
from skae.utils._process import parallel_slices

Array = NDArray[Any]

# Entries of the widest layer that are computed at a time: the hidden units then
# stay in the cache.
_CHUNK_ENTRIES = 2**17

# A centre this many scales from zero is subtracted from float32 rows before the first
# product and not after it, which would lose the digits that matter.
_FAR_FROM_ZERO = 64


class Affine(NamedTuple):
    """Units of the data: a network's inputs are ``(x - centre) / scale``."""

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
        """True if the centre is too far from zero for rows of this dtype."""
        is_far = np.abs(self.centre) > _FAR_FROM_ZERO * np.asarray(self.scale)
        return bool(dtype == np.float32 and is_far.any())


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
        Units of the input, which is centred and scaled first.

    after : Affine or None
        Units of the output, to which the network's output is brought.

    statistics : list of ndarray
        Moving mean and variance of each layer that is normalised by batches.
    """

    coder: DenseCoder
    weights: list[Array]
    statistics: list[Array]
    before: Affine | None
    after: Affine | None
    _prepared: dict[Any, tuple[Affine | None, DenseWeights]]

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
        self._prepared = {}

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
        """Output in the network's units, not in those of the data."""
        return self._computed(self._forward, X, self.coder.n_outputs, scaled=False)

    def hidden(self, X: Array) -> Array:
        """Inputs of the last layer: the last hidden units, or the rows if there are none."""
        n_units = (self.coder.n_inputs, *self.coder.hidden)[-1]
        return self._computed(self._hidden, X, n_units, scaled=False)

    def _computed(
        self,
        function: Callable[[DenseWeights, Array], Array],
        X: Array,
        n_outputs: int,
        scaled: bool = True,
    ) -> Array:
        """Apply a function of prepared weights and of X (n_samples, n_inputs) transposed."""
        before, weights = self.prepared(X.dtype, scaled)
        output = np.empty((len(X), n_outputs), X.dtype)
        widest = max(self.coder.n_inputs, self.coder.n_outputs, *self.coder.hidden)

        def compute(at: slice) -> None:
            rows = X[at] if before is None else before.centred(X[at])
            output[at] = function(weights, rows.T).T

        n_multiplications = len(X) * sum(array.size for array in weights.arrays)
        parallel_slices(compute, len(X), max(_CHUNK_ENTRIES // widest, 1), n_multiplications)
        return output

    def prepared(
        self, dtype: np.dtype[Any], scaled: bool = True
    ) -> tuple[Affine | None, DenseWeights]:
        """Units that centre rows of this dtype beforehand, and the weights for these rows.

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

        weights : DenseWeights
            Kernels of shape (n_outputs, n_inputs) and vectors of shape (n_outputs, 1), with
            batch normalization and units folded in.
        """
        key = dtype, scaled
        if key not in self._prepared:
            self._prepared[key] = self._prepare(dtype, self.after if scaled else None)
        return self._prepared[key]

    def _prepare(
        self, dtype: np.dtype[Any], after: Affine | None
    ) -> tuple[Affine | None, DenseWeights]:
        weights = self._without_batch_statistics()
        first, output, skip = weights.layers[0], weights.output, weights.skip
        before = None
        if self.before is not None:
            before = self.before if self.before.is_far_for(dtype) else None
            entries = [(first.kernel, first.bias)]
            entries += [] if skip is None else [(skip, output.bias)]
            for kernel, bias in entries:
                kernel /= np.reshape(self.before.scale, (-1, 1))
                if before is None:
                    bias -= self.before.centre @ kernel
        if after is not None:
            for array in weights.output_arrays:
                array *= after.scale
            output.bias[:] += after.centre
        # The forms of this coder's layers, of which batch normalization is a part by now.
        coder = self.coder
        if coder.normalization == "batch":
            coder = replace(coder, normalization=None)
        arrays = (w.T if w.ndim == 2 else w[:, None] for w in weights.arrays)
        return before, coder.named([np.ascontiguousarray(array, dtype) for array in arrays])

    def _without_batch_statistics(self) -> DenseWeights:
        """Weights in float64, batch normalization made part of kernel and bias."""
        weights = self.coder.named([w.astype(np.float64) for w in self.weights])
        if self.coder.normalization != "batch":
            return weights
        folded = []
        for i, (kernel, bias, scale, shift) in enumerate(weights.hidden):
            mean, variance = self.statistics[2 * i : 2 * i + 2]
            scale = scale / np.sqrt(variance + NORMALIZATION_EPSILON)
            folded.append(DenseLayer(kernel * scale, (bias - mean) * scale + shift))
        return weights._replace(hidden=folded)

    def _forward(self, weights: DenseWeights, x: Array) -> Array:
        """From columns of inputs, (n_inputs, n_samples), to columns of outputs."""
        output = weights.output.kernel @ self._hidden(weights, x)
        if weights.skip is not None:
            output += weights.skip @ x
        output += weights.output.bias
        return ACTIVATIONS[self.coder.output_activation](output)

    def _hidden(self, weights: DenseWeights, x: Array) -> Array:
        """From columns of inputs, (n_inputs, n_samples), to columns of hidden units."""
        activate = ACTIVATIONS[self.coder.activation]
        for one in weights.hidden:
            x = one.kernel @ x
            x += one.bias
            if one.scale is not None:
                x = _normalised(x) * one.scale + one.shift
            x = activate(x)
        return x


def _normalised(units: Array) -> Array:
    """Layer normalization of units of shape (n_units, n_samples), over the units."""
    variance = units.var(axis=0) + units.dtype.type(NORMALIZATION_EPSILON)
    return (units - units.mean(axis=0)) / np.sqrt(variance)
