"""Classification by the reconstruction errors of one autoencoder per class."""

from skae.classifier._classifier import AEClassifier

__all__ = ["AEClassifier"]
