"""What the parameters that autoencoders share may be."""

from numbers import Integral, Real

from skae.losses import LOSSES, PENALTIES, Penalty
from skae.networks import ACTIVATIONS, SYNONYMS, Network
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
    "random_state": ["random_state"],
    "verbose": ["verbose"],
}
