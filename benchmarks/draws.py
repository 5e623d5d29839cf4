"""Error of `VAETransformer.score_samples`, by number of samples and rounds.

    python benchmarks/draws.py [--quick] [--repeats N] [--output FILE]

On scikit-learn's breast cancer and digits and a synthetic table, standardised, half of the rows
to train on. The reference is the larger of a run of 32,768 samples in rounds and one from the
posterior: both are below the likelihood on the mean. The error is the estimate of a run of few
samples minus the reference, over held-out rows and several sets of random numbers.
"""

import os

os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import numpy as np
from scipy.stats import norm, qmc

from _common import Figures, clock, note, parse, print_machine, print_table
from latency import numbers

N_TRUE, N_ROWS = 2**15, 100
N_PLAIN = 128
# Samples, and their rounds.
SIDES = {"128, posterior": (N_PLAIN, 1), "48, posterior": (48, 1), "48, rounds": (48, 3)}
SIDES |= {"128, rounds": (128, 3)}


def data():
    """Standardised rows by name."""
    from sklearn.datasets import load_breast_cancer, load_digits
    from sklearn.preprocessing import StandardScaler

    tables = {
        "breast cancer": load_breast_cancer().data,
        "digits": load_digits().data,
        "made numbers": numbers(4_000, 1),
    }
    rng = np.random.RandomState(0)
    for name, X in tables.items():
        X = X[rng.permutation(len(X))]
        yield name, StandardScaler().fit_transform(X[:, X.std(axis=0) > 0])


def scored(vae, X, n_draws, n_rounds, seed):
    """Scores with a number of samples and rounds, by the random numbers of a seed."""
    from skae.variational import _model

    def points(n_draws, n_components):
        sequence = qmc.Sobol(n_components, seed=seed)
        return norm.ppf(sequence.random_base2((n_draws - 1).bit_length())[:n_draws])

    kept = _model._ROUNDS, _model.normal_points
    _model._ROUNDS, _model.normal_points = n_rounds, points
    try:
        return vae.set_params(n_draws=n_draws).score_samples(X)
    finally:
        _model._ROUNDS, _model.normal_points = kept


def main():
    args = parse(__doc__.splitlines()[0], repeats=8).parse_args()
    from skae import VAETransformer

    print_machine(args.quick, os.environ["KERAS_BACKEND"])
    figures, rows = Figures(), []
    n_true, n_rows = (2**10, 10) if args.quick else (N_TRUE, N_ROWS)
    for name, X in data():
        note(name)
        vae = VAETransformer(8, random_state=0).fit(X[: len(X) // 2])
        X = X[len(X) // 2 :][:n_rows]
        truth = np.maximum(*(scored(vae, X, n_true, n_rounds, 99) for n_rounds in (3, 1)))
        for side, (n_draws, n_rounds) in SIDES.items():
            off, seconds = [], []
            for seed in range(args.repeats):
                took, scores = clock(scored, vae, X, n_draws, n_rounds, seed)
                off.append(scores - truth)
                seconds.append(took)
            off = np.array(off)
            row = {
                "bias": off.mean(),
                "root mean square": np.sqrt(np.square(off).mean()),
                "half are within": np.median(np.abs(off)),
                "deviation by points": off.std(axis=0).mean(),
                "ms": 1e3 * np.median(seconds),
            }
            for metric, value in row.items():
                figures.add(name, side, metric, [float(value)])
            rows.append((f"{name}: {side}", *row.values()))
    header = [
        "draws",
        "bias",
        "root mean square",
        "half are within",
        "deviation by points",
        "ms",
    ]
    print_table(f"Error in nats, {n_rows} held-out rows", header, rows)
    figures.save(args.output)


if __name__ == "__main__":
    main()
