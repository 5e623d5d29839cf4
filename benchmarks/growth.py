"""Seconds, memory and quality of fits against rows, columns, and columns of a table.

    python benchmarks/growth.py [--rows N ...] [--columns N ...] [--only NAME ...]
        [--parts rows columns tables] [--most SECONDS] [--output benchmarks/results/growth.csv]

Every estimator at its defaults, and PCA, IsolationForest, LocalOutlierFactor,
IterativeImputer and KNNImputer at those of scikit-learn. Rows have 30 columns, ten directions
through a tanh and noise, and codes have five; columns are varied on 2,000 rows; of the columns
of a table, on 2,000 rows too, every third is a category. Each fit is the first in a fresh
process, without imports. Quality is that of 20,000 further rows, or as many as were fitted if
these are fewer: the share of the variance that is explained (transformers) or recovered where
one value in ten is removed (imputers), or the AUROC of rows with a third of their columns
exchanged (detectors). An estimator that took more than `--most` seconds is not fitted on more.

With an output file that exists, cells of the same name are replaced and the others kept.
"""

import os
import time

os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import numpy as np

from _common import note, parse, peak_mb, print_table, run_worker, serve
from save import origin, write

ROWS = (1000, 3000, 10_000, 30_000, 100_000, 300_000, 1_000_000)
COLUMNS = (10, 30, 100, 300, 1000, 5000)
TABLE_COLUMNS = (6, 15, 30, 60, 120)
SIZE, RANK, FEW, USUAL = 5, 10, 2000, 30

TRANSFORMERS = ("AutoencoderTransformer", "DenoisingAutoencoder", "VAETransformer", "PCA")
DETECTORS = ("AEAnomalyDetector", "IsolationForest", "LocalOutlierFactor")
IMPUTERS = ("AEImputer", "IterativeImputer", "KNNImputer")
OURS = (*TRANSFORMERS[:3], DETECTORS[0], IMPUTERS[0])


def matrix(n, d, seed=0):
    """Ten directions through a tanh and noise, float32."""
    rng = np.random.default_rng(seed)
    mixing = rng.standard_normal((RANK, d), np.float32)
    X = np.tanh(rng.standard_normal((n, RANK), np.float32) @ mixing / 2)
    return X + 0.1 * rng.standard_normal((n, d), np.float32)


def table(X):
    """A data frame in which every third column is a category, of five quantiles."""
    import pandas as pd

    frame = pd.DataFrame(X, columns=[f"x{i}" for i in range(X.shape[1])])
    for name in frame.columns[::3]:
        codes = pd.qcut(frame[name], 5, labels=False)
        frame[name] = pd.Categorical([f"v{code}" for code in codes])
    return frame


def estimator(name):
    """An estimator by the name of its class."""
    import sklearn.decomposition
    import sklearn.ensemble
    import sklearn.experimental.enable_iterative_imputer
    import sklearn.impute
    import sklearn.neighbors

    import skae

    modules = skae, sklearn.decomposition, sklearn.ensemble, sklearn.impute, sklearn.neighbors
    kind = next(getattr(module, name) for module in modules if hasattr(module, name))
    options = {"novelty": True} if name in ("AEAnomalyDetector", "LocalOutlierFactor") else {}
    if name in TRANSFORMERS:
        options["n_components"] = SIZE
    if name not in ("LocalOutlierFactor", "KNNImputer"):
        options["random_state"] = 0
    return kind(**options)


def quality(name, model, rows, rng):
    """Quality on rows of the same kind, a matrix or a data frame; None: none is defined."""
    from sklearn.metrics import roc_auc_score

    from skae.metrics import reconstruction_score

    if name in TRANSFORMERS:
        return float(reconstruction_score(model, rows))
    if name in DETECTORS:
        broken, n = rows.copy(), len(rows)
        for j in range(0, rows.shape[1], 3):
            order = rng.permutation(n)
            if hasattr(rows, "iloc"):
                broken.iloc[:, j] = rows.iloc[order, j].to_numpy()
            else:
                broken[:, j] = rows[order, j]
        scores = [-model.score_samples(part) for part in (rows, broken)]
        return float(roc_auc_score(np.repeat([0, 1], n), np.concatenate(scores)))
    if hasattr(rows, "iloc"):
        return None
    mask = rng.random(rows.shape) < 0.1
    filled = model.transform(np.where(mask, np.nan, rows))
    error = np.square(filled - rows)[mask].sum()
    return float(1 - error / np.square(rows - rows.mean(axis=0))[mask].sum())


def fit_worker(part, name, n, d):
    """Worker: a first fit in this fresh process."""
    import keras  # noqa: F401
    import tensorflow  # noqa: F401

    import skae.training._train  # noqa: F401

    new = min(n, 20_000)
    X = matrix(n + new, d)
    rows = table(X) if part == "tables" else X
    rows, held_out = (
        (rows[:n], rows[n:]) if part != "tables" else (rows.iloc[:n], rows.iloc[n:])
    )
    rng, model = np.random.default_rng(1), estimator(name)
    if name in IMPUTERS:
        missing = rng.random(rows.shape) < 0.1
        rows = rows.mask(missing) if part == "tables" else np.where(missing, np.nan, rows)
    before, cpu, start = peak_mb(), time.process_time(), time.perf_counter()
    model.fit(rows)
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    memory = peak_mb() - before
    figures = {"seconds": seconds, "processor seconds": cpu, "MB": memory}
    return figures | {"quality": quality(name, model, held_out, rng)}


def cells(args):
    """Part, name and size of the cells, the smallest first."""
    sizes = {"rows": args.rows, "columns": args.columns, "tables": TABLE_COLUMNS}
    for part in args.parts:
        names = [*TRANSFORMERS, *DETECTORS, *IMPUTERS]
        if part == "tables":
            # The others have no categories.
            names = [name for name in names if name in OURS]
        for name in args.only or names:
            if name in names:
                yield part, name, sorted(sizes[part])


def main(args):
    """Measure all cells, print."""
    records, common = [], origin()
    for part, name, sizes in cells(args):
        rows = []
        for size in sizes:
            n, d = (size, USUAL) if part == "rows" else (FEW, size)
            if args.quick:
                n = min(n, 200)
            note(f"{part}, {name}: {n:,} x {d}")
            figures = run_worker(__file__, "fit", part=part, name=name, n=n, d=d)
            rows.append((f"{n:,} x {d}", *figures.values()))
            cell = {"part": part, "name": f"{name}, {size}"}
            records += [
                cell | {"metric": metric, "value": f"{value:.4g}"} | common
                for metric, value in figures.items()
                if value is not None
            ]
            if args.output:
                write(args.output, records, by_row=True)
            if figures["seconds"] > args.most:
                break
        print_table(f"{part}, {name}", ["rows x columns", *figures], rows)


if __name__ == "__main__":
    parser = parse(__doc__.split("\n\n")[0], repeats=1, parts=("rows", "columns", "tables"))
    parser.add_argument("--rows", nargs="+", type=int, default=ROWS)
    parser.add_argument("--columns", nargs="+", type=int, default=COLUMNS)
    parser.add_argument("--only", nargs="+", choices=TRANSFORMERS + DETECTORS + IMPUTERS)
    parser.add_argument("--most", type=float, default=120, help="seconds of a fit")
    arguments = parser.parse_args()
    if arguments.worker:
        serve({"fit": fit_worker}, arguments)
    else:
        main(arguments)
