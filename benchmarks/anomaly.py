"""Anomaly detection on ADBench's tables: skae's detector and the usual ones.

Two protocols. One-class: fitted on a random half of the normal rows, evaluated on the other
normal rows and all anomalies. Unsupervised: fitted on all rows, without labels, and evaluated
on the same. Columns are standardised on the rows that are fitted. Figures are the area under
the ROC curve (AUROC) and the average precision (AP), the mean over `--seeds`.

    python benchmarks/anomaly.py --data FOLDER

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
from sklearn.ensemble import IsolationForest
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.neighbors import LocalOutlierFactor, NearestNeighbors
from sklearn.svm import OneClassSVM

from skae import AEAnomalyDetector

PROTOCOLS = ("one-class", "unsupervised")


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


def tables(folder):
    """Number, name and path of each table, in ADBench's order."""
    paths = sorted(
        Path(folder, "adbench").glob("*.npz"), key=lambda p: int(p.stem.split("_")[0])
    )
    return [(i, path.stem.split("_", 1)[1], path) for i, path in enumerate(paths)]


def split(path, number, seed, max_rows, protocol):
    """Training rows, test rows and their labels; if unsupervised both are one array."""
    with np.load(path, allow_pickle=False) as file:
        X, y = file["X"].astype(np.float64), file["y"].astype(int)
    rng = np.random.default_rng(1000 * seed + number)
    if len(X) > max_rows:
        some = rng.permutation(len(X))[:max_rows]
        X, y = X[some], y[some]
    normal = rng.permutation(np.flatnonzero(y == 0)) if protocol == "one-class" else []
    half = len(normal) // 2
    fitted = X[normal[:half]] if half else X
    mean, deviation = fitted.mean(axis=0), fitted.std(axis=0)
    deviation[deviation < 1e-12] = 1
    X = (X - mean) / deviation
    if not half:
        return X, X, y
    test = np.r_[normal[half:], np.flatnonzero(y == 1)]
    return X[normal[:half]], X[test], y[test]


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
    parser.add_argument("--data", required=True, help="folder with adbench/*.npz")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--max-rows", type=int, default=10_000)
    parser.add_argument("--protocol", nargs="+", choices=PROTOCOLS, default=PROTOCOLS)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--only", nargs="*", help="names of tables")
    parser.add_argument("--output", help="CSV file, written after each table")
    options = parser.parse_args()
    # Other packages warn of small tables and of their own parameters.
    warnings.simplefilter("ignore")
    cells = []
    for seed in options.seeds:
        for number, name, path in tables(options.data):
            if options.only and name not in options.only:
                continue
            for protocol in options.protocol:
                data = split(path, number, seed, options.max_rows, protocol)
                for method in options.methods:
                    try:
                        figures = measure(METHODS[method], data, protocol, seed)
                    except ModuleNotFoundError:
                        continue
                    cell = dict(protocol=protocol, table=name, seed=seed, method=method)
                    names = ("auroc", "ap", "fit_seconds", "score_seconds")
                    cells.append(cell | dict(zip(names, figures, strict=True)))
            print(f"{name} {seed}", flush=True)
            if options.output:
                with open(options.output, "w", newline="") as file:
                    writer = csv.DictWriter(file, cells[0])
                    writer.writeheader()
                    writer.writerows(cells)
    for protocol in options.protocol:
        figures = table([cell for cell in cells if cell["protocol"] == protocol])
        print(f"\n{protocol}, AUROC / AP\n\n{figures}")


def table(cells):
    """Print the figures of one protocol in Markdown: a line for each table, and the mean."""
    methods = list(dict.fromkeys(cell["method"] for cell in cells))
    names = list(dict.fromkeys(cell["table"] for cell in cells))

    def mean(figure, method, name=None):
        values = [
            [c[figure] for c in cells if c["method"] == method and c["table"] == one]
            for one in (names if name is None else [name])
        ]
        return np.mean([np.mean(v) for v in values if v])

    lines = [f"| table | {' | '.join(methods)} |", "|---|" + "---|" * len(methods)]
    for name in [*names, None]:
        figures = [f"{mean('auroc', m, name):.1f} / {mean('ap', m, name):.1f}" for m in methods]
        lines.append(f"| {name or '**mean**'} | {' | '.join(figures)} |")
    for what in ("fit", "score"):
        figures = [f"{mean(f'{what}_seconds', m):.2f}" for m in methods]
        lines.append(f"| seconds to {what}, mean | {' | '.join(figures)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
