"""Columns of tables: knows nothing of networks."""

from skae.tables._encoder import Block, TabularEncoder
from skae.tables._frames import (
    Cells,
    checked_table,
    is_beyond_numbers,
    is_frame,
    read_columns,
)
from skae.tables._levels import TwoLevels
from skae.tables._squash import SquashScale

__all__ = [
    "Block",
    "Cells",
    "SquashScale",
    "TabularEncoder",
    "TwoLevels",
    "checked_table",
    "is_beyond_numbers",
    "is_frame",
    "read_columns",
]
