"""`to_onnx` and the converters of skae's estimators for skl2onnx."""

from collections.abc import Iterator
from math import prod
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from skae.anomaly import AEAnomalyDetector
from skae.estimators import AutoencoderTransformer, DenoisingAutoencoder
from skae.persistence._container import replacing
from skae.persistence.onnx._columns import by_position, inputs_by_column, name_inputs
from skae.persistence.onnx._methods import check_exportable, methods_of
from skae.persistence.onnx._tensors import Graph, Tensor
from skae.utils._calls import missing_package
from skae.variational import VAETransformer

# What skl2onnx raises besides errors of its own where it does not support an estimator.
_ERRORS = (RuntimeError, TypeError, ValueError, AssertionError, LookupError)

# The first in which axes are inputs of the operators that reduce tensors.
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
    """Convert a fitted estimator or Pipeline to an ONNX model, which onnxruntime runs.

    Parameters
    ----------
    estimator : estimator or Pipeline
        Fitted: an :class:`~skae.AutoencoderTransformer`,
        :class:`~skae.DenoisingAutoencoder`, :class:`~skae.VAETransformer` or
        :class:`~skae.AEAnomalyDetector` of numbers, a Pipeline that has one and otherwise
        steps that skl2onnx supports, or a search whose best estimator is either.

    path : str or path-like, default=None
        File to which the model is written. It replaces a file of that name once it is
        complete. None: no file.

    output : {"transform", "reconstruct", "score_samples", "decision_function", "predict"} \
            or None, default=None
        The method whose result the model returns; of a Pipeline, that of its last step, for
        the output of the other steps. None: "predict" for detectors and "transform" for
        the others; the outputs of skl2onnx, where the last step of a Pipeline is not of skae.

    X : data frame, default=None
        Rows like those of the model's input: each column becomes an input of its own, with
        its name and its type, strings or numbers (booleans are numbers). None: each column is
        an input where a ColumnTransformer of the estimator was fitted on a data frame, and
        otherwise there is one input, "X".

    dtype : {numpy.float32, numpy.float64}, default=numpy.float32
        Of the numbers in the input.

    target_opset : int or None, default=None
        The version of the operators, 18 or later. None: the latest with which skl2onnx was
        tested.

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
    The model returns the result of the method for rows of this dtype, NaN where a value is
    missing, up to rounding errors. It does not check rows.

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
    register_converters()
    if np.dtype(dtype) not in (np.float32, np.float64):
        raise ValueError(f"dtype must be float32 or float64; got {dtype!r}.")
    if target_opset is not None and target_opset < _LEAST_OPSET:
        raise ValueError(
            f"target_opset must be an integer of at least {_LEAST_OPSET}, or None; got "
            f"{target_opset!r}."
        )
    check_is_fitted(estimator)
    name = type(estimator).__name__
    estimator = by_position(estimator, dtype)
    columns = inputs_by_column(estimator, X)
    model = _convert(
        _with_output(estimator, output),
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
    """Register skae's estimators with skl2onnx.

    :func:`skl2onnx.to_onnx` then converts Pipelines, unions and searches that contain them:
    a transformer returns its code, and a detector, like others in skl2onnx, "label" and
    "scores", the results of `predict` and `decision_function`, in columns.

    Raises
    ------
    ImportError
        If skl2onnx is not installed.
    """
    try:
        from skl2onnx import update_registered_converter as register
    except ImportError as error:
        raise missing_package("to_onnx", "skl2onnx", "onnx") from error
    autoencoders = AutoencoderTransformer, DenoisingAutoencoder, VAETransformer
    for kind in (*autoencoders, AEAnomalyDetector):
        register(kind, f"Skae{kind.__name__}", _set_shapes, _add_nodes)
    register(_WithOutput, "SkaeWithOutput", _set_shapes, _add_nodes, parser=_declare_output)


class _WithOutput(BaseEstimator):
    """A fitted estimator and the name of the method to export, for skl2onnx.

    As an option of the converter the name would cost the Keras models of the estimator:
    skl2onnx looks at each of its attributes.
    """

    def __init__(self, estimator: Any, output: str) -> None:
        self.estimator = estimator
        self.output = output


def _with_output(estimator: Any, output: str | None) -> Any:
    """The estimator, the last step of a Pipeline with the method to export."""
    if isinstance(estimator, Pipeline):
        *steps, (name, last) = estimator.steps
        return Pipeline([*steps, (name, _with_output(last, output))])
    allowed = list(methods_of(estimator))
    if not allowed and output is None:
        return estimator
    if not allowed:
        raise _unsupported(estimator, output)
    if output is not None and output not in allowed:
        raise ValueError(
            f"output must be one of {', '.join(map(repr, allowed))} for "
            f"{type(estimator).__name__}, or None; got {output!r}."
        )
    check_exportable(estimator)
    return _WithOutput(estimator, output or allowed[0])


def _convert(estimator: Any, **options: Any) -> Any:
    """The model of skl2onnx, or an error that names the part that it does not support."""
    import skl2onnx
    from onnx.shape_inference import InferenceError, infer_shapes
    from skl2onnx.common.exceptions import MissingConverter, MissingShapeCalculator

    kind = options["name"]
    _check_parts(estimator)
    try:
        model = skl2onnx.to_onnx(estimator, **options)
    except (MissingConverter, MissingShapeCalculator, *_ERRORS) as error:
        if str(error).startswith("to_onnx"):
            raise
        raise NotImplementedError(
            f"to_onnx does not support this {kind}, which skl2onnx could not convert: "
            f"{str(error).strip().splitlines()[0]}"
        ) from error
    doubles = _tensor_type(np.float64)
    if not any(isinstance(type_, doubles) for _, type_ in options["initial_types"]):
        return model
    # Operators of float32 only, or a mixture of both, which onnxruntime refuses.
    if any(node.op_type == "Imputer" for node in model.graph.node):
        raise NotImplementedError(
            "to_onnx does not support SimpleImputer with dtype=numpy.float64, which "
            "onnxruntime does not compute; dtype=numpy.float32 is supported."
        )
    try:
        infer_shapes(model, check_type=True, strict_mode=True)
    except InferenceError as error:
        raise NotImplementedError(
            f"to_onnx does not support this {kind} with dtype=numpy.float64, of which skl2onnx "
            "computes a part in float32; dtype=numpy.float32 is supported."
        ) from error
    return model


def _check_parts(estimator: Any) -> None:
    """Raise if an estimator of skae in a Pipeline, union or the like is not supported."""
    for attribute in ("steps", "transformer_list", "transformers_"):
        for _, part, *_ in getattr(estimator, attribute, []):
            _check_parts(part)
    is_own = type(estimator).__module__.startswith("skae.")
    if is_own and not isinstance(estimator, _WithOutput):
        if not methods_of(estimator):
            raise _unsupported(estimator)
        check_exportable(estimator)


def _unsupported(estimator: Any, output: str | None = None) -> NotImplementedError:
    instead = {
        "AEImputer": " Missing values can be filled by sklearn.impute.SimpleImputer.",
        "TabularEncoder": " Columns can be encoded by a ColumnTransformer.",
    }
    kind = type(estimator).__name__
    return NotImplementedError(
        f"to_onnx does not support {kind}{f' with output={output!r}' if output else ''}; it "
        "supports AutoencoderTransformer, DenoisingAutoencoder, VAETransformer, "
        f"AEAnomalyDetector and Pipelines of them.{instead.get(kind, '')}"
    )


def _input_types(estimator: Any, columns: Any, dtype: Any) -> list[tuple[str, Any]]:
    """The inputs of the model: one, or one for each column."""
    from skl2onnx.common.data_types import StringTensorType

    numbers = _tensor_type(dtype)
    types = {"number": numbers, "string": StringTensorType}
    if columns is not None:
        return [(name, types.get(kind, numbers)([None, 1])) for name, kind in columns]
    while isinstance(estimator, Pipeline):
        estimator = estimator.steps[0][1]
    shape = getattr(estimator, "_input_shape", None) or (estimator.n_features_in_,)
    return [("X", numbers([None, *shape]))]


# Functions that skl2onnx calls


def _declare_output(scope: Any, model: Any, inputs: Any, custom_parsers: Any = None) -> Any:
    from skl2onnx.common.data_types import Int64TensorType, guess_tensor_type

    operator = scope.declare_local_operator("SkaeWithOutput", model)
    operator.inputs = inputs
    kind = Int64TensorType() if model.output == "predict" else guess_tensor_type(inputs[0].type)
    operator.outputs.append(scope.declare_local_variable(model.output, kind))
    return operator.outputs


def _set_shapes(operator: Any) -> None:
    for variable, _, method, shape in _outputs(operator):
        if method != "predict":
            variable.type = _tensor_type(_common_dtype(operator))()
        variable.type.shape = [None, *shape]


def _add_nodes(scope: Any, operator: Any, container: Any) -> None:
    graph, dtype = Graph(scope, container), _common_dtype(operator)
    for variable, estimator, method, shape in _outputs(operator):
        check_exportable(estimator)
        first, *others = (
            Tensor(graph, each.full_name, (None, None), _dtype_of(each)).astype(dtype)
            for each in operator.inputs
        )
        rows = first.apply("Concat", *others, axis=1) if others else first
        rows = rows.reshape(None, prod(estimator._input_shape))
        result = methods_of(estimator)[method](estimator, rows)
        graph.node("Identity", result.reshape(None, *shape), names=[variable.full_name])


def _outputs(operator: Any) -> Iterator[tuple[Any, Any, str, tuple[int, ...]]]:
    """Variable, estimator, method, and shape of the result for one row, of each output."""
    estimator, methods = operator.raw_operator, ["transform"]
    shape: tuple[int, ...] = (1,)
    if isinstance(estimator, _WithOutput):
        estimator, methods, shape = estimator.estimator, [estimator.output], ()
    elif isinstance(estimator, AEAnomalyDetector):
        methods = ["predict", "decision_function"]
    for variable, method in zip(operator.outputs, methods, strict=True):
        if method == "transform":
            shape = (estimator.n_components_,)
        elif method == "reconstruct":
            shape = tuple(estimator._output_shape)
        yield variable, estimator, method, shape


def _common_dtype(operator: Any) -> Any:
    """float64 if one of the inputs is, else float32."""
    is_double = any(_dtype_of(variable) == np.float64 for variable in operator.inputs)
    return np.dtype(np.float64 if is_double else np.float32)


def _dtype_of(variable: Any) -> Any:
    """The dtype of an input; booleans and integers of any size are cast like int64."""
    from skl2onnx.common.data_types import StringTensorType

    if isinstance(variable.type, StringTensorType):
        raise NotImplementedError(
            f"to_onnx does not support strings as the input {variable.raw_name!r} of an "
            "autoencoder: encode them before, for example with OneHotEncoder in a "
            "ColumnTransformer."
        )
    floats = {_tensor_type(dtype): dtype for dtype in (np.float32, np.float64)}
    return np.dtype(floats.get(type(variable.type), np.int64))


def _tensor_type(dtype: Any) -> Any:
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType

    return DoubleTensorType if np.dtype(dtype) == np.float64 else FloatTensorType
