"""Where training starts, and which of two starts is kept."""

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from skae.estimators._fit_callbacks import FitMonitor, warn_or_raise
from skae.inference._forward import forward
from skae.networks._dense import DenseNetwork
from skae.networks._principal import linear_map
from skae.utils._lazy import FEW_BYTES, dense
from skae.utils._rows import Rows
from skae.utils._significance import significantly_lower

# Below this share of variance explained, the principal components may lead training into
# a poor optimum: random weights are tried as well.
_SHARE_TO_TRUST = 0.8

# Activations that are the identity for positive numbers only.
_RECTIFIERS = {"relu", "elu", "leaky_relu"}


class TrainingRun(NamedTuple):
    """What the starts of a fit share.

    Attributes
    ----------
    train, held_out : Rows
        Rows to train on and rows to judge by; None: there are none.

    before : ndarray of shape (n_held_out,) or None
        Losses of these where the first start stands; None: a start is not judged.

    stopping : Stopping
        When training ends.

    monitor : FitMonitor
        Told of each epoch.
    """

    train: Rows
    held_out: Rows | None
    before: NDArray[np.floating] | None
    stopping: Any
    monitor: FitMonitor


def is_pca_sufficient(estimator):
    """Whether the start explains so much that no other is tried."""
    return estimator._start_share >= _SHARE_TO_TRUST


def initial_weights_of(estimator, rows, rng):
    """Principal components where these are asked for and can be said, or random weights.

    Parameters
    ----------
    estimator : estimator
        Whose network is chosen.

    rows : Rows
        Training rows.

    rng : RandomState
        Draws the weights.

    Returns
    -------
    list of ndarray
    """
    network = estimator._network
    if not estimator._starts_linear:
        return shift_latent_positive(estimator, network.random_start(rng), rows)
    if rows.is_lazy and not rows.has_own_targets:
        rows = rows.sample(FEW_BYTES)
    preprocessor, corrupted = estimator._preprocessor, estimator._corrupted(rows, rng)
    linear = linear_map(preprocessor.linear_rows(rows), network.n_components, rng, corrupted)
    estimator._start_share = linear.share
    scale, offset = preprocessor.before_output(
        rows, (linear.encoder, linear.decoder), network.output_activation
    )
    weights = network.linear_start(rng, linear.encoder, scale * linear.decoder, offset)
    return shift_latent_positive(estimator, weights, rows)


def shift_latent_positive(estimator, weights, rows):
    """Let the code of the rows start where its activation passes it on as it is.

    Centred rows have centred codes, of which a rectifier would cut off one half, and with it
    half of what the start knows.
    """
    network = estimator._network
    cuts = isinstance(network, DenseNetwork) and network.code_activation in _RECTIFIERS
    if not cuts or estimator.penalty is not None:
        return weights
    plain = replace(network, code_activation="linear")
    encoder, _ = forward(plain, weights, network.fresh_statistics(), estimator._units, None)
    least = np.min([encoder(dense(part.inputs)).min(axis=0) for part in rows.parts()], axis=0)
    return network.with_moved_code(weights, np.maximum(-least, 0).astype(np.float32))


def train_from_random_weights(estimator, first, course, rng):
    """Train the same network from random weights too, and keep the better of the two.

    Parameters
    ----------
    estimator : estimator
        With what the first start left.

    first : Training
        What the first start came to.

    course : TrainingRun
        What both share.

    rng : RandomState
        Of the second start.

    Returns
    -------
    Training
        Of the start that is kept.
    """
    fitted = dict(vars(estimator))
    weights = shift_latent_positive(
        estimator, estimator._network.random_start(rng), course.train
    )
    estimator._begin("random", weights)
    held = first.validation_curve[1 : first.n_held + 1]
    second = estimator._train(course, rng, held)
    vars(estimator).update(estimator._fitted_attributes(second))
    fitted["starts_"]["random"] = history(estimator, second)
    better = estimator.best_loss_ < fitted["best_loss_"] and improves_on_initialization(
        estimator, course
    )
    if second.ending == "interrupted":
        kept = None if better else "the network of the first start"
        warn_or_raise(second, has_start=True, kept=kept)
    if better:
        return second
    vars(estimator).update(fitted)
    return first


def improves_on_initialization(estimator, course):
    """Whether the network is better than the first start by more than chance explains."""
    held_out = course.held_out
    return significantly_lower(
        course.before, estimator._validation_losses(held_out), held_out.weight
    )


def stop_reason(training, falls_back):
    """Why training ended; "pca" where it converged to nothing better than its start."""
    return "pca" if falls_back and training.ending == "converged" else training.ending


def history(estimator, training):
    """What a start came to, of which the estimator has the attributes."""
    return {
        "loss_curve": estimator.loss_curve_,
        "validation_loss_curve": estimator.validation_loss_curve_,
        "best_loss": estimator.best_loss_,
        "n_iter": estimator.n_iter_,
        "ending": training.ending,
        "seconds": training.seconds,
    }
