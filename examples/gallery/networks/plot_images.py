"""
Images: remove noise, and walk from one digit to another
========================================================

A denoising autoencoder is trained on noisy images against the clean ones.
Its code has room for what images have in common, and the noise does not
fit in. Between the codes of two images lie images that look like digits.
"""

# %%
# Noise
# -----
#
# Pixels share a unit and a range, so the noise is given in this unit and
# clipped to this range.

import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split

from skae import AutoencoderTransformer, DenoisingAutoencoder
from skae.corruption import GaussianNoise
from skae.metrics import reconstruction_score
from skae.networks import ConvNetwork
from skae.plotting import LatentPathDisplay, ReconstructionDisplay

X, y = load_digits(return_X_y=True)
train, test, _, y_test = train_test_split(X / 16, y, random_state=0)
noise = GaussianNoise(0.4, unit="data", clip=True)
noisy = noise(test, random_state=0)

# %%
# PCA removes noise too, by leaving out the small components; here it has
# the size that is best on the test rows, which favours it.

denoiser = DenoisingAutoencoder(16, corruption=noise, random_state=0)
denoiser.fit(train)


def by_pca(size):
    """Noisy test images through a code of PCA."""
    pca = PCA(size, random_state=0).fit(train)
    return pca.inverse_transform(pca.transform(noisy))


def error(images):
    """Root mean square error against the clean images."""
    return np.sqrt(np.square(images - test).mean())


best = min(range(1, 41), key=lambda size: error(by_pca(size)))
denoised = denoiser.denoise(noisy)
print(f"noisy images                 {error(noisy):.3f}")
print(f"PCA, {best:2} components           {error(by_pca(best)):.3f}")
print(f"denoising autoencoder        {error(denoised):.3f}")

# %%
display = ReconstructionDisplay.from_arrays(
    test,
    {"noisy": noisy, "PCA": by_pca(best), "autoencoder": denoised},
    image_shape=(8, 8),
    n_samples=8,
    errors=False,
)

# %%
# A path in the latent space
# --------------------------
#
# An autoencoder with a code of eight numbers. The line between the codes of
# a zero and a one is decoded step by step.

ae = AutoencoderTransformer(8, random_state=0).fit(train)
zeros, ones = test[y_test == 0][:3], test[y_test == 1][:3]
path = LatentPathDisplay.from_estimator(ae, zeros, ones, image_shape=(8, 8))

# %%
# What the first three numbers of the code do, the others at their mean:

path = LatentPathDisplay.from_traversal(
    ae, test, components=[0, 1, 2], image_shape=(8, 8)
)

# %%
# Convolutions
# ------------
#
# ``network=ConvNetwork()`` takes images in their shape. On images as small
# as these it hardly pays: dense layers explain about as much. Here it is
# trained for 20 epochs.

images = train.reshape(-1, 8, 8), test.reshape(-1, 8, 8)
conv = AutoencoderTransformer(
    8, network=ConvNetwork((8, 4)), max_iter=20, tol=None, random_state=0
)
conv.fit(images[0])
print(f"PCA           {reconstruction_score(PCA(8).fit(train), test):.2f}")
print(f"dense layers  {ae.score(test):.2f}")
print(f"convolutions  {conv.score(images[1]):.2f}")

# sphinx_gallery_start_ignore
assert error(denoised) < 0.9 * error(by_pca(best)) < 0.9 * error(noisy)
# sphinx_gallery_end_ignore
