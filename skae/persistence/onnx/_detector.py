"""The methods of a fitted anomaly detector as ONNX nodes."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from skae.anomaly._components import DenoisingError, NeighborDistance
from skae.anomaly._neighbors import SAME
from skae.anomaly._scores import ReconstructionScore, geometric_mean
from skae.inference._dense import DenseForward
from skae.persistence.onnx import _functions as xp
from skae.persistence.onnx._autoencoders import (
    Method,
    autoencoder_methods,
    check_exportable,
    without_columns,
)
from skae.persistence.onnx._networks import network_output
from skae.persistence.onnx._tensors import Tensor
from skae.tables._squashing_scaler import THRESHOLD, VALUE_TOLERANCE, SquashingScaler


def detector_methods() -> dict[str, Method]:
    """Methods that can be exported, by name, the default first."""
    return {
        "predict": lambda detector, rows: (
            1 - 2 * (_decision(detector, rows) < 0.0).astype(np.int64)
        ),
        "decision_function": lambda detector, rows: _decision(detector, rows).astype(
            rows.dtype
        ),
        "score_samples": lambda detector, rows: (-_anomaly_score(detector, rows)).astype(
            rows.dtype
        ),
    }


def _decision(detector: Any, rows: Tensor) -> Tensor:
    """Decision function, (n_samples,) in float64, shared by the outputs of one graph."""
    shared = rows.graph.shared
    if detector not in shared:
        shared[detector] = -_anomaly_score(detector, rows) - detector.offset_
    return shared[detector]


def _anomaly_score(detector: Any, rows: Tensor) -> Tensor:
    """Anomaly score of each row, (n_samples,) in float64."""
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
    is_high = (distance <= VALUE_TOLERANCE * (high - low)).astype(np.float64)
    observed = 1 - xp.isnan(rows.take(binary.columns)).astype(np.float64)
    effect = xp.sum(observed * (is_high - effects.share) * effects.effect, axis=1)
    return scores * xp.exp(-xp.clip(effect, -effects.limit, effects.limit))


def _reconstruction(score: ReconstructionScore, rows: Tensor) -> Tensor:
    """Mean error of the autoencoders in their units, (n_samples,) in float64."""
    missing_error = _missing_error(score.encoding, rows)
    if score.encoding.scaler is not None:
        rows = _squash(score.encoding.scaler, rows).astype(rows.dtype)
    scores = []
    for autoencoder, unit in zip(score.autoencoders, score.unit, strict=True):
        check_exportable(autoencoder)
        samples = autoencoder_methods(autoencoder)["score_samples"](autoencoder, rows)
        scores.append(-samples.astype(np.float64) / unit)
    return _mean(scores) + missing_error


def _combined(score: Any, rows: Tensor) -> Tensor:
    """Geometric mean of the components, each of which must have nodes of its own."""
    for component in score.components:
        if type(component) not in _SCORES_OF:
            raise TypeError(
                f"to_onnx does not support {type(component).__name__}, a component of the "
                f"anomaly score; it supports {', '.join(each.__name__ for each in _SCORES_OF)}."
            )
    Z, missing = _squash(score.encoding.scaler, rows), xp.isnan(rows)
    Z = xp.where(missing, xp.zeros_like(Z), Z)
    error = _missing_error(score.encoding, rows)
    scores = [
        _SCORES_OF[type(component)](component, Z, missing, rows.dtype)
        for component in score.components
    ]
    return geometric_mean(xp, [[each + error for each in by_model] for by_model in scores])


def _missing_error(encoding: Any, rows: Tensor) -> Tensor:
    """Error of the missing values of each row, (n_samples,) in float64."""
    error = np.broadcast_to(encoding.missing_error, rows.shape[1]) / rows.shape[1]
    return xp.sum(xp.isnan(rows).astype(np.float64) * error, axis=1)


def _mean(parts: list[Tensor]) -> Tensor:
    return sum(parts[1:], parts[0]) / len(parts)


def _squash(scale: SquashingScaler, rows: Tensor) -> Tensor:
    """Output of the scaler, (n_samples, n_features) in float64."""
    z = (rows.astype(np.float64) - scale.centre) / scale.scale
    size = xp.abs(z)
    squashed = xp.sign(z) * (THRESHOLD * (1 + xp.log(xp.maximum(size, THRESHOLD) / THRESHOLD)))
    return xp.where(size > THRESHOLD, squashed, z)


def _denoising_errors(
    denoising: DenoisingError, Z: Tensor, missing: Tensor, dtype: Any
) -> list[Tensor]:
    """Mean error of the observed values by each fold model, each (n_samples,) in float64."""
    Z = Z.astype(dtype)
    observed = 1 - missing.astype(Z.dtype)
    n_observed = xp.maximum(xp.sum(observed, axis=1), 1)
    errors = []
    for denoiser, unit in zip(denoising.denoisers, denoising.unit[:, 0], strict=True):
        coder, (kernel, bias, *rest) = denoiser.coder, denoiser.weights
        coder = replace(coder, n_inputs=coder.n_inputs - 1)
        kernel, level_kernel = kernel[:-1].astype(np.float64), kernel[-1].astype(np.float64)
        squares = []
        for noise in denoising.noise:
            for level in (denoising.level, -denoising.level):
                # The noise is the same for every row, and with the level a part of the bias.
                shifted = bias + level * noise @ kernel + denoising.level * level_kernel
                output = network_output(DenseForward(coder, [kernel, shifted, *rest]), Z)
                total = xp.sum(observed * xp.square(output - Z), axis=1)
                squares.append((total / n_observed).astype(np.float64))
        errors.append(_mean(squares) / float(unit))
    return errors


def _neighbor_distances(
    component: NeighborDistance, Z: Tensor, missing: Tensor, dtype: Any
) -> list[Tensor]:
    """Distance to the neighbours of each fold model, each (n_samples,) in float64."""
    nearest = component.nearest
    order = np.concatenate([positions for positions, _ in nearest.blocks])
    reference = nearest.rows[order]
    products = xp.matmul(Z, -2 * reference.T) + np.square(reference).sum(axis=1)
    distance = xp.maximum(products + xp.sum(xp.square(Z), axis=1).reshape(None, 1), 0)
    # Models whose references contain the same block share its nearest rows.
    candidates, start = [], 0
    for positions, _ in nearest.blocks:
        size = len(positions)
        block = distance.take(np.arange(start, start + size)) if size < len(order) else distance
        values, at = _smallest(block, min(nearest.n_neighbors + 1, size))
        candidates.append((values, at + start))
        start += size
    scores = []
    for j in range(len(nearest.unit)):
        pairs = [
            pair
            for pair, (_, models) in zip(candidates, nearest.blocks, strict=True)
            if models[j]
        ]
        squares, position = _neighbors(nearest, pairs)
        mean = xp.mean(squares, axis=1) / nearest.rows.shape[1]
        score = mean / (nearest.unit[j] or 1.0)
        if nearest.own_distance is not None:
            least = nearest.least_distance[j] or 1.0
            own_distance = Z.graph.constant(nearest.own_distance[j][order])
            theirs = xp.mean(own_distance.take(position, axis=0), axis=1)
            score = score * xp.sqrt((mean + least) / (theirs + least))
        scores.append(score)
    return scores


def _neighbors(nearest: Any, candidates: list[Any]) -> tuple[Tensor, Tensor]:
    """Squared distances and positions of the neighbours, (n_samples, n_neighbors)."""
    distance, position = (_concatenate(parts) for parts in zip(*candidates, strict=True))
    distance, chosen = _smallest(distance, nearest.n_neighbors + nearest.leaves_out)
    position = position.apply("GatherElements", chosen, axis=1, shape=chosen.shape)
    if nearest.leaves_out:
        same = distance[:, :1] < SAME
        distance = xp.where(same, distance[:, 1:], distance[:, :-1])
        position = xp.where(same, position[:, 1:], position[:, :-1])
    return distance, position


def _smallest(distance: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The smallest entries of each row, ascending, and their positions, (n_samples, k)."""
    graph = distance.graph
    names = [graph.new_name("smallest"), graph.new_name("positions")]
    graph.node("TopK", distance, np.array([k], np.int64), names=names, largest=0, sorted=1)
    values = Tensor(graph, names[0], (None, k), distance.dtype)
    return values, Tensor(graph, names[1], (None, k), np.int64)


def _concatenate(parts: Any) -> Tensor:
    """Columns side by side, (n_samples, n_columns)."""
    first, *rest = parts
    return first.apply("Concat", *rest, axis=1, shape=(None, sum(x.shape[1] for x in parts)))


#: Nodes of the components of a score, by their class.
_SCORES_OF: dict[type, Callable[..., list[Tensor]]] = {
    DenoisingError: _denoising_errors,
    NeighborDistance: _neighbor_distances,
}
