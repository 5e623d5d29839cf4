"""ONNX models with an input for each column: numbers and strings of a data frame."""

from copy import copy
from numbers import Number
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import FeatureUnion, Pipeline

from skae.tables._frames import is_frame
from skae.utils._frames import column_names
from skae.utils._sklearn import BaseSearchCV, column_positions

# Of a column that cannot be the input of an ONNX model: neither numbers nor strings.
_NEITHER = "neither"


def steps_of(pipeline: Pipeline) -> list[tuple[str, Any]]:
    """The steps of a Pipeline that change something."""
    return [step for step in pipeline.steps if step[1] not in (None, "passthrough")]


def by_position(estimator: Any, dtype: Any) -> Any:
    """A copy in which every ColumnTransformer has the positions of its columns.

    skl2onnx finds names among the inputs of the whole model only, and it supports neither
    masks nor slices of names. Encoders of categories give it float32, beside which columns of
    float64 would be rounded.

    Parameters
    ----------
    estimator : estimator
        Fitted; a Pipeline, union or search may stand around others.

    dtype : {numpy.float32, numpy.float64}
        Of the numbers.
    """
    if isinstance(estimator, BaseSearchCV):
        return by_position(estimator.best_estimator_, dtype)
    if not isinstance(estimator, Pipeline | FeatureUnion | ColumnTransformer):
        return estimator
    estimator = copy(estimator)
    if isinstance(estimator, Pipeline):
        estimator.steps = [
            (name, by_position(step, dtype)) for name, step in steps_of(estimator)
        ]
    elif isinstance(estimator, FeatureUnion):
        estimator.transformer_list = [
            (name, by_position(part, dtype)) for name, part in estimator.transformer_list
        ]
    else:
        positions = column_positions(estimator)
        estimator.transformers_ = [
            (name, _in_dtype(by_position(part, dtype), dtype), positions[name])
            for name, part, _ in estimator.transformers_
            if name in positions
        ]
    return estimator


def _in_dtype(part: Any, dtype: Any) -> Any:
    """A part of a ColumnTransformer that returns float64, if that is the dtype."""
    if isinstance(part, str) or np.dtype(dtype) != np.float64:
        return part
    from skl2onnx.sklapi import CastTransformer

    return Pipeline([("part", part), ("cast", CastTransformer(dtype=np.float64))])


def inputs_by_column(estimator: Any, X: Any) -> list[tuple[str, str]] | None:
    """Name and type, "number" or "string", of each column that the estimator takes.

    Parameters
    ----------
    estimator : estimator
        Fitted.

    X : data frame or None
        Rows with the columns that were seen in fit.

    Returns
    -------
    list of (str, str) or None
        None: one input takes all columns, for none of them has a name or strings.
    """
    names, kinds = _seen_columns(estimator, np.arange(estimator.n_features_in_))
    if X is not None:
        columns = _columns_of(estimator, X)
    elif names is None and not kinds:
        return None
    else:
        n_columns = estimator.n_features_in_
        names = column_names(None, n_columns) if names is None else map(str, names)
        columns = [(name, kinds.get(j, "number")) for j, name in enumerate(names)]
    for j, (name, _) in enumerate(columns):
        if kinds.get(j) == _NEITHER:
            raise NotImplementedError(_refusal(name))
    return columns


def _columns_of(estimator: Any, X: Any) -> list[tuple[str, str]]:
    """Names and types of the columns of a data frame, which fit must have seen."""
    if not is_frame(X):
        raise TypeError(
            "X must be a data frame, whose columns become the inputs of the model, or None; "
            f"got {type(X).__name__}."
        )
    columns = nw.from_native(X, eager_only=True).iter_columns()
    found = [(str(series.name), _kind_of(series.drop_nulls().to_list())) for series in columns]
    seen = getattr(estimator, "feature_names_in_", None)
    names = [name for name, _ in found]
    if seen is not None and list(seen) != names:
        raise ValueError(
            f"X must have the columns that were seen in fit, {', '.join(map(repr, seen))}; "
            f"got {', '.join(map(repr, names))}."
        )
    if len(names) != estimator.n_features_in_:
        raise ValueError(
            f"X must have the {estimator.n_features_in_} columns that were seen in fit; it has "
            f"{len(names)}."
        )
    return found


def _kind_of(values: Any) -> str:
    """Whether values are numbers, booleans among them, or strings, but for None and NaN."""
    array = np.asarray(values)
    if array.dtype.kind in "biuf":
        return "number"
    cells = [cell for cell in array.tolist() if cell is not None and cell == cell]
    if array.dtype.kind in "OU" and cells and all(isinstance(cell, str) for cell in cells):
        return "string"
    return "number" if all(isinstance(cell, Number) for cell in cells) else _NEITHER


def _seen_columns(estimator: Any, positions: Any) -> tuple[Any, dict[int, str]]:
    """Names that a ColumnTransformer saw in fit, or None, and what is known of columns.

    Parameters
    ----------
    estimator : estimator
        Fitted on some columns of X.

    positions : ndarray of int of shape (n_columns,)
        Of these columns in X.

    Returns
    -------
    names : ndarray of str or None

    kinds : dict of int to str
        The type of the columns at these positions, where they are no numbers.
    """
    if isinstance(estimator, BaseSearchCV):
        return _seen_columns(estimator.best_estimator_, positions)
    if isinstance(estimator, Pipeline):
        steps = steps_of(estimator)
        return _seen_columns(steps[0][1], positions) if steps else (None, {})
    if isinstance(estimator, FeatureUnion):
        parts = [(part, positions) for _, part in estimator.transformer_list]
    elif isinstance(estimator, ColumnTransformer):
        at = column_positions(estimator)
        parts = [
            (part, positions[at[name]])
            for name, part, _ in estimator.transformers_
            if name in at
        ]
    else:
        return None, _kinds_of_columns(estimator, positions)
    names: Any = None
    kinds: dict[int, str] = {}
    for part, columns in parts:
        inner, seen = _seen_columns(part, columns)
        names = inner if names is None else names
        kinds |= seen
    if isinstance(estimator, ColumnTransformer):
        names = getattr(estimator, "feature_names_in_", None)
    return names, kinds


def _kinds_of_columns(transformer: Any, positions: Any) -> dict[int, str]:
    """Types of the columns in which a fitted transformer has seen no numbers."""
    if hasattr(transformer, "vocabulary_"):
        return dict.fromkeys(map(int, positions), "string")
    values: Any = getattr(transformer, "categories_", None)
    if values is None:
        values = np.reshape(getattr(transformer, "statistics_", []), (-1, 1))
    kinds = {int(j): _kind_of(seen) for j, seen in zip(positions, values, strict=False)}
    return {j: kind for j, kind in kinds.items() if kind != "number"}


def _refusal(name: str) -> str:
    return (
        f"to_onnx does not support column {name!r}, which has neither numbers nor strings: "
        "ONNX models take no other columns. Turn it into numbers before fit."
    )


def name_inputs(model: Any, columns: list[tuple[str, str]]) -> None:
    """Give the inputs of a model the names of their columns, and drop those not used.

    Parameters
    ----------
    model : onnx.ModelProto
        With an input for each column, in their order; changed in place.

    columns : list of (str, str)
        Name and type of each.
    """
    graph = model.graph
    used = {name for node in graph.node for name in node.input}
    taken = used | {name for node in graph.node for name in node.output}
    kept, new_names = [], {}
    for given, (name, kind) in zip(list(graph.input), columns, strict=True):
        if given.name not in used:
            continue
        if kind == _NEITHER:
            raise NotImplementedError(_refusal(name))
        if name not in taken:
            new_names[given.name] = name
            given.name = name
        kept.append(given)
    for node in graph.node:
        node.input[:] = [new_names.get(name, name) for name in node.input]
    del graph.input[:]
    graph.input.extend(kept)
