"""Held-out log-likelihood of tables: PCA, a Gaussian, Gaussian mixtures and VAETransformer.

The normal rows of each table are split 75 : 25 and standardised column by column on the
training rows. The figure is the mean log-likelihood of a held-out row in nats, the mean
over `--seeds` splits; of VAETransformer, the estimate by `score`.

- PCA: probabilistic PCA of the best size, chosen *by the held-out rows*, which favours PCA.
- Gaussian: full covariance, `GaussianMixture(1)`.
- mixture: `GaussianMixture` of 2 to 20 components with full covariances, chosen by BIC.
- VAE: `VAETransformer(n_components=8)` and its defaults, or two thirds of the table's
  columns where that is less; and once more with as many columns as PCA's best size.

    python benchmarks/likelihood.py --data FOLDER

FOLDER holds `adbench/*.npz` (https://github.com/Minqi824/ADBench, "Classical" tables).
"""

import argparse
import csv
import os
import time
import warnings
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from skae import VAETransformer

SIZE = 8
MIXTURES = (2, 3, 5, 7, 10, 14, 20)


def tables(folder, max_rows):
    """Name and normal rows of each table, with a random sample of at most `max_rows`."""
    for path in sorted(Path(folder, "adbench").glob("*.npz")):
        table = np.load(path)
        X = np.asarray(table["X"], np.float64)[table["y"] == 0]
        rows = np.random.RandomState(0).permutation(len(X))[:max_rows]
        yield path.stem.split("_", 1)[1], X[rows]


def split(X, seed):
    """Standardised training and held-out rows, without columns constant in training."""
    train, test = train_test_split(X, random_state=seed)
    varies = train.std(axis=0) > 0
    scale = StandardScaler().fit(train[:, varies])
    return scale.transform(train[:, varies]), scale.transform(test[:, varies])


def best_pca(train, test):
    """Score of probabilistic PCA of the best size for the held-out rows, and that size."""
    most = min(train.shape[1] - 1, len(train) - 1)
    scores = {}
    for size in range(1, most + 1):
        pca = PCA(size, svd_solver="full").fit(train)
        # Singular beyond that: its densities are rounding errors.
        if pca.noise_variance_ > 1e-9:
            scores[size] = pca.score(test)
    best = max(scores, key=scores.get)
    return scores[best], best


def best_mixture(train, test, seed):
    """Score of the Gaussian mixture with the least BIC, and its size."""
    fitted = [GaussianMixture(k, random_state=seed).fit(train) for k in MIXTURES]
    best = min(fitted, key=lambda mixture: mixture.bic(train))
    return best.score(test), best.n_components


def evaluate(X, seed, prior):
    """Log-likelihoods, and active latent variables of VAETransformer."""
    train, test = split(X, seed)
    start = time.perf_counter()
    vae = VAETransformer(min(SIZE, 2 * train.shape[1] // 3), prior=prior, random_state=seed)
    vae.fit(train)
    seconds = time.perf_counter() - start
    scores = vae.score_samples(test)
    pca, n_pca = best_pca(train, test)
    alike = VAETransformer(n_pca, prior=prior, random_state=seed).fit(train)
    mixture, n_mixture = best_mixture(train, test, seed)
    return {
        "pca": pca,
        "n_pca": n_pca,
        "gaussian": GaussianMixture(1, random_state=seed).fit(train).score(test),
        "mixture": mixture,
        "n_mixture": n_mixture,
        "vae": scores.mean(),
        "vae_median": np.median(scores),
        "vae_alike": alike.score(test),
        "n_columns": vae.n_components_,
        "n_active": vae.n_active_,
        "seconds": seconds,
    }


HEADER = (
    *("table", "rows", "columns", "PCA (size)", "Gaussian", "mixture (size)"),
    *("VAE", "active", "s", "VAE of PCA's size"),
)


def line(name, X, cell):
    values = [
        name,
        f"{len(X)}",
        f"{X.shape[1]}",
        f"{cell['pca']:.2f} ({cell['n_pca']:.0f})",
        f"{cell['gaussian']:.2f}",
        f"{cell['mixture']:.2f} ({cell['n_mixture']:.0f})",
        f"{cell['vae']:.2f}",
        f"{cell['n_active']:.1f} of {cell['n_columns']:.0f}",
        f"{cell['seconds']:.0f}",
        f"{cell['vae_alike']:.2f}",
    ]
    return "| " + " | ".join(values) + " |"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="folder with adbench/*.npz")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--max-rows", type=int, default=4000)
    parser.add_argument("--only", nargs="*", help="names of tables")
    parser.add_argument("--prior", default="mixture", choices=("mixture", "normal"))
    parser.add_argument("--output", help="CSV file for the cells")
    options = parser.parse_args()
    # Mixtures with many components on few rows warn that they do not converge.
    warnings.simplefilter("ignore", ConvergenceWarning)
    print("| " + " | ".join(HEADER) + " |")
    print("|---" + "|---:" * (len(HEADER) - 1) + "|")
    cells = []
    for name, X in tables(options.data, options.max_rows):
        if options.only and name not in options.only:
            continue
        runs = [evaluate(X, seed, options.prior) for seed in range(options.seeds)]
        cell = {key: float(np.mean([run[key] for run in runs])) for key in runs[0]}
        cells.append({"table": name, **cell})
        print(line(name, X, cell), flush=True)
    summarise(cells)
    if options.output:
        with open(options.output, "w", newline="") as file:
            writer = csv.DictWriter(file, cells[0])
            writer.writeheader()
            writer.writerows(cells)


def summarise(cells):
    def above(other, vae="vae"):
        return sum(cell[vae] > cell[other] for cell in cells)

    print(f"\n{len(cells)} tables; VAETransformer is above")
    print(f"- probabilistic PCA of the best size on {above('pca')},")
    print(f"  with as many columns on {above('pca', 'vae_alike')},")
    print(f"- the Gaussian on {above('gaussian')},")
    print(f"- the mixture on {above('mixture')}.")
    idle = [cell["table"] for cell in cells if cell["n_active"] < cell["n_columns"]]
    print(f"Inactive latent variables:  {', '.join(idle) or 'none'}.")


if __name__ == "__main__":
    main()
