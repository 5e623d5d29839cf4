"""c: the corruption of rows before they are encoded."""

from skae.corruption._corruptions import (
    GaussianNoise,
    MaskingNoise,
    SaltAndPepperNoise,
    SwapNoise,
)

__all__ = ["GaussianNoise", "MaskingNoise", "SaltAndPepperNoise", "SwapNoise"]
