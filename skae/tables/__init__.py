"""Columns of tables: knows nothing of networks."""

from skae.tables._cells import Cells
from skae.tables._columns import Block, check_finite, counted
from skae.tables._encoder import TabularEncoder
from skae.tables._filling import (
    given_back,
    in_library,
    only_columns,
    with_cells,
    with_flags,
    with_string_names,
    with_zeros,
)
from skae.tables._frames import (
    checked_table,
    is_frame,
    read_columns,
)
from skae.tables._gaussian import Gaussian
from skae.tables._iso import iso_times
from skae.tables._kinds import unseen_share
from skae.tables._levels import TwoLevels
from skae.tables._marks import marked_cells, missing_cells, without_cells, without_sparse
from skae.tables._numbers import check_numbers, numbers_of
from skae.tables._ranks import NormalScores
from skae.tables._squash import SquashScale, squashed, stretched
from skae.tables._templates import described, library_of, table_of

__all__ = [
    "Block",
    "Cells",
    "Gaussian",
    "NormalScores",
    "SquashScale",
    "TabularEncoder",
    "TwoLevels",
    "check_finite",
    "check_numbers",
    "checked_table",
    "counted",
    "described",
    "given_back",
    "in_library",
    "is_frame",
    "iso_times",
    "library_of",
    "marked_cells",
    "missing_cells",
    "numbers_of",
    "only_columns",
    "read_columns",
    "squashed",
    "stretched",
    "table_of",
    "unseen_share",
    "with_cells",
    "with_flags",
    "with_string_names",
    "with_zeros",
    "without_cells",
    "without_sparse",
]
