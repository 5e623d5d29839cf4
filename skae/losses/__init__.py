"""L: what is compared between a row and its reconstruction, penalties on the code, likelihoods.

Every loss gives one value per sample and is defined once.
"""

from typing import Any

from skae.losses._keras import KerasLoss
from skae.losses._likelihood import (
    LIKELIHOODS,
    Likelihood,
    ObservedLikelihood,
    divergence,
    noise_variance,
    posterior,
)
from skae.losses._mixed import MixedLikelihood, MixedLoss, Outputs, probabilities
from skae.losses._penalties import PENALTIES, Contractive, KLSparsity, L1Sparsity, Penalty
from skae.losses._reconstruction import (
    CosineLoss,
    EntrywiseLoss,
    Loss,
    ObservedLoss,
    absolute_error,
    binary_crossentropy,
    huber,
    squared_error,
)
from skae.losses._ssim import SSIMLoss

__all__ = [
    "LIKELIHOODS",
    "LOSSES",
    "PENALTIES",
    "Contractive",
    "EntrywiseLoss",
    "KLSparsity",
    "KerasLoss",
    "L1Sparsity",
    "Likelihood",
    "Loss",
    "MixedLikelihood",
    "MixedLoss",
    "ObservedLikelihood",
    "ObservedLoss",
    "Outputs",
    "Penalty",
    "divergence",
    "make_loss",
    "make_penalty",
    "noise_variance",
    "posterior",
    "probabilities",
]

LOSSES: dict[str, Any] = {
    "squared_error": EntrywiseLoss(squared_error, power=2),
    "absolute_error": EntrywiseLoss(absolute_error, power=1),
    "huber": EntrywiseLoss(huber, power=2),
    "binary_crossentropy": EntrywiseLoss(binary_crossentropy, bounded=True),
    "cosine": CosineLoss(),
    "ssim": SSIMLoss,
}


def make_loss(loss: Any, output_shape: tuple[int, ...]) -> Loss:
    """A loss by name, or around a Keras loss.

    Parameters
    ----------
    loss : str, keras.losses.Loss or callable
        What the user asked for.

    output_shape : tuple of int
        Shape of one reconstruction.

    Returns
    -------
    Loss
    """
    if not isinstance(loss, str):
        return KerasLoss(loss)
    if loss != "ssim":
        return LOSSES[loss]
    if len(output_shape) not in (2, 3):
        raise ValueError(
            "loss='ssim' compares images: X must be of shape (n_samples, height, width) or "
            "(n_samples, height, width, channels), or network must say the image_shape; "
            f"one row has the shape {output_shape}."
        )
    return SSIMLoss(*output_shape)


def make_penalty(penalty: Any) -> Penalty | None:
    """A penalty by name or object; None: no penalty."""
    return PENALTIES[penalty]() if isinstance(penalty, str) else penalty
