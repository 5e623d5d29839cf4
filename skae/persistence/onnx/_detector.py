"""The methods of a fitted anomaly detector as ONNX nodes."""

from dataclasses import replace
from typing import Any

import numpy as np

from skae.anomaly._neighbors import SAME
from skae.anomaly._scores import TINY, ReconstructionScore
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
from skae.tables import SquashingScaler
from skae.tables._binary_columns import ON_A_LEVEL
from skae.tables._squashing_scaler import BEND


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
    kind = _by_reconstruction if isinstance(score, ReconstructionScore) else _by_denoising
    scores = kind(score, rows) / detector._usual
    effects = detector._effects
    if not len(effects.levels.columns):
        return scores
    binary = effects.levels
    low, high = (level.astype(np.float64) for level in (binary.low, binary.high))
    distance = xp.abs(rows.astype(np.float64).take(binary.columns) - high)
    is_high = (distance <= ON_A_LEVEL * (high - low)).astype(np.float64)
    observed = 1 - xp.isnan(rows.take(binary.columns)).astype(np.float64)
    effect = xp.sum(observed * (is_high - effects.share) * effects.effect, axis=1)
    return scores * xp.exp(-xp.clip(effect, -effects.limit, effects.limit))


def _by_reconstruction(score: ReconstructionScore, rows: Tensor) -> Tensor:
    """Mean error of the autoencoders in their units, (n_samples,) in float64."""
    missing_error = _missing_error(score, rows)
    if score.scale is not None:
        rows = _squash(score.scale, rows).astype(rows.dtype)
    scores = []
    for autoencoder, median in zip(score.autoencoders, score.usual, strict=True):
        check_exportable(autoencoder)
        samples = autoencoder_methods(autoencoder)["score_samples"](autoencoder, rows)
        scores.append(-samples.astype(np.float64) / median)
    return _mean(scores) + missing_error


def _by_denoising(score: Any, rows: Tensor) -> Tensor:
    """Geometric mean of residuals and distances to neighbours, (n_samples,) in float64."""
    Z, missing = _squash(score.scale, rows), xp.isnan(rows)
    missing_error = _missing_error(score, rows)
    Z = xp.where(missing, xp.zeros_like(Z), Z)
    inputs = Z.astype(rows.dtype)
    residuals = (_residuals(part, inputs, missing) for part in score.residuals)
    pairs = zip(residuals, _distances(score.nearest, Z), strict=True)
    return xp.exp(_mean([xp.log(x + missing_error + TINY) for pair in pairs for x in pair]))


def _missing_error(score: Any, rows: Tensor) -> Tensor:
    """Error of the missing values of each row, (n_samples,) in float64."""
    error = np.broadcast_to(score.missing_error, rows.shape[1]) / rows.shape[1]
    return xp.sum(xp.isnan(rows).astype(np.float64) * error, axis=1)


def _mean(parts: list[Tensor]) -> Tensor:
    return sum(parts[1:], parts[0]) / len(parts)


def _squash(scale: SquashingScaler, rows: Tensor) -> Tensor:
    """Output of the scaler, (n_samples, n_features) in float64."""
    z = (rows.astype(np.float64) - scale.centre) / scale.scale
    size = xp.abs(z)
    squashed = xp.sign(z) * (BEND * (1 + xp.log(xp.maximum(size, BEND) / BEND)))
    return xp.where(size > BEND, squashed, z)


def _residuals(residuals: Any, Z: Tensor, missing: Tensor) -> Tensor:
    """Mean squared residual of the observed values of each row, (n_samples,) in float64."""
    observed = 1 - missing.astype(Z.dtype)
    n_observed = xp.maximum(xp.sum(observed, axis=1), 1)
    coder, (kernel, bias, *rest) = residuals.denoiser.coder, residuals.denoiser.weights
    coder = replace(coder, n_inputs=coder.n_inputs - 1)
    kernel, level_kernel = kernel[:-1].astype(np.float64), kernel[-1].astype(np.float64)
    squares = []
    for noise in residuals.noise:
        for level in (residuals.level, -residuals.level):
            # The noise is the same for every row, and with the level a part of the bias.
            shifted = bias + level * noise @ kernel + residuals.level * level_kernel
            output = network_output(DenseForward(coder, [kernel, shifted, *rest]), Z)
            total = xp.sum(observed * xp.square(output - Z), axis=1)
            squares.append((total / n_observed).astype(np.float64))
    return _mean(squares) / residuals.usual


def _distances(nearest: Any, Z: Tensor) -> list[Tensor]:
    """Distance to the neighbours of each ensemble member, each (n_samples,) in float64."""
    order = np.concatenate([positions for positions, _ in nearest._blocks])
    reference = nearest.rows[order]
    products = xp.matmul(Z, -2 * reference.T) + np.square(reference).sum(axis=1)
    distance = xp.maximum(products + xp.sum(xp.square(Z), axis=1).reshape(None, 1), 0)
    # Members whose references contain the same block share its nearest rows.
    candidates, start = [], 0
    for positions, _ in nearest._blocks:
        size = len(positions)
        block = distance.take(np.arange(start, start + size)) if size < len(order) else distance
        values, at = _smallest(block, min(nearest.n_neighbors + 1, size))
        candidates.append((values, at + start))
        start += size
    scores = []
    for j in range(len(nearest.usual)):
        pairs = [
            pair
            for pair, (_, known_by) in zip(candidates, nearest._blocks, strict=True)
            if known_by[j]
        ]
        squares, position = _neighbors(nearest, pairs)
        mean = xp.mean(squares, axis=1) / nearest.rows.shape[1]
        score = mean / (nearest.usual[j] or 1.0)
        if nearest._own is not None:
            least = nearest._least[j] or 1.0
            density = Z.graph.constant(nearest._own[j][order]).take(position, axis=0)
            score = score * xp.sqrt((mean + least) / (xp.mean(density, axis=1) + least))
        scores.append(score)
    return scores


def _neighbors(nearest: Any, candidates: list[Any]) -> tuple[Tensor, Tensor]:
    """Squared distances and positions of the neighbours, (n_samples, n_neighbors)."""
    distance, position = (_concatenate(parts) for parts in zip(*candidates, strict=True))
    distance, chosen = _smallest(distance, nearest.n_neighbors + nearest._leaves_out)
    position = position.apply("GatherElements", chosen, axis=1, shape=chosen.shape)
    if nearest._leaves_out:
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
