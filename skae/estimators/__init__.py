"""The estimators: the door to Keras, what fitted ones do, one module for each."""

from skae.estimators._autoencoder import AutoencoderTransformer
from skae.estimators._denoising import DenoisingAutoencoder

__all__ = [
    "AutoencoderTransformer",
    "DenoisingAutoencoder",
]
