"""Rows to learn from: what is read, what should be said, how much each one counts."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Rows:
    """What a network reads, what it should say, and how much each row counts.

    Parameters
    ----------
    inputs : ndarray of shape (n_samples, n_features)
        What the encoder reads.

    targets : ndarray of shape (n_samples, n_outputs) or None
        What the decoder should say; None: the inputs.

    weight : ndarray of shape (n_samples,) or None
        Weights of the rows; None: all the same. Only their ratios matter.

    observed : ndarray of bool of shape (n_samples, n_columns) or None
        Of the rows of a table, which cells are there; None: all.
    """

    inputs: NDArray[Any]
    targets: NDArray[Any] | None = None
    weight: NDArray[Any] | None = None
    observed: NDArray[Any] | None = None

    def __len__(self) -> int:
        return len(self.inputs)

    @property
    def outputs(self) -> NDArray[Any]:
        """What the decoder should say."""
        return self.inputs if self.targets is None else self.targets

    def take(self, index: NDArray[Any] | slice) -> "Rows":
        """The rows at these positions, or of this mask."""
        return Rows(
            self.inputs[index],
            None if self.targets is None else self.targets[index],
            None if self.weight is None else self.weight[index],
            None if self.observed is None else self.observed[index],
        )

    def padded(self, length: int) -> list[NDArray[np.float32]]:
        """Inputs, targets if they differ, and weights of mean one, with rows of zeros."""
        if self.weight is None or len(self) == 0:
            weight = np.ones(len(self), np.float32)
        else:
            weight = (self.weight / np.mean(self.weight)).astype(np.float32)
        arrays = [self.inputs, self.targets, weight]
        return [_pad(array, length) for array in arrays if array is not None]


def _pad(array: NDArray[Any], length: int) -> NDArray[np.float32]:
    padded = np.zeros((length, *array.shape[1:]), np.float32)
    padded[: len(array)] = array
    return padded


# Entries that are summed at a time: a float64 copy of them stays in the cache.
_CHUNK_ENTRIES = 2**16

# A column that varies by less than this share of its largest value is constant: what is
# left are the roundings of the mean.
_ROUNDING = 1e-14


def moments(
    X: NDArray[Any], weight: NDArray[Any] | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation of each column, for numbers of any size.

    Summed in float64, in chunks: float32 rows far from zero lose nothing, and no float64
    copy of X is made.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Rows.

    weight : ndarray of shape (n_samples,) or None
        Weights of the rows.

    Returns
    -------
    mean, deviation : ndarray of shape (n_features,)
        The deviation of a constant column is zero.
    """
    high, low = X.max(axis=0).astype(np.float64), X.min(axis=0).astype(np.float64)
    largest = np.maximum(high, -low)
    # Powers of two: squares neither overflow nor vanish, and nothing is rounded.
    unit = np.exp2(np.frexp(np.where(largest > 0, largest, 1.0))[1] - 1.0)
    mean = _average(X, weight, lambda rows: rows / unit)
    variance = _average(X, weight, lambda rows: np.square(rows / unit - mean))
    deviation = np.sqrt(variance) * unit
    deviation[deviation <= _ROUNDING * largest] = 0.0
    return np.where(high == low, high, mean * unit), deviation


def _average(
    X: NDArray[Any],
    weight: NDArray[Any] | None,
    function: Callable[[NDArray[Any]], NDArray[Any]],
) -> NDArray[np.float64]:
    """Mean over the rows of a function of them, in float64."""
    n_rows = max(_CHUNK_ENTRIES // X.shape[1], 1)
    total = np.zeros(X.shape[1])
    for start in range(0, len(X), n_rows):
        rows = slice(start, start + n_rows)
        part = function(X[rows].astype(np.float64, copy=False))
        total += part.sum(axis=0) if weight is None else weight[rows] @ part
    return np.asarray(total / (len(X) if weight is None else weight.sum()))


def centre_and_scale(
    X: NDArray[Any], weight: NDArray[Any] | None
) -> tuple[NDArray[np.float64], float]:
    """Mean of each column, and the root of their mean variance; 1 for constant rows."""
    mean, deviation = moments(X, weight)
    largest = deviation.max() or 1.0
    return mean, float(largest * np.sqrt(np.square(deviation / largest).mean())) or 1.0
