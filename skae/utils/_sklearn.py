"""The one place that imports scikit-learn's private names."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import _fit_context
from sklearn.metrics._pairwise_distances_reduction import ArgKmin
from sklearn.model_selection._search import BaseSearchCV
from sklearn.utils import _param_validation
from sklearn.utils import _safe_indexing as safe_indexing
from sklearn.utils._param_validation import (
    HasMethods,
    MissingValues,
    StrOptions,
    validate_parameter_constraints,
)
from sklearn.utils._set_output import _get_output_config
from sklearn.utils.validation import _check_feature_names_in as check_feature_names_in
from sklearn.utils.validation import _check_sample_weight as check_sample_weight

from skae.utils._calls import Method
from skae.utils._process import safe_openmp

try:
    from sklearn.callback import CallbackSupportMixin

    HAS_CALLBACKS = True
except ImportError:  # scikit-learn < 1.9 has no callbacks
    HAS_CALLBACKS = False

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Stands in where scikit-learn has no callbacks: adds nothing."""


#: Attributes that scikit-learn sets on an estimator, and not always.
SKLEARN_ATTRIBUTES = (
    "_metadata_request",
    "_skl_callbacks",
    "_sklearn_output_config",
    "feature_names_in_",
    "n_features_in_",
)


class Interval(_param_validation.Interval):
    """An interval of numbers, without True and False."""

    def is_satisfied_by(self, val: Any) -> bool:
        """True for a number in the interval."""
        return not isinstance(val, bool | np.bool_) and bool(super().is_satisfied_by(val))


def fit_context(*, prefer_skip_nested_validation: bool) -> Callable[[Method], Method]:
    """scikit-learn's decorator of fit methods, which keeps their types."""
    return _fit_context(prefer_skip_nested_validation=prefer_skip_nested_validation)


def nearest(
    rows: NDArray[Any], reference: NDArray[Any], k: int, metric: str = "euclidean"
) -> tuple[NDArray[Any], NDArray[np.intp]]:
    """Distances and positions of the k nearest reference rows, both (n_rows, k), nearest first.

    As NearestNeighbors computes them, for `rows`, (n_rows, n_features), and `reference`,
    (n_reference, n_features), of one dtype. Without an estimator, so that tools that follow
    every fit of one (mlflow's autologging) do not see it.
    """
    with safe_openmp():
        distances, positions = ArgKmin.compute(
            rows, reference, k, metric=metric, strategy="auto", return_distance=True
        )
    return distances, positions


def column_positions(transformer: Any) -> dict[str, list[int]]:
    """Positions of the columns that each part of a fitted ColumnTransformer takes, if any."""
    found = transformer._transformer_to_input_indices
    return {
        name: [int(at) for at in columns] for name, columns in found.items() if len(columns)
    }


def output_library(estimator: Any) -> str:
    """The container of `transform`: "default", "pandas" or "polars"."""
    return str(_get_output_config("transform", estimator)["dense"])


def validate_parameters(part: Any) -> None:
    """Check the parameters of a part (network, corruption, penalty) by its constraints."""
    validate_parameter_constraints(
        part._parameter_constraints, part.get_params(deep=False), type(part).__name__
    )


__all__ = [
    "HAS_CALLBACKS",
    "SKLEARN_ATTRIBUTES",
    "BaseSearchCV",
    "CallbackSupportMixin",
    "HasMethods",
    "Interval",
    "MissingValues",
    "StrOptions",
    "check_feature_names_in",
    "check_sample_weight",
    "column_positions",
    "fit_context",
    "nearest",
    "output_library",
    "safe_indexing",
    "validate_parameter_constraints",
    "validate_parameters",
]
