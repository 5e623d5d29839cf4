"""c: how rows are spoilt before the encoder reads them."""

from typing import Any

from skae.corruption._corruptions import (
    Corruption,
    GaussianNoise,
    MaskingNoise,
    SaltAndPepperNoise,
    Spread,
    SwapNoise,
)
from skae.corruption._draws import Draws, PooledDraws, draw_pool, uniform

__all__ = [
    "CORRUPTIONS",
    "Corruption",
    "Draws",
    "GaussianNoise",
    "MaskingNoise",
    "PooledDraws",
    "SaltAndPepperNoise",
    "Spread",
    "SwapNoise",
    "draw_pool",
    "make_corruption",
    "uniform",
]

CORRUPTIONS: dict[str, Any] = {
    "gaussian": GaussianNoise,
    "masking": MaskingNoise,
    "salt_and_pepper": SaltAndPepperNoise,
    "swap": SwapNoise,
}


def make_corruption(corruption: Any, level: float) -> Corruption:
    """A corruption by name, at a level; an object brings its own."""
    return CORRUPTIONS[corruption](level) if isinstance(corruption, str) else corruption
