"""A paired test of the losses of two models."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def significantly_lower(
    before: NDArray[Any], after: NDArray[Any], sample_weight: NDArray[Any] | None = None
) -> bool:
    """True if losses fell by more than chance explains.

    Their mean must be lower, and the mean relative gain of a row, on which a few large losses
    have little influence, larger than its standard error.

    Parameters
    ----------
    before, after : ndarray of shape (n_samples,)
        Losses of the same rows.

    sample_weight : ndarray of shape (n_samples,) or None
        Weights of the rows.
    """
    size = np.maximum(np.abs(before) + np.abs(after), np.finfo(before.dtype).tiny)
    gain = (before - after) / size
    mean = np.average(gain, weights=sample_weight)
    variance = np.average(np.square(gain - mean), weights=sample_weight)
    first, second = (np.average(losses, weights=sample_weight) for losses in (before, after))
    return bool(second < first and mean > np.sqrt(variance / len(gain)))
