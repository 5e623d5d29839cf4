"""Initial weights: the principal components, or random ones."""

from dataclasses import replace

import numpy as np

from skae.inference._forward import forward
from skae.networks._dense import DenseNetwork
from skae.networks._principal import linear_map
from skae.utils._lazy import dense
from skae.utils._rows import significantly_lower

# Activations that are the identity for positive numbers only.
_RECTIFIERS = {"relu", "elu", "leaky_relu"}


def pca_weights(model, rows, corrupted, rng):
    """Weights of a network that computes the best linear reconstruction.

    Parameters
    ----------
    model : FittedAutoencoder
        Without weights.

    rows : Rows
        Training rows.

    corrupted : ndarray of shape (n_corrupted, n_features) or None
        Standardized inputs with noise, from which the best linear denoiser is estimated.

    rng : RandomState
        Draws the weights that have no effect yet.

    Returns
    -------
    weights : list of ndarray
    share : float
        Share of variance that the principal components explain.
    """
    network, preprocessing = model.network, model.preprocessing
    linear = linear_map(preprocessing.linear_rows(rows), network.n_components, rng, corrupted)
    scale, offset = preprocessing.before_output(
        rows, (linear.encoder, linear.decoder), network.output_activation
    )
    weights = network.linear_start(rng, linear.encoder, scale * linear.decoder, offset)
    return weights, linear.share


def shift_latent_positive(model, weights, rows):
    """Weights whose codes of the rows are positive where the code has a rectifier.

    Centred rows have centred codes, of which a rectifier would cut off one half, and with it
    half of the principal components.
    """
    network = model.network
    cuts = isinstance(network, DenseNetwork) and network.code_activation in _RECTIFIERS
    if not cuts or model.penalty is not None:
        return weights
    linear = replace(network, code_activation="linear")
    units, statistics = model.preprocessing.units, network.fresh_statistics()
    encoder, _ = forward(linear, weights, statistics, units, None)
    least = np.min([encoder(dense(part.inputs)).min(axis=0) for part in rows.parts()], axis=0)
    return network.with_moved_code(weights, np.maximum(-least, 0).astype(np.float32))


def improves_on_initialization(model, initial_losses, rows):
    """True if validation losses are lower than initial ones by more than chance explains."""
    return significantly_lower(initial_losses, model.validation_losses(rows), rows.weight)
