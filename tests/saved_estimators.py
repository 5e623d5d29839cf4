"""Estimators that are saved, one of each kind, and the rows they are asked about."""

import keras
import numpy as np

from settings import LARGE_BATCHES
from skae import (
    AEAnomalyDetector,
    AEClassifier,
    AEImputer,
    AutoencoderTransformer,
    DenoisingAutoencoder,
    VAETransformer,
)
from skae.corruption import GaussianNoise, SwapNoise
from skae.losses import KLSparsity
from skae.networks import ConvNetwork, KerasNetwork, RecurrentNetwork
from skae.tables import TabularEncoder

SMALL = {"hidden_layer_sizes": (8,), "max_iter": 2, "batch_size": 32, "random_state": 0}
QUICK_DETECTOR = {"hidden_layer_sizes": (8,), "n_steps": 5, "cv": 2, "random_state": 0}
QUICK_IMPUTER = {"hidden_layer_sizes": (8,), **LARGE_BATCHES, "random_state": 0}
LAYERS = keras.layers


def models():
    """Sequential and functional, with what most models have."""
    # No dropout: on PyTorch no seed of ours reaches that of a user's own model.
    code = [LAYERS.Dense(8, "relu"), LAYERS.BatchNormalization()]
    encoder = keras.Sequential([keras.Input((64,)), *code, LAYERS.Dense(3)])
    given = keras.Input((3,))
    hidden = keras.ops.tanh(LAYERS.Dense(8)(given)) + 1
    decoder = keras.Model(given, LAYERS.Dense(64)(LAYERS.Concatenate()([hidden, given])))
    return KerasNetwork(encoder, decoder)


#: Fitted on 64 pixels.
OF_NUMBERS = {
    "plain": lambda: AutoencoderTransformer(3, **SMALL),
    "layers": lambda: AutoencoderTransformer(
        3, normalization="batch", dropout=0.1, penalty=KLSparsity(), **SMALL
    ),
    "tied": lambda: AutoencoderTransformer(
        3, tied_weights=True, penalty="contractive", **SMALL
    ),
    "ordered": lambda: AutoencoderTransformer(3, ordered=True, **SMALL),
    "objects of Keras": lambda: AutoencoderTransformer(
        3,
        optimizer=keras.optimizers.SGD(0.01, momentum=0.5),
        loss=keras.losses.LogCosh(),
        **SMALL,
    ),
    "schedule": lambda: AutoencoderTransformer(
        3,
        learning_rate=keras.optimizers.schedules.CosineDecay(0.01, 10),
        loss=keras.losses.mean_squared_error,
        **SMALL,
    ),
    "convolutional": lambda: AutoencoderTransformer(
        3, network=ConvNetwork((2,), image_shape=(8, 8)), **SMALL
    ),
    "recurrent": lambda: AutoencoderTransformer(
        3, network=RecurrentNetwork(units=2, series_shape=(8, 8)), **SMALL
    ),
    "models": lambda: AutoencoderTransformer(3, network=models(), **SMALL),
    "denoising": lambda: DenoisingAutoencoder(3, corruption=GaussianNoise(0.3), **SMALL),
    "variational": lambda: VAETransformer(3, n_draws=4, **SMALL),
    "classifier": lambda: AEClassifier(AutoencoderTransformer(3, **SMALL), random_state=0),
    "detector": lambda: AEAnomalyDetector(**QUICK_DETECTOR),
    "detector of autoencoders": lambda: AEAnomalyDetector(
        scoring="reconstruction", estimator=AutoencoderTransformer(3, **SMALL), cv=2
    ),
    "imputer": lambda: AEImputer(**QUICK_IMPUTER),
}

#: Fitted on a table of columns of every kind.
OF_TABLES = {
    "encoder": TabularEncoder,
    "plain": lambda: AutoencoderTransformer(3, **SMALL),
    "denoising": lambda: DenoisingAutoencoder(3, corruption=SwapNoise(0.2), **SMALL),
    "variational": lambda: VAETransformer(3, n_draws=4, **SMALL),
    "classifier": lambda: AEClassifier(AutoencoderTransformer(3, **SMALL), random_state=0),
    "detector": lambda: AEAnomalyDetector(**QUICK_DETECTOR),
    "detector of autoencoders": lambda: AEAnomalyDetector(
        scoring="reconstruction", estimator=AutoencoderTransformer(3, **SMALL), cv=2
    ),
    "imputer": lambda: AEImputer(keep_empty_features=True, **QUICK_IMPUTER),
}

_ASKED = (
    "transform",
    "reconstruct",
    "score_samples",
    "predict",
    "predict_proba",
    "p_values",
    "explain",
    "describe",
    "expected",
    "posterior",
)


def answers(estimator, X):
    """Outputs of a fitted estimator for rows, and of its other methods."""
    outputs = {name: getattr(estimator, name)(X) for name in _ASKED if hasattr(estimator, name)}
    if isinstance(estimator, VAETransformer | AEImputer):
        arguments = (5,) if isinstance(estimator, VAETransformer) else (X,)
        outputs["sample"] = estimator.sample(*arguments, random_state=0)
    if hasattr(estimator, "inverse_transform"):
        outputs["inverse_transform"] = estimator.inverse_transform(outputs["transform"])
    if hasattr(estimator, "get_feature_names_out"):
        outputs["get_feature_names_out"] = estimator.get_feature_names_out()
    return outputs


def with_missing(X):
    X = np.array(X)
    X[::7, ::5] = np.nan
    return X
