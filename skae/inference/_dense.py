"""The forward pass of dense networks in NumPy: no Keras, no backend."""

from dataclasses import KW_ONLY, dataclass, field, replace
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from skae.networks._base import ACTIVATIONS
from skae.networks._dense import DenseCoder, DenseLayer
from skae.networks._layers import NORMALIZATION_EPSILON, load
from skae.utils._arrays import overridable
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
            return replace(X, units=self)
        rows = X - self.centre.astype(X.dtype, copy=False)
        if self.is_far_for(X.dtype):
            rows -= self.remainder
        rows /= X.dtype.type(self.scale)
        return rows

    @property
    def remainder(self) -> Array:
        """Part of the centre that float32 does not hold: it may be a scale and more."""
        return (self.centre - self.centre.astype(np.float32)).astype(np.float32)

    def is_far_for(self, dtype: np.dtype[Any]) -> bool:
        """True if the centre is too far from zero for rows of this dtype."""
        is_far = np.abs(self.centre) > _FAR_FROM_ZERO * np.asarray(self.scale)
        return bool(dtype == np.float32 and is_far.any())


@dataclass(eq=False)
class DenseForward:
    """A dense coder with its weights, as a function of rows.

    Centre and scale of the data become part of the first and last layer. Layers are
    computed with samples along the last axis, where adding a bias is one long loop for
    each unit.
    """

    coder: DenseCoder
    weights: list[Array]  # float32, in the order of `coder.shapes`
    # Moving mean and variance of each layer normalized by batches.
    statistics: list[Array] = field(default_factory=list)
    _: KW_ONLY
    before: Affine | None = None  # units of the input, which is centred and scaled first
    after: Affine | None = None  # units of the output, to which that of the network is brought
    _prepared: dict[Any, Any] = field(default_factory=dict, init=False, repr=False)

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_prepared": {}}

    def keras_model(self, name: str) -> Any:
        """Keras model with these weights, in the units of the network."""
        model = self.coder.build(name)
        load(model, self.weights, self.statistics)
        return model

    @property
    def gram(self) -> Array:
        """Products of the last layer's kernel with itself, (n_hidden, n_hidden), in float64."""
        if "gram" not in self._prepared:
            kernel = self.coder.layers(self.weights)[-1].kernel.astype(np.float64)
            self._prepared["gram"] = kernel @ kernel.T
        return np.asarray(self._prepared["gram"])

    @overridable
    def __call__(self, X: Array, *, scaled: bool = True, last_layer: bool = True) -> Array:
        """Output for rows X (n_samples, n_inputs), float32 or float64, in the dtype of X.

        Not `scaled` it is in the network's units and not in those of the data; without
        `last_layer` it is the inputs of that: the last hidden units, or the rows.
        """
        before, (*hidden, final) = self.prepared(X.dtype, scaled)
        widths = self.coder.n_inputs, *self.coder.hidden
        n_outputs = self.coder.n_outputs if last_layer else widths[-1]
        output = np.empty((len(X), n_outputs), X.dtype)
        activate = ACTIVATIONS[self.coder.activation]
        finish = ACTIVATIONS[self.coder.output_activation]
        epsilon = X.dtype.type(NORMALIZATION_EPSILON)

        def compute(at: slice) -> None:
            # Columns of inputs, (n_inputs, n_samples), then of the units of each layer.
            rows = X[at]
            for part in before:
                rows = rows - part
            units = rows = rows.T
            for one in hidden:
                units = one.kernel @ units
                units += one.bias
                if one.scale is not None:
                    deviation = np.sqrt(units.var(axis=0) + epsilon)
                    units = (units - units.mean(axis=0)) / deviation * one.scale + one.shift
                units = activate(units)
            if last_layer:
                units = final.kernel @ units
                if final.path is not None:
                    units += final.path @ rows
                units += final.bias
                units = finish(units)
            output[at] = units.T

        most = max(_CHUNK_ENTRIES // max(*widths, self.coder.n_outputs), 1)
        n_multiplications = len(X) * sum(array.size for array in self.weights)
        parallel_slices(compute, len(X), most, n_multiplications)
        return output

    def prepared(
        self, dtype: np.dtype[Any], scaled: bool = True
    ) -> tuple[list[Array], list[DenseLayer]]:
        """Parts of the centre to subtract from rows of this dtype, and the layers for the rest.

        Without such parts the centre is in the biases. Kernels have the shape (n_outputs,
        n_inputs) and vectors (n_outputs, 1); batch normalization, the units of the input and,
        if the output is to be `scaled`, its units are folded in.
        """
        key = dtype, scaled
        if key in self._prepared:
            return self._prepared[key]
        coder = self.coder
        layers = coder.layers([w.astype(np.float64) for w in self.weights])
        if coder.normalization == "batch":
            coder = replace(coder, normalization=None)
            for i, (kernel, bias, scale, shift, _) in enumerate(layers[:-1]):
                mean, variance = self.statistics[2 * i : 2 * i + 2]
                scale = scale / np.sqrt(variance + NORMALIZATION_EPSILON)
                layers[i] = DenseLayer(kernel * scale, (bias - mean) * scale + shift)
        first, final = layers[0], layers[-1]
        before: list[Array] = []
        if self.before is not None:
            if self.before.is_far_for(dtype):
                before = [self.before.centre.astype(dtype), self.before.remainder]
            for kernel, bias in ((first.kernel, first.bias), (final.path, final.bias)):
                if kernel is not None:
                    kernel /= np.reshape(self.before.scale, (-1, 1))
                    if not before:
                        bias -= self.before.centre @ kernel
        if scaled and self.after is not None:
            for array in final:
                if array is not None:
                    array *= self.after.scale
            final.bias[:] += self.after.centre

        transposed = [
            np.ascontiguousarray(array.T if array.ndim == 2 else array[:, None], dtype)
            for array in chain(*layers)
            if array is not None
        ]
        self._prepared[key] = before, coder.layers(transposed)
        return self._prepared[key]
