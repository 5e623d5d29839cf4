"""Held-out variance explained: PCA, the plain network and skae's default, on real tables.

Each table is split 75 : 25, standardised column by column on the training rows, and
reconstructed from codes of 2, 4, 8 and 16 numbers (fewer than it has columns). The figure
is the share of variance explained on the held-out rows, the mean over `--seeds` splits.

    python benchmarks/reconstruction.py --data FOLDER

FOLDER holds `adbench/*.npz` (https://github.com/Minqi824/ADBench, "Classical" tables) and
`mnist_10k.npz` (the MNIST test set: `images`, `labels`); without it the tables that come
with scikit-learn are used.
"""

import argparse
import csv
import os
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from sklearn import datasets
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderTransformer
from skae.metrics import reconstruction_score

SIZES = (2, 4, 8, 16)


def tables(folder, max_rows, only=None):
    """Name and rows of each table, with a random sample of at most `max_rows`."""
    for name, read in _readers(folder):
        if only is None or name in only:
            yield name, _some(read(), max_rows)


def _readers(folder):
    """Names of tables, and a function that loads each."""
    for name in ("breast_cancer", "diabetes", "digits", "iris", "linnerud", "wine"):
        yield f"sk_{name}", lambda name=name: getattr(datasets, f"load_{name}")().data
    if folder is None:
        return
    for path in sorted(Path(folder, "adbench").glob("*.npz")):
        yield path.stem.split("_", 1)[1], lambda path=path: np.load(path)["X"]
    mnist = Path(folder, "mnist_10k.npz")
    if mnist.exists():
        yield "mnist_images", lambda: np.load(mnist)["images"].reshape(10_000, -1)


def _some(X, max_rows):
    rng = np.random.RandomState(0)
    index = rng.permutation(len(X))[:max_rows]
    X = np.asarray(X, np.float64)[index]
    return X[:, X.std(axis=0) > 0]


def methods(size, seed):
    return {
        "pca": PCA(size, random_state=seed),
        "random": AutoencoderTransformer(size, init="random", random_state=seed),
        "skae": AutoencoderTransformer(size, random_state=seed),
    }


def split(X, seed):
    """Training rows and held-out rows, standardised on the former."""
    train, test = train_test_split(X, random_state=seed)
    scale = StandardScaler().fit(train)
    return scale.transform(train), scale.transform(test)


def evaluate(X, size, seed, make=methods):
    """Share of held-out variance explained, and seconds, for each method."""
    train, test = split(X, seed)
    scores = {}
    for name, method in make(size, seed).items():
        start = time.perf_counter()
        method.fit(train)
        seconds = time.perf_counter() - start
        scores[name] = (reconstruction_score(method, test), seconds)
    return scores


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="folder with adbench/*.npz and mnist_10k.npz")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--max-rows", type=int, default=4000)
    parser.add_argument("--only", nargs="*", help="names of tables")
    parser.add_argument("--output", help="CSV file for the cells")
    options = parser.parse_args()
    cells = []
    print(f"{'table':16}{'size':>5}{'PCA':>8}{'random':>8}{'skae':>8}{'gain':>8}{'s':>7}")
    for name, X in tables(options.data, options.max_rows, options.only):
        for size in (s for s in SIZES if s < min(X.shape[1], 0.6 * len(X))):
            runs = [evaluate(X, size, seed) for seed in range(options.seeds)]
            score = {m: np.mean([run[m][0] for run in runs]) for m in runs[0]}
            seconds = np.median([run["skae"][1] for run in runs])
            cells.append({"table": name, "size": size, **score, "seconds": seconds})
            print(
                f"{name:16}{size:5d}{score['pca']:8.3f}{score['random']:8.3f}"
                f"{score['skae']:8.3f}{score['skae'] - score['pca']:+8.3f}{seconds:7.2f}",
                flush=True,
            )
    summarise(cells)
    if options.output:
        save(cells, options.output)


def save(cells, path):
    """Write dictionaries of the same keys to a CSV file."""
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, cells[0])
        writer.writeheader()
        writer.writerows(cells)


def summarise(cells):
    pca, random, skae = (np.array([c[m] for c in cells]) for m in ("pca", "random", "skae"))
    print(f"\n{len(cells)} cells of {len({c['table'] for c in cells})} tables")
    print(f"mean: PCA {pca.mean():.3f}, random {random.mean():.3f}, skae {skae.mean():.3f}")
    print(f"worst cell against PCA: {(skae - pca).min():+.4f} (bar: not below -0.002)")
    level = (skae >= random - 0.001).mean()
    print(f"better than or equal to random initialization in {level:.0%} (bar: 90 %)")


if __name__ == "__main__":
    main()
