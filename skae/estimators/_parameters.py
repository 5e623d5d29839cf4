"""Parameters that autoencoders share: their constraints, and what follows from them."""

from dataclasses import replace
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skae.estimators._model import ReconstructionModel
from skae.estimators._ordered import OrderedModel
from skae.estimators._validation import check_bounded
from skae.losses._penalties import PENALTIES, Penalty
from skae.losses._reconstruction import LOSSES, make_loss
from skae.networks._base import KERAS_NAMES, LayerOptions, Network
from skae.networks._ordered import OrderedNetwork
from skae.networks._principal import MOST_EXACT, principal_axes
from skae.utils._arrays import column_names
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
    "activation": [StrOptions(set(KERAS_NAMES))],
    "code_activation": [StrOptions(set(KERAS_NAMES))],
    "output_activation": [StrOptions({"auto"} | set(KERAS_NAMES))],
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
    "n_components", "hidden_layer_sizes", "network", "activation", "code_activation",
    "output_activation", "normalization", "dropout", "tied_weights", "ordered", "loss",
    "likelihood", "init",
)  # fmt: skip


def network_parameters(estimator):
    """Parameters from which the network of an estimator follows."""
    params = estimator.get_params(deep=False)
    return {name: params[name] for name in _OF_THE_NETWORK if name in params}


def refuse_changes(estimator, before, same_network):
    """Raise if a fit that continues needs another network than `network_parameters` before.

    `same_network`: the parameters describe the same network, in another form perhaps.
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


def ordered_network(estimator, network):
    """The network of an estimator, :class:`DenseNetwork`, with an ordered code.

    Raises if other parameters do not allow that.
    """
    allowed = {"network": [None], "tied_weights": [False], "penalty": [None, "linear"]}
    for name, values in allowed.items():
        if getattr(estimator, name) not in values:
            raise ValueError(
                f"ordered=True needs {name}={values[0]}; got {getattr(estimator, name)!r}."
            )
    if network.code_activation != "linear":
        raise ValueError(
            f"ordered=True needs code_activation='identity'; got {estimator.code_activation!r}."
        )
    return OrderedNetwork(network)


def size_for_share(rows, units, share, rng):
    """Columns of the code that PCA needs to explain a share of the variance of rows."""
    inputs = units.transform(rows.inputs)
    most, total = min(inputs.shape), None
    if rows.is_lazy:
        # Of wide rows not all axes are looked for; the mean variance is one.
        most, total = min(most, MOST_EXACT), inputs.shape[1]
    _, variance = principal_axes(inputs, most, rows.weight, rng)
    explained = np.cumsum(variance) / (total or variance.sum() or 1)
    return min(int(np.searchsorted(explained, share, side="right")) + 1, len(explained))


class TableTagsMixin:
    """Kinds of columns, and the tags of what takes categories and missing values."""

    @property
    def columns_(self: Any) -> dict[str, str]:
        """Kind of each column, by name."""
        check_is_fitted(self)
        if self.table_ is not None:
            return dict(self.table_.columns_)
        names = getattr(self, "feature_names_in_", getattr(self, "_labels", None))
        names = column_names(None, self.n_features_in_) if names is None else list(names)
        return dict.fromkeys(names, "numeric")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        network, categorical = getattr(self, "network", None), self.categorical_features
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = tags.input_tags.string = network is None
        if not getattr(network, "takes_flat_rows", True):
            tags.input_tags.two_d_array, tags.input_tags.three_d_array = False, True
        declares_categories = not isinstance(categorical, str) and np.size(categorical) > 0
        if tags.transformer_tags is not None and not declares_categories:
            # A table is encoded in double precision.
            tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        if getattr(self, "_reads_lazily", False):
            is_flat = tags.input_tags.two_d_array
            tags.input_tags.sparse = is_flat and not declares_categories
        return tags


class ReconstructionLossMixin:
    """Decisions of the autoencoders that are trained by a reconstruction loss."""

    def _new_model(self, preprocessing, rows, fitted):
        image_shape = self._output_shape
        if self.network is not None:
            image_shape = self.network.row_shapes(self._input_shape, image_shape)[1]
        is_table = preprocessing.is_table
        loss = preprocessing.loss(self.loss) if is_table else make_loss(self.loss, image_shape)
        if loss.bounded:
            check_bounded("loss", self.loss, "another loss", rows)
        if self.tied_weights and self._output_shape != self._input_shape:
            raise ValueError(
                "tied_weights=True needs a target in the shape of X; rows of X have shape "
                f"{self._input_shape}, those of target {self._output_shape}."
            )
        if self.tied_weights and self.network is not None:
            raise ValueError(
                f"tied_weights=True is for dense networks only; got network={self.network!r}."
            )
        penalty = self.penalty
        if isinstance(penalty, str):
            penalty = PENALTIES[penalty]()
        kind = OrderedModel if getattr(self, "ordered", False) else ReconstructionModel
        model = kind(preprocessing=preprocessing) if fitted is None else fitted
        return replace(model, loss=loss, penalty=penalty)

    def _layer_options(self, linear_path):
        output = self.output_activation
        if output == "auto":
            known = isinstance(self.loss, str) and LOSSES[self.loss].bounded
            output = "sigmoid" if known else "linear"
        return LayerOptions(
            activation=KERAS_NAMES[self.activation],
            code_activation=KERAS_NAMES[self.code_activation],
            output_activation=KERAS_NAMES[output],
            linear_path=linear_path,
            normalization=self.normalization,
            dropout=float(self.dropout),
        )
