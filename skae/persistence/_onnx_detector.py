"""Scores of a fitted anomaly detector of numbers as ONNX nodes."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from skae.anomaly import AEAnomalyDetector
from skae.anomaly._components import DenoisingError, NeighborDistance
from skae.anomaly._neighbors import SAME
from skae.anomaly._scores import ReconstructionScore, geometric_mean
from skae.inference._dense import DenseForward
from skae.persistence import _onnx_functions as xp
from skae.persistence._onnx_estimators import check_exportable, outputs_of, without_columns
from skae.persistence._onnx_graph import Graph, Tensor
from skae.persistence._onnx_networks import said
from skae.tables._binary_columns import VALUE_TOLERANCE
from skae.tables._squashing_scaler import THRESHOLD, SquashingScaler


@outputs_of.register(AEAnomalyDetector)
def _outputs_of_detector(detector: Any) -> dict[str, Any]:
    return {
        "predict": _predict,
        "decision_function": _decision_function,
        "score_samples": _score_samples,
    }


def _predict(detector: Any, rows: Tensor) -> Tensor:
    beyond = _decision(detector, rows).compared("Less", 0.0)
    return 1 - 2 * beyond.astype(np.int64)


def _decision_function(detector: Any, rows: Tensor) -> Tensor:
    return _decision(detector, rows).astype(rows.dtype)


def _score_samples(detector: Any, rows: Tensor) -> Tensor:
    return (-_scores(detector, rows)).astype(rows.dtype)


def _decision(detector: Any, rows: Tensor) -> Tensor:
    shared = rows.graph.shared
    if detector not in shared:
        shared[detector] = -_scores(detector, rows) - detector.offset_
    return shared[detector]


def _scores(detector: Any, rows: Tensor) -> Tensor:
    """The score of each row, in float64."""
    score = detector._score
    if detector._observed is not None:
        rows = without_columns(rows, np.flatnonzero(~detector._observed))
    kind = _reconstruction if isinstance(score, ReconstructionScore) else _combined
    scores = kind(score, rows) / detector._median_score
    effects = detector._binary_effects
    binary = effects.binary
    if not len(binary.columns):
        return scores
    low, high = (value.astype(np.float64) for value in (binary.low, binary.high))
    distance = xp.abs(rows.astype(np.float64).take(binary.columns) - high)
    has_high = distance.compared("LessOrEqual", VALUE_TOLERANCE * (high - low)).astype(
        np.float64
    )
    observed = 1 - xp.isnan(rows.take(binary.columns)).astype(np.float64)
    effect = xp.sum(observed * (has_high - effects.share) * effects.effect, axis=1)
    return scores * xp.exp(-xp.clip(effect, -effects.limit, effects.limit))


def _missing_error(encoding: Any, rows: Tensor) -> Tensor:
    """Error of the missing values of each row, (n_samples,) in float64."""
    error = encoding.missing_error / rows.shape[1]
    return xp.sum(xp.isnan(rows).astype(np.float64) * error, axis=1)


def _reconstruction(score: ReconstructionScore, rows: Tensor) -> Tensor:
    missing = _missing_error(score.encoding, rows)
    if score.encoding.scaler is not None:
        rows = _squashed(score.encoding.scaler, rows).astype(rows.dtype)
    scores = []
    for autoencoder, unit in zip(score.autoencoders, score.unit, strict=True):
        check_exportable(autoencoder)
        samples = outputs_of(autoencoder)["score_samples"](autoencoder, rows)
        scores.append(-samples.astype(np.float64) / unit)
    return _mean(scores) + missing


def _combined(score: Any, rows: Tensor) -> Tensor:
    """The geometric mean of the components, each of which must have nodes of its own."""
    for component in score.components:
        if type(component) not in _SCORES_OF:
            raise TypeError(
                f"to_onnx does not support {type(component).__name__}, a component of the "
                f"anomaly score; it supports {', '.join(each.__name__ for each in _SCORES_OF)}."
            )
    Z, missing = _squashed(score.encoding.scaler, rows), xp.isnan(rows)
    Z = missing.where(xp.zeros_like(Z), Z)
    error = _missing_error(score.encoding, rows)
    scores = [
        _SCORES_OF[type(component)](component, Z, missing, rows.dtype)
        for component in score.components
    ]
    return geometric_mean(xp, [[each + error for each in of_models] for of_models in scores])


def _mean(parts: list[Tensor]) -> Tensor:
    return sum(parts[1:], parts[0]) / len(parts)


def _squashed(scale: SquashingScaler, rows: Tensor) -> Tensor:
    """Standardised columns, far values drawn in, in float64."""
    z = (rows.astype(np.float64) - scale.centre) / scale.scale
    size = xp.abs(z)
    drawn_in = xp.sign(z) * (THRESHOLD * (1 + xp.log(xp.maximum(size, THRESHOLD) / THRESHOLD)))
    return size.compared("Greater", THRESHOLD).where(drawn_in, z)


def _denoising_errors(
    denoising: DenoisingError, Z: Tensor, missing: Tensor, dtype: Any
) -> list[Tensor]:
    """Mean error of the observed values of each row by each fold model, in float64."""
    Z = Z.astype(dtype)
    observed = 1 - missing.astype(Z.dtype)
    n_observed = xp.maximum(xp.sum(observed, axis=1), 1)
    errors = []
    for denoiser, unit in zip(denoising.denoisers, denoising.unit[:, 0], strict=True):
        coder, (kernel, bias, *rest) = denoiser.coder, denoiser.weights
        coder = replace(coder, n_inputs=coder.n_inputs - 1)
        kernel, of_level = kernel[:-1].astype(np.float64), kernel[-1].astype(np.float64)
        squares = []
        for draw in denoising.noise:
            for level in (denoising.level, -denoising.level):
                # Noise and level are those of every row, and become part of the bias.
                shifted = bias + level * draw @ kernel + denoising.level * of_level
                output = said(DenseForward(coder, [kernel, shifted, *rest]), Z)
                total = xp.sum(observed * xp.square(output - Z), axis=1)
                squares.append((total / n_observed).astype(np.float64))
        errors.append(_mean(squares) / float(unit))
    return errors


def _neighbor_distances(
    component: NeighborDistance, Z: Tensor, missing: Tensor, dtype: Any
) -> list[Tensor]:
    """Distance of each row to the nearest reference rows of each fold model, in float64."""
    nearest = component.nearest
    graph, n_features = Z.graph, nearest.rows.shape[1]
    order = np.concatenate([at for at, _ in nearest.blocks])
    reference = nearest.rows[order]
    products = xp.matmul(Z, -2 * reference.T) + np.square(reference).sum(axis=1)
    squares = xp.sum(xp.square(Z), axis=1).reshape(None, 1)
    found = _nearest_of_blocks(nearest, xp.maximum(products + squares, 0))
    scores = []
    for j in range(len(nearest.unit)):
        of_model = [
            pair for pair, (_, models) in zip(found, nearest.blocks, strict=True) if models[j]
        ]
        distance, position = _nearest_of_all(graph, nearest, of_model)
        mean = xp.mean(distance, axis=1) / n_features
        score = mean / (nearest.unit[j] or 1.0)
        if nearest.own_distance is not None:
            least = nearest.least_distance[j] or 1.0
            own_distance = graph.constant(nearest.own_distance[j][order])
            theirs = xp.mean(own_distance.take(position, axis=0), axis=1)
            score = score * xp.sqrt((mean + least) / (theirs + least))
        scores.append(score)
    return scores


def _nearest_of_blocks(nearest: Any, distance: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Squared distances and positions of what may be near, for each block."""
    sizes = [len(at) for at, _ in nearest.blocks]
    starts = np.cumsum([0, *sizes[:-1]])
    found = []
    for start, size in zip(starts, sizes, strict=True):
        part = distance.take(np.arange(start, start + size)) if len(sizes) > 1 else distance
        values, positions = _least(part, min(nearest.n_neighbors + 1, size))
        found.append((values, positions + int(start)))
    return found


def _nearest_of_all(graph: Graph, nearest: Any, found: list[Any]) -> tuple[Tensor, Tensor]:
    """Squared distances and positions of the neighbours among the nearest of some blocks."""
    distance, position = (_side_by_side(parts) for parts in zip(*found, strict=True))
    k = nearest.n_neighbors + nearest.leaves_out
    distance, chosen = _least(distance, k)
    position = position.then("GatherElements", chosen, axis=1, shape=chosen.shape)
    if nearest.leaves_out:
        same = distance[:, :1].compared("Less", SAME)
        distance = same.where(distance[:, 1:], distance[:, :-1])
        position = same.where(position[:, 1:], position[:, :-1])
    return distance, position


def _least(distance: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The smallest of each row, ascending, and where they stand."""
    graph = distance.graph
    names = [graph.new_name("least"), graph.new_name("at")]
    graph.node("TopK", distance, np.array([k], np.int64), names=names, largest=0, sorted=1)
    return (
        Tensor(graph, names[0], (None, k), distance.dtype),
        Tensor(graph, names[1], (None, k), np.int64),
    )


def _side_by_side(parts: Any) -> Tensor:
    first, *rest = parts
    width = sum(part.shape[1] for part in parts)
    return first.then("Concat", *rest, axis=1, shape=(None, width))


#: Nodes of the components of a score, by their class.
_SCORES_OF: dict[type, Callable[..., list[Tensor]]] = {
    DenoisingError: _denoising_errors,
    NeighborDistance: _neighbor_distances,
}
