"""Gain of each default of AutoencoderTransformer: one parameter changed at a time.

Tables are split and standardised as in `reconstruction.py`. For each setting: the share of
held-out variance explained minus that of the defaults, mean and median over the cells (a table
and a latent size), and the cells in which it is better and worse by more than 0.002.

    python benchmarks/defaults.py --data FOLDER

FOLDER as for `reconstruction.py`; without it the tables that come with scikit-learn are used.
"""

import argparse
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

from reconstruction import evaluate, save, tables
from skae import AutoencoderTransformer

SIZES = (4, 8)
SETTINGS = {
    "hidden_layer_sizes": [(64, 32), (128, 64), (512, 256), (256,), (256, 128, 64)],
    "activation": ["tanh", "gelu", "elu"],
    "normalization": ["batch", "layer"],
    "dropout": [0.1],
    "weight_decay": [0.01],
    "learning_rate": [0.0003, 0.003],
    "optimizer": ["adamw", "rmsprop"],
    "batch_size": [16, 64, 128],
    "validation_fraction": [0.05, 0.2],
    "n_iter_no_change": [10, 40],
    "max_iter": [100, 400],
    "init": ["random"],
    "early_stopping": [False],
}


def changes(names):
    """Each setting as a dictionary of one parameter; the first changes nothing."""
    yield {}
    for name in names:
        yield from ({name: value} for value in SETTINGS[name])


def maker(names):
    """Functions that create the estimators of one cell, by setting."""

    def make(size, seed):
        return {
            str(change): AutoencoderTransformer(size, random_state=seed, **change)
            for change in changes(names)
        }

    return make


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="folder with adbench/*.npz and mnist_10k.npz")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--max-rows", type=int, default=1500)
    parser.add_argument("--only", nargs="*", help="names of tables")
    parser.add_argument("--settings", nargs="*", choices=SETTINGS, default=list(SETTINGS))
    parser.add_argument("--output", help="CSV file for the cells")
    options = parser.parse_args()
    cells, make = [], maker(options.settings)
    for name, X in tables(options.data, options.max_rows, options.only):
        for size in (s for s in SIZES if s < X.shape[1]):
            runs = [evaluate(X, size, seed, make) for seed in range(options.seeds)]
            for setting in runs[0]:
                score = float(np.mean([run[setting][0] for run in runs]))
                cell = {"table": name, "size": size, "setting": setting}
                cells.append({**cell, "score": score})
            print(name, size, f"{cells[-len(runs[0])]['score']:.3f}", flush=True)
    summarise(cells)
    if options.output:
        save(cells, options.output)


def summarise(cells):
    """A row for each setting, against the defaults on the same cells."""
    score = {(c["setting"], c["table"], c["size"]): c["score"] for c in cells}
    print(f"\n{'setting':44}{'mean':>8}{'median':>9}{'better':>8}{'worse':>7}")
    for setting in dict.fromkeys(c["setting"] for c in cells):
        own = [c for c in cells if c["setting"] == setting]
        gain = np.array([c["score"] - score["{}", c["table"], c["size"]] for c in own])
        better, worse = (gain > 0.002).sum(), (gain < -0.002).sum()
        median = np.median(gain)
        print(f"{setting:44}{gain.mean():+8.4f}{median:+9.4f}{better:8d}{worse:7d}")


if __name__ == "__main__":
    main()
