"""
Ordered codes: all latent sizes in one fit, and the elbow
=========================================================

PCA is fitted once and cut at any size. An autoencoder with
``ordered=True`` can be cut as well: its first columns carry the most, and
the curve of the variance explained shows where more columns stop to pay.
"""

# %%
# One fit
# -------

import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split

from skae import AutoencoderTransformer
from skae.metrics import reconstruction_score
from skae.plotting import ComponentCurveDisplay, ReconstructionDisplay

X_train, X_test = train_test_split(load_digits().data, random_state=0)
ordered = AutoencoderTransformer(24, ordered=True, random_state=0)
ordered.fit(X_train)

# %%
# The curve
# ---------
#
# The variance of the test rows that the first columns explain, beside
# PCA. ``share`` marks the least size that explains this share.

pca = PCA(24).fit(X_train)
display = ComponentCurveDisplay.from_estimator(
    ordered, X_test, pca=pca, share=0.8
)

# %%
# The curve is steep at first and flat at its end: an elbow. The first
# columns of the autoencoder explain more than those of PCA, and the curves
# draw near each other where the code is large.
#
# Cut, without training
# ---------------------
#
# ``truncated`` returns the fitted transformer of a smaller size.

for size in (2, 6, 12, 24):
    cut = ordered.truncated(size)
    first = PCA(size).fit(X_train)
    print(
        f"{size:2} columns: autoencoder {cut.score(X_test):.2f}, "
        f"PCA {reconstruction_score(first, X_test):.2f}"
    )

# %%
# The same images through codes of three sizes:

images = {
    f"{size} numbers": ordered.truncated(size).reconstruct(X_test)
    for size in (2, 6, 24)
}
digits = ReconstructionDisplay.from_arrays(
    X_test, images, image_shape=(8, 8), n_samples=8, errors=False
)

# %%
# A network that is trained for one size alone mostly explains a little
# more than an ordered code cut to it. So choose the size on the curve, then
# fit this size.

size = int(np.argmax(np.asarray(ordered.variance_explained_) >= 0.8)) + 1
single = AutoencoderTransformer(size, random_state=0).fit(X_train)
print(
    f"{size} numbers: cut {ordered.truncated(size).score(X_test):.3f}, "
    f"fitted alone {single.score(X_test):.3f}"
)

# sphinx_gallery_start_ignore
for size in (2, 6, 12):
    share = reconstruction_score(PCA(size).fit(X_train), X_test)
    assert ordered.truncated(size).score(X_test) > share
# sphinx_gallery_end_ignore
