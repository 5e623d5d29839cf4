"""The imputer: estimator, training, and the models it combines."""

from skae.imputation._imputer import AEImputer

__all__ = ["AEImputer"]
