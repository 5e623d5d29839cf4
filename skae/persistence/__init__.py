"""Fitted estimators as files."""

from skae.persistence._onnx import register_converters, to_onnx

__all__ = ["register_converters", "to_onnx"]
