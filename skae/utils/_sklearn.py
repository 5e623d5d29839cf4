"""The one place that imports scikit-learn's private names."""

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn import base
from sklearn.base import _fit_context
from sklearn.metrics._pairwise_distances_reduction import ArgKmin
from sklearn.model_selection import _search
from sklearn.utils import _param_validation, _safe_indexing, validation
from sklearn.utils._set_output import _get_output_config

from skae.utils._calls import Method
from skae.utils._process import documentation, safe_openmp

try:
    from sklearn.callback import CallbackSupportMixin as CallbackSupportMixin

    HAS_CALLBACKS = True
except ImportError:  # scikit-learn < 1.9 has no callbacks
    HAS_CALLBACKS = False

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Stands in where scikit-learn has no callbacks: adds nothing."""


BaseSearchCV = _search.BaseSearchCV
HasMethods = _param_validation.HasMethods
MissingValues = _param_validation.MissingValues
StrOptions = _param_validation.StrOptions
check_feature_names_in = validation._check_feature_names_in
check_sample_weight = validation._check_sample_weight
safe_indexing = _safe_indexing
validate_parameter_constraints = _param_validation.validate_parameter_constraints

#: Attributes that scikit-learn sets on an estimator, and not always.
SKLEARN_ATTRIBUTES = (
    "_metadata_request",
    "_skl_callbacks",
    "_sklearn_output_config",
    "feature_names_in_",
    "n_features_in_",
)


class BaseEstimator(base.BaseEstimator):
    """scikit-learn's, whose display in a notebook links to the documentation of skae."""

    _doc_link_module = "skae"

    @property
    def _doc_link_template(self) -> str:
        """Address of the class in the reference; empty, and no link, where none is known."""
        module = type(self).__module__.partition("._")[0]
        if type(self).__name__ in sys.modules["skae"].__all__:
            module = "skae"
        page = f"{module}.{type(self).__name__}.html"
        return f"{documentation()}/api/generated/{page}" if documentation() else ""


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
