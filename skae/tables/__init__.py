"""Columns of tables as a matrix of numbers, and back. No networks."""

from skae.tables._encoder import TabularEncoder

__all__ = ["TabularEncoder"]
