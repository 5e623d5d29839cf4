"""The methods of fitted autoencoders as ONNX nodes."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skae.estimators import AutoencoderTransformer, DenoisingAutoencoder
from skae.losses._likelihood import ObservedLikelihood, posterior
from skae.losses._reconstruction import KerasLoss, ObservedLoss
from skae.persistence.onnx import _functions as xp
from skae.persistence.onnx._networks import network_output, transform
from skae.persistence.onnx._tensors import Tensor
from skae.variational import VAETransformer
from skae.variational._posterior import log_likelihood, normal_points

# From an estimator and its flat rows, (n_samples, n_features), to the result of a method.
Method = Callable[[Any, Tensor], Tensor]


def autoencoder_methods(estimator: Any) -> dict[str, Method]:
    """Methods that can be exported, by name, the default first; none for other estimators."""
    if isinstance(estimator, VAETransformer):
        encode, score = _posterior_mean, _log_likelihood
    elif isinstance(estimator, AutoencoderTransformer | DenoisingAutoencoder):
        encode, score = _encode, _score_samples
    else:
        return {}
    return {
        "transform": encode,
        "reconstruct": partial(_reconstruct, encode=encode),
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


def without_columns(rows: Tensor, columns: Any) -> Tensor:
    """Rows with NaN in these columns, (n_samples, n_features)."""
    if not len(columns):
        return rows
    missing = np.zeros(rows.shape[1], rows.dtype)
    missing[columns] = np.nan
    return rows + missing


def _encode(estimator: Any, rows: Tensor) -> Tensor:
    """Output of the encoder, missing values at the mean of their column."""
    rows = without_columns(rows, estimator._model.preprocessing.empty)
    filled = xp.where(
        xp.isnan(rows), rows.like(estimator._model.preprocessing.units.centre), rows
    )
    return network_output(estimator._model.encoder, filled)


def _reconstruct(estimator: Any, rows: Tensor, encode: Method) -> Tensor:
    output = network_output(estimator._model.decoder, encode(estimator, rows))
    return output.reshape(None, *estimator._output_shape)


def _score_samples(estimator: Any, rows: Tensor) -> Tensor:
    """Minus the loss of each row, (n_samples,)."""
    loss = estimator._model.loss
    if isinstance(loss, KerasLoss):
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
    rows = without_columns(rows, estimator._model.preprocessing.empty)
    output = network_output(estimator._model.decoder, _encode(estimator, rows))
    if estimator._model.scales_output:
        units = estimator._model.preprocessing.target_units
        rows, output = transform(units, rows), transform(units, output)
    return ObservedLoss(loss).per_sample(xp, rows, output) * -estimator._model.unit


# Variational autoencoders


def _posterior_mean(estimator: Any, rows: Tensor) -> Tensor:
    return posterior(xp, _encode(estimator, rows))[0]


def _log_likelihood(estimator: Any, rows: Tensor) -> Tensor:
    """Log-likelihood of each row, (n_samples,), by points that are constants."""
    latent = estimator._model.latent
    rows = without_columns(rows, estimator._model.preprocessing.empty)
    mean, log_variance = posterior(xp, _encode(estimator, rows))
    points = normal_points(int(estimator.n_draws), mean.shape[1]).astype(rows.dtype)
    target, log_volume = rows, 0.0
    if latent.units is not None:
        target = transform(latent.units, rows)
        log_scale = np.broadcast_to(np.log(latent.units.scale), len(latent.units.centre))
        observed = 1 - xp.isnan(rows).astype(np.float64)
        log_volume = xp.sum(observed * log_scale, axis=1)
    log_joint = partial(_log_joint, estimator, target)
    scores = log_likelihood(xp, mean, xp.exp(0.5 * log_variance), log_joint, points)
    return (scores - log_volume).astype(rows.dtype)


def _log_joint(estimator: Any, target: Tensor, codes: Tensor) -> Tensor:
    """Log-density of rows and codes, less the constant of the codes' normal density.

    From target (n_samples, n_features) and codes (n_draws, n_samples, n_components) to
    (n_draws, n_samples).
    """
    latent, (n_draws, _, size) = estimator._model.latent, codes.shape
    codes = codes.reshape(None, size)
    outputs = network_output(latent.decoder, codes, scaled=False)
    repeated = target.apply("Tile", np.array([n_draws, 1], np.int64))
    likelihood = ObservedLikelihood(latent.likelihood)
    loss = likelihood.per_sample(xp, repeated, outputs, latent.variance).astype(np.float64)
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
    return xp.logsumexp(constant - 0.5 * xp.sum(squares, axis=2), axis=1)
