"""Fitted estimators as ONNX models."""

from skae.persistence.onnx._export import register_converters, to_onnx

__all__ = ["register_converters", "to_onnx"]
