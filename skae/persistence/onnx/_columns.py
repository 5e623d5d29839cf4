"""ONNX models with an input for each column: numbers and strings of a data frame."""

from copy import copy
from numbers import Number
from typing import Any

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import FeatureUnion, Pipeline

from skae.tables._frames import columns_of_frame, is_frame
from skae.utils._arrays import column_names
from skae.utils._sklearn import BaseSearchCV, column_positions

# The type of a column that cannot be the input of an ONNX model.
_NEITHER = "neither"


def by_position(estimator: Any, dtype: Any) -> Any:
    """A copy that skl2onnx can convert: searches replaced, columns by position, one dtype."""
    if isinstance(estimator, BaseSearchCV):
        return by_position(estimator.best_estimator_, dtype)
    if not isinstance(estimator, Pipeline | FeatureUnion | ColumnTransformer):
        return estimator
    estimator = copy(estimator)
    if isinstance(estimator, Pipeline):
        estimator.steps = [
            (name, by_position(step, dtype))
            for name, step in estimator.steps
            if step not in (None, "passthrough")
        ]
    elif isinstance(estimator, FeatureUnion):
        estimator.transformer_list = [
            (name, by_position(part, dtype)) for name, part in estimator.transformer_list
        ]
    else:
        from skl2onnx.sklapi import CastTransformer

        # skl2onnx finds names among the inputs of the whole model only, and supports neither
        # masks nor slices of names.
        positions = column_positions(estimator)
        parts = [
            (name, by_position(part, dtype), positions[name])
            for name, part, _ in estimator.transformers_
            if name in positions
        ]
        if np.dtype(dtype) == np.float64:
            # Encoders of categories have float32 there, beside which other columns are rounded.
            cast = "cast", CastTransformer(dtype=np.float64)
            parts = [
                (name, part if isinstance(part, str) else Pipeline([("part", part), cast]), at)
                for name, part, at in parts
            ]
        estimator.transformers_ = parts
    return estimator


def inputs_by_column(estimator: Any, X: Any) -> list[tuple[str, str]] | None:
    """Name and type, "number" or "string", of each column in fit; None: one input has all.

    X (n_samples, n_columns) is a frame of these columns or None, `estimator` of `by_position`.
    """
    n_columns = estimator.n_features_in_
    names, types = _fitted_columns(estimator, np.arange(n_columns))
    if X is not None:
        columns = _frame_columns(estimator, X)
    elif names is None and not types:
        return None
    else:
        names = column_names(None, n_columns) if names is None else map(str, names)
        columns = [(name, types.get(j, "number")) for j, name in enumerate(names)]
    for j, (name, _) in enumerate(columns):
        if types.get(j) == _NEITHER:
            raise _unsupported(name)
    return columns


def _frame_columns(estimator: Any, X: Any) -> list[tuple[str, str]]:
    """Names and types of the columns of X (n_samples, n_columns), which fit must have seen."""
    if not is_frame(X):
        raise TypeError(
            "X must be a data frame, whose columns become the inputs of the model, or None; "
            f"got {type(X).__name__}."
        )
    columns = columns_of_frame(X)
    found = [(str(series.name), _type_of(series.drop_nulls().to_list())) for series in columns]
    fitted = getattr(estimator, "feature_names_in_", None)
    names = [name for name, _ in found]
    if fitted is not None and list(fitted) != names:
        raise ValueError(
            f"X must have the columns that were seen in fit, {', '.join(map(repr, fitted))}; "
            f"got {', '.join(map(repr, names))}."
        )
    if len(names) != estimator.n_features_in_:
        raise ValueError(
            f"X must have the {estimator.n_features_in_} columns that were seen in fit; it has "
            f"{len(names)}."
        )
    return found


def _type_of(values: Any) -> str:
    """Type of values (n_values,), some of them None or NaN; booleans are numbers."""
    array = np.asarray(values)
    if array.dtype.kind in "biuf":
        return "number"
    present = [value for value in array.tolist() if value is not None and value == value]
    if array.dtype.kind in "OU" and present and all(isinstance(v, str) for v in present):
        return "string"
    return "number" if all(isinstance(v, Number) for v in present) else _NEITHER


def _fitted_columns(estimator: Any, positions: Any) -> tuple[Any, dict[int, str]]:
    """Names that a ColumnTransformer was fitted on, or None, and types without numbers."""
    if isinstance(estimator, Pipeline):
        steps = estimator.steps
        return _fitted_columns(steps[0][1], positions) if steps else (None, {})
    names: Any = None
    types: dict[int, str] = {}
    if isinstance(estimator, FeatureUnion):
        parts = [(part, positions) for _, part in estimator.transformer_list]
    elif isinstance(estimator, ColumnTransformer):
        names = getattr(estimator, "feature_names_in_", None)
        parts = [(part, positions[columns]) for _, part, columns in estimator.transformers_]
    elif hasattr(estimator, "vocabulary_"):
        return None, dict.fromkeys(map(int, positions), "string")
    else:
        values: Any = getattr(estimator, "categories_", None)
        if values is None:
            values = np.reshape(getattr(estimator, "statistics_", []), (-1, 1))
        types = {int(j): _type_of(column) for j, column in zip(positions, values, strict=False)}
        return None, {j: kind for j, kind in types.items() if kind != "number"}
    for part, columns in parts:
        names_of_part, types_of_part = _fitted_columns(part, columns)
        names = names_of_part if names is None else names
        types |= types_of_part
    return names, types


def _unsupported(name: str) -> NotImplementedError:
    return NotImplementedError(
        f"to_onnx does not support column {name!r}, which has neither numbers nor strings: "
        "ONNX models take no other columns. Turn it into numbers before fit."
    )


def name_inputs(model: Any, columns: list[tuple[str, str]]) -> None:
    """Give the inputs of a model, one for each column, their names; remove those not used."""
    graph = model.graph
    used = {name for node in graph.node for name in node.input}
    taken = used | {name for node in graph.node for name in node.output}
    inputs, new_names = [], {}
    for given, (name, kind) in zip(list(graph.input), columns, strict=True):
        if given.name not in used:
            continue
        if kind == _NEITHER:
            raise _unsupported(name)
        if name not in taken:
            new_names[given.name] = name
            given.name = name
        inputs.append(given)
    for node in graph.node:
        node.input[:] = [new_names.get(name, name) for name in node.input]
    del graph.input[:]
    graph.input.extend(inputs)
