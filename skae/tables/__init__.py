"""Columns of tables: knows nothing of networks."""

from skae.tables._encoder import Block, TabularEncoder
from skae.tables._frames import is_frame
from skae.tables._levels import TwoLevels
from skae.tables._squash import SquashScale

__all__ = ["Block", "SquashScale", "TabularEncoder", "TwoLevels", "is_frame"]
