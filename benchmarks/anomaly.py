"""Anomaly detection on the tables of ADBench and OddBench: skae's detector and others.

Two protocols. One-class: fitted on a random half of the normal rows, evaluated on the other
normal rows and all anomalies; OddBench has a split of its own. Unsupervised: fitted on all
rows, without labels, and evaluated on the same; of OddBench, all normal rows and as many
anomalies as make 5 or 10 % of them, by turns of the seed. Columns are standardised on the rows
that are fitted. Figures are the area under the ROC curve (AUROC) and the average precision
(AP), the mean over `--seeds`. A table is won where skae's AUROC is more than a point higher.

    python benchmarks/anomaly.py --data FOLDER

FOLDER holds `adbench/*.npz` (https://github.com/Minqi824/ADBench, "Classical" tables) and
`oddbench/*.npz` (https://github.com/psorus/Outformer), or one of them.
"""

import argparse
import csv
import os
import time
import warnings
from itertools import product
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from sklearn.ensemble import IsolationForest
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.neighbors import LocalOutlierFactor, NearestNeighbors
from sklearn.svm import OneClassSVM

from skae import AEAnomalyDetector

PROTOCOLS = ("one-class", "unsupervised")
COLLECTIONS = ("adbench", "oddbench")


class Neighbors:
    """Distance to the fifth neighbour."""

    def fit(self, X):
        self.index = NearestNeighbors(n_neighbors=5).fit(X)
        self.X = X
        return self

    def scores(self, X):
        rows = None if X is self.X else X
        return self.index.kneighbors(rows)[0][:, -1]


class LocalOutliers:
    """LOF with 20 neighbours; training rows are not their own neighbours."""

    def fit(self, X):
        self.X = X
        self.lof = LocalOutlierFactor(20, novelty=True).fit(X)
        return self

    def scores(self, X):
        if X is self.X:
            return -self.lof.negative_outlier_factor_
        return -self.lof.score_samples(X)


class Mahalanobis:
    """Squared Mahalanobis distance from the mean."""

    def fit(self, X):
        self.mean, self.precision = X.mean(axis=0), np.linalg.pinv(np.cov(X.T))
        return self

    def scores(self, X):
        X = X - self.mean
        return np.sum(X @ self.precision * X, axis=1)


class Principal:
    """Reconstruction error of the components that explain 90 % of the variance."""

    def fit(self, X):
        self.mean = X.mean(axis=0)
        _, size, axes = np.linalg.svd(X - self.mean, full_matrices=False)
        share = np.cumsum(size**2) / np.sum(size**2)
        n = int((share < 0.9).sum() + 1)
        self.axes = axes[: max(min(n, len(size) - 1), 1)]
        return self

    def scores(self, X):
        X = X - self.mean
        return np.square(X - X @ self.axes.T @ self.axes).sum(axis=1)


class Negated:
    """A detector with scikit-learn's interface."""

    def __init__(self, detector):
        self.detector = detector

    def fit(self, X):
        self.detector.fit(X)
        return self

    def scores(self, X):
        return -self.detector.score_samples(X)


class PyOD:
    """A detector of PyOD, by module and name."""

    def __init__(self, module, name, **params):
        from importlib import import_module

        self.detector = getattr(import_module(f"pyod.models.{module}"), name)(**params)

    def fit(self, X):
        self.X = X
        self.detector.fit(X)
        return self

    def scores(self, X):
        return (
            self.detector.decision_scores_
            if X is self.X
            else self.detector.decision_function(X)
        )


METHODS = {
    "skae": lambda d, novelty, seed: Negated(
        AEAnomalyDetector(novelty=novelty, random_state=seed)
    ),
    "knn": lambda d, novelty, seed: Neighbors(),
    "iforest": lambda d, novelty, seed: Negated(IsolationForest(random_state=seed)),
    "lof": lambda d, novelty, seed: LocalOutliers(),
    "ocsvm": lambda d, novelty, seed: Negated(OneClassSVM()),
    "mahalanobis": lambda d, novelty, seed: Mahalanobis(),
    "pca": lambda d, novelty, seed: Principal(),
    "ecod": lambda d, novelty, seed: PyOD("ecod", "ECOD"),
    "pyod_ae": lambda d, novelty, seed: PyOD("auto_encoder", "AutoEncoder", random_state=seed),
    "pyod_vae": lambda d, novelty, seed: PyOD("vae", "VAE", random_state=seed),
    "deep_svdd": lambda d, novelty, seed: PyOD(
        "deep_svdd", "DeepSVDD", n_features=d, random_state=seed, verbose=0
    ),
}


def tables(folder, collection):
    """Number, name and path of each table, in the order of the collection."""
    paths = Path(folder, collection).glob("*.npz")
    if collection == "oddbench":
        return [(i, path.stem, path) for i, path in enumerate(sorted(paths))]
    named = [(*path.stem.split("_", 1), path) for path in paths]
    return sorted((int(number), name, path) for number, name, path in named)


def split(path, number, seed, max_rows, protocol):
    """Training rows, test rows and their labels; if unsupervised both are one array."""
    rng = np.random.default_rng(1000 * seed + number)
    with np.load(path, allow_pickle=False) as file:
        if "X_train" in file:
            train, X, y = (file[name] for name in ("X_train", "X_test", "y_test"))
            fitted = np.arange(len(train))
            X = np.vstack([train, X]).astype(np.float64)
            y = np.r_[np.zeros(len(train), int), y.astype(int)]
        else:
            fitted, X, y = None, file["X"].astype(np.float64), file["y"].astype(int)
    if fitted is None and len(X) > max_rows:
        some = rng.permutation(len(X))[:max_rows]
        X, y = X[some], y[some]
    if protocol == "unsupervised":
        if fitted is not None:
            normal, anomalous = np.flatnonzero(y == 0), rng.permutation(np.flatnonzero(y == 1))
            n_anomalies = max(round(len(normal) * (0.05, 0.1)[seed % 2]), 1)
            some = np.r_[normal, anomalous[:n_anomalies]]
            X, y = X[some], y[some]
        X = standardised(X, X)
        return X, X, y
    if fitted is None:
        normal = rng.permutation(np.flatnonzero(y == 0))
        fitted = normal[: len(normal) // 2]
    test = np.setdiff1d(np.arange(len(X)), fitted)
    return standardised(X[fitted], X[fitted]), standardised(X[test], X[fitted]), y[test]


def standardised(X, fitted):
    """Columns in deviations of the fitted rows."""
    deviation = fitted.std(axis=0)
    return (X - fitted.mean(axis=0)) / np.where(deviation < 1e-12, 1, deviation)


def measure(make, data, protocol, seed):
    """AUROC, AP, seconds to fit and seconds to score."""
    fitted, test, y = data
    method = make(fitted.shape[1], protocol == "one-class", seed)
    start = time.perf_counter()
    method.fit(fitted)
    after_fit = time.perf_counter()
    scores = method.scores(test)
    seconds = after_fit - start, time.perf_counter() - after_fit
    # Other packages may return values that are not finite.
    scores = np.nan_to_num(scores, nan=0, posinf=1e300, neginf=-1e300)
    return 100 * roc_auc_score(y, scores), 100 * average_precision_score(y, scores), *seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="folder of adbench/ and oddbench/")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--max-rows", type=int, default=10_000)
    parser.add_argument("--protocol", nargs="+", choices=PROTOCOLS, default=PROTOCOLS)
    parser.add_argument("--collection", nargs="+", choices=COLLECTIONS, default=COLLECTIONS)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--only", nargs="*", help="names of tables")
    parser.add_argument("--output", help="CSV file, written after each table")
    options = parser.parse_args()
    # Other packages warn of small tables and of their own parameters.
    warnings.simplefilter("ignore")
    cells = []
    for collection, seed in product(options.collection, options.seeds):
        for number, name, path in tables(options.data, collection):
            if options.only and name not in options.only:
                continue
            for protocol in options.protocol:
                data = split(path, number, seed, options.max_rows, protocol)
                for method in options.methods:
                    try:
                        figures = measure(METHODS[method], data, protocol, seed)
                    except ModuleNotFoundError:
                        continue
                    cell = dict(collection=collection, protocol=protocol, table=name)
                    names = ("auroc", "ap", "fit_seconds", "score_seconds")
                    cell |= dict(seed=seed, method=method)
                    cells.append(cell | dict(zip(names, figures, strict=True)))
            print(f"{name} {seed}", flush=True)
            if options.output:
                with open(options.output, "w", newline="") as file:
                    writer = csv.DictWriter(file, cells[0])
                    writer.writeheader()
                    writer.writerows(cells)
    for collection, protocol in product(options.collection, options.protocol):
        some = [c for c in cells if (c["collection"], c["protocol"]) == (collection, protocol)]
        if some:
            print(f"\n{collection}, {protocol}, AUROC / AP\n\n{table(some)}")
            print(f"\n{comparisons(some)}")


def mean(cells, figure, method, name):
    """Mean of a figure over the seeds, NaN where the method has not run."""
    values = [c[figure] for c in cells if c["method"] == method and c["table"] == name]
    return np.mean(values) if values else np.nan


def table(cells):
    """Figures of one protocol in Markdown: a line for each table, and the mean."""
    methods = list(dict.fromkeys(cell["method"] for cell in cells))
    names = list(dict.fromkeys(cell["table"] for cell in cells))
    figures = {
        figure: np.array([[mean(cells, figure, m, name) for m in methods] for name in names])
        for figure in ("auroc", "ap", "fit_seconds", "score_seconds")
    }
    lines = [f"| table | {' | '.join(methods)} |", "|---|" + "---|" * len(methods)]
    both = [np.vstack([x, x.mean(axis=0)]) for x in (figures["auroc"], figures["ap"])]
    for name, *rows in zip([*names, "**mean**"], *both, strict=True):
        row = [f"{x:.1f} / {y:.1f}" for x, y in zip(*rows, strict=True)]
        lines.append(f"| {name} | {' | '.join(row)} |")
    for what in ("fit", "score"):
        seconds = [f"{x:.2f}" for x in figures[f"{what}_seconds"].mean(axis=0)]
        lines.append(f"| seconds to {what}, mean | {' | '.join(seconds)} |")
    return "\n".join(lines)


def comparisons(cells):
    """Differences of skae from each other method over the tables, in Markdown."""
    names = list(dict.fromkeys(cell["table"] for cell in cells))
    lines = ["| skae minus | AUROC | AP | won | lost |", "|---|---|---|---|---|"]
    for method in dict.fromkeys(cell["method"] for cell in cells if cell["method"] != "skae"):
        auroc, ap = (
            np.array([mean(cells, f, "skae", n) - mean(cells, f, method, n) for n in names])
            for f in ("auroc", "ap")
        )
        row = [f"{x.mean():+.1f} ± {x.std() / len(x) ** 0.5:.1f}" for x in (auroc, ap)]
        row += [f"{(auroc > 1).sum()}", f"{(auroc < -1).sum()}"]
        lines.append(f"| {method} | {' | '.join(row)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
