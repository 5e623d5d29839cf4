"""The one place that imports scikit-learn's private names."""

from typing import Any

from sklearn.base import _fit_context as fit_context
from sklearn.utils._param_validation import (
    HasMethods,
    Interval,
    StrOptions,
    validate_parameter_constraints,
)
from sklearn.utils.validation import _check_sample_weight as check_sample_weight

try:
    from sklearn.callback import CallbackSupportMixin
except ImportError:  # scikit-learn < 1.9 has no callbacks

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Stands in where scikit-learn has no callbacks: adds nothing."""


def validate_parameters(part: Any) -> None:
    """Check the parameters of a part (network, corruption, penalty) by its constraints."""
    validate_parameter_constraints(
        part._parameter_constraints, part.get_params(deep=False), type(part).__name__
    )


__all__ = [
    "CallbackSupportMixin",
    "HasMethods",
    "Interval",
    "StrOptions",
    "check_sample_weight",
    "fit_context",
    "validate_parameter_constraints",
    "validate_parameters",
]
