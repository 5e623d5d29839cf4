"""Ordered codes: one fit for all sizes, compared with PCA and a network of each size.

Each table is split 75 : 25 and standardised column by column on the training rows. The figures
are shares of variance explained on the held-out rows, means over `--seeds` splits: of PCA, of
an `AutoencoderTransformer` of that size (own), and of the first columns of one fitted with
``ordered=True`` at the largest size; "way" is the gain of the last over PCA, divided by that
of the second. Then the seconds of the ordered fit over those of one plain fit of the largest
size, both in a process that has compiled them already, and the least difference from PCA over
all sizes.

    python benchmarks/ordered.py --data FOLDER

FOLDER holds `adbench/*.npz` (https://github.com/Minqi824/ADBench, "Classical" tables).
"""

import argparse
import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from sklearn.decomposition import PCA

from reconstruction import save, split, tables
from skae import AutoencoderTransformer
from skae.metrics import reconstruction_score

SIZES = (1, 2, 4, 8, 16, 32)
TABLES = ("sk_digits", "pendigits", "satellite", "vowels")

WAY, RATIO = 0.9, 1.5


def timed(make, rows):
    """Fitted estimator, and the seconds of a fit without compilation."""
    make().fit(rows)
    start = time.perf_counter()
    fitted = make().fit(rows)
    return fitted, time.perf_counter() - start


def evaluate(X, sizes, seed):
    """Shares by size of each method, PCA and ordered at every size, and seconds."""
    train, test = split(X, seed)
    largest = sizes[-1]

    def make(size=largest, ordered=False):
        return AutoencoderTransformer(size, ordered=ordered, random_state=seed)

    plain, seconds = timed(make, train)
    ordered, seconds_ordered = timed(lambda: make(ordered=True), train)
    own = [reconstruction_score(make(size).fit(train), test) for size in sizes[:-1]]
    every = range(1, largest + 1)
    return {
        "own": [*own, reconstruction_score(plain, test)],
        "ordered": [reconstruction_score(ordered.truncated(k), test) for k in every],
        "pca": [
            reconstruction_score(PCA(k, random_state=seed).fit(train), test) for k in every
        ],
        "seconds": [seconds],
        "seconds_ordered": [seconds_ordered],
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="folder with adbench/*.npz")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--max-rows", type=int, default=4000)
    parser.add_argument("--only", nargs="*", default=TABLES, help="names of tables")
    parser.add_argument("--output", help="CSV file for the cells")
    options = parser.parse_args()
    cells, ratios, least = [], {}, {}
    print(f"{'table':12}{'size':>5}{'PCA':>9}{'own':>9}{'ordered':>9}{'way':>7}")
    for name, X in tables(options.data, options.max_rows):
        if name not in options.only:
            continue
        sizes = [size for size in SIZES if size < X.shape[1]]
        runs = [evaluate(X, sizes, seed) for seed in range(options.seeds)]
        mean = {key: np.mean([run[key] for run in runs], axis=0) for key in runs[0]}
        for size, own in zip(sizes, mean["own"], strict=True):
            pca, ordered = mean["pca"][size - 1], mean["ordered"][size - 1]
            cell = {"table": name, "size": size, "pca": pca, "own": own, "ordered": ordered}
            cells.append({**cell, "met": bool(ordered >= pca + WAY * (own - pca))})
            # Where a network of that size is PCA too the ratio is not defined.
            way = f"{(ordered - pca) / (own - pca):7.2f}" if own - pca > 1e-4 else f"{'-':>7}"
            print(f"{name:12}{size:5d}{pca:9.4f}{own:9.4f}{ordered:9.4f}{way}", flush=True)
        ratios[name] = np.median(
            [run["seconds_ordered"][0] / run["seconds"][0] for run in runs]
        )
        least[name] = (mean["ordered"] - mean["pca"]).min()
        print(f"{name:12} seconds / plain {ratios[name]:.2f}, over PCA {least[name]:+.5f}")
    summarise(cells, ratios, least)
    if options.output:
        save(cells, options.output)


def summarise(cells, ratios, least):
    met = sum(cell["met"] for cell in cells)

    def verdict(holds):
        return "met" if holds else "NOT met"

    print(
        f"\n{WAY} of the way at every size: {met} of {len(cells)}", verdict(met == len(cells))
    )
    low = min(least.values())
    print(f"never below PCA at any size: least {low:+.5f}", verdict(low >= 0))
    high = max(ratios.values())
    print(f"at most {RATIO} plain fits of the largest size: {high:.2f}", verdict(high <= RATIO))


if __name__ == "__main__":
    main()
