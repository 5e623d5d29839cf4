"""The Keras models that join c, f, g and L, and what is shown of them."""

from skae.models._leveled import LeveledDenoisingObjective
from skae.models._objective import ReconstructionObjective
from skae.models._units import in_units

__all__ = ["LeveledDenoisingObjective", "ReconstructionObjective", "in_units"]
