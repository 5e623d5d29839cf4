"""Autoencoders that behave like PCA: scikit-learn's surface, Keras underneath."""

from skae import callbacks, metrics
from skae.anomaly import AEAnomalyDetector
from skae.classifier import AEClassifier
from skae.estimators import AutoencoderTransformer, DenoisingAutoencoder
from skae.imputation import AEImputer
from skae.persistence import load, save, to_onnx
from skae.utils._process import show_versions
from skae.variational import VAETransformer

__version__ = "0.1.0"

__all__ = [
    "AEAnomalyDetector",
    "AEClassifier",
    "AEImputer",
    "AutoencoderTransformer",
    "DenoisingAutoencoder",
    "VAETransformer",
    "__version__",
    "callbacks",
    "load",
    "metrics",
    "save",
    "show_versions",
    "to_onnx",
]
