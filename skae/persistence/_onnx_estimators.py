"""What fitted autoencoders say of rows, as ONNX nodes."""

from functools import singledispatch
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skae.estimators import AutoencoderTransformer, DenoisingAutoencoder, VAETransformer
from skae.inference import normal_points
from skae.losses import KerasLoss, posterior
from skae.persistence import _onnx_functions as xp
from skae.persistence._onnx_graph import Tensor
from skae.persistence._onnx_networks import inward, said


@singledispatch
def outputs_of(estimator: Any) -> dict[str, Any]:
    """What can be said of rows, by the name of the method: functions of estimator and rows.

    The first is the default. Rows come flat, and what is said is shaped as the method's.
    """
    return {}


def check_can_be_said(estimator: Any) -> None:
    """Raise if there is no ONNX file for such an estimator, whatever its output."""
    check_is_fitted(estimator)
    if estimator.table_ is not None:
        raise NotImplementedError(
            f"to_onnx cannot say how a table is encoded: this {type(estimator).__name__} was "
            "fitted on strings, categories, dates or missing cells. It can be fitted on the "
            "numbers that a ColumnTransformer makes of them, or on "
            "TabularEncoder().fit_transform(X)."
        )


def _transform(estimator: Any, rows: Tensor) -> Tensor:
    return said(estimator._encoder, rows)


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
    output = said(estimator._decoder, said(estimator._encoder, rows))
    if estimator._scales_output:
        units = estimator._target_units
        rows, output = inward(units, rows), inward(units, output)
    return loss.per_sample(xp, rows, output) * -estimator._unit


@outputs_of.register(AutoencoderTransformer)
@outputs_of.register(DenoisingAutoencoder)
def _outputs_of_autoencoder(estimator: Any) -> dict[str, Any]:
    return {
        "transform": _transform,
        "reconstruct": _reconstruct,
        "score_samples": _score_samples,
    }


def _mean_of_posterior(estimator: Any, rows: Tensor) -> Tensor:
    return posterior(xp, said(estimator._encoder, rows))[0]


def _log_likelihood(estimator: Any, rows: Tensor) -> Tensor:
    """The importance-weighted bound: all draws are the same in every call, and constants."""
    latent, n_draws = estimator._latent, int(estimator.n_draws)
    mean, log_variance = posterior(xp, said(latent.encoder, rows))
    size = mean.shape[1]
    draws = normal_points(n_draws, size).astype(rows.dtype)
    codes = mean + xp.exp(0.5 * log_variance) * draws
    log_ratio = 0.5 * xp.sum(np.square(draws) + log_variance - xp.square(codes), axis=2)
    codes = codes.reshape(None, size)
    if estimator.prior_ is not None:
        log_ratio = log_ratio + _log_gain(estimator.prior_, codes).reshape(n_draws, None)
    outputs = said(latent.decoder, codes)
    rows = rows.then("Tile", np.array([n_draws, 1], np.int64))
    log_volume = 0.0
    if latent.units is not None:
        rows, outputs = inward(latent.units, rows), inward(latent.units, outputs)
        log_volume = len(latent.units.centre) * np.log(latent.units.scale)
    missed = latent.likelihood.per_sample(xp, rows, outputs, latent.variance)
    scores = xp.logsumexp(log_ratio - missed.reshape(n_draws, None), axis=0)
    return scores - (np.log(n_draws) + log_volume)


def _log_gain(mixture: Any, codes: Tensor) -> Tensor:
    """Logarithm of the density of codes under a mixture over that under a standard normal."""
    factors, (n_components, size) = mixture.precisions_cholesky_, mixture.means_.shape
    constant = np.log(mixture.weights_)
    constant = constant + np.log(np.diagonal(factors, axis1=1, axis2=2)).sum(axis=1)
    centre = np.einsum("ij,ijk->ik", mixture.means_, factors).ravel()
    # Both densities have the same power of pi.
    scaled = xp.matmul(codes.astype(np.float64), np.hstack(factors)) - centre
    squares = xp.square(scaled).reshape(None, n_components, size)
    joint = constant - 0.5 * xp.sum(squares, axis=2)
    gain = xp.logsumexp(joint, axis=1).astype(codes.dtype)
    return gain + 0.5 * xp.sum(xp.square(codes), axis=1)


@outputs_of.register(VAETransformer)
def _outputs_of_variational(estimator: Any) -> dict[str, Any]:
    return {
        "transform": _mean_of_posterior,
        "reconstruct": _reconstruct,
        "score_samples": _log_likelihood,
    }
