"""Calibration of the anomaly detector at its defaults, on clean and on contaminated data.

Tables of seven distributions and two sizes, and real ones split in halves. Clean: the share of
*new* rows of the same kind that `predict` marks, `false_alarm_rate_`, and whether `select`
finds anything among the training rows. Injected: 2 or 10 % of the training rows are moved by 12
deviations of the columns, in random directions. Then p-values of normal rows with
``novelty=True``, rows with a rare binary value, the top of a real table under several seeds,
overlapping windows of a series, and the time of fitting and scoring.

    python benchmarks/detector_promises.py --data FOLDER

FOLDER as for `anomaly.py`, with `tables/titanic.csv` and `tables/penguins.csv`
(https://github.com/mwaskom/seaborn-data); without it these two are omitted.
"""

import argparse
import os
import time
import warnings
from itertools import combinations

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupShuffleSplit
from sklearn.neighbors import LocalOutlierFactor

from _detection_data import (
    SHAPES,
    WIDTH,
    binary,
    clean_tables,
    disturbed,
    gaussian,
    injected,
    titanic,
    windows,
)
from reconstruction import save
from skae import AEAnomalyDetector, AutoencoderTransformer
from skae.networks import ConvNetwork, RecurrentNetwork

SHARES = (0.02, 0.1)
FDR = 0.1


def clean(options):
    """False alarms on new rows, in percent, the reported rate, and the selected rows."""
    rows = []
    for seed in range(options.seeds):
        for name, X, new in clean_tables(seed, options.data):
            detector = AEAnomalyDetector(random_state=seed).fit(X)
            marked = 100 * np.mean(detector.predict(new) == -1)
            reported = 100 * detector.false_alarm_rate_
            found = bool(detector.select(X, fdr=FDR).any())
            rows.append(dict(table=name, marked=marked, reported=reported, select_found=found))
    rows = by(rows, "table")
    for row in rows:
        row["off"] = abs(row["marked"] - row["reported"])
    show("Clean rows, novelty=False: % of new rows marked", rows)
    summary(rows, "marked", "off")
    return rows


def hostile(options):
    """Injected anomalies that are found, and normal rows that are marked, in percent."""
    rows = []
    for seed in range(options.seeds):
        for name, X, new in clean_tables(seed, options.data):
            for share in SHARES:
                mixed, anomalous = injected(X, share, seed)
                detector = AEAnomalyDetector(random_state=seed).fit(mixed)
                marked = detector.predict(mixed) == -1
                selected = detector.select(mixed, fdr=FDR)
                figures = dict(
                    found=marked[anomalous].mean(),
                    marked=np.mean(detector.predict(new) == -1),
                    selected=selected[anomalous].mean(),
                    false=(selected & ~anomalous).sum() / max(selected.sum(), 1),
                )
                percent = {key: 100 * value for key, value in figures.items()}
                rows.append(dict(table=name, share=share, **percent))
    rows = by(rows, "table", "share")
    show("Injected anomalies, novelty=False: % found by predict and by select(fdr=0.1)", rows)
    for share in SHARES:
        print(f"{share:.0%} injected:")
        some = [row for row in rows if row["share"] == share]
        summary(some, "found", "marked", "selected", "false")
    return rows


def novelty(options):
    """New normal rows with a p-value of at most 10, 5 and 1 %, in percent; power of select."""
    rows = []
    for seed in range(2 * options.seeds):
        for name, make in SHAPES.items():
            rng = np.random.RandomState(seed)
            detector = AEAnomalyDetector(novelty=True, random_state=seed).fit(make(rng, 1000))
            p = detector.p_values(make(rng, 5000))
            errors = {f"p<={a}": 100 * np.mean(p <= a) for a in (0.1, 0.05, 0.01)}
            mixed, anomalous = injected(make(rng, 2000), 0.02, seed)
            selected = detector.select(mixed, fdr=FDR)
            power = 100 * selected[anomalous].mean()
            false = 100 * (selected & ~anomalous).sum() / max(selected.sum(), 1)
            rows.append(dict(table=name, **errors, selected=power, false=false))
    spread = {key: np.std([row[key] for row in rows]) for key in list(rows[0])[1:4]}
    error = {key: round(float(s / np.sqrt(len(rows))), 2) for key, s in spread.items()}
    rows = by(rows, "table")
    show("novelty=True, 1,000 training rows: % of new normal rows by p-value", rows)
    summary(rows, *list(rows[0])[1:])
    print(f"standard errors of the means: {error}")
    return rows


def minorities(options):
    """How often rows with a rare binary value, and the others, are marked, in percent."""
    rows = []
    for seed in range(options.seeds):
        for n in (300, 2000):
            for shares in ((0.23,), (0.1,), (0.23, 0.1)):
                rng = np.random.RandomState(seed)
                detector = AEAnomalyDetector(random_state=seed)
                detector.fit(binary(rng, n, shares=shares))
                new = binary(rng, 4000, shares=shares)
                marked = detector.predict(new) == -1
                for share, column in zip(shares, new.T[-len(shares) :], strict=True):
                    with_value, others = (100 * marked[column == v].mean() for v in (1, 0))
                    name = f"{n:,} rows, {' and '.join(f'{s:.0%}' for s in shares)}"
                    row = dict(table=name, value=share, with_value=with_value, others=others)
                    rows.append(row)
    rows = by(rows, "table", "value")
    for row in rows:
        row["ratio"] = row["with_value"] / row["others"]
    show("Rows with a rare binary value: % marked (bar: ratio at most 3)", rows)
    return rows


def top(options):
    """How many of the twenty most anomalous passengers two seeds share."""
    if options.data is None:
        return []
    X = titanic(options.data)
    scores = [AEAnomalyDetector(random_state=s).fit(X).score_samples(X) for s in range(3)]
    top = [set(np.argsort(score)[:20]) for score in scores]
    shared = [len(a & b) for a, b in combinations(top, 2)]
    unknown = np.mean([X["deck_missing"].to_numpy()[list(rows)].mean() for rows in top])
    rows = [dict(table="titanic", shared=str(shared), all_three=len(set.intersection(*top)),
                 deck_unknown=100 * unknown)]  # fmt: skip
    show("Top 20 of Titanic under three seeds: rows shared", rows)
    return rows


def series(options):
    """False alarms on later windows of a series, in percent, without groups and with them."""
    rows = []
    for seed in range(2 * options.seeds):
        for n in (600, 1500):
            X = windows(2 * n, seed)
            train, new = X[:n], X[n + WIDTH - 1 :]
            for is_novelty in (False, True):
                for label, groups in (("none", None), ("blocks", np.arange(n) // (2 * WIDTH))):
                    detector = AEAnomalyDetector(novelty=is_novelty, random_state=seed)
                    marked = detector.fit(train, groups=groups).predict(new) == -1
                    name = f"{n:,} windows, novelty={is_novelty}"
                    rows.append(dict(table=name, groups=label, marked=100 * marked.mean()))
    rows = by(rows, "table", "groups")
    show("Later windows of a series: % marked", rows)
    found = []
    for name, make in NETWORKS.items():
        areas = [_detection(make, seed) for seed in range(options.seeds)]
        found.append(dict(network=name, auroc=float(np.mean(areas))))
    show("Disturbed windows: AUROC of the tabular default, and of networks for series", found)
    return rows


def _with_network(network):
    autoencoder = AutoencoderTransformer(
        6, network=network, hidden_layer_sizes=(), max_iter=40, random_state=0
    )
    one = GroupShuffleSplit(1, test_size=0.2, random_state=0)
    return AEAnomalyDetector(
        novelty=True, scoring="reconstruction", estimator=autoencoder, cv=one, random_state=0
    )


NETWORKS = {
    "none: the default": lambda: AEAnomalyDetector(novelty=True, random_state=0),
    "LSTM": lambda: _with_network(RecurrentNetwork("lstm", units=64)),
    "convolution": lambda: _with_network(ConvNetwork(filters=(16, 16))),
}


def _detection(make, seed):
    """AUROC of later windows, a fifth of which are disturbed, in percent."""
    X = windows(1500, seed)
    train, later = X[:1000], X[1000 + WIDTH - 1 :: 2]
    anomalous = disturbed(later[::4], np.random.RandomState(seed))
    detector = make()
    # Networks for series have inputs of shape (steps, channels).
    shape = (WIDTH,) if detector.scoring == "denoising" else (WIDTH, 1)
    groups = np.arange(len(train)) // (2 * WIDTH)
    detector.fit(train.reshape(-1, *shape), groups=groups)
    scores = detector.score_samples(np.vstack([later, anomalous]).reshape(-1, *shape))
    return 100 * roc_auc_score(np.arange(len(scores)) < len(later), scores)


def cost(options):
    """Seconds, also of scikit-learn's detectors on the same rows, medians of repeats."""
    rows = []
    for n, d in ((150, 8), (2000, 20)):
        X = gaussian(np.random.RandomState(0), n, d)
        methods = {
            "skae": AEAnomalyDetector(random_state=0),
            "IsolationForest": IsolationForest(random_state=0),
            "LocalOutlierFactor": LocalOutlierFactor(novelty=True),
        }
        for name, method in methods.items():
            method.fit(X)
            fit = [seconds(lambda m=method, X=X: m.fit(X)) for _ in range(5)]
            one = [seconds(lambda m=method, X=X: m.score_samples(X[:1])) for _ in range(50)]
            figures = dict(refit_s=np.median(fit), row_ms=1000 * np.median(one))
            rows.append(dict(table=f"{n:,} x {d}", method=name, **figures))
    show("Seconds of a refit, milliseconds to score one row", rows)
    return rows


def seconds(function):
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def by(rows, *keys):
    """Means over the rows with equal values of these keys."""
    groups = {}
    for row in rows:
        groups.setdefault(tuple(row[key] for key in keys), []).append(row)
    means = []
    for values, members in groups.items():
        figures = [key for key in members[0] if key not in keys]
        mean = {key: float(np.mean([row[key] for row in members])) for key in figures}
        means.append(dict(zip(keys, values, strict=True)) | mean)
    return means


def show(title, rows):
    """Print a table in Markdown."""
    print(f"\n#### {title}\n\n| {' | '.join(rows[0])} |\n|{'---|' * len(rows[0])}")
    for row in rows:
        print("| " + " | ".join(_text(value) for value in row.values()) + " |", flush=True)


def summary(rows, *keys):
    """Print the mean and the extremes of columns."""
    for key in keys:
        values = [row[key] for row in rows]
        print(f"{key}: mean {np.mean(values):.1f}, from {min(values):.1f} to {max(values):.1f}")


def _text(value):
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


PARTS = {f.__name__: f for f in (clean, hostile, novelty, minorities, top, series, cost)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="folder with tables/*.csv")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", nargs="*", choices=PARTS, default=list(PARTS))
    parser.add_argument("--output", help="CSV file; the part is added to its name")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    for name in options.only:
        rows = PARTS[name](options)
        if options.output and rows:
            save(rows, options.output.replace(".csv", f"_{name}.csv"))


if __name__ == "__main__":
    main()
