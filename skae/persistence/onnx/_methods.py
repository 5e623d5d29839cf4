"""The methods of fitted autoencoders and detectors, computed on ONNX tensors."""

from collections.abc import Callable
from copy import copy
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from skae.anomaly import AEAnomalyDetector
from skae.anomaly._neighbors import nearest, picked, smallest
from skae.anomaly._scores import CombinedScore
from skae.anomaly._views import interpolated
from skae.estimators import AutoencoderTransformer, DenoisingAutoencoder
from skae.estimators._validation import reconstruction_errors
from skae.inference._dense import DenseForward
from skae.inference._forward import CompiledForward
from skae.losses._reconstruction import KerasLoss
from skae.persistence.onnx._networks import dense_output, keras_output
from skae.persistence.onnx._tensors import FUNCTIONS, Tensor
from skae.utils._rows import Rows
from skae.variational import VAETransformer

# From an estimator and its flat rows, (n_samples, n_features), to the result of a method.
Method = Callable[[Any, Tensor], Tensor]


def methods_of(estimator: Any) -> dict[str, Method]:
    """Methods that can be exported, by name, the default first; none for other estimators."""
    if isinstance(estimator, AEAnomalyDetector):
        return {
            "predict": lambda e, rows: 1 - 2 * (_decision(e, rows) < 0.0).astype(np.int64),
            "decision_function": lambda e, rows: _decision(e, rows).astype(rows.dtype),
            "score_samples": lambda e, rows: (-_anomaly_score(e, rows)).astype(rows.dtype),
        }
    if not isinstance(
        estimator, AutoencoderTransformer | DenoisingAutoencoder | VAETransformer
    ):
        return {}
    return {
        "transform": lambda e, rows: e._model.encode(_filled(e, rows)),
        "reconstruct": lambda e, rows: e._model.reconstruct(_filled(e, rows)),
        "score_samples": _score_samples,
    }


def check_exportable(estimator: Any) -> None:
    """Raise unless an autoencoder or a detector was fitted on numbers."""
    check_is_fitted(estimator)
    if estimator.table_ is not None:
        kind = type(estimator).__name__
        raise NotImplementedError(
            f"to_onnx does not support the encoding of tables: this {kind} was fitted on a "
            "table with strings, categories or dates. Fit a Pipeline that turns them into "
            "numbers first: make_pipeline(make_column_transformer((StandardScaler(), [...]), "
            f"(OneHotEncoder(), [...])), {kind}())."
        )


# Autoencoders


def _filled(estimator: Any, rows: Tensor) -> Tensor:
    """Rows with missing values at their column's mean, (n_samples, n_features)."""
    filled: Tensor = estimator._model.preprocessing.filled(rows)
    return filled


def _score_samples(estimator: Any, rows: Tensor) -> Tensor:
    """Minus the loss of each row, or the log-likelihood, (n_samples,)."""
    model = estimator._model
    if isinstance(getattr(model, "loss", None), KerasLoss):
        raise NotImplementedError(
            f"to_onnx does not support score_samples with loss={estimator.loss!r}, which is a "
            "function of Keras; it supports transform and reconstruct, and score_samples with "
            "a loss that is given by name."
        )
    if estimator._output_shape != estimator._input_shape:
        raise NotImplementedError(
            "to_onnx does not support score_samples of an autoencoder that was fitted with a "
            "target of another shape, which would be an input; it supports transform and "
            "reconstruct."
        )
    observed: Any = ~np.isnan(rows)
    scores = estimator._scores(model.preprocessing.with_targets(Rows(rows, observed=observed)))
    return scores.astype(rows.dtype)


# Detectors


def _decision(detector: Any, rows: Tensor) -> Tensor:
    """Decision function, (n_samples,) in float64, shared by the outputs of one graph."""
    shared = rows.graph.shared
    if detector not in shared:
        shared[detector] = -_anomaly_score(detector, rows) - detector.offset_
    return shared[detector]


def _anomaly_score(detector: Any, rows: Tensor) -> Tensor:
    """Anomaly score of each row, (n_samples,) in float64."""
    detector, score = copy(detector), copy(detector._score)
    if isinstance(score, CombinedScore):
        for kind in ("components", "distances", "relations"):
            setattr(score, kind, [_Part(part) for part in getattr(score, kind)])
    detector._score = score
    scores: Tensor = detector._scores(detector._without_empty(rows))
    return scores


class _Part:
    """A component or view of a score; an error of its method names it."""

    def __init__(self, part: Any) -> None:
        self._part = part

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._part, name)
        if name not in ("scores", "logs"):
            return value

        def compute(*args: Any) -> list[Tensor]:
            try:
                return list(value(*args))
            except (AttributeError, LookupError, TypeError, ValueError) as error:
                raise TypeError(
                    f"to_onnx does not support {type(self._part).__name__}, a part of the "
                    f"anomaly score: {error}"
                ) from error

        return compute


# Where NumPy has another algorithm


def _nearest(rows: Tensor, reference: NDArray[Any], k: int) -> tuple[Tensor, Tensor]:
    """Distances of rows and positions of the nearest, (n_samples, k) each."""
    products = rows @ (-2 * reference.T) + np.square(reference).sum(axis=1)
    values, at = _smallest((products + np.square(rows).sum(axis=1)[:, None]).clip(0), k)
    distances: Any = np.sqrt(values)
    return distances, at


def _smallest(x: Tensor, k: int, ascending: bool = False) -> tuple[Tensor, Tensor]:
    """The smallest entries of each row and their positions, (n_samples, k) each."""
    graph, size, shape = x.graph, np.array([k], np.int64), (*x.shape[:1], k)
    values, at = graph.node("TopK", x, size, n_outputs=2, largest=0, sorted=1)
    return Tensor(graph, values, shape, x.dtype), Tensor(graph, at, shape, np.int64)


def _picked(values: Any, position: Tensor) -> Tensor:
    """Entries at positions, (n_samples, k), of the shape of these."""
    if isinstance(values, Tensor):
        return values.apply("GatherElements", position, axis=1, shape=position.shape)
    return position.graph.constant(values).take(position, axis=0)


def _interpolated(x: Tensor, knots: NDArray[Any], heights: NDArray[Any]) -> Tensor:
    """Values of columns of x, of its shape, by lines between knots, (n_columns, n_knots)."""
    low, high = knots[:, :-1], knots[:, 1:]
    slope = np.diff(heights, axis=1) / np.where(high > low, high - low, 1.0)
    inside: Any = x[:, :, None].clip(low, high) - low
    return heights[:, 0] + (inside * slope).sum(axis=2)


def _reconstruction_errors(autoencoder: Any, rows: Tensor) -> Tensor:
    """Error of each row, (n_samples,), by an autoencoder."""
    methods, rows = methods_of(autoencoder), rows.reshape(None, prod(rows.shape[1:]))
    return -methods["score_samples"](autoencoder, rows).astype(np.float64)


FUNCTIONS.update(
    {
        CompiledForward.run: keras_output,
        DenseForward.__call__: dense_output,
        interpolated: _interpolated,
        nearest: _nearest,
        picked: _picked,
        reconstruction_errors: _reconstruction_errors,
        smallest: _smallest,
    }
)
