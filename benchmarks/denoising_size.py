"""How large the code of a denoiser should be: quality by latent size, on real tables.

Each table is split 75 : 25, standardised column by column on the training rows, and the
held-out rows are corrupted as in training. The figure is the ratio of the variance of the
clean rows to the error of the denoised ones, in decibel: 3 dB more is half the error. "PCA" has
its best size for these very rows; "untouched" is the corrupted row itself.

    python benchmarks/denoising_size.py --data FOLDER

FOLDER as for `reconstruction.py`; without it the tables that come with scikit-learn are used.
"""

import argparse
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from sklearn.decomposition import PCA

from reconstruction import save, split, tables
from skae import DenoisingAutoencoder
from skae.corruption._corruptions import CORRUPTIONS

SIZES = (2, 0.5, 0.9, 0.95, 0.99, 0.999, "all")


def decibel(clean, repaired):
    """Variance of the rows over the error, in decibel."""
    error = np.square(repaired - clean).mean()
    return 10 * np.log10(np.square(clean - clean.mean(axis=0)).mean() / error)


def best_pca(train, test, noisy):
    """Decibel of PCA with the best size for the held-out rows."""
    axes = PCA().fit(train)
    code = axes.transform(noisy)
    sizes = sorted(
        {*range(1, 33), *range(32, code.shape[1] + 1, 8)}
        & set(range(len(axes.components_) + 1))
    )
    return max(decibel(test, code[:, :k] @ axes.components_[:k] + axes.mean_) for k in sizes)


def evaluate(X, corruption, seed):
    """Decibel of each method on one split."""
    train, test = split(X, seed)
    noisy = CORRUPTIONS[corruption](0.5)(test, random_state=seed)
    result = {"untouched": decibel(test, noisy), "PCA": best_pca(train, test, noisy)}
    for size in SIZES:
        n_components = X.shape[1] if size == "all" else size
        if isinstance(size, int) and size >= X.shape[1]:
            continue
        ae = DenoisingAutoencoder(n_components, corruption=corruption, random_state=seed)
        result[str(size)] = decibel(test, ae.fit(train).denoise(noisy))
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="folder with adbench/*.npz and mnist_10k.npz")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--max-rows", type=int, default=2000)
    parser.add_argument("--only", nargs="*", help="names of tables")
    parser.add_argument("--corruption", choices=sorted(CORRUPTIONS), default="gaussian")
    parser.add_argument("--output", help="CSV file for the tables")
    options = parser.parse_args()
    columns = ["untouched", "PCA", *map(str, SIZES)]
    print(f"{'table':16}" + "".join(f"{name:>10}" for name in columns))
    rows = []
    for name, X in tables(options.data, options.max_rows):
        if (options.only and name not in options.only) or X.shape[1] <= 2:
            continue
        runs = [evaluate(X, options.corruption, seed) for seed in range(options.seeds)]
        row = {key: float(np.mean([run[key] for run in runs])) for key in runs[0]}
        rows.append({"table": name, **row})
        print(f"{name:16}" + "".join(f"{row[key]:10.2f}" for key in columns), flush=True)
    print(f"{'mean':16}" + "".join(f"{np.mean([r[k] for r in rows]):10.2f}" for k in columns))
    if options.output:
        save(rows, options.output)


if __name__ == "__main__":
    main()
