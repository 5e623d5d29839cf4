"""How training ends at the defaults, and what more epochs gain where it ended at `max_iter`.

Tables of numbers as in `reconstruction.py`, standardised, and mixed tables as they are; one
fit of each estimator. Where `stop_reason_` is "max_iter", for which `fit` warns, the fit is
repeated with four times as many epochs.

    python benchmarks/endings.py --data FOLDER

FOLDER holds `adbench/*.npz` and titanic, penguins, mpg and diamonds as CSV files.
"""

import argparse
import os
import warnings
from collections import Counter

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import StandardScaler

from _mixed_data import NAMES, load
from reconstruction import tables
from skae import AutoencoderTransformer, DenoisingAutoencoder, VAETransformer

MADE_OR_WIDE = ("census", "mnist_images")
ESTIMATORS = (
    AutoencoderTransformer(2, random_state=0),
    AutoencoderTransformer(0.9, random_state=0),
    DenoisingAutoencoder(random_state=0),
    VAETransformer(2, random_state=0),
)


def all_tables(folder, max_rows):
    """Name and rows of each table, numbers standardised."""
    for name, X in tables(folder, max_rows):
        if name not in MADE_OR_WIDE:
            yield name, StandardScaler().fit_transform(X)
    for name in (name for name in NAMES if name not in MADE_OR_WIDE):
        yield name, load(name, folder, np.random.RandomState(0), max_rows)


def longer(estimator, X):
    """What four times as many epochs come to."""
    again = clone(estimator).set_params(max_iter=4 * estimator.max_iter).fit(X)
    return f"{again.n_iter_} epochs, {again.stop_reason_}: {again.best_loss_:.4g}"


def main():
    """Fit, print how it ended, count."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="folder with adbench/*.npz and CSV files")
    parser.add_argument("--max-rows", type=int, default=3000)
    options = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    counts = Counter()
    for name, X in all_tables(options.data, options.max_rows):
        for estimator in map(clone, ESTIMATORS):
            ended = estimator.fit(X).stop_reason_
            counts[str(estimator), ended] += 1
            told = f"| {name} | {estimator} | {ended} | {estimator.n_iter_} |"
            if ended == "max_iter":
                told += f" {estimator.best_loss_:.4g}, then {longer(estimator, X)} |"
            print(told, flush=True)
    for (estimator, ended), count in sorted(counts.items()):
        print(f"{estimator}, {ended}: {count}")


if __name__ == "__main__":
    main()
