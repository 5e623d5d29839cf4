"""Penalties on the code, which training minimises beside the reconstruction loss."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from numbers import Real
from typing import Any

from skae.utils._sklearn import BaseEstimator, Interval, validate_parameters

_EPSILON = 1e-6
# Length of the step that stands for an infinitesimal one, in standardised data.
_STEP = 1e-2


class Penalty(ABC, BaseEstimator):
    """A term that is added to the loss of each row; its parameters are searchable."""

    # The random numbers that it needs: "normal", "uniform" or None.
    draws: str | None = None
    # Whether the principal components have no penalty: they are a solution then, on which
    # training has to improve, and validation losses are those of the reconstruction alone.
    is_zero_at_pca = False

    _parameter_constraints: dict[str, list[Any]] = {}

    def settings(self) -> dict[str, float]:
        """Parameters as numbers: other values are not another program."""
        validate_parameters(self)
        return {f"penalty_{name}": float(value) for name, value in self.get_params().items()}

    @abstractmethod
    def per_sample(
        self,
        ops: Any,
        settings: dict[str, Any],
        code: Any,
        encode: Callable[[Any], Any],
        x: Any,
        draws: Any,
    ) -> Any:
        """One value per row, (n_samples,), by the functions of `keras.ops`.

        `settings` are those of this penalty, and the "mask" of the code's columns that are
        used; `code`, (n_samples, capacity), is zero where masked; `encode` is the function of
        rows x, (n_samples, n_features), that gave it; `draws` gives random numbers.
        """


class L1Sparsity(Penalty):
    """`weight` times the sum of the magnitudes of the code.

    Parameters
    ----------
    weight : float, default=1e-3
        Factor, beside the reconstruction loss of standardised data.
    """

    _parameter_constraints = {"weight": [Interval(Real, 0, None, closed="left")]}

    def __init__(self, weight: float = 1e-3) -> None:
        self.weight = weight

    def per_sample(
        self, ops: Any, settings: Any, code: Any, encode: Any, x: Any, draws: Any
    ) -> Any:
        """Grow with each column that is not zero."""
        return settings["penalty_weight"] * ops.sum(ops.abs(code), axis=1)


class KLSparsity(Penalty):
    """`weight` times the divergence of each column's mean activity from `target` [1]_.

    The activity of a column of the code is read as a probability, so the code needs
    ``code_activation="sigmoid"``. Means are those of a batch.

    Parameters
    ----------
    target : float, default=0.05
        Share of the rows for which a column should be active.

    weight : float, default=0.01
        Factor, beside the reconstruction loss of standardised data.

    References
    ----------
    .. [1] A. Ng, "Sparse autoencoder", CS294A lecture notes, Stanford University, 2011.
    """

    _parameter_constraints = {
        "target": [Interval(Real, 0, 1, closed="neither")],
        "weight": [Interval(Real, 0, None, closed="left")],
    }

    def __init__(self, target: float = 0.05, weight: float = 0.01) -> None:
        self.target = target
        self.weight = weight

    def per_sample(
        self, ops: Any, settings: Any, code: Any, encode: Any, x: Any, draws: Any
    ) -> Any:
        """Grow with the distance of the activity from its target; the same for all rows."""
        target = settings["penalty_target"]
        active = ops.clip(ops.mean(code, axis=0), _EPSILON, 1 - _EPSILON)
        divergence = target * ops.log(target / active) + (1 - target) * ops.log(
            (1 - target) / (1 - active)
        )
        total = ops.sum(divergence * settings["mask"])
        return settings["penalty_weight"] * total * ops.ones_like(code[:, 0])


class Contractive(Penalty):
    """`weight` times the squared norm of the encoder's Jacobian [1]_.

    The norm is estimated without bias from one random direction for each row and step:
    the squared change of the code along it.

    Parameters
    ----------
    weight : float, default=0.01
        Factor, beside the reconstruction loss of standardised data.

    References
    ----------
    .. [1] S. Rifai, P. Vincent, X. Muller, X. Glorot and Y. Bengio, "Contractive
       Auto-Encoders: Explicit Invariance During Feature Extraction", ICML 2011.
    """

    draws = "normal"

    _parameter_constraints = {"weight": [Interval(Real, 0, None, closed="left")]}

    def __init__(self, weight: float = 0.01) -> None:
        self.weight = weight

    def per_sample(
        self, ops: Any, settings: Any, code: Any, encode: Any, x: Any, draws: Any
    ) -> Any:
        """Grow with how much the code changes when the row does."""
        direction = draws.normal(x)
        change = (encode(x + _STEP * direction) - code) / _STEP
        return settings["penalty_weight"] * ops.sum(ops.square(change), axis=1)


class LinearCode(Penalty):
    """`weight` times the squared distance of the code from the principal components.

    The components are those where training starts: of the rows, or of a
    :class:`~skae.DenoisingAutoencoder` the best linear ones. A code is free to bend where that
    improves the reconstruction by more than it costs, and otherwise stays what a linear model
    after `transform` can use. Where training does not start there (``init="random"``, a code
    with an activation or in order, a network of one's own) it has no effect.

    Parameters
    ----------
    weight : float, default=0.2
        Factor of the mean over the columns of the code and of X, beside the reconstruction loss
        of standardised data. 0: the code is free.
    """

    is_zero_at_pca = True

    _parameter_constraints = {"weight": [Interval(Real, 0, None, closed="left")]}

    def __init__(self, weight: float = 0.2) -> None:
        self.weight = weight

    def per_sample(
        self, ops: Any, settings: Any, code: Any, encode: Any, x: Any, draws: Any
    ) -> Any:
        """Grow with the distance of the code from its linear part."""
        distance = ops.square(code - ops.matmul(x, settings["linear_code"]))
        n_entries = ops.sum(settings["mask"]) * x.shape[1]
        return settings["penalty_weight"] * ops.sum(distance, axis=1) / n_entries


PENALTIES: dict[str, type[Penalty]] = {
    "linear": LinearCode,
    "l1": L1Sparsity,
    "kl": KLSparsity,
    "contractive": Contractive,
}
