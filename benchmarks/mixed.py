"""Anomaly detection in tables with strings, categories, booleans, dates, missing values.

    python benchmarks/mixed.py --data FOLDER

FOLDER holds titanic.csv, penguins.csv, mpg.csv and diamonds.csv, as seaborn's data
repository has them (https://github.com/mwaskom/seaborn-data); "census" is generated here.

anomalies: 3 % of the rows get two values of another row ("exchanged"), or an impossible
number ("impossible"); the area under the ROC curve (AUROC) of the detector and of the usual
ones on one-hot encoded columns, all fitted on these rows. reasons: how often `describe` names a
corrupted column first, of the injected anomalies that `predict` marks or `select` finds.
promises:
the share of clean new rows that is marked. sizes: diamonds that have a side of zero or one
beyond thirty millimetres, among 5,000.
"""

import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.ensemble import IsolationForest
from sklearn.impute import SimpleImputer
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from _common import Figures, note, parse, print_bars, print_machine, print_table
from _mixed_data import MOST_ROWS, NAMES, PLANTS, absurd_sizes, load
from skae import AEAnomalyDetector

PARTS = ("anomalies", "reasons", "promises", "sizes")
OTHERS = ("forest", "5th neighbour", "5 neighbours")


def as_numbers(frame):
    """One-hot encoding, mean imputation, standardised columns."""
    frame = frame.copy()
    for name in frame.select_dtypes("datetime"):
        frame[name] = frame[name].astype("int64") / 8.64e13
    categorical = frame.select_dtypes(exclude="number").columns
    frame[categorical] = frame[categorical].astype(object)
    flags = OneHotEncoder(sparse_output=False, max_categories=50)
    columns = make_column_transformer(
        (SimpleImputer(), make_column_selector(dtype_include="number")),
        (flags, make_column_selector(dtype_exclude="number")),
    )
    return make_pipeline(columns, StandardScaler()).fit_transform(frame)


def others(X, seed):
    """Scores of the usual detectors, higher for anomalies."""
    yield "forest", -IsolationForest(random_state=seed).fit(X).score_samples(X)
    distance, _ = NearestNeighbors(n_neighbors=5).fit(X).kneighbors()
    yield "5th neighbour", distance[:, -1]
    yield "5 neighbours", distance.mean(axis=1)


def injected(args, names):
    """For each table, kind and seed: the AUROC of all, and how often `describe` is right."""
    for name in names:
        for kind, plant in PLANTS.items():
            for seed in args.seeds:
                rng = np.random.RandomState(seed)
                frame = load(name, args.data, rng, args.max_rows)
                anomalous, rows, columns = plant(frame, rng)
                labels = np.zeros(len(anomalous), dtype=bool)
                labels[rows] = True
                detector = AEAnomalyDetector(random_state=seed, **args.params).fit(anomalous)
                figures = {"skae": roc_auc_score(labels, -detector.score_samples(anomalous))}
                if "anomalies" in args.parts:
                    for other, scores in others(as_numbers(anomalous), seed):
                        figures[other] = roc_auc_score(labels, scores)
                if "reasons" in args.parts:
                    texts = detector.describe(anomalous.iloc[rows], n_columns=1)
                    named = np.array(
                        [
                            any(text.startswith(f"{c} ") for c in pair)
                            for text, pair in zip(texts, columns, strict=True)
                        ]
                    )
                    marked = detector.predict(anomalous.iloc[rows]) == -1
                    selected = detector.select(anomalous)[rows]
                    for how, found in (("marked", marked), ("selected", selected)):
                        figures[how] = found.sum(), named[found].sum(), len(rows)
                note(name, kind, seed, figures)
                yield name, kind, seed, figures


def promises(args, names):
    """Share of new clean rows that is marked, by table and `novelty`."""
    for name in names:
        for novelty in (False, True):
            for seed in args.seeds:
                frame = load(name, args.data, np.random.RandomState(seed), args.max_rows)
                train, new = train_test_split(frame, test_size=0.4, random_state=seed)
                detector = AEAnomalyDetector(novelty=novelty, random_state=seed, **args.params)
                marked = np.mean(detector.fit(train).predict(new) == -1)
                note(name, "novelty", novelty, seed, marked)
                yield name, novelty, marked


def sizes(args):
    """Average precision of the absurd diamonds, and how often `describe` names a side."""
    for seed in args.seeds:
        frame, absurd = absurd_sizes(args.data, np.random.RandomState(seed))
        detector = AEAnomalyDetector(random_state=seed, **args.params).fit(frame)
        texts = detector.describe(frame[absurd])
        named = np.mean([text[:2] in ("x ", "y ", "z ") for text in texts])
        ap = average_precision_score(absurd, -detector.score_samples(frame))
        note("sizes", seed, ap, named, *(f"\n  {text}" for text in texts[:12]))
        yield ap, named


def print_anomalies(results, figures):
    rows = []
    for kind in PLANTS:
        for name in dict.fromkeys(r[0] for r in results):
            some = [r[3] for r in results if r[:2] == (name, kind)]
            means = [100 * np.mean([s[m] for s in some]) for m in ("skae", *OTHERS)]
            for method, s in zip(("skae", *OTHERS), means, strict=True):
                figures.add("anomalies", f"{name}, {kind}", method, [s])
            rows.append((f"{name}, {kind}", *means))
    overall = np.mean([row[1:] for row in rows], axis=0)
    rows.append(("mean", *overall))
    spec = [(row[0], *(format(value, ".1f") for value in row[1:])) for row in rows]
    print_table("AUROC, %", ["injected into", "skae", *OTHERS], spec)
    best = {other: overall[0] - value for other, value in zip(OTHERS, overall[1:], strict=True)}
    return [(f"AUROC above {other}, points", ">=", 3, gain) for other, gain in best.items()]


def print_reasons(results, figures):
    rows, shares = [], {}
    for kind in (*PLANTS, "both"):
        for how in ("marked", "selected"):
            some = [r[3][how] for r in results if kind in (r[1], "both")]
            found, named, number = np.sum(some, axis=0)
            shares[kind, how] = 100 * named / found
            figures.add("reasons", kind, how, [shares[kind, how]])
            rows.append((f"{kind}, {how}", f"{found} of {number}", f"{shares[kind, how]:.1f}"))
    print_table("A corrupted column is named first", ["rows", "found", "named, %"], rows)
    return [
        (f"named first, {kind}, {how}, %", ">=", 80, share)
        for (kind, how), share in shares.items()
    ]


def print_promises(results, figures):
    rows = []
    for name in dict.fromkeys(r[0] for r in results):
        shares = [
            100 * np.mean([r[2] for r in results if r[:2] == (name, novelty)])
            for novelty in (False, True)
        ]
        figures.add("promises", name, "marked", shares)
        rows.append((name, *(format(share, ".1f") for share in shares)))
    print_table("New clean rows that are marked, %", ["table", "default", "novelty"], rows)
    most = max(float(share) for row in rows for share in row[1:])
    return [("clean rows marked, %, at most", "<=", 9, most)]


def parser_of_tables(description, parts, names):
    """Command line of a script on tables of these names."""
    parser = parse(description, 1, parts)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--tables", nargs="+", choices=list(names), default=list(names))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--max-rows", type=int, default=MOST_ROWS)
    return parser


def arguments(parser):
    """Arguments, and `params` of the detector, which are its defaults unless it is quick."""
    args = parser.parse_args()
    args.params = {}
    if args.quick:
        args.params = {"hidden_layer_sizes": (16,), "n_steps": 50}
        args.seeds, args.max_rows = args.seeds[:1], 300
    return args


def main():
    args = arguments(parser_of_tables(__doc__, PARTS, NAMES))
    print_machine(args.quick)
    figures, bars = Figures(), []
    if {"anomalies", "reasons"} & set(args.parts):
        results = list(injected(args, args.tables))
        if "anomalies" in args.parts:
            bars += print_anomalies(results, figures)
        if "reasons" in args.parts:
            bars += print_reasons(results, figures)
    if "promises" in args.parts:
        bars += print_promises(list(promises(args, args.tables)), figures)
    if "sizes" in args.parts:
        ap, named = np.mean(list(sizes(args)), axis=0)
        bars += [("average precision of absurd diamonds", ">=", 0.995, ap)]
        bars += [("absurd diamonds of which a side is named first, %", ">=", 80, 100 * named)]
    print_bars(bars, figures)
    figures.save(args.output)


if __name__ == "__main__":
    main()
