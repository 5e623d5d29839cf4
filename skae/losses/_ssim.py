"""Structural similarity: images compared window by window."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skae.losses._reconstruction import Loss

# Wang et al.: a Gaussian window of 11 pixels with a standard deviation of 1.5, and the
# two constants for values in [0, 1].
_WINDOW = 11
_SIGMA = 1.5
_C1, _C2 = 0.01**2, 0.03**2


@dataclass(frozen=True)
class SSIMLoss(Loss):
    """One minus the structural similarity of two images with values in [0, 1] [1]_.

    Parameters
    ----------
    height, width, channels : int
        Shape of the image that a row is.

    References
    ----------
    .. [1] Z. Wang, A. C. Bovik, H. R. Sheikh and E. P. Simoncelli, "Image Quality
       Assessment: From Error Visibility to Structural Similarity", IEEE Transactions on
       Image Processing 13, 2004.
    """

    height: int
    width: int
    channels: int = 1

    bounded = True

    def per_sample(self, xp: Any, target: Any, output: Any) -> Any:
        """Mean over the windows inside the image and over the channels."""
        x, y = (self._planes(xp, rows) for rows in (target, output))
        mean_x, mean_y = self._blur(xp, x), self._blur(xp, y)
        variance_x = self._blur(xp, x * x) - mean_x * mean_x
        variance_y = self._blur(xp, y * y) - mean_y * mean_y
        covariance = self._blur(xp, x * y) - mean_x * mean_y
        luminance = (2 * mean_x * mean_y + _C1) / (mean_x**2 + mean_y**2 + _C1)
        structure = (2 * covariance + _C2) / (variance_x + variance_y + _C2)
        return 1 - xp.mean(luminance * structure, axis=(1, 2, 3))

    def _planes(self, xp: Any, rows: Any) -> Any:
        """Rows as (n_samples, channels, height, width)."""
        images = xp.reshape(rows, (-1, self.height, self.width, self.channels))
        return xp.transpose(images, (0, 3, 1, 2))

    def _blur(self, xp: Any, planes: Any) -> Any:
        """Weighted mean in every window, as two products with banded matrices."""
        down = _windows(self.height).astype("float32")
        across = _windows(self.width).astype("float32").T
        return xp.matmul(xp.matmul(down, planes), across)


def _windows(n_pixels: int) -> NDArray[np.float64]:
    """Row i weighs the pixels of window i: shape (n_windows, n_pixels)."""
    size = min(_WINDOW, n_pixels)
    distance = np.arange(size) - (size - 1) / 2
    window = np.exp(-np.square(distance / _SIGMA) / 2)
    window /= window.sum()
    matrix = np.zeros((n_pixels - size + 1, n_pixels))
    for start, row in enumerate(matrix):
        row[start : start + size] = window
    return matrix
