"""Rows that come in portions: centre and scale of all that were seen so far."""

import numpy as np

from skae.networks._rescaling import AffineChange, is_rescalable, rescale_weights

# Where the scale grows by more than this with the second portion, the first had next to nothing
# of the variance: a sixteenth at most.
_TOO_NARROW = 4


def weight_of(rows, sample_weight):
    """How much rows count beside the rows of other portions.

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


def follows(estimator):
    """Whether centre and scale follow the portions; otherwise they are those of the first.

    They do where the network can be written in other units, and of rows of numbers: tables
    keep the encoder of the first portion.
    """
    known = getattr(estimator, "_weight_seen", None) is not None
    one_scale = np.ndim(estimator.scale_) == 0
    return (
        known and estimator.table_ is None and one_scale and is_rescalable(estimator._network)
    )


def follow(estimator, rows, sample_weight, rng):
    """Take centre and scale of the rows seen so far, and a network that suits them.

    It says what it said before, unless these rows show that the first portion had next to
    nothing of what there is to see: then training starts again from them.

    Parameters
    ----------
    estimator : autoencoder
        One that `follows`.

    rows : Rows
        Another portion, in the units of the data.

    sample_weight : array-like of shape (n_samples,) or None
        As the user gave it.

    rng : RandomState
        Draws the weights where training starts again.

    Returns
    -------
    Rows
        The portion, with missing values at the mean of all rows so far.
    """
    seen, varied = estimator._weight_seen, estimator._preprocessor.deviation.any()
    scale = estimator.scale_ if varied else 0.0
    rows = move(estimator, rows, weight_of(rows, sample_weight))
    is_second = estimator.n_iter_ == 1 and estimator._weight_seen >= 2 * seen
    if is_second and estimator.scale_ > _TOO_NARROW * scale:
        estimator._set_weights(estimator._start(rows, rng))
        estimator._optimizer_state = None
    return rows


def move(estimator, rows, weight):
    """Take centre and scale of the rows seen so far, and keep what the network says.

    Parameters
    ----------
    estimator : autoencoder
        One that `follows`.

    rows : Rows
        Another portion, in the units of the data.

    weight : float
        How much they count beside those seen before.

    Returns
    -------
    Rows
        The portion, with missing values at the mean of all rows so far.
    """
    before, after = estimator._units, estimator._target_units
    estimator._weight_seen = estimator._weight_seen + weight
    estimator._preprocessor = estimator._preprocessor.with_more(
        rows, weight / estimator._weight_seen
    )
    rows = estimator._preprocessor.with_targets(rows)
    estimator._describe(rows, continues_training=True)
    changes = (
        _change(before, estimator._units),
        _change(after, estimator._target_units) if estimator._scales_output else None,
    )
    weights = rescale_weights(estimator._network, estimator._weights, *changes)
    vars(estimator).update(estimator._networks(weights, estimator._statistics))
    return rows


def _change(old, new):
    """From what a network sees in new units to what it saw in old ones."""
    return AffineChange(new.scale / old.scale, (new.centre - old.centre) / old.scale)
