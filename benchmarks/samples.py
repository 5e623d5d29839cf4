"""Sampled and real rows: VAETransformer with both priors, Gaussians, mixtures.

Tables, splits and densities as in `likelihood.py`. Each method samples as many rows as are held
out, and a random forest classifies sampled and real rows: the figure is its AUC by five-fold
cross-validation, the mean over two samples of at most 500 rows. 0.5: indistinguishable; 1:
always distinguished.

- normal, mixture: `VAETransformer` of the size of `likelihood.py` with either `prior`: one
  network, since the prior has no part in training. Processor seconds, for the whole fit,
  without compilation, and for the prior in it.
- Gaussian: full covariance, `GaussianMixture(1)` on the data.
- mixture of rows: `GaussianMixture` of 2 to 20 components on the data, chosen by BIC.

    python benchmarks/samples.py --data FOLDER

FOLDER holds `adbench/*.npz` (https://github.com/Minqi824/ADBench, "Classical" tables).
"""

import argparse
import csv
import time
import warnings
from copy import copy

import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import StratifiedKFold, cross_val_score

from likelihood import MIXTURES, SIZE, split, tables
from skae import VAETransformer
from skae.variational import _transformer

TABLES = ("vowels", "pendigits", "magic.gamma", "satellite", "cardio", "wine")
DRAWINGS = 2
MOST_ROWS = 500


def auc(rows, draw, seed):
    """Cross-validated AUC of a forest that classifies sampled and real rows."""
    real = rows[:MOST_ROWS]
    scores = []
    for drawing in range(DRAWINGS):
        both = np.concatenate([real, draw(len(real), 1000 * seed + drawing)])
        drawn = np.repeat([0, 1], len(real))
        forest = RandomForestClassifier(100, min_samples_leaf=3, random_state=seed)
        folds = StratifiedKFold(5, shuffle=True, random_state=seed)
        scores += [cross_val_score(forest, both, drawn, cv=folds, scoring="roc_auc").mean()]
    return np.mean(scores)


def drawer(mixture):
    """Rows of a fitted GaussianMixture, from a seed."""

    def draw(n_samples, seed):
        return mixture.set_params(random_state=seed).sample(n_samples)[0]

    return draw


def fitted_vae(train, seed):
    """The estimator with its mixture, and seconds of the whole fit and of the mixture."""
    size = min(SIZE, 2 * train.shape[1] // 3)
    # The first fit of a shape compiles.
    VAETransformer(size, max_iter=1, prior="normal", random_state=seed).fit(train)
    fit_prior, seconds = _transformer.fit_prior, []

    def timed(*args):
        start = time.process_time()
        prior = fit_prior(*args)
        seconds.append(time.process_time() - start)
        return prior

    _transformer.fit_prior = timed
    start = time.process_time()
    vae = VAETransformer(size, prior="mixture", random_state=seed).fit(train)
    seconds.insert(0, time.process_time() - start)
    _transformer.fit_prior = fit_prior
    return vae, seconds


def evaluate(X, seed):
    """AUC, log-likelihood and seconds of each method."""
    train, test = split(X, seed)
    vae, (whole, share) = fitted_vae(train, seed)
    cell = {"rows": len(train), "columns": train.shape[1], "s_fit": whole, "s_prior": share}
    normal = copy(vae)
    normal.prior_ = None
    for name, model in (("normal", normal), ("mixture", vae)):
        cell[f"auc_{name}"] = auc(test, model.sample, seed)
        cell[f"score_{name}"] = model.score(test)
    cell["components"] = 0 if vae.prior_ is None else vae.prior_.n_components - 1
    fitted = [GaussianMixture(k, random_state=seed).fit(train) for k in (1, *MIXTURES)]
    best = min(fitted[1:], key=lambda mixture: mixture.bic(train))
    for name, mixture in (("gaussian", fitted[0]), ("rows", best)):
        cell[f"auc_{name}"] = auc(test, drawer(mixture), seed)
        cell[f"score_{name}"] = mixture.score(test)
    return cell


METHODS = ("normal", "mixture", "gaussian", "rows")
HEADER = (
    *("table", "rows", "columns", "AUC: normal", "mixture", "Gaussian", "mixture of rows"),
    *("nats: normal", "mixture (size)", "Gaussian", "mixture of rows", "s: fit", "prior"),
)


def line(name, cell):
    nats = {method: f"{cell[f'score_{method}']:.2f}" for method in METHODS}
    nats["mixture"] += f" ({cell['components']:.0f})"
    values = [name, f"{cell['rows']:.0f}", f"{cell['columns']:.0f}"]
    values += [f"{cell[f'auc_{method}']:.2f}" for method in METHODS]
    values += [*nats.values(), f"{cell['s_fit']:.1f}", f"{cell['s_prior']:.1f}"]
    return "| " + " | ".join(values) + " |"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="folder with adbench/*.npz")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--max-rows", type=int, default=4000)
    parser.add_argument("--only", nargs="*", default=TABLES, help="names of tables")
    parser.add_argument("--output", help="CSV file for the cells")
    options = parser.parse_args()
    # Mixtures with many components on few rows warn that they do not converge.
    warnings.simplefilter("ignore", ConvergenceWarning)
    data = {"breast cancer": load_breast_cancer().data}
    data |= {k: X for k, X in tables(options.data, options.max_rows) if k in options.only}
    print("| " + " | ".join(HEADER) + " |")
    print("|---" + "|---:" * (len(HEADER) - 1) + "|")
    cells = []
    for name, X in data.items():
        runs = [evaluate(X, seed) for seed in range(options.seeds)]
        cell = {key: float(np.mean([run[key] for run in runs])) for key in runs[0]}
        cells.append({"table": name, **cell})
        print(line(name, cell), flush=True)
    summarise(cells)
    if options.output:
        with open(options.output, "w", newline="") as file:
            writer = csv.DictWriter(file, cells[0])
            writer.writeheader()
            writer.writerows(cells)


def summarise(cells):
    def mean(key):
        return np.mean([cell[key] for cell in cells])

    gains = [cell["score_mixture"] - cell["score_normal"] for cell in cells]
    share = sum(cell["s_prior"] for cell in cells) / sum(cell["s_fit"] for cell in cells)
    print(f"\n{len(cells)} tables. AUC on the mean:")
    print(", ".join(f"{method} {mean(f'auc_{method}'):.2f}" for method in METHODS) + ".")
    print(f"Gain by the mixture in nats: mean {np.mean(gains):.2f}, least {min(gains):.2f}.")
    print(f"Share of the mixture in the time of the fits: {share:.0%}.")


if __name__ == "__main__":
    main()
