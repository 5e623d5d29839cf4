"""Fitted estimators as files: saved without pickle, and as ONNX."""

from skae.persistence._container import SavedFileError
from skae.persistence._save import load, save
from skae.persistence._schema import trusted_types
from skae.persistence.onnx import register_converters, to_onnx

__all__ = [
    "SavedFileError",
    "load",
    "register_converters",
    "save",
    "to_onnx",
    "trusted_types",
]
