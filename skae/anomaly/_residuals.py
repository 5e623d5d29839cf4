"""What a denoiser that is told the noise level misses of rows."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from skae.inference._dense import DenseForward
from skae.utils._rows import filled

Array = NDArray[Any]


class DenoisingResiduals:
    """Squared residuals of a denoiser, averaged over fixed draws of noise.

    The same noise is added to every row, in pairs of opposite sign: a row's residuals
    depend on nothing but the row.

    Parameters
    ----------
    denoiser : DenseForward
        Reads a row and the noise level and says the clean row.

    level : float
        Standard deviation of the noise.

    noise : ndarray of shape (n_draws, n_features)
        Standard normal numbers; each draw is used with both signs.

    rows : ndarray of shape (n_samples, n_features)
        Rows whose mean residual is one.
    """

    def __init__(self, denoiser: DenseForward, level: float, noise: Array, rows: Array) -> None:
        self.denoiser = denoiser
        self.level = level
        self.noise = noise
        self.usual = 1.0
        self.usual = float(np.nanmean(self.squared(rows))) or 1.0

    def corrupted(self, Z: Array, level: float) -> Array:
        """What the denoiser reads of rows: each draw with both signs, and the level."""
        Z = filled(Z)
        size = Z.dtype.type(level) * self.noise.astype(Z.dtype)
        read = np.empty((2 * len(size), len(Z), Z.shape[1] + 1), Z.dtype)
        np.add(Z, size[:, np.newaxis], out=read[::2, :, :-1])
        np.subtract(Z, size[:, np.newaxis], out=read[1::2, :, :-1])
        read[..., -1] = level
        return read.reshape(-1, read.shape[-1])

    def squared(self, Z: Array, read: Array | None = None) -> Array:
        """Squared residual of each value, (n_samples, n_features); NaN where one is missing.

        Parameters
        ----------
        Z : ndarray of shape (n_samples, n_features)
            Rows, NaN where a value is missing.

        read : ndarray or None
            The rows, corrupted; None: they are yet to be.
        """
        read = self.corrupted(Z, self.level) if read is None else read
        squares = np.square(self._denoised(read, Z) - Z)
        return np.asarray(sum(squares) / Z.dtype.type(len(squares) * self.usual))

    def denoised(self, Z: Array, read: Array) -> Array:
        """What the denoiser makes of rows that were corrupted, a mean over draws."""
        outputs = self._denoised(read, Z)
        return np.asarray(sum(outputs) / len(outputs))

    def _denoised(self, read: Array, Z: Array) -> Array:
        return self.denoiser(read).reshape(-1, *Z.shape)
