"""Whether one model is better than another, or only luckier."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def significantly_lower(
    before: NDArray[Any], after: NDArray[Any], sample_weight: NDArray[Any] | None = None
) -> bool:
    """Whether losses fell by more than chance explains.

    They must have fallen on the mean, and the relative gain of a row, which a few rows
    with large losses cannot sway, by more than its standard error.

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
    lost, left = (np.average(losses, weights=sample_weight) for losses in (before, after))
    return bool(left < lost and mean > np.sqrt(variance / len(gain)))
