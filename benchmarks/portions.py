"""Held-out variance explained by `partial_fit` on chunks, compared with one `fit`.

Each table is split 75 : 25 and standardised as in `reconstruction.py`. `partial_fit` receives
the training rows in ten chunks, in as many passes as `fit` took epochs, or `--times` as many:
chunks of shuffled rows, and of rows sorted by the first principal component, which is about the
worst order. Both at the default rate, a constant 0.001, and at a rate of 0.003 that decays to
zero in the last two fifths of the passes. For comparison PCA, and IncrementalPCA in one pass
over the sorted chunks.

    python benchmarks/portions.py --data FOLDER

FOLDER is that of `reconstruction.py`; without it the digits of scikit-learn are used.
"""

import argparse
import time

import numpy as np
from sklearn.decomposition import PCA, IncrementalPCA

from reconstruction import save, split, tables
from skae import AutoencoderTransformer
from skae.metrics import reconstruction_score

TABLES = ("sk_digits", "pendigits", "satellite", "vowels")
SIZES = (4,)
N_PORTIONS = 10
RATE, FALLING = 0.003, 0.4

COLUMNS = ("pca", "ipca", "fit", "shuffled", "sorted", "shuffled, falling", "sorted, falling")


def in_portions(X, size, seed, n_passes, falls):
    """Autoencoder trained by `partial_fit` on chunks of X, in a number of passes."""
    ae = AutoencoderTransformer(size, random_state=seed)
    for done in range(n_passes):
        if falls:
            left = (1 - done / n_passes) / FALLING
            ae.set_params(learning_rate=RATE * min(left, 1))
        for portion in np.array_split(X, N_PORTIONS):
            ae.partial_fit(portion)
    return ae


def evaluate(X, size, seed, times):
    """Held-out variance explained by each method, epochs, and seconds of `partial_fit`."""
    train, test = split(X, seed)
    pca = PCA(size, random_state=seed).fit(train)
    orders = {"sorted": np.argsort(pca.transform(train)[:, 0], kind="stable")}
    orders["shuffled"] = np.random.RandomState(seed).permutation(len(train))
    incremental = IncrementalPCA(size)
    for portion in np.array_split(train[orders["sorted"]], N_PORTIONS):
        incremental.partial_fit(portion)
    whole = AutoencoderTransformer(size, random_state=seed).fit(train)
    n_passes = round(times * whole.starts_[whole.init_]["n_iter"])
    sides = {"pca": pca, "ipca": incremental, "fit": whole}
    start = time.perf_counter()
    for name, order in orders.items():
        sides[name] = in_portions(train[order], size, seed, n_passes, False)
        sides[f"{name}, falling"] = in_portions(train[order], size, seed, n_passes, True)
    seconds = (time.perf_counter() - start) / 4
    scores = {name: reconstruction_score(side, test) for name, side in sides.items()}
    return {**scores, "passes": n_passes, "seconds": seconds}


def summarise(cells):
    fit = np.array([cell["fit"] for cell in cells])
    print("\nless than fit by, mean and worst of the cells:")
    for name in COLUMNS[3:]:
        less = fit - [cell[name] for cell in cells]
        print(f"{name:20}{less.mean():+8.4f}{less.max():+8.4f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="folder with adbench/*.npz")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--max-rows", type=int, default=2000)
    parser.add_argument("--times", type=float, default=1, help="passes for an epoch of fit")
    parser.add_argument("--only", nargs="*", default=TABLES, help="names of tables")
    parser.add_argument("--output", help="CSV file for the cells")
    options = parser.parse_args()
    cells = []
    names = "".join(f"{name:>18}" for name in (*COLUMNS, "passes"))
    print(f"{'table':12}{'size':>5}{names}")
    for name, X in tables(options.data, options.max_rows, options.only):
        for size in (size for size in SIZES if size < X.shape[1]):
            runs = [evaluate(X, size, seed, options.times) for seed in range(options.seeds)]
            mean = {key: np.mean([run[key] for run in runs]) for key in runs[0]}
            cells.append({"table": name, "size": size, **mean})
            figures = "".join(f"{mean[key]:18.4f}" for key in COLUMNS)
            print(f"{name:12}{size:5d}{figures}{mean['passes']:18.0f}", flush=True)
    summarise(cells)
    if options.output:
        save(cells, options.output)


if __name__ == "__main__":
    main()
