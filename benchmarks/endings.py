"""Convergence at the defaults, and the gain by more epochs where `max_iter` was reached.

One fit of each estimator on at most 3,000 rows of each table: numbers standardised
(except the digits), and mixed tables. Where `stop_reason_` is "max_iter", for which `fit`
warns, the fit is repeated with four times as many epochs.

    python benchmarks/endings.py --data FOLDER

FOLDER holds `adbench/*.npz` and titanic, penguins, mpg and diamonds as `tables/*.csv`.
"""

import argparse
import os
import warnings
from collections import Counter
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pandas as pd
from sklearn import datasets
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderTransformer, DenoisingAutoencoder, VAETransformer

MOST_ROWS = 3000
LEFT_OUT = ("12_fault", "16_http", "24_mnist", "5_campaign")
ESTIMATORS = (
    AutoencoderTransformer(2, random_state=0),
    AutoencoderTransformer(0.9, random_state=0),
    DenoisingAutoencoder(random_state=0),
    VAETransformer(2, random_state=0),
)


def tables(folder):
    """Name and rows of each table."""
    yield "digits", datasets.load_digits().data
    for name in ("wine", "breast_cancer", "diabetes"):
        X = getattr(datasets, f"load_{name}")().data
        yield name, StandardScaler().fit_transform(X)
    for name in ("titanic", "penguins", "mpg", "diamonds"):
        yield name, pd.read_csv(folder / "tables" / f"{name}.csv").iloc[:MOST_ROWS]
    for path in sorted(folder.glob("adbench/*.npz")):
        if path.stem not in LEFT_OUT:
            X = np.load(path)["X"].astype(float)
            some = np.random.RandomState(0).permutation(len(X))[:MOST_ROWS]
            yield path.stem, StandardScaler().fit_transform(X[some])


def longer(estimator, X):
    """Result of four times as many epochs."""
    again = clone(estimator).set_params(max_iter=4 * estimator.max_iter).fit(X)
    return f"{again.best_loss_:.4g} in {again.n_iter_} epochs, {again.stop_reason_}"


def main():
    """Fit, print and count `stop_reason_`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, type=Path, help="folder of the tables")
    options = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    counts = Counter()
    for name, X in tables(options.data):
        for estimator in map(clone, ESTIMATORS):
            ended = estimator.fit(X).stop_reason_
            counts[str(estimator), ended] += 1
            line = f"| {name} | {estimator} | {estimator.best_loss_:.4g} | {ended} |"
            print(line, longer(estimator, X) if ended == "max_iter" else "", flush=True)
    for (estimator, ended), count in sorted(counts.items()):
        print(f"{estimator}, {ended}: {count}")


if __name__ == "__main__":
    main()
