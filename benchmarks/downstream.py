"""What an autoencoder's code is good for in the next step of a pipeline, beside PCA's.

    python benchmarks/downstream.py --data FOLDER [--sizes 2 4 8 16] [--splits 5]

Up to 22 labelled tables, classes or numbers: those of scikit-learn, made ones and, with
`--data`, real ones with categories and missing values. At most 2,000 rows; seven tenths are
training rows. Codes are those of the defaults, on the prepared matrix (numbers standardised,
categories one-hot, missing values at the median) and, where the table is a frame, on the frame
as it is. Beside them stand PCA, KernelPCA (RBF) and, of matrices without negative values, NMF,
and all columns without a reduction.

Next steps, at their defaults: logistic or ridge regression, 15 neighbours, a support vector
machine, histogram gradient boosting, and for classes the adjusted Rand index of k-means with as
many clusters as classes. Scores are the area under the ROC curve (each class against the
others) or R2, of rows that were held out, in percent. `recall` is
:func:`skae.metrics.neighbor_recall` of 15 neighbours among the rows of the prepared matrix, and
`variance` the share of the variance explained, in percent.

Choices are made on the tables of `--half a` and validated on those of `--half b`.
"""

import argparse
import csv
import warnings
from collections import defaultdict
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.cluster import KMeans
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.decomposition import NMF, PCA, KernelPCA
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import adjusted_rand_score, r2_score, roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVC, SVR

from _common import clock, note, print_machine, print_table
from _downstream_data import tables
from skae import AutoencoderTransformer
from skae.metrics import neighbor_recall, reconstruction_score

MOST_ROWS = 2000
STEPS = "linear", "neighbours", "kernel", "boosting", "clusters"
# A cell is won or lost by more than a point.
MARGIN = 1.0


def next_step(step, is_class):
    """The estimator of a step for a task."""
    pair = {
        "linear": (LogisticRegression(max_iter=2000), Ridge()),
        "neighbours": (KNeighborsClassifier(15), KNeighborsRegressor(15)),
        "kernel": (SVC(), make_pipeline(StandardScaler(), SVR())),
        "boosting": (
            HistGradientBoostingClassifier(random_state=0),
            HistGradientBoostingRegressor(random_state=0),
        ),
    }[step]
    return pair[not is_class]


def scores_of(codes, y, steps):
    """Held-out score of each next step, in percent, for codes and targets (train, test)."""
    is_class = y[0].dtype.kind == "U"
    scores = {}
    for step in steps:
        if step == "clusters":
            if is_class:
                clusters = KMeans(len(np.unique(y[0])), n_init=3, random_state=0).fit(codes[0])
                scores[step] = adjusted_rand_score(y[1], clusters.predict(codes[1]))
            continue
        model = next_step(step, is_class)
        if not is_class:
            mean, deviation = y[0].mean(), y[0].std()
            predicted = model.fit(codes[0], (y[0] - mean) / deviation).predict(codes[1])
            scores[step] = r2_score(y[1], mean + deviation * predicted)
            continue
        model.fit(codes[0], y[0])
        if hasattr(model, "predict_proba"):
            values = model.predict_proba(codes[1])
            values = values[:, 1] if values.shape[1] == 2 else values
        else:
            values = model.decision_function(codes[1])
            if values.ndim == 2:
                values = np.exp(values - values.max(axis=1, keepdims=True))
                values /= values.sum(axis=1, keepdims=True)
        scores[step] = roc_auc_score(y[1], values, multi_class="ovr")
    return {step: 100 * score for step, score in scores.items()}


def prepared(X_train, X_test):
    """Training rows and test rows as matrices: standardised, one-hot, no missing values."""
    if isinstance(X_train, pd.DataFrame):
        numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
        flags = OneHotEncoder(handle_unknown="ignore", sparse_output=False, min_frequency=10)
        is_number = make_column_selector(dtype_include=["number", "bool"])
        is_text = make_column_selector(dtype_exclude=["number", "bool"])
        preparation = make_column_transformer((numbers, is_number), (flags, is_text))
    else:
        preparation = StandardScaler()
    return preparation.fit_transform(X_train), preparation.transform(X_test)


def reductions(X, size, seed, is_frame, only=()):
    """Transformers by name: `(transformer, whether it is fitted on the frame)`."""
    found = {
        "PCA": (PCA(size, random_state=seed), False),
        "KernelPCA": (KernelPCA(size, kernel="rbf", random_state=seed), False),
        "skae": (AutoencoderTransformer(size, random_state=seed), False),
    }
    if X.min() >= 0:
        found["NMF"] = NMF(size, random_state=seed, max_iter=500), False
    if is_frame:
        found["skae, frame"] = AutoencoderTransformer(size, random_state=seed), True
    return {name: each for name, each in found.items() if not only or name in only}


def measured(X, y, sizes, seed, steps, only=()):
    """Records of one table and split: dicts of size, reduction and figures."""
    keep = np.random.RandomState(seed).permutation(len(y))[:MOST_ROWS]
    X, y = (X.iloc[keep] if isinstance(X, pd.DataFrame) else X[keep]), y[keep]
    classes = y if y.dtype.kind == "U" else None
    train, test, *y = train_test_split(X, y, test_size=0.3, random_state=seed, stratify=classes)
    matrices = prepared(train, test)
    if not only or "all columns" in only:
        yield {"size": 0, "reduction": "all columns", **scores_of(matrices, y, steps)}
    for size in sizes:
        if size >= matrices[0].shape[1]:
            continue
        is_frame = isinstance(train, pd.DataFrame)
        for name, (reduction, on_frame) in reductions(
            matrices[0], size, seed, is_frame, only
        ).items():
            rows = (train, test) if on_frame else matrices
            seconds, codes = clock(reduction.fit_transform, rows[0])
            record = {"size": size, "reduction": name, "seconds": seconds}
            if not on_frame and hasattr(reduction, "inverse_transform") and name != "KernelPCA":
                record["variance"] = 100 * reconstruction_score(reduction, rows[1])
            if not on_frame:
                record["recall"] = 100 * neighbor_recall(reduction, *rows, k=15)
            codes = codes, reduction.transform(rows[1])
            yield record | scores_of(codes, y, steps)


def summary(records, steps):
    """Print the means over tables, beside PCA's, and how often a cell is won or lost."""
    cells = defaultdict(list)
    for r in records:
        for figure in (*steps, "recall", "variance", "seconds"):
            if r.get(figure) not in (None, ""):
                cells[r["table"], r["size"], r["reduction"], figure].append(float(r[figure]))
    cells = {key: np.mean(values) for key, values in cells.items()}
    names = [n for n in dict.fromkeys(r["reduction"] for r in records) if n != "PCA"]
    rows = []
    for figure in (*steps, "recall", "variance"):
        for name in names:
            own = {(t, s): v for (t, s, n, f), v in cells.items() if n == name and f == figure}
            if not own:
                continue
            row = [f"{figure}: {name}"]
            pairs = [
                (v - cells[t, s, "PCA", figure], t)
                for (t, s), v in own.items()
                if (t, s, "PCA", figure) in cells
            ]
            if not pairs:
                rows.append([*row, np.mean(list(own.values())), "-", "-", "-", "-"])
                continue
            gains = np.array([gain for gain, _ in pairs])
            of_table = defaultdict(list)
            for gain, table in pairs:
                of_table[table].append(gain)
            means = [np.mean(g) for g in of_table.values()]
            error = np.std(means, ddof=1) / np.sqrt(len(means)) if len(means) > 1 else 0.0
            rows.append(
                [
                    *row, np.mean(list(own.values())), gains.mean(), error,
                    str((gains > MARGIN).sum()), str((gains < -MARGIN).sum()),
                ]
            )  # fmt: skip
    print_table(
        "Means over all cells (table and size), in points",
        ["next step: reduction", "mean", "beside PCA", "standard error", "won", "lost"],
        [[f"{c:.2f}" if isinstance(c, float) else c for c in row] for row in rows],
    )
    rows = []
    for size in sorted({r["size"] for r in records} - {0}):
        for name in ["PCA", *names]:
            row = [f"{size}: {name}"]
            for figure in (*steps, "recall", "variance", "seconds"):
                wanted = size, name, figure
                found = [v for (_, *key), v in cells.items() if tuple(key) == wanted]
                row.append(np.mean(found) if found else None)
            if any(cell is not None for cell in row[1:]):
                rows.append(row)
    print_table("By size", ["size: reduction", *steps, "recall", "variance", "seconds"], rows)


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder with tables/ and adbench/")
    parser.add_argument("--sizes", type=int, nargs="+", default=[2, 4, 8, 16])
    parser.add_argument("--splits", type=int, default=5)
    parser.add_argument("--half", choices=("a", "b"), help="every second table")
    parser.add_argument("--only", nargs="+", default=(), help="names of tables")
    parser.add_argument("--reductions", nargs="+", default=(), help="names of reductions")
    parser.add_argument("--steps", nargs="+", choices=STEPS, default=list(STEPS))
    parser.add_argument("--output", type=Path, help="FILE.csv for all figures")
    args = parser.parse_args()

    warnings.simplefilter("ignore")
    print_machine(quick=False)
    found = list(tables(args.data).items())
    if args.half:
        found = found["ab".index(args.half) :: 2]
    records = []
    for name, (X, y) in found:
        if args.only and name not in args.only:
            continue
        for seed in range(args.splits):
            note(f"{name}, split {seed + 1} of {args.splits}")
            for record in measured(X, y, args.sizes, seed, args.steps, args.reductions):
                records.append({"table": name, "split": seed, **record})
    summary(records, args.steps)
    if args.output:
        with args.output.open("w", newline="") as file:
            fields = list(dict.fromkeys(key for record in records for key in record))
            writer = csv.DictWriter(file, fields)
            writer.writeheader()
            writer.writerows(records)


if __name__ == "__main__":
    main()
