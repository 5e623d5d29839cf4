"""The estimators: the door to Keras, what fitted ones do, one module for each."""

from skae.estimators._autoencoder import AutoencoderTransformer
from skae.estimators._classifier import AEClassifier
from skae.estimators._denoising import DenoisingAutoencoder
from skae.estimators._imputer import AEImputer
from skae.estimators._variational import VAETransformer

__all__ = [
    "AEClassifier",
    "AEImputer",
    "AutoencoderTransformer",
    "DenoisingAutoencoder",
    "VAETransformer",
]
