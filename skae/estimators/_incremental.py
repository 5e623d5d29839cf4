"""`partial_fit`: centre and scale of all rows so far, and weights that suit them."""

import numpy as np

from skae.networks._dense import AffineChange, is_rescalable, rescale_weights

# Where the scale grows by more than this with the second batch, the first had next to nothing
# of the variance: a sixteenth at most.
_TOO_NARROW = 4


def total_weight(rows, sample_weight):
    """Weight of rows beside those of other batches.

    Parameters
    ----------
    rows : Rows
        Those of weight zero left out, with weights where they are not all the same.

    sample_weight : array-like of shape (n_samples,) or None
        As the user gave it.
    """
    if rows.weight is not None:
        return float(rows.weight.sum())
    each = 1.0 if sample_weight is None else float(np.asarray(sample_weight).max())
    return each * len(rows)


def updates_scaling(model):
    """True if centre and scale are those of all batches; otherwise they are the first's.

    They are where the network's weights can be rewritten for other units, and where X has
    numbers only: tables keep the encoder of the first batch.
    """
    preprocessing = model.preprocessing
    if preprocessing.is_table or preprocessing.weight_seen is None:
        return False
    return np.ndim(preprocessing.units.scale) == 0 and is_rescalable(model.network)


def update_scaling(model, rows, weight):
    """Take centre and scale of the rows so far; the network computes what it did before.

    Parameters
    ----------
    model : FittedAutoencoder
        One of which `updates_scaling` is true.

    rows : Rows
        Another batch, in the units of the data.

    weight : float
        Its total weight.

    Returns
    -------
    model : FittedAutoencoder
    rows : Rows
        The batch, with missing values at the mean of all rows so far.
    """
    before, after = model.preprocessing, model.preprocessing.with_more(rows, weight)
    rows = after.with_targets(rows)
    changes = (
        _change(before.units, after.units),
        _change(before.target_units, after.target_units) if model.scales_output else None,
    )
    weights = rescale_weights(model.network, model.weights, *changes)
    return model.rescaled(after, weights, rows), rows


def was_narrow(before, after):
    """True if the first batch had next to nothing of the variance of both, the larger second.

    Parameters
    ----------
    before, after : NumericPreprocessor
        Of the first batch, and of both.
    """
    scale = before.units.scale if before.deviation.any() else 0.0
    is_larger = after.weight_seen >= 2 * before.weight_seen
    return is_larger and after.units.scale > _TOO_NARROW * scale


def _change(old, new):
    """Maps what a network receives in new units to what it received in old ones."""
    return AffineChange(new.scale / old.scale, (new.centre - old.centre) / old.scale)
