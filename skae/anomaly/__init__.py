"""The anomaly detector: its scores, what calibrates them, what a fitted one does."""

from skae.anomaly._detector import AEAnomalyDetector

__all__ = ["AEAnomalyDetector"]
