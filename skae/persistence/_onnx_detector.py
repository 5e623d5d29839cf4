"""What a fitted anomaly detector says of rows of numbers, as ONNX nodes."""

from dataclasses import replace
from typing import Any

import numpy as np

from skae.anomaly import AEAnomalyDetector
from skae.anomaly._neighbors import SAME
from skae.anomaly._scores import TINY, ReconstructionScore
from skae.inference._dense import DenseForward
from skae.persistence import _onnx_functions as xp
from skae.persistence._onnx_estimators import check_exportable, outputs_of, without_columns
from skae.persistence._onnx_graph import Graph, Tensor
from skae.persistence._onnx_networks import said
from skae.tables import SquashingScaler
from skae.tables._binary_columns import ON_A_LEVEL
from skae.tables._squashing_scaler import BEND


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
    kind = _by_reconstruction if isinstance(score, ReconstructionScore) else _by_denoising
    scores = kind(score, rows) / detector._usual
    effects = detector._effects
    if not len(effects.levels.columns):
        return scores
    levels = effects.levels
    low, high = (level.astype(np.float64) for level in (levels.low, levels.high))
    off = xp.abs(rows.astype(np.float64).take(levels.columns) - high)
    has_high = off.compared("LessOrEqual", ON_A_LEVEL * (high - low)).astype(np.float64)
    observed = 1 - xp.isnan(rows.take(levels.columns)).astype(np.float64)
    effect = xp.sum(observed * (has_high - effects.share) * effects.effect, axis=1)
    return scores * xp.exp(-xp.clip(effect, -effects.limit, effects.limit))


def _of_missing(score: Any, rows: Tensor) -> Tensor:
    """Error of the missing values of each row, (n_samples,) in float64."""
    error = np.broadcast_to(score.missing_error, rows.shape[1]) / rows.shape[1]
    return xp.sum(xp.isnan(rows).astype(np.float64) * error, axis=1)


def _by_reconstruction(score: ReconstructionScore, rows: Tensor) -> Tensor:
    missing = _of_missing(score, rows)
    if score.scale is not None:
        rows = _squashed(score.scale, rows).astype(rows.dtype)
    scores = []
    for autoencoder, usual in zip(score.autoencoders, score.usual, strict=True):
        check_exportable(autoencoder)
        samples = outputs_of(autoencoder)["score_samples"](autoencoder, rows)
        scores.append(-samples.astype(np.float64) / usual)
    return _mean(scores) + missing


def _by_denoising(score: Any, rows: Tensor) -> Tensor:
    Z, missing, error = _squashed(score.scale, rows), xp.isnan(rows), _of_missing(score, rows)
    Z = missing.where(xp.zeros_like(Z), Z)
    far = _distances(score.nearest, Z)
    read = Z.astype(rows.dtype)
    missed = [_missed(residuals, read, missing) for residuals in score.residuals]
    logarithms = [
        xp.log(part + error + TINY) for pair in zip(missed, far, strict=True) for part in pair
    ]
    return xp.exp(_mean(logarithms))


def _mean(parts: list[Tensor]) -> Tensor:
    return sum(parts[1:], parts[0]) / len(parts)


def _squashed(scale: SquashingScaler, rows: Tensor) -> Tensor:
    """Standardised columns, far values drawn in, in float64."""
    z = (rows.astype(np.float64) - scale.centre) / scale.scale
    size = xp.abs(z)
    drawn_in = xp.sign(z) * (BEND * (1 + xp.log(xp.maximum(size, BEND) / BEND)))
    return size.compared("Greater", BEND).where(drawn_in, z)


def _missed(residuals: Any, Z: Tensor, missing: Tensor) -> Tensor:
    """Mean squared residual of the observed values of each row, in float64."""
    observed = 1 - missing.astype(Z.dtype)
    n_observed = xp.maximum(xp.sum(observed, axis=1), 1)
    coder, (kernel, bias, *rest) = residuals.denoiser.coder, residuals.denoiser.weights
    coder = replace(coder, n_inputs=coder.n_inputs - 1)
    kernel, of_level = kernel[:-1].astype(np.float64), kernel[-1].astype(np.float64)
    squares = []
    for draw in residuals.noise:
        for level in (residuals.level, -residuals.level):
            # What is added to every row, and the level that is told, are part of the bias.
            shifted = bias + level * draw @ kernel + residuals.level * of_level
            output = said(DenseForward(coder, [kernel, shifted, *rest]), Z)
            total = xp.sum(observed * xp.square(output - Z), axis=1)
            squares.append((total / n_observed).astype(np.float64))
    return _mean(squares) / residuals.usual


def _distances(nearest: Any, Z: Tensor) -> list[Tensor]:
    """How far rows lie from what each member knows."""
    graph, n_features = Z.graph, nearest.rows.shape[1]
    order = np.concatenate([at for at, _ in nearest._blocks])
    reference = nearest.rows[order]
    products = xp.matmul(Z, -2 * reference.T) + np.square(reference).sum(axis=1)
    squares = xp.sum(xp.square(Z), axis=1).reshape(None, 1)
    found = _nearest_of_blocks(nearest, xp.maximum(products + squares, 0))
    scores = []
    for j in range(len(nearest.usual)):
        known = [
            pair for pair, (_, knows) in zip(found, nearest._blocks, strict=True) if knows[j]
        ]
        distance, position = _nearest_of_all(graph, nearest, known)
        mean = xp.mean(distance, axis=1) / n_features
        score = mean / (nearest.usual[j] or 1.0)
        if nearest._own is not None:
            least = nearest._least[j] or 1.0
            own = graph.constant(nearest._own[j][order])
            theirs = xp.mean(own.take(position, axis=0), axis=1)
            score = score * xp.sqrt((mean + least) / (theirs + least))
        scores.append(score)
    return scores


def _nearest_of_blocks(nearest: Any, distance: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Squared distances and positions of what may be near, for each block."""
    sizes = [len(at) for at, _ in nearest._blocks]
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
    k = nearest.n_neighbors + nearest._leaves_out
    distance, chosen = _least(distance, k)
    position = position.then("GatherElements", chosen, axis=1, shape=chosen.shape)
    if nearest._leaves_out:
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
