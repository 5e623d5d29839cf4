"""The Keras models that join c, f, g and L, and what is shown of them."""

from skae.models._export import keras_models_in_data_units
from skae.models._objective import ReconstructionObjective
from skae.models._ordered import OrderedObjective

__all__ = [
    "OrderedObjective",
    "ReconstructionObjective",
    "keras_models_in_data_units",
]
