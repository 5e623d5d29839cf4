"""Reconstruction losses, by name or around a Keras loss.

Each is written against the functions that NumPy and `keras.ops` share, so that the network is
trained on exactly what `score_samples` returns.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skae.utils._arrays import as_array

EntryLoss = Callable[[Any, Any, Any], Any]

_HUBER_DELTA = 1.0
_EPSILON = 1e-7
# Added to the squared norms of which the cosine is computed.
_LEAST_NORMS = 1e-12

# A Keras loss is computed for a multiple of so many rows: more than a register holds.
_ROWS_TOGETHER = 64

# Wang et al.: a Gaussian window of 11 pixels with a standard deviation of 1.5, and the
# two constants for values in [0, 1].
_WINDOW = 11
_SIGMA = 1.5
_C1, _C2 = 0.01**2, 0.03**2


def squared_error(xp: Any, target: Any, output: Any) -> Any:
    """Square of the difference."""
    return xp.square(output - target)


def absolute_error(xp: Any, target: Any, output: Any) -> Any:
    """Magnitude of the difference."""
    return xp.abs(output - target)


def huber(xp: Any, target: Any, output: Any) -> Any:
    """Half the square of the difference up to one, linear above."""
    # With m = min(|r|, delta): m * (|r| - m / 2) is r^2 / 2 inside and linear outside.
    error = xp.abs(output - target)
    inside = xp.minimum(error, _HUBER_DELTA)
    return inside * (error - 0.5 * inside)


def binary_crossentropy(xp: Any, target: Any, output: Any) -> Any:
    """Minus the log-likelihood of a bit with probability `output`."""
    # Added rather than clipped: a saturated wrong output still gets a gradient.
    return -(target * xp.log(output + _EPSILON) + (1 - target) * xp.log(1 - output + _EPSILON))


class Loss(ABC):
    """A distance between targets and outputs."""

    # Data in a unit `u` times smaller have a loss ``u ** power`` times larger.
    power: int = 0
    # Whether targets and outputs must lie in [0, 1].
    bounded: bool = False

    @abstractmethod
    def per_sample(self, xp: Any, target: Any, output: Any) -> Any:
        """One value per row, (n_samples,), by the functions of `numpy` or `keras.ops`.

        `target` and `output` are of shape (n_samples, n_outputs).
        """


@dataclass(frozen=True)
class EntrywiseLoss(Loss):
    """Mean over the entries of a row, one value for each by ``entry(xp, target, output)``."""

    entry: EntryLoss
    power: int = 0
    bounded: bool = False

    def per_sample(self, xp: Any, target: Any, output: Any) -> Any:
        """Mean over all axes but the first."""
        values = self.entry(xp, target, output)
        return xp.mean(values, axis=tuple(range(1, len(values.shape))))


@dataclass(frozen=True)
class ObservedLoss(Loss):
    """A loss over the observed values of a row: a target that is NaN does not count.

    A mean over entries becomes one over the observed entries. In any other loss the output
    takes the place of a missing target.
    """

    loss: Loss

    def per_sample(self, xp: Any, target: Any, output: Any) -> Any:
        """One value per row; 0 for a row without an observed value."""
        missing = xp.isnan(target)
        target = xp.where(missing, output, target)
        if not isinstance(self.loss, EntrywiseLoss):
            return self.loss.per_sample(xp, target, output)
        observed = xp.where(missing, xp.zeros_like(target), xp.ones_like(target))
        axes = tuple(range(1, len(target.shape)))
        total = xp.sum(observed * self.loss.entry(xp, target, output), axis=axes)
        return total / xp.maximum(xp.sum(observed, axis=axes), 1)


@dataclass(frozen=True)
class CosineLoss(Loss):
    """One minus the cosine of the angle between target and output, both centred."""

    def per_sample(self, xp: Any, target: Any, output: Any) -> Any:
        """Between 0, the same direction, and 2, the opposite one."""
        dot = xp.sum(target * output, axis=1)
        norms = xp.sum(xp.square(target), axis=1) * xp.sum(xp.square(output), axis=1)
        return 1 - dot / xp.sqrt(norms + _LEAST_NORMS)


@dataclass(frozen=True)
class SSIMLoss(Loss):
    """One minus the structural similarity of two images with values in [0, 1] [1]_.

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
        # Images as (n_samples, channels, height, width).
        shape, order = (-1, self.height, self.width, self.channels), (0, 3, 1, 2)
        x, y = (xp.transpose(xp.reshape(rows, shape), order) for rows in (target, output))
        down, across = _windows(self.height), _windows(self.width).T

        def blur(planes: Any) -> Any:
            """Weighted mean in every window, as two products with banded matrices."""
            return xp.matmul(xp.matmul(down, planes), across)

        mean_x, mean_y = blur(x), blur(y)
        variance_x = blur(x * x) - mean_x * mean_x
        variance_y = blur(y * y) - mean_y * mean_y
        covariance = blur(x * y) - mean_x * mean_y
        luminance = (2 * mean_x * mean_y + _C1) / (mean_x**2 + mean_y**2 + _C1)
        structure = (2 * covariance + _C2) / (variance_x + variance_y + _C2)
        return 1 - xp.mean(luminance * structure, axis=(1, 2, 3))


def _windows(n_pixels: int) -> NDArray[np.float32]:
    """Weights of the pixels in each window, (n_windows, n_pixels)."""
    size = min(_WINDOW, n_pixels)
    distance = np.arange(size) - (size - 1) / 2
    window = np.exp(-np.square(distance / _SIGMA) / 2)
    window /= window.sum()
    matrix = np.zeros((n_pixels - size + 1, n_pixels))
    for start, row in enumerate(matrix):
        row[start : start + size] = window
    return matrix.astype(np.float32)


@dataclass(frozen=True)
class KerasLoss(Loss):
    """A Keras loss, of standardised data.

    ``function(target, output)`` (of a Keras loss object, its `call`) gives one value per row,
    or one per entry.
    """

    function: Any = field(compare=False)
    identity: Any = field(init=False)

    def __post_init__(self) -> None:
        # Equal for losses that compile to the same program.
        identity = function = self.function
        if hasattr(function, "get_config"):
            # Not every loss of Keras has all arguments in its configuration: Huber's delta.
            arguments = getattr(function, "_fn_kwargs", {})
            kind = type(function)
            try:
                config = json.dumps([function.get_config(), arguments])
                identity = (kind.__module__, kind.__qualname__, config)
            except TypeError:
                pass
        object.__setattr__(self, "identity", identity)

    def per_sample(self, xp: Any, target: Any, output: Any) -> Any:
        """Mean of the Keras loss over all axes but the first."""
        from keras import ops

        if xp is np:
            # As in training, for any dtype of the rows and any floatx of Keras. The last
            # rows of an array are rounded otherwise where they do not fill a register, so
            # that a row's loss would depend on its place: after whole registers none is last.
            n_added = -len(output) % _ROWS_TOGETHER
            padded = (np.pad(x, [(0, n_added), (0, 0)], mode="edge") for x in (target, output))
            tensors = [ops.convert_to_tensor(x, "float32") for x in padded]
            losses = as_array(self.per_sample(ops, *tensors))
            return losses[: len(output)].astype(output.dtype)
        values = getattr(self.function, "call", self.function)(target, output)
        axes = tuple(range(1, len(values.shape)))
        return ops.mean(values, axis=axes) if axes else values


LOSSES: dict[str, Any] = {
    "squared_error": EntrywiseLoss(squared_error, power=2),
    "absolute_error": EntrywiseLoss(absolute_error, power=1),
    "huber": EntrywiseLoss(huber, power=2),
    "binary_crossentropy": EntrywiseLoss(binary_crossentropy, bounded=True),
    "cosine": CosineLoss(),
    "ssim": SSIMLoss,
}


def make_loss(loss: Any, output_shape: tuple[int, ...]) -> Loss:
    """A loss as the user gave it, by name or of Keras, for reconstructions of this shape."""
    if not isinstance(loss, str):
        return KerasLoss(loss)
    if loss != "ssim":
        return LOSSES[loss]
    if len(output_shape) not in (2, 3):
        raise ValueError(
            "loss='ssim' compares images: X must be of shape (n_samples, height, width) or "
            "(n_samples, height, width, channels), or network must have the image_shape; "
            f"one row has the shape {output_shape}."
        )
    return SSIMLoss(*output_shape)
