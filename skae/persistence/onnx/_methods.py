"""The methods of fitted autoencoders and detectors as ONNX nodes."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skae.anomaly import AEAnomalyDetector
from skae.anomaly._components import DenoisingError, NeighborDistance
from skae.anomaly._neighbors import SAME
from skae.anomaly._scores import NEAR, ReconstructionScore, log_mean, log_score
from skae.anomaly._views import (
    MOST_FILLED,
    N_FILLINGS,
    NormalScoreDistance,
    QuartileDistance,
    RangeDistance,
)
from skae.estimators import AutoencoderTransformer, DenoisingAutoencoder
from skae.inference._dense import DenseForward
from skae.losses._likelihood import ObservedLikelihood, posterior
from skae.losses._reconstruction import KerasLoss, ObservedLoss
from skae.persistence.onnx._networks import network_output
from skae.persistence.onnx._tensors import Tensor
from skae.tables._squashing_scaler import VALUE_TOLERANCE, squash
from skae.variational import VAETransformer
from skae.variational._model import log_likelihood, normal_points

# As functions of tensors the types of NumPy's are not known.
xp: Any = np

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
    encode: Method = _encode
    score: Method = _score_samples
    if isinstance(estimator, VAETransformer):
        encode, score = lambda e, rows: posterior(xp, _encode(e, rows))[0], _log_likelihood
    elif not isinstance(estimator, AutoencoderTransformer | DenoisingAutoencoder):
        return {}
    return {
        "transform": encode,
        "reconstruct": lambda e, rows: network_output(e._model.decoder, encode(e, rows)),
        "score_samples": score,
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


def _without_columns(rows: Tensor, columns: Any) -> Tensor:
    """Rows with NaN in these columns, (n_samples, n_features)."""
    if not len(columns):
        return rows
    missing = np.zeros(rows.shape[1], rows.dtype)
    missing[columns] = np.nan
    return rows + missing


def _encode(estimator: Any, rows: Tensor) -> Tensor:
    """Output of the encoder, (n_samples, n_outputs), missing values at their column's mean."""
    preprocessing = estimator._model.preprocessing
    rows = _without_columns(rows, preprocessing.empty)
    filled = xp.where(xp.isnan(rows), rows.like(preprocessing.units.centre), rows)
    return network_output(estimator._model.encoder, filled)


def _score_samples(estimator: Any, rows: Tensor) -> Tensor:
    """Minus the loss of each row, (n_samples,)."""
    model = estimator._model
    if isinstance(model.loss, KerasLoss):
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
    rows = _without_columns(rows, model.preprocessing.empty)
    output = network_output(model.decoder, _encode(estimator, rows))
    if model.scales_output:
        units = model.preprocessing.target_units
        rows, output = units.transform(rows), units.transform(output)
    return ObservedLoss(model.loss).per_sample(xp, rows, output) * -model.unit


# Variational autoencoders


def _log_likelihood(estimator: Any, rows: Tensor) -> Tensor:
    """Log-likelihood of each row, (n_samples,), by points that are constants."""
    model = estimator._model
    units = model.preprocessing.units
    rows = _without_columns(rows, model.preprocessing.empty)
    mean, log_variance = posterior(xp, _encode(estimator, rows))
    points = normal_points(int(estimator.n_draws), mean.shape[1]).astype(rows.dtype)
    target, log_volume = rows, 0.0
    if model.scales_output:
        target = units.transform(rows)
        log_scale = np.broadcast_to(np.log(units.scale), len(units.centre))
        observed = 1 - xp.isnan(rows).astype(np.float64)
        log_volume = xp.sum(observed * log_scale, axis=1)
    log_joint = partial(_log_joint, estimator, target)
    scores = log_likelihood(mean, xp.exp(0.5 * log_variance), log_joint, points)
    return (scores - log_volume).astype(rows.dtype)


def _log_joint(estimator: Any, target: Tensor, codes: Tensor) -> Tensor:
    """Log-density of rows and codes, less the constant of the codes' normal density.

    From target (n_samples, n_features) and codes (n_draws, n_samples, n_components) to
    (n_draws, n_samples).
    """
    model, (n_draws, _, size) = estimator._model, codes.shape
    codes = codes.reshape(None, size)
    outputs = network_output(model.decoder, codes, scaled=False)
    repeated = target.apply("Tile", np.array([n_draws, 1], np.int64))
    likelihood = ObservedLikelihood(model.likelihood)
    loss = likelihood.per_sample(xp, repeated, outputs, model.variance).astype(np.float64)
    codes = codes.astype(np.float64)
    if estimator.prior_ is None:
        log_prior = -0.5 * xp.sum(xp.square(codes), axis=1)
    else:
        log_prior = _mixture_log_density(estimator.prior_, codes)
    return (log_prior - loss).reshape(n_draws, None)


def _mixture_log_density(mixture: Any, codes: Tensor) -> Tensor:
    """Log-density of codes, less the constant of the normal density, (n_samples,)."""
    factors, (n_components, size) = mixture.precisions_cholesky_, mixture.means_.shape
    constant = np.log(mixture.weights_)
    constant = constant + np.log(np.diagonal(factors, axis1=1, axis2=2)).sum(axis=1)
    centre = np.einsum("ij,ijk->ik", mixture.means_, factors).ravel()
    scaled = xp.matmul(codes, np.hstack(factors)) - centre
    squares = xp.square(scaled).reshape(None, n_components, size)
    logs = constant - 0.5 * xp.sum(squares, axis=2)
    most = xp.max(logs, axis=1)
    return most + xp.log(xp.sum(xp.exp(logs - most.reshape(None, 1)), axis=1))


# Detectors


def _decision(detector: Any, rows: Tensor) -> Tensor:
    """Decision function, (n_samples,) in float64, shared by the outputs of one graph."""
    shared = rows.graph.shared
    if detector not in shared:
        shared[detector] = -_anomaly_score(detector, rows) - detector.offset_
    return shared[detector]


def _anomaly_score(detector: Any, rows: Tensor) -> Tensor:
    """Anomaly score of each row, (n_samples,) in float64."""
    if detector._observed is not None:
        rows = _without_columns(rows, np.flatnonzero(~detector._observed))
    is_reconstruction = isinstance(detector._score, ReconstructionScore)
    scores = (_reconstruction if is_reconstruction else _combined)(detector._score, rows)
    scores = scores / detector._median_score
    effects, binary = detector._binary_effects, detector._binary_effects.binary
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
    scaler = score.encoding.scaler
    if scaler is not None:
        rows = scaler.transform(rows.astype(np.float64)).astype(rows.dtype)
    scores = []
    for autoencoder, unit in zip(score.autoencoders, score.unit, strict=True):
        samples = methods_of(autoencoder)["score_samples"](autoencoder, rows)
        scores.append(-samples.astype(np.float64) / unit)
    return _mean(scores) + missing_error


def _combined(score: Any, rows: Tensor) -> Tensor:
    """Score by components, each of which must have nodes of its own, and by views."""
    for component in score.components:
        if type(component) not in _SCORES_OF:
            raise TypeError(
                f"to_onnx does not support {type(component).__name__}, a component of the "
                f"anomaly score; it supports {', '.join(each.__name__ for each in _SCORES_OF)}."
            )
    scaler, missing = score.encoding.scaler, xp.isnan(rows)
    Z = xp.where(missing, 0.0, scaler.transform(rows.astype(np.float64)))
    error = _missing_error(score.encoding, rows)
    plain = (rows.astype(np.float64) - scaler.centre) / scaler.scale
    plain = xp.where(missing, 0.0, plain)

    def scores(part: Any) -> list[Tensor]:
        points = _POINTS_OF[type(part)](part, plain) if type(part) in _POINTS_OF else Z
        by_model = _SCORES_OF[type(part)](part, points, missing, rows.dtype)
        return [each + error for each in by_model]

    logs = [log_mean([each for component in score.components for each in scores(component)])]
    logs += [log_mean(scores(view), NEAR) for view in score.distances]
    for relation in score.relations:
        logs.append(_mean(_relation(relation, plain, missing, rows.dtype == np.float32)))
    return xp.exp(log_score(logs, score.distance_units, score.units))


def _missing_error(encoding: Any, rows: Tensor) -> Tensor:
    """Error of the missing values of each row, (n_samples,) in float64."""
    error = np.broadcast_to(encoding.missing_error, rows.shape[1]) / rows.shape[1]
    return xp.sum(xp.isnan(rows).astype(np.float64) * error, axis=1)


def _mean(parts: list[Tensor]) -> Tensor:
    return sum(parts[1:], parts[0]) / len(parts)


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
        blocks = zip(candidates, nearest.blocks, strict=True)
        pairs = [pair for pair, (_, models) in blocks if models[j]]
        distances, positions = (
            first.apply("Concat", *others, axis=1, shape=(None, None))
            for first, *others in zip(*pairs, strict=True)
        )
        squares, chosen = _smallest(distances, nearest.n_neighbors + nearest.leaves_out)
        position = positions.apply("GatherElements", chosen, axis=1, shape=chosen.shape)
        if nearest.leaves_out:
            same = squares[:, :1] < SAME
            squares = xp.where(same, squares[:, 1:], squares[:, :-1])
            position = xp.where(same, position[:, 1:], position[:, :-1])
        mean = xp.mean(squares, axis=1) / nearest.rows.shape[1]
        score = mean / (nearest.unit[j] or 1.0)
        if nearest.own_distance is not None:
            least = nearest.least_distance[j] or 1.0
            own_distance = Z.graph.constant(nearest.own_distance[j][order])
            theirs = xp.mean(own_distance.take(position, axis=0), axis=1)
            score = score * xp.sqrt((mean + least) / (theirs + least))
        scores.append(score)
    return scores


def _normal_scores(view: NormalScoreDistance, plain: Tensor) -> Tensor:
    """Normal scores of rows in standard deviations, (n_samples, n_features)."""
    low, high = view.knots[:, :-1], view.knots[:, 1:]
    slope = np.diff(view.heights, axis=1) / np.where(high > low, high - low, 1.0)
    inside = xp.clip(plain.reshape(None, plain.shape[1], 1), low, high)
    return view.heights[:, 0] + xp.sum((inside - low) * slope, axis=2)


def _relation(relation: Any, plain: Tensor, missing: Tensor, rounds: bool) -> list[Tensor]:
    """Logarithm of the largest residual by each fold model, each (n_samples,) in float64.

    Of rows in standard deviations, (n_samples, n_features), that may be rounded to float32.
    """
    tight, observed = np.flatnonzero(relation.tight), 1 - missing.astype(np.float64)
    # It takes tensors as it takes arrays.
    X = relation.values(SimpleNamespace(plain=plain, observed=observed))
    scores = []
    for weights, offset in zip(relation.weights, relation.offset, strict=True):
        values, residuals = X, xp.matmul(X, weights) - offset
        for _ in range(N_FILLINGS):
            filled = xp.clip(values - residuals, -MOST_FILLED, MOST_FILLED)
            values = xp.where(missing, filled, values)
            residuals = xp.matmul(values, weights) - offset
        sizes = xp.abs(residuals * observed)
        if rounds:
            sizes = xp.maximum(sizes - relation.rounding, 0)
        sizes = sizes.take(tight) + relation.floor[tight]
        excess = (xp.log(sizes) - relation.median[tight]) / relation.unit[tight]
        scores.append(xp.max(excess, axis=1))
    return scores


def _smallest(distance: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The smallest entries of each row, ascending, and their positions, (n_samples, k)."""
    graph, size = distance.graph, np.array([k], np.int64)
    values, at = graph.node("TopK", distance, size, n_outputs=2, largest=0, sorted=1)
    shape = (None, k)
    return Tensor(graph, values, shape, distance.dtype), Tensor(graph, at, shape, np.int64)


# Nodes of the components of a score, by their class.
_SCORES_OF: dict[type, Callable[..., list[Tensor]]] = {
    DenoisingError: _denoising_errors,
    NeighborDistance: _neighbor_distances,
    RangeDistance: _neighbor_distances,
    QuartileDistance: _neighbor_distances,
    NormalScoreDistance: _neighbor_distances,
}

# Points between which distances in other units are measured.
_POINTS_OF: dict[type, Callable[[Any, Any], Any]] = {
    RangeDistance: lambda view, plain: plain / view.range,
    QuartileDistance: lambda view, plain: squash((plain - view.centre) / view.spread),
    NormalScoreDistance: _normal_scores,
}
