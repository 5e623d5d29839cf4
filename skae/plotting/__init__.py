"""Displays in scikit-learn's manner; matplotlib is imported when one is drawn."""

from skae.plotting._anomaly import AnomalyScoreDisplay
from skae.plotting._curves import ComponentCurveDisplay, LossCurveDisplay
from skae.plotting._latent_path import LatentPathDisplay
from skae.plotting._latent_space import LatentSpaceDisplay
from skae.plotting._reconstruction import ReconstructionDisplay
from skae.plotting._samples import SampleQualityDisplay

__all__ = [
    "AnomalyScoreDisplay",
    "ComponentCurveDisplay",
    "LatentPathDisplay",
    "LatentSpaceDisplay",
    "LossCurveDisplay",
    "ReconstructionDisplay",
    "SampleQualityDisplay",
]
