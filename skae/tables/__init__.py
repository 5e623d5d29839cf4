"""Columns of tables: knows nothing of networks."""

from skae.tables._levels import TwoLevels
from skae.tables._squash import SquashScale

__all__ = ["SquashScale", "TwoLevels"]
