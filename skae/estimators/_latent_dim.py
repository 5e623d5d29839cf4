"""Sizes that follow from the rows: of the code, of a batch, of what is compiled."""

from numbers import Integral

import numpy as np

from skae.networks._principal import MOST_EXACT, principal_axes

# Latent sizes are rounded up to a multiple of this and masked, to share a compilation: in
# small batches, where a step costs the same with a wider code, and in large ones.
_CODE_BLOCKS = (32, 8)
_LARGE_BATCH = 128

# Rows in a training step where the user leaves the choice to us: few for small tables,
# which want many steps an epoch, and many for large ones, which want quick steps.
_BATCH_SIZES = (32, 128)
_STEPS_AN_EPOCH = 256


def latent_size(n_components, rows, units, rng):
    """Columns of the code: as asked for, or what PCA needs for a share of variance.

    Parameters
    ----------
    n_components : int or float
        What the user asked for.

    rows : Rows
        In the units of the data.

    units : Affine
        What centres them.

    rng : RandomState
        For a randomised PCA.

    Returns
    -------
    int
    """
    if isinstance(n_components, Integral):
        return int(n_components)
    inputs = units.transform(rows.inputs)
    most, total = min(inputs.shape), None
    if rows.is_lazy:
        # Of wide rows not all axes are looked for; the mean variance is one.
        most, total = min(most, MOST_EXACT), inputs.shape[1]
    _, variance = principal_axes(inputs, most, rows.weight, rng)
    share = np.cumsum(variance) / (total or variance.sum() or 1)
    size = int(np.searchsorted(share, n_components, side="right")) + 1
    return min(size, len(share))


def rows_in_batch(batch_size, n_samples):
    """Rows in a training step, of the parameter and the number of rows there are."""
    if batch_size == "auto":
        return int(np.clip(n_samples // _STEPS_AN_EPOCH, *_BATCH_SIZES))
    # A batch may have room to spare: tables of a few rows then share a compilation.
    return min(int(batch_size), max(n_samples, _BATCH_SIZES[0]))


def pad_latent(network, batch_size):
    """The network with more columns in the code than needed, and a mask over them."""
    size = network.n_components
    if not network.resizable:
        return network, np.ones(size)
    block = _CODE_BLOCKS[batch_size > _LARGE_BATCH]
    network = network.resized(-(-size // block) * block)
    return network, np.arange(network.n_components) < size
