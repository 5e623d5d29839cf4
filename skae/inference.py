"""The forward pass of dense networks in NumPy: no Keras, no backend."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skae.networks import ACTIVATIONS, DenseCoder

# Rows at a time: few enough that what lies between two layers stays in the cache.
_CHUNK_ENTRIES = 2**18


class DenseForward:
    """A dense coder with its weights, as a function of rows.

    Parameters
    ----------
    coder : DenseCoder
        The architecture.

    weights : list of ndarray
        float32, in the order of `coder.shapes`.
    """

    def __init__(self, coder: DenseCoder, weights: Sequence[NDArray[Any]]) -> None:
        self.coder = coder
        self.weights = list(weights)
        self._by_dtype = {np.dtype(np.float32): self.weights}

    def __getstate__(self) -> dict[str, Any]:
        return {"coder": self.coder, "weights": self.weights}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    def __call__(self, X: NDArray[Any]) -> NDArray[Any]:
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
        weights = self._by_dtype.get(X.dtype)
        if weights is None:
            weights = [w.astype(X.dtype) for w in self.weights]
            self._by_dtype[X.dtype] = weights
        coder = self.coder
        n_rows = max(_CHUNK_ENTRIES // max(coder.n_inputs, coder.n_outputs, *coder.hidden, 1), 1)
        if len(X) <= n_rows:
            return _forward(coder, weights, X)
        output = np.empty((len(X), coder.n_outputs), X.dtype)
        for start in range(0, len(X), n_rows):
            rows = slice(start, start + n_rows)
            output[rows] = _forward(coder, weights, X[rows])
        return output


def _forward(coder: DenseCoder, weights: Sequence[NDArray[Any]], X: NDArray[Any]) -> Any:
    activate = ACTIVATIONS[coder.activation]
    hidden = X
    n_hidden = len(coder.hidden)
    for i in range(n_hidden):
        hidden = hidden @ weights[2 * i]
        hidden += weights[2 * i + 1]
        hidden = activate(hidden)
    output = hidden @ weights[2 * n_hidden]
    if coder.has_linear_path:
        output += X @ weights[-1]
    output += weights[2 * n_hidden + 1]
    return ACTIVATIONS[coder.output_activation](output)
