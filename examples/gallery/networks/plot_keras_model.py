"""
One's own Keras model as a scikit-learn transformer
===================================================

``KerasNetwork`` takes an encoder and a decoder of one's own. What surrounds
them stays: pipelines, grid search, early stopping, reproducible results.
"""

# %%
# Two functions
# -------------
#
# They receive the shape of a row and the size of the code and return Keras
# models, so that the size can be searched.

import keras
import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from skae import AutoencoderTransformer
from skae.metrics import reconstruction_score
from skae.networks import KerasNetwork
from skae.plotting import LossCurveDisplay


def encoder(input_shape, n_components):
    """Two layers with normalization, then the code."""
    rows = keras.Input(input_shape)
    hidden = keras.layers.Dense(64, activation="gelu")(rows)
    hidden = keras.layers.LayerNormalization()(hidden)
    hidden = keras.layers.Dense(32, activation="gelu")(hidden)
    return keras.Model(rows, keras.layers.Dense(n_components)(hidden))


def decoder(n_components, output_shape):
    """The same, backwards."""
    code = keras.Input((n_components,))
    hidden = keras.layers.Dense(32, activation="gelu")(code)
    hidden = keras.layers.Dense(64, activation="gelu")(hidden)
    return keras.Model(code, keras.layers.Dense(output_shape[0])(hidden))


# %%
# A pipeline, a search
# --------------------

X_train, X_test = train_test_split(load_digits().data, random_state=0)
own = AutoencoderTransformer(
    network=KerasNetwork(encoder, decoder),
    max_iter=40,
    tol=None,
    batch_size=64,
    learning_rate=0.003,
    random_state=0,
)
pipeline = make_pipeline(MinMaxScaler(), own)
sizes = {"autoencodertransformer__n_components": [2, 8]}
search = GridSearchCV(pipeline, sizes, scoring=reconstruction_score, cv=2)
search.fit(X_train)
for params, share in zip(
    search.cv_results_["params"],
    search.cv_results_["mean_test_score"],
    strict=True,
):
    print(params, f"{share:.2f}")

# %%
# How training went
# -----------------
#
# The epoch with the lowest validation loss is restored.

fitted = search.best_estimator_[-1]
display = LossCurveDisplay.from_estimator(fitted)
plt.gcf().set_size_inches(6, 3.8)

# %%
# Beside PCA and the network that the package makes
# -------------------------------------------------
#
# One's own network has no linear path, is not initialized with PCA and has
# no fallback to it: compare it with both.

pca = make_pipeline(MinMaxScaler(), PCA(8)).fit(X_train)
default = AutoencoderTransformer(8, random_state=0).fit(X_train)
for name, model in (
    ("PCA", pca),
    ("own Keras model", search.best_estimator_),
    ("default network", default),
):
    print(f"{name:16} {reconstruction_score(model, X_test):.2f}")

# %%
# The trained Keras models:

fitted.encoder_.summary(line_length=64)

# sphinx_gallery_start_ignore
shares = [reconstruction_score(m, X_test) for m in (pca, search, default)]
assert shares[0] < shares[1] - 0.03
assert shares[0] < shares[2] - 0.03
# sphinx_gallery_end_ignore
