"""Constraints of the parameters that autoencoders share."""

from numbers import Integral, Real

import numpy as np

from skae.losses._penalties import PENALTIES, Penalty
from skae.losses._reconstruction import LOSSES
from skae.networks._base import ACTIVATIONS, SYNONYMS, Network
from skae.utils._sklearn import HasMethods, Interval, StrOptions

OPTIMIZERS = {
    "adadelta", "adafactor", "adagrad", "adam", "adamax", "adamw",
    "ftrl", "lamb", "lion", "muon", "nadam", "rmsprop", "sgd",
}  # fmt: skip

CONSTRAINTS: dict = {
    "n_components": [
        Interval(Integral, 1, None, closed="left"),
        Interval(Real, 0, 1, closed="neither"),
    ],
    "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
    "network": [Network, None],
    "activation": [StrOptions(set(ACTIVATIONS) | set(SYNONYMS))],
    "code_activation": [StrOptions(set(ACTIVATIONS) | set(SYNONYMS))],
    "output_activation": [StrOptions({"auto"} | set(ACTIVATIONS) | set(SYNONYMS))],
    "normalization": [StrOptions({"batch", "layer"}), None],
    "dropout": [Interval(Real, 0, 1, closed="left")],
    "tied_weights": ["boolean"],
    "loss": [StrOptions(set(LOSSES)), callable],
    "penalty": [StrOptions(set(PENALTIES)), Penalty, None],
    "init": [StrOptions({"pca", "random"})],
    "optimizer": [StrOptions(OPTIMIZERS), HasMethods(["apply", "get_config"])],
    "learning_rate": [
        StrOptions({"auto"}),
        Interval(Real, 0, None, closed="neither"),
        HasMethods(["get_config"]),
    ],
    "weight_decay": [Interval(Real, 0, None, closed="left")],
    "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
    "max_iter": [Interval(Integral, 1, None, closed="left")],
    "early_stopping": ["boolean"],
    "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
    "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
    "tol": [Interval(Real, 0, None, closed="left"), None],
    "warm_start": ["boolean"],
    "categorical_features": [StrOptions({"from_dtype"}), "array-like"],
    "standardize": [StrOptions({"auto"}), "boolean"],
    "clip": ["boolean"],
    "random_state": ["random_state"],
    "verbose": ["verbose"],
}

# What makes the network that is trained: a fit that goes on cannot change it.
_OF_THE_NETWORK = (
    "n_components",
    "hidden_layer_sizes",
    "network",
    "activation",
    "code_activation",
    "output_activation",
    "normalization",
    "dropout",
    "tied_weights",
    "ordered",
    "loss",
    "likelihood",
    "init",
)


def plain(value):
    """A number of whatever kind as Python's own; anything else as it is."""
    if isinstance(value, Integral):
        return int(value)
    return float(value) if isinstance(value, Real) else value


def network_parameters(estimator):
    """Parameters from which the network of an estimator follows."""
    names = filter(estimator.get_params(deep=False).__contains__, _OF_THE_NETWORK)
    return {name: getattr(estimator, name) for name in names}


def refuse_changes(estimator, before, same_network):
    """Raise if a fit that goes on is asked for another network than it has.

    Parameters
    ----------
    estimator : estimator
        As it is asked for now.

    before : dict
        What `network_parameters` gave when the network was built.

    same_network : bool
        True if the parameters describe the same network, in another form perhaps.
    """
    now = network_parameters(estimator)
    decided_once = all(now[name] == before[name] for name in ("n_components", "init"))
    if same_network and decided_once:
        return
    changed = [name for name in now if not np.array_equal(before[name], now[name])]
    changes = "; ".join(f"{name} was {before[name]!r} and is {now[name]!r}" for name in changed)
    raise ValueError(
        "A fit that continues training (warm_start=True, partial_fit) keeps the network, "
        f"which cannot change: {changes or 'network was changed'}. Put that back, or fit a "
        "clone of the estimator."
    )
