"""optuna searches the parameters of autoencoders, by hand and as a scikit-learn search."""

import pytest
from sklearn.model_selection import cross_val_score

from skae import AutoencoderTransformer

optuna = pytest.importorskip("optuna")


def small(**params):
    return AutoencoderTransformer(hidden_layer_sizes=(8,), max_iter=2, random_state=0, **params)


def test_a_study(digits):
    optuna.logging.set_verbosity(optuna.logging.ERROR)

    def score(trial):
        ae = small(
            n_components=trial.suggest_int("n_components", 1, 8),
            learning_rate=trial.suggest_float("learning_rate", 1e-4, 1e-2, log=True),
            activation=trial.suggest_categorical("activation", ["relu", "tanh"]),
        )
        return cross_val_score(ae, digits, cv=2, error_score="raise").mean()

    sampler = optuna.samplers.TPESampler(seed=0)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.optimize(score, n_trials=8)
    worst = min(study.trials, key=lambda trial: trial.value)
    assert study.best_params["n_components"] > worst.params["n_components"]
    fitted = small(**study.best_params).fit(digits)
    assert fitted.n_components_ == study.best_params["n_components"]
