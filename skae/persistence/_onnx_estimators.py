"""What fitted autoencoders say of rows, as ONNX nodes."""

from functools import partial, singledispatch
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skae.estimators import AutoencoderTransformer, DenoisingAutoencoder
from skae.losses._likelihood import ObservedLikelihood, posterior
from skae.losses._reconstruction import ObservedLoss
from skae.losses._registry import KerasLoss
from skae.persistence import _onnx_functions as xp
from skae.persistence._onnx_graph import Tensor
from skae.persistence._onnx_networks import said, transform
from skae.variational import VAETransformer
from skae.variational._importance import log_likelihood
from skae.variational._posterior import normal_points


@singledispatch
def outputs_of(estimator: Any) -> dict[str, Any]:
    """What can be said of rows, by the name of the method: functions of estimator and rows.

    The first is the default. Rows come flat, and what is said is shaped as the method's.
    """
    return {}


def check_exportable(estimator: Any) -> None:
    """Raise if there is no ONNX file for such an estimator, whatever its output."""
    check_is_fitted(estimator)
    if estimator.table_ is not None:
        raise NotImplementedError(
            f"to_onnx cannot say how a table is encoded: this {type(estimator).__name__} was "
            "fitted on a table with strings, categories or dates. Fit a Pipeline that turns "
            "them into numbers first: make_pipeline(make_column_transformer((StandardScaler(), "
            f"[...]), (OneHotEncoder(), [...])), {type(estimator).__name__}())."
        )


def _transform(estimator: Any, rows: Tensor) -> Tensor:
    return said(estimator._encoder, _filled(estimator, rows))


def _filled(estimator: Any, rows: Tensor) -> Tensor:
    """Rows with missing values at the mean of their column, (n_samples, n_features)."""
    rows = without_columns(rows, estimator._preprocessor.empty)
    return xp.isnan(rows).where(rows.like(estimator._units.centre), rows)


def without_columns(rows: Tensor, columns: Any) -> Tensor:
    """Rows of which these columns are missing, (n_samples, n_features)."""
    if not len(columns):
        return rows
    missing = np.zeros(rows.shape[1], rows.dtype)
    missing[columns] = np.nan
    return rows + missing


def _reconstruct(estimator: Any, rows: Tensor) -> Tensor:
    output = said(estimator._decoder, outputs_of(estimator)["transform"](estimator, rows))
    return output.reshape(None, *estimator._output_shape)


def _score_samples(estimator: Any, rows: Tensor) -> Tensor:
    loss = estimator._loss
    if isinstance(loss, KerasLoss):
        raise NotImplementedError(
            f"to_onnx cannot say score_samples with loss={estimator.loss!r}, which is a "
            "function of Keras; it can say transform and reconstruct, and score_samples with "
            "a loss that is given by name."
        )
    if estimator._output_shape != estimator._input_shape:
        raise NotImplementedError(
            "to_onnx cannot say score_samples of an autoencoder that was fitted with a target "
            "of another shape, which it would have to read; it can say transform and "
            "reconstruct."
        )
    rows = without_columns(rows, estimator._preprocessor.empty)
    output = said(estimator._decoder, _transform(estimator, rows))
    if estimator._scales_output:
        units = estimator._target_units
        rows, output = transform(units, rows), transform(units, output)
    return ObservedLoss(loss).per_sample(xp, rows, output) * -estimator._unit


@outputs_of.register(AutoencoderTransformer)
@outputs_of.register(DenoisingAutoencoder)
def _outputs_of_autoencoder(estimator: Any) -> dict[str, Any]:
    return {
        "transform": _transform,
        "reconstruct": _reconstruct,
        "score_samples": _score_samples,
    }


def _mean_of_posterior(estimator: Any, rows: Tensor) -> Tensor:
    return posterior(xp, _transform(estimator, rows))[0]


def _log_likelihood(estimator: Any, rows: Tensor) -> Tensor:
    """By the same points in every call, which are constants."""
    latent = estimator._latent
    rows = without_columns(rows, estimator._preprocessor.empty)
    mean, log_variance = posterior(xp, _transform(estimator, rows))
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
    """Log-density of rows and codes, less the constant of the codes' normal density."""
    latent, (n_draws, _, size) = estimator._latent, codes.shape
    codes = codes.reshape(None, size)
    outputs = said(latent.decoder, codes, scaled=False)
    repeated = target.then("Tile", np.array([n_draws, 1], np.int64))
    likelihood = ObservedLikelihood(latent.likelihood)
    missed = likelihood.per_sample(xp, repeated, outputs, latent.variance)
    wide = codes.astype(np.float64)
    if estimator.prior_ is None:
        prior = -0.5 * xp.sum(xp.square(wide), axis=1)
    else:
        prior = _log_density(estimator.prior_, wide)
    return (prior - missed.astype(np.float64)).reshape(n_draws, None)


def _log_density(mixture: Any, codes: Tensor) -> Tensor:
    """Of codes under a mixture, less the constant of the normal density."""
    factors, (n_components, size) = mixture.precisions_cholesky_, mixture.means_.shape
    constant = np.log(mixture.weights_)
    constant = constant + np.log(np.diagonal(factors, axis1=1, axis2=2)).sum(axis=1)
    centre = np.einsum("ij,ijk->ik", mixture.means_, factors).ravel()
    scaled = xp.matmul(codes, np.hstack(factors)) - centre
    squares = xp.square(scaled).reshape(None, n_components, size)
    return xp.logsumexp(constant - 0.5 * xp.sum(squares, axis=2), axis=1)


@outputs_of.register(VAETransformer)
def _outputs_of_variational(estimator: Any) -> dict[str, Any]:
    return {
        "transform": _mean_of_posterior,
        "reconstruct": _reconstruct,
        "score_samples": _log_likelihood,
    }
