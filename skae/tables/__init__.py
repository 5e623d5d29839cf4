"""Columns of tables: knows nothing of networks."""

from skae.tables._binary_columns import BinaryColumns
from skae.tables._cells import ColumnValues
from skae.tables._column_types import unseen_share
from skae.tables._columns import Block, check_finite, counted
from skae.tables._encoder import TabularEncoder
from skae.tables._frames import (
    checked_table,
    is_frame,
    read_columns,
)
from skae.tables._iso import iso_times
from skae.tables._marks import marked_values, missing_mask, without_sparse, without_values
from skae.tables._missing_values import (
    given_back,
    in_library,
    only_columns,
    with_flags,
    with_string_names,
    with_values,
    with_zeros,
)
from skae.tables._numbers import check_numbers, numbers_of
from skae.tables._squashing_scaler import SquashingScaler, squashed, stretched

__all__ = [
    "BinaryColumns",
    "Block",
    "ColumnValues",
    "SquashingScaler",
    "TabularEncoder",
    "check_finite",
    "check_numbers",
    "checked_table",
    "counted",
    "given_back",
    "in_library",
    "is_frame",
    "iso_times",
    "marked_values",
    "missing_mask",
    "numbers_of",
    "only_columns",
    "read_columns",
    "squashed",
    "stretched",
    "unseen_share",
    "with_flags",
    "with_string_names",
    "with_values",
    "with_zeros",
    "without_sparse",
    "without_values",
]
