"""The Keras models that join c, f, g and L, and what is shown of them."""

from skae.models._imputation import ImputationObjective
from skae.models._leveled import LeveledDenoisingObjective
from skae.models._objective import ReconstructionObjective
from skae.models._ordered import OrderedObjective
from skae.models._table import TableDenoisingObjective
from skae.models._units import in_units
from skae.models._variational import VariationalObjective

__all__ = [
    "ImputationObjective",
    "LeveledDenoisingObjective",
    "OrderedObjective",
    "ReconstructionObjective",
    "TableDenoisingObjective",
    "VariationalObjective",
    "in_units",
]
