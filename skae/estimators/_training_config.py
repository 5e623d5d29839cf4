"""How fast and for how long an autoencoder is trained: as asked for, or as we choose."""

import numpy as np

from skae.estimators._latent_dim import rows_in_batch
from skae.estimators._parameters import plain
from skae.networks._dense import DenseNetwork
from skae.networks._ordered import OrderedNetwork

# Learning rates of batches of so many rows where the choice is ours: of dense networks, which
# on few rows learn them by heart when they learn fast, and of any others. They grow with the
# root of the batch. Chosen with `benchmarks/patience.py`.
_ROWS_IN_BATCH = 32
_FEW_AND_MANY, _DENSE_RATES = (1000, 4000), (0.002, 0.003)
_RATE = 0.001

# The share of the loss that then counts as progress.
_SHARE = 0.02

# The norm to which longer gradients are then cut: a few rows far from all others would throw
# the weights about. The loss of the mean is one.
_CLIP_NORM = 1.0


def stopping_of(estimator, network, n_rows, validated, one_epoch):
    """When training ends, and the learning rate that is held until then, if any.

    Parameters
    ----------
    estimator : estimator
        With the parameters that were asked for.

    network : network
        What is trained.

    n_rows : int
        How many rows it is trained on.

    validated : bool
        Whether rows were held out.

    one_epoch : bool
        Whether this is one epoch of many, asked for one by one.

    Returns
    -------
    Stopping
    """
    from skae.training._schedule import Stopping

    rate = None
    if _is_ours(estimator) and not one_epoch:
        rate = _RATE
        if isinstance(network, DenseNetwork | OrderedNetwork):
            rate = float(np.interp(n_rows, _FEW_AND_MANY, _DENSE_RATES))
        batch_size = rows_in_batch(estimator.batch_size, n_rows)
        rate *= np.sqrt(max(batch_size / _ROWS_IN_BATCH, 1))
    return Stopping(
        max_iter=1 if one_epoch else int(estimator.max_iter),
        n_iter_no_change=int(estimator.n_iter_no_change),
        tol=plain(estimator.tol),
        keep_best=validated,
        rate=rate,
        share=_SHARE,
    )


def optimizer_of(estimator):
    """What `training.train` is told of the optimizer."""
    ours = _is_ours(estimator)
    return {
        "optimizer": estimator.optimizer,
        "learning_rate": _RATE if ours else plain(estimator.learning_rate),
        "weight_decay": float(estimator.weight_decay),
        "clip_norm": _CLIP_NORM if ours else None,
    }


def _is_ours(estimator):
    """Whether the choice of the learning rate is: an optimizer object brings its own."""
    return isinstance(estimator.learning_rate, str) and isinstance(estimator.optimizer, str)
