"""Autoencoders that behave like PCA: scikit-learn's surface, Keras underneath."""

from skae import metrics
from skae._anomaly import AEAnomalyDetector
from skae._autoencoder import AutoencoderTransformer
from skae._classifier import AEClassifier
from skae._denoising import DenoisingAutoencoder
from skae._variational import VAETransformer

__version__ = "0.1.0"

__all__ = [
    "AEAnomalyDetector",
    "AEClassifier",
    "AutoencoderTransformer",
    "DenoisingAutoencoder",
    "VAETransformer",
    "__version__",
    "metrics",
]
