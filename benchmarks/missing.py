"""Missing values in numbers: detection and reconstruction, compared with scikit-learn.

Values are removed at random from the whole table, before it is split. Detection, one-class and
unsupervised as in `anomaly.py`, by the area under the ROC curve: `AEAnomalyDetector` at its
defaults, `IsolationForest`, which accepts NaN, and the distance to the fifth neighbour after
mean imputation. Reconstruction of held-out rows from a code of four numbers, by the share of
variance of the observed values: `AutoencoderTransformer` at its defaults, and PCA after mean
imputation.

    python benchmarks/missing.py --data FOLDER

FOLDER holds `adbench/*.npz` (https://github.com/Minqi824/ADBench, "Classical" tables).
"""

import argparse
import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.impute import SimpleImputer
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import AEAnomalyDetector, AutoencoderTransformer
from skae.metrics import reconstruction_score

SHARES = (0.0, 0.02, 0.1)
MOST_ROWS = 1_500
N_COMPONENTS = 4


def forest(train, test, seed):
    return -IsolationForest(random_state=seed).fit(train).score_samples(test)


def neighbours(train, test, seed):
    """Distance to the fifth neighbour, a training row not being its own."""
    scaler = make_pipeline(StandardScaler(), SimpleImputer()).fit(train)
    rows = None if test is train else scaler.transform(test)
    return (
        NearestNeighbors(n_neighbors=5).fit(scaler.transform(train)).kneighbors(rows)[0][:, -1]
    )


def detector(novelty):
    def score(train, test, seed):
        fitted = AEAnomalyDetector(novelty=novelty, random_state=seed).fit(train)
        return -fitted.score_samples(test)

    return score


def detection(X, y, rng, seed):
    """AUROC of each method: unsupervised, then one-class."""
    normal = rng.permutation(np.flatnonzero(y == 0))
    half = len(normal) // 2
    at = np.r_[normal[half:], np.flatnonzero(y == 1)]
    one_class, aucs = (X[normal[:half]], X[at]), []
    for novelty, (train, test), truth in ((False, (X, X), y), (True, one_class, y[at])):
        methods = detector(novelty), forest, neighbours
        aucs += [100 * roc_auc_score(truth, of(train, test, seed)) for of in methods]
    return aucs


def reconstruction(X, rng, seed):
    """Share of the variance of observed values of held-out rows: ours, and PCA's."""
    X = StandardScaler().fit_transform(X)
    order = rng.permutation(len(X))
    train, test = X[order[: len(X) * 3 // 4]], X[order[len(X) * 3 // 4 :]]
    size = min(N_COMPONENTS, X.shape[1] - 1)
    ours = AutoencoderTransformer(size, random_state=seed)
    pca = make_pipeline(SimpleImputer(), PCA(size))
    pca.fit(train)
    filled = pca[0].transform(test)
    back = pca[1].inverse_transform(pca[1].transform(filled))
    observed = ~np.isnan(test)
    lost = np.square(np.where(observed, test - back, 0)).sum()
    total = np.square(np.where(observed, test - np.nanmean(test, axis=0), 0)).sum()
    return [100 * reconstruction_score(ours.fit(train), test), 100 * (1 - lost / total)]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--tables", nargs="*", help="parts of names; default: all")
    options = parser.parse_args()
    names = ["skae", "IsolationForest", "kNN"]
    print("table | missing | unsupervised:", *names, "| one-class:", *names, "| skae PCA")
    rows = []
    for file in sorted((options.data / "adbench").glob("*.npz")):
        if options.tables and not any(part in file.stem for part in options.tables):
            continue
        table = np.load(file, allow_pickle=False)
        X, y = table["X"].astype(float), table["y"]
        X = X[:, X.std(axis=0) > 0]
        for share in SHARES:
            found = []
            for seed in range(options.seeds):
                rng = np.random.RandomState(seed)
                some = rng.permutation(len(X))[:MOST_ROWS]
                gaps = np.where(rng.uniform(size=X[some].shape) < share, np.nan, X[some])
                if not 0 < y[some].sum() < len(some):
                    continue
                found.append(detection(gaps, y[some], rng, seed))
                found[-1] += reconstruction(gaps, rng, seed)
            if found:
                rows.append((share, np.mean(found, axis=0)))
                print(f"{file.stem} | {share:.0%} |", *np.round(rows[-1][1], 1), flush=True)
    for share in SHARES:
        print(
            f"**mean** | {share:.0%} |",
            *np.mean([r for s, r in rows if s == share], axis=0).round(1),
        )


if __name__ == "__main__":
    main()
