"""Every parameter takes the numbers that scikit-learn takes, NumPy's among them."""

import inspect
from numbers import Integral, Real

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from skae import (
    AEAnomalyDetector,
    AEClassifier,
    AutoencoderTransformer,
    DenoisingAutoencoder,
    VAETransformer,
)
from skae.corruption import GaussianNoise, MaskingNoise, SaltAndPepperNoise, SwapNoise
from skae.losses import Contractive, KLSparsity, L1Sparsity
from skae.networks import ConvNetwork, RecurrentNetwork
from skae.utils._sklearn import Interval

SMALL = {
    "n_components": 2,
    "hidden_layer_sizes": (4,),
    "max_iter": 1,
    "batch_size": 16,
    "random_state": 0,
}
ESTIMATORS = [
    AutoencoderTransformer(**SMALL),
    DenoisingAutoencoder(**SMALL),
    VAETransformer(n_draws=2, **SMALL),
    AEAnomalyDetector(hidden_layer_sizes=(4,), n_steps=2, random_state=0),
    AEClassifier(AutoencoderTransformer(**SMALL)),
]
# Parts, and the estimator and parameter in which each is searched.
PARTS = [
    (ConvNetwork(filters=(2,)), AutoencoderTransformer(**SMALL), "network"),
    (RecurrentNetwork(units=2), AutoencoderTransformer(**SMALL), "network"),
    (GaussianNoise(), DenoisingAutoencoder(**SMALL), "corruption"),
    (MaskingNoise(), DenoisingAutoencoder(**SMALL), "corruption"),
    (SaltAndPepperNoise(), DenoisingAutoencoder(**SMALL), "corruption"),
    (SwapNoise(), DenoisingAutoencoder(**SMALL), "corruption"),
    (L1Sparsity(), AutoencoderTransformer(**SMALL), "penalty"),
    (
        KLSparsity(),
        AutoencoderTransformer(**SMALL, code_activation="sigmoid"),
        "penalty",
    ),
    (Contractive(), AutoencoderTransformer(**SMALL), "penalty"),
]
# Where the smallest number that is allowed would take long, warn or do nothing.
VALUES = {
    "n_components": 2,
    "hidden_layer_sizes": 4,
    "batch_size": 16,
    "filters": 2,
    "kernel_size": 3,
    "n_dims": 2,
    "max_iter": 1,
    "n_steps": 2,
    "tol": 0.5,
    "contamination": 0.25,
}


def intervals(constraints, kind):
    return [c for c in constraints if isinstance(c, Interval) and c.type is kind]


def numbers(name, constraints):
    """NumPy's numbers of all kinds that a parameter takes."""
    if "boolean" in constraints or "verbose" in constraints:
        yield np.bool_(True)
    if intervals(constraints, Integral) or Integral in constraints:
        value = VALUES.get(name, 1)
        yield from (np.int64(value), np.uint8(value))
    if name == "random_state":
        yield np.int64(3)
    if intervals(constraints, Real):
        value = VALUES.get(name, 0.5)
        value = 0.5 if isinstance(value, int) else value
        yield np.float32(value)


def cases():
    for estimator in ESTIMATORS:
        for name, constraints in estimator._parameter_constraints.items():
            for value in numbers(name, constraints):
                label = f"{type(estimator).__name__}-{name}-{type(value).__name__}"
                yield pytest.param(clone(estimator), name, value, id=label)
    for part, estimator, holder in PARTS:
        for name, constraints in part._parameter_constraints.items():
            for value in numbers(name, constraints):
                if name == "image_shape":
                    continue
                label = f"{type(part).__name__}-{name}-{type(value).__name__}"
                whole = clone(estimator).set_params(**{holder: clone(part)})
                yield pytest.param(whole, f"{holder}__{name}", value, id=label)


@pytest.mark.filterwarnings("ignore:.*collapsed to the prior:UserWarning")
@pytest.mark.filterwarnings("ignore:contamination=:UserWarning")
@pytest.mark.parametrize(("estimator", "name", "value"), list(cases()))
def test_numpy_numbers(digits, capsys, estimator, name, value):
    X = digits[:40].reshape(-1, 8, 8) if name.startswith("network") else digits[:40]
    if name.startswith("network"):
        estimator.set_params(hidden_layer_sizes=())
    estimator.set_params(**{name: value}).fit(X, np.arange(40) % 2)
    ask = estimator.predict if hasattr(estimator, "predict") else estimator.score_samples
    assert len(ask(X)) == 40


def test_every_parameter_that_takes_numbers_is_tried():
    """What is left out takes names, objects or nothing."""
    tried = {case.values[1].split("__")[-1] for case in cases()}
    for estimator in ESTIMATORS:
        for name in inspect.signature(type(estimator)).parameters:
            constraints = estimator._parameter_constraints[name]
            takes_numbers = any(
                isinstance(c, Interval) or c in ("boolean", "verbose", "random_state", Integral)
                for c in constraints
            )
            assert (name in tried) == takes_numbers, name


def test_searched_over_arrays(digits):
    grid = {"batch_size": np.array([8, 16]), "learning_rate": np.array([1e-3, 1e-2], "f4")}
    search = GridSearchCV(AutoencoderTransformer(**SMALL), grid, cv=2, error_score="raise")
    assert search.fit(digits[:40]).best_params_["batch_size"] in (8, 16)


@pytest.mark.parametrize("name", ["n_components", "batch_size", "learning_rate", "max_iter"])
@pytest.mark.parametrize("value", [True, np.True_])
def test_true_is_no_number(digits, name, value):
    ae = AutoencoderTransformer(**{**SMALL, name: value})
    with pytest.raises(ValueError, match=f"'{name}' parameter.*Got (np.)?True"):
        ae.fit(digits)
