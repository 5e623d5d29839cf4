"""Fitted estimators as ONNX models, by skl2onnx and the converters that it is told here."""

from math import prod
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from skae.anomaly import AEAnomalyDetector
from skae.estimators import AutoencoderTransformer, DenoisingAutoencoder
from skae.persistence import _onnx_detector  # noqa: F401, tells outputs_of of the detector
from skae.persistence._files import replacing
from skae.persistence._onnx_columns import (
    by_position,
    inputs_by_column,
    name_inputs,
    steps_of,
)
from skae.persistence._onnx_estimators import check_exportable, outputs_of
from skae.persistence._onnx_graph import Graph, Tensor
from skae.utils._extras import missing_package
from skae.utils._sklearn import BaseSearchCV
from skae.variational import VAETransformer

_TRANSFORMERS = (AutoencoderTransformer, DenoisingAutoencoder, VAETransformer)

# What skl2onnx raises of what it does not support, besides errors of its own.
_ERRORS = (RuntimeError, TypeError, ValueError, AssertionError, LookupError)

# Before this, axes were attributes of operators and not their inputs.
_LEAST_OPSET = 18


def to_onnx(
    estimator: Any,
    path: Any = None,
    output: str | None = None,
    *,
    X: Any = None,
    dtype: Any = np.float32,
    target_opset: int | None = None,
) -> Any:
    """A fitted estimator or Pipeline as an ONNX model, which onnxruntime computes.

    Parameters
    ----------
    estimator : estimator or Pipeline
        Fitted: an :class:`~skae.AutoencoderTransformer`,
        :class:`~skae.DenoisingAutoencoder`, :class:`~skae.VAETransformer` or
        :class:`~skae.AEAnomalyDetector` of numbers, a Pipeline that has one and otherwise
        steps that skl2onnx knows, or a search whose best estimator is either.

    path : str or path-like, default=None
        Where the model is written. A file that is there stays whole until the new one is.
        None: nothing is written.

    output : {"transform", "reconstruct", "score_samples", "decision_function", "predict"} \
            or None, default=None
        The method whose result the model computes; of a Pipeline, that of its last step, on
        the rows that the other steps make. None: "predict" for detectors and "transform" for
        the others; what skl2onnx chooses, where the last step of a Pipeline is none of skae.

    X : data frame, default=None
        Rows such as the model is to take: each column becomes an input of its own, of its
        name, and of its type, which is strings or numbers (booleans are numbers). None: so it
        is where a ColumnTransformer of the estimator was fitted on a data frame, and otherwise
        there is one input, "X".

    dtype : {numpy.float32, numpy.float64}, default=numpy.float32
        Of the numbers that the model takes.

    target_opset : int or None, default=None
        The version of the operators, 18 or later. None: the latest that skl2onnx was tried
        with.

    Returns
    -------
    onnx.ModelProto
        Takes "X", any number of rows in the shape that the estimator was fitted on, or the
        columns that it uses by name, each of shape (n_samples, 1), and returns one output,
        which has the name of the method.

    Raises
    ------
    ImportError
        If skl2onnx is not installed.

    NotImplementedError
        If ONNX or skl2onnx does not support a part of the estimator; the message names it.

    See Also
    --------
    skae.persistence.register_converters : For :func:`skl2onnx.to_onnx`.

    Notes
    -----
    The model computes what the method does on rows of this dtype, NaN where a value is
    missing, up to roundings. It does not check rows.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> import skae
    >>> X = load_digits().data[:300]
    >>> ae = skae.AutoencoderTransformer(
    ...     3, hidden_layer_sizes=(8,), max_iter=2, tol=None, random_state=0
    ... )
    >>> pipe = make_pipeline(StandardScaler(), ae).fit(X)
    >>> model = skae.to_onnx(pipe)
    >>> [output.name for output in model.graph.output]
    ['transform']
    >>> import numpy as np
    >>> import onnxruntime
    >>> session = onnxruntime.InferenceSession(model.SerializeToString())
    >>> code = session.run(None, {"X": X.astype(np.float32)})[0]
    >>> bool(np.allclose(code, pipe.transform(X), atol=1e-4))
    True
    """
    _skl2onnx()
    if np.dtype(dtype) not in (np.float32, np.float64):
        raise ValueError(f"dtype must be float32 or float64; got {dtype!r}.")
    if target_opset is not None and target_opset < _LEAST_OPSET:
        raise ValueError(
            f"target_opset must be an integer of at least {_LEAST_OPSET}, or None; got "
            f"{target_opset!r}."
        )
    check_is_fitted(estimator)
    register_converters()
    name = type(estimator).__name__
    estimator = by_position(estimator, dtype)
    columns = inputs_by_column(estimator, X)
    model = _converted(
        _with_output(estimator, output),
        dtype,
        initial_types=_input_types(estimator, columns, dtype),
        target_opset=target_opset,
        name=name,
    )
    if columns is not None:
        name_inputs(model, columns)
    if path is not None:
        with replacing(path) as file:
            file.write(model.SerializeToString())
    return model


def register_converters() -> None:
    """Tell skl2onnx of skae's estimators.

    After that :func:`skl2onnx.to_onnx` converts Pipelines, unions and searches that have them:
    a transformer says its code, and a detector, as others in skl2onnx, "label" and "scores",
    the results of `predict` and `decision_function`, in columns.

    Raises
    ------
    ImportError
        If skl2onnx is not installed.
    """
    register = _skl2onnx().update_registered_converter
    for kind in (*_TRANSFORMERS, AEAnomalyDetector):
        register(kind, f"Skae{kind.__name__}", _give_shapes, _convert)
    register(_Said, "SkaeSaid", _give_shapes, _convert, parser=_parse)


class _Said(BaseEstimator):
    """One output of a fitted estimator, for skl2onnx.

    As an option of the converter it would cost the Keras models of the estimator: skl2onnx
    looks at each of its attributes.

    Parameters
    ----------
    estimator : estimator
        Fitted.

    output : str
        The name of a method.
    """

    def __init__(self, estimator: Any, output: str) -> None:
        self.estimator = estimator
        self.output = output


def _with_output(estimator: Any, output: str | None) -> Any:
    """What skl2onnx is to convert: the output is chosen in the last step."""
    if isinstance(estimator, BaseSearchCV):
        return _with_output(estimator.best_estimator_, output)
    if isinstance(estimator, Pipeline):
        *steps, (name, last) = steps_of(estimator)
        return Pipeline([*steps, (name, _with_output(last, output))])
    allowed = list(outputs_of(estimator))
    kind = type(estimator).__name__
    if not allowed:
        if output is None and not type(estimator).__module__.startswith("skae."):
            return estimator
        raise NotImplementedError(_refusal(estimator, output))
    if output is not None and output not in allowed:
        raise ValueError(
            f"output must be one of {', '.join(map(repr, allowed))} for {kind}, or None; got "
            f"{output!r}."
        )
    check_exportable(estimator)
    return _Said(estimator, output or allowed[0])


def _converted(estimator: Any, dtype: Any, **options: Any) -> Any:
    """The model that skl2onnx makes, or an error that names what it does not support."""
    from skl2onnx.common.exceptions import MissingConverter, MissingShapeCalculator

    _check_parts(estimator)
    kind = type(estimator).__name__
    try:
        model = _skl2onnx().to_onnx(estimator, **options)
        if any(
            isinstance(each, _tensor_type(np.float64)) for _, each in options["initial_types"]
        ):
            _check_doubles(model, kind)
    except (MissingConverter, MissingShapeCalculator, *_ERRORS) as error:
        if str(error).startswith("to_onnx"):
            raise
        raise NotImplementedError(
            f"to_onnx does not support this {kind}, which skl2onnx could not convert: "
            f"{str(error).strip().splitlines()[0]}"
        ) from error
    return model


def _check_doubles(model: Any, kind: str) -> None:
    """Raise if the model mixes float64 with float32, or has what is in float32 only."""
    from onnx import shape_inference

    if any(node.op_type == "Imputer" for node in model.graph.node):
        raise NotImplementedError(
            "to_onnx does not support SimpleImputer with dtype=numpy.float64, which "
            "onnxruntime does not compute; dtype=numpy.float32 is supported."
        )
    try:
        shape_inference.infer_shapes(model, check_type=True, strict_mode=True)
    except shape_inference.InferenceError as error:
        raise NotImplementedError(
            f"to_onnx does not support this {kind} with dtype=numpy.float64, of which skl2onnx "
            "computes a part in float32; dtype=numpy.float32 is supported."
        ) from error


def _check_parts(estimator: Any) -> None:
    """Raise if a part of a Pipeline, union or ColumnTransformer is not supported.

    Of skae's own estimators; skl2onnx checks the others.
    """
    parts: list[Any] = []
    for attribute in ("steps", "transformer_list", "transformers_"):
        parts += [part for _, part, *_ in getattr(estimator, attribute, [])]
    for part in parts:
        _check_parts(part)
    is_own = type(estimator).__module__.startswith("skae.") and type(estimator) is not _Said
    if is_own and not outputs_of(estimator):
        raise NotImplementedError(_refusal(estimator))
    if is_own:
        check_exportable(estimator)


def _refusal(estimator: Any, output: str | None = None) -> str:
    """The error about an estimator that has no converter."""
    instead = {
        "AEImputer": " Missing values can be filled by sklearn.impute.SimpleImputer.",
        "TabularEncoder": " Columns can be encoded by a ColumnTransformer.",
    }
    kind = type(estimator).__name__
    return (
        f"to_onnx does not support {kind}{f' with output={output!r}' if output else ''}; it "
        "supports AutoencoderTransformer, DenoisingAutoencoder, VAETransformer, "
        f"AEAnomalyDetector and Pipelines of them.{instead.get(kind, '')}"
    )


def _input_types(estimator: Any, columns: Any, dtype: Any) -> list[tuple[str, Any]]:
    """The inputs of the model: one, or one for each column."""
    from skl2onnx.common.data_types import StringTensorType

    numbers = _tensor_type(dtype)
    if columns is None:
        return [("X", numbers([None, *_row_shape(estimator)]))]
    kinds = (StringTensorType if kind == "string" else numbers for _, kind in columns)
    return [(name, kind([None, 1])) for (name, _), kind in zip(columns, kinds, strict=True)]


def _row_shape(estimator: Any) -> tuple[int, ...]:
    """Shape of a row that the estimator, or the first step of a Pipeline, was fitted on."""
    if isinstance(estimator, BaseSearchCV):
        return _row_shape(estimator.best_estimator_)
    if isinstance(estimator, Pipeline):
        return _row_shape(steps_of(estimator)[0][1])
    shape = getattr(estimator, "_input_shape", None)
    return (estimator.n_features_in_,) if shape is None else shape


# What skl2onnx calls


def _parse(scope: Any, said: Any, inputs: Any, custom_parsers: Any = None) -> Any:
    """Declare the one output."""
    from skl2onnx.common.data_types import Int64TensorType, guess_tensor_type

    operator = scope.declare_local_operator("SkaeSaid", said)
    operator.inputs = inputs
    kind = Int64TensorType() if said.output == "predict" else guess_tensor_type(inputs[0].type)
    operator.outputs.append(scope.declare_local_variable(said.output, kind))
    return operator.outputs


def _give_shapes(operator: Any) -> None:
    for variable, (estimator, output) in zip(operator.outputs, _asked(operator), strict=True):
        if output != "predict":
            variable.type = _tensor_type(_common_dtype(operator))()
        variable.type.shape = [None, *_shape_of(operator, estimator, output)]


def _convert(scope: Any, operator: Any, container: Any) -> None:
    graph = Graph(scope, container)
    for variable, (estimator, output) in zip(operator.outputs, _asked(operator), strict=True):
        check_exportable(estimator)
        rows = _rows(graph, operator, estimator)
        said = outputs_of(estimator)[output](estimator, rows)
        said = said.reshape(None, *_shape_of(operator, estimator, output))
        graph.node("Identity", said, names=[variable.full_name])


def _asked(operator: Any) -> list[tuple[Any, str]]:
    """Estimator and method of each output."""
    model = operator.raw_operator
    if isinstance(model, _Said):
        return [(model.estimator, model.output)]
    if isinstance(model, AEAnomalyDetector):
        return [(model, "predict"), (model, "decision_function")]
    return [(model, "transform")]


def _shape_of(operator: Any, estimator: Any, output: str) -> tuple[int, ...]:
    """Shape of what is said of one row."""
    if output == "transform":
        return (estimator.n_components_,)
    if output == "reconstruct":
        return tuple(estimator._output_shape)
    return () if isinstance(operator.raw_operator, _Said) else (1,)


def _rows(graph: Graph, operator: Any, estimator: Any) -> Tensor:
    """Flat rows, in float64 if some of the inputs are, else in float32."""
    parts = []
    for variable in operator.inputs:
        part = Tensor(graph, variable.full_name, (None, None), _dtype_of(variable))
        parts.append(part.astype(_common_dtype(operator)))
    rows = parts[0].then("Concat", *parts[1:], axis=1) if len(parts) > 1 else parts[0]
    return rows.reshape(None, prod(estimator._input_shape))


def _common_dtype(operator: Any) -> Any:
    """The dtype in which an operator computes."""
    is_double = any(_dtype_of(variable) == np.float64 for variable in operator.inputs)
    return np.dtype(np.float64 if is_double else np.float32)


def _dtype_of(variable: Any) -> Any:
    """The dtype of an input of numbers."""
    from skl2onnx.common.data_types import (
        BooleanTensorType,
        DoubleTensorType,
        FloatTensorType,
        StringTensorType,
    )

    if isinstance(variable.type, StringTensorType):
        raise NotImplementedError(
            f"to_onnx does not support strings as the input {variable.raw_name!r} of an "
            "autoencoder: encode them before, for example with OneHotEncoder in a "
            "ColumnTransformer."
        )
    dtypes = {
        FloatTensorType: np.float32, DoubleTensorType: np.float64, BooleanTensorType: np.bool_
    }  # fmt: skip
    return np.dtype(dtypes.get(type(variable.type), np.int64))


def _tensor_type(dtype: Any) -> Any:
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType

    return DoubleTensorType if np.dtype(dtype) == np.float64 else FloatTensorType


def _skl2onnx() -> Any:
    try:
        import skl2onnx
    except ImportError as error:
        raise missing_package("to_onnx", "skl2onnx", "onnx") from error
    return skl2onnx
