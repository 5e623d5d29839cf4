"""
Large data: a file on disk, chunks that arrive, and Dask
========================================================

Rows that need not fit into memory are trained on from a file, or as they
arrive, and a Dask array is encoded block by block.
"""

# %%
# A file
# ------
#
# Sixty thousand rows of sixteen numbers on a curved surface, written to a
# file. Yours may be larger than memory: a memory map reads what is needed.

from pathlib import Path
from tempfile import mkdtemp

import dask.array as da
import matplotlib.pyplot as plt
import numpy as np
from sklearn.decomposition import IncrementalPCA

from skae import AutoencoderTransformer
from skae.metrics import reconstruction_score

rng = np.random.RandomState(0)
angles = rng.uniform(-2, 2, (60_000, 3))
directions = rng.normal(size=(3, 16))
rows = np.sin(angles @ directions) + rng.normal(scale=0.1, size=(60_000, 16))
path = Path(mkdtemp()) / "rows.npy"
np.save(path, rows.astype(np.float32))

X = np.load(path, mmap_mode="r")
train, new = X[:50_000], X[50_000:]

# %%
# One fit
# -------
#
# `fit` takes the map as it takes an array. Where the rows are more than
# 64 MiB it reads them in chunks, in every epoch, on a background thread.

ae = AutoencoderTransformer(3, max_iter=6, tol=None, random_state=0)
whole = reconstruction_score(ae.fit(train), new)
print(f"variance of new rows explained: {whole:.2f}")

# %%
# Chunks as they arrive
# ---------------------
#
# `partial_fit` trains one epoch on each chunk, as `IncrementalPCA` updates
# its components. The first chunk sets the centre and the scale, so it
# should be like the others.

by_chunks = AutoencoderTransformer(3, random_state=0)
pca = IncrementalPCA(3)
names = "autoencoder, by chunks", "IncrementalPCA"
scores = {name: np.zeros(20) for name in names}
for i, chunk in enumerate(np.array_split(train, 20)):
    for model, curve in zip((by_chunks, pca), scores.values(), strict=True):
        model.partial_fit(chunk)
        curve[i] = reconstruction_score(model, new)

fig, ax = plt.subplots(figsize=(6.4, 3.6))
seen = 2_500 * np.arange(1, 21)
for (name, curve), color in zip(
    scores.items(), ("#0072B2", "#D55E00"), strict=True
):
    ax.plot(seen, curve, "o-", ms=3, color=color, label=name)
ax.axhline(whole, color="0.5", ls="--", label="one fit, six epochs")
ax.set(xlabel="rows seen", ylabel="variance of new rows explained")
ax.legend()
fig.tight_layout()

# %%
# A Dask array
# ------------
#
# A fitted estimator encodes a distributed array block by block; nothing is
# computed before it is asked for, and memory is that of a few blocks. The
# codes are those of the rows in memory. A search on a Dask or Ray cluster
# is described in the user guide.

blocks = da.from_array(X, chunks=(10_000, 16))
codes = blocks.map_blocks(ae.transform, dtype="float32", chunks=(10_000, 3))
print(codes)
means = codes.mean(axis=0).compute()
print("mean of each number of the code:", means.round(2))

# sphinx_gallery_start_ignore
first = slice(0, 20_000)
assert np.allclose(codes[first].compute(), ae.transform(X[first]), atol=1e-4)
(*_, by_rows), (*_, by_pca) = scores.values()
assert by_rows > by_pca + 0.05
assert whole > by_pca + 0.1
# sphinx_gallery_end_ignore
