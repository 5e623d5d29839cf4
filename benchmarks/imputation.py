"""Imputation of tables: skae's imputer and the usual ones.

Values of complete tables are removed and imputed: completely at random (MCAR), by the value of
another column (MAR), by their own value (MNAR). Figures are the normalised RMSE of the numbers
(over the removed values of a column, divided by the column's standard deviation, then the mean
over columns), the error rate of the categories, and seconds.

    python benchmarks/imputation.py --data FOLDER [--results FILE.csv]
    python benchmarks/imputation.py --sizes 2000x100 2000x1000
    python benchmarks/imputation.py --data FOLDER --odds --seeds 0

FOLDER holds `adbench/*.npz` (https://github.com/Minqi824/ADBench, "Classical" tables) and
`tables/*.csv` (https://github.com/mwaskom/seaborn-data). Results that FILE.csv has
already are not measured again. `--sizes` makes tables of many columns (or rows), the hyperbolic
tangents of ten factors and noise, and removes a tenth of the values at random; seconds of the
clock, and of the processor in all threads, are given without imports. `--odds` compares the
error of AEImputer with that without the odds of values to be missing, by which it weights rows.
"""

import argparse
import csv
import os
import time
import warnings
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer

from _common import print_table
from _imputation_data import MIXED, NUMERIC, REMOVALS, errors, read_table, removed

FIELDS = ("table", "removal", "seed", "side", "nrmse", "error", "seconds")
FOREST = "IterativeImputer(ExtraTrees)"


class Coded:
    """One-hot or ordinal encoding of categories, numbers standardised; and its inverse."""

    def __init__(self, frame, one_hot):
        self.frame, self.one_hot = frame, one_hot
        self.kinds = {c: frame[c].dtype == "category" for c in frame}

    def array(self):
        """Encode a data frame."""
        parts = []
        for name, is_category in self.kinds.items():
            column = self.frame[name]
            if not is_category:
                parts.append((column - column.mean()) / (column.std() or 1.0))
                continue
            codes = column.cat.codes.to_numpy().astype(float)
            codes[codes < 0] = np.nan
            if self.one_hot:
                n_categories = len(column.cat.categories)
                one_hot = (codes[:, None] == np.arange(n_categories)).astype(float)
                one_hot[np.isnan(codes)] = np.nan
                parts += list(one_hot.T)
            else:
                parts.append(codes)
        return np.column_stack(parts)

    def frame_of(self, Z):
        """Decode an imputed matrix to a data frame."""
        filled, at = {}, 0
        for name, is_category in self.kinds.items():
            column = self.frame[name]
            if not is_category:
                filled[name] = Z[:, at] * (column.std() or 1.0) + column.mean()
                at += 1
                continue
            n_categories = len(column.cat.categories)
            if self.one_hot:
                codes = Z[:, at : at + n_categories].argmax(axis=1)
                at += n_categories
            else:
                codes = Z[:, at].round().clip(0, n_categories - 1).astype(int)
                at += 1
            filled[name] = pd.Categorical.from_codes(codes, column.cat.categories)
        return pd.DataFrame(filled)


class TreesOfKind(RegressorMixin, BaseEstimator):
    """Extra trees: a classifier where the target has whole numbers only (categories).

    A third of the columns is tried at each split, for categories the square root, as in
    missForest, which is better here than all, and faster. Standardised numbers are hardly ever
    whole, so categories are recognized by this.
    """

    def __init__(self, n_estimators=100, n_jobs=None, random_state=None):
        self.n_estimators = n_estimators
        self.n_jobs = n_jobs
        self.random_state = random_state

    def fit(self, X, y):
        """Fit a classifier or a regressor, by the target."""
        few = (y == np.round(y)).all()
        kind = ExtraTreesClassifier if few else ExtraTreesRegressor
        self.forest_ = kind(
            self.n_estimators,
            max_features="sqrt" if few else 1 / 3,
            n_jobs=self.n_jobs,
            random_state=self.random_state,
        ).fit(X, y)
        return self

    def predict(self, X):
        """Predict categories or numbers."""
        return self.forest_.predict(X)


def simple(frame, seed, n_jobs):
    """Mean or most frequent category."""
    return frame.apply(
        lambda c: c.fillna(c.mode()[0]) if c.dtype == "category" else c.fillna(c.mean())
    )


def coded(one_hot, make):
    """Run a scikit-learn imputer on encoded columns."""

    def fill(frame, seed, n_jobs):
        code = Coded(frame, one_hot)
        return code.frame_of(make(seed, n_jobs).fit_transform(code.array()))

    return fill


def forest(seed, n_jobs):
    """missForest with extra trees; more rounds gain nothing."""
    trees = TreesOfKind(n_jobs=n_jobs, random_state=seed)
    return IterativeImputer(trees, max_iter=3, random_state=seed)


def ours(frame, seed, n_jobs):
    """Run AEImputer on data frames, or on arrays for tables of numbers."""
    from skae import AEImputer

    imputer = AEImputer(random_state=seed)
    if (frame.dtypes == "category").any():
        return imputer.fit_transform(frame)
    return pd.DataFrame(imputer.fit_transform(frame.to_numpy()), columns=frame.columns)


SIDES = {
    "AEImputer": ours,
    "SimpleImputer": simple,
    "KNNImputer": coded(True, lambda seed, n_jobs: KNNImputer()),
    "IterativeImputer(BayesianRidge)": coded(
        True, lambda seed, n_jobs: IterativeImputer(random_state=seed)
    ),
    FOREST: coded(False, forest),
}


def measure(frame, gone, side, seed, n_jobs=1):
    """Errors and seconds of one imputer."""
    incomplete = frame.mask(gone)
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        filled = SIDES[side](incomplete, seed, n_jobs)
    seconds = time.perf_counter() - start
    numbers, categories = errors(frame, filled, gone)
    return {
        "nrmse": np.mean(list(numbers.values())) if numbers else None,
        "error": np.mean(list(categories.values())) if categories else None,
        "seconds": seconds,
    }


class Results:
    """Rows of FIELDS, in a file if there is one."""

    def __init__(self, path):
        self.path, self.rows = path, []
        if path and path.exists():
            with open(path, newline="") as file:
                self.rows = [_read(row) for row in csv.DictReader(file)]
        self.known = {tuple(row[f] for f in FIELDS[:4]) for row in self.rows}

    def add(self, row):
        """Append a row."""
        self.rows.append(row)
        if self.path:
            new = not self.path.exists()
            with open(self.path, "a", newline="") as file:
                writer = csv.DictWriter(file, FIELDS)
                if new:
                    writer.writeheader()
                writer.writerow(row)


def _read(row):
    numbers = {k: float(row[k]) if row[k] else None for k in FIELDS[4:]}
    return row | numbers | {"seed": int(row["seed"])}


def run(args, results):
    """Measure all tables, mechanisms, seeds and imputers that are not in the results yet."""
    for seed in args.seeds:
        for name in args.tables:
            frame = read_table(args.data, name, args.rows, seed)
            for removal in REMOVALS:
                gone = removed(frame, removal, seed)
                for side in args.sides:
                    at = (name, removal, seed, side)
                    if at in results.known:
                        continue
                    figures = measure(frame, gone, side, seed)
                    results.add(dict(zip(FIELDS[:4], at, strict=True)) | figures)


def summary(results):
    """Means over tables and seeds for each removal, and mean ranks."""
    frame = pd.DataFrame(results.rows, columns=FIELDS)
    frame[["nrmse", "error"]] = frame[["nrmse", "error"]].astype(float)
    at = list(FIELDS[:3])
    sides = [side for side in SIDES if side in set(frame["side"])]
    counts = frame.groupby(at)["side"].transform("nunique")
    frame = frame[counts == len(sides)]
    for metric, what in (("nrmse", "Normalised RMSE"), ("error", "Error rate of categories")):
        wide = frame.pivot(index=at, columns="side", values=metric).dropna()[sides]
        for by in ("removal", "table"):
            means = wide.groupby(level=by, sort=False).mean()
            rows = [
                (str(k), *v)
                for k, v in zip(means.index, means.to_numpy().tolist(), strict=True)
            ]
            if by == "removal":
                rows.append(("mean", *wide.mean().tolist()))
                rows.append(("mean rank", *wide.rank(axis=1).mean().tolist()))
            print_table(f"{what}, {len(wide)} tasks", ["", *sides], rows)
    seconds = frame.groupby("side")["seconds"].agg(["median", "max"]).loc[sides]
    rows = [(k, *v) for k, v in zip(seconds.index, seconds.to_numpy().tolist(), strict=True)]
    print_table("Seconds, one after the other", ["", "median", "most"], rows)


def speed(args):
    """Seconds with all cores at 10,000 rows: of a first fit, but without imports."""
    import keras  # noqa: F401

    rows = []
    for name in ("22_magic.gamma", "diamonds"):
        frame = read_table(args.data, name, 10_000, 0)
        gone = removed(frame, "MCAR 30 %", 0)
        for side in args.sides:
            figures = measure(frame, gone, side, 0, n_jobs=-1)
            rows.append((name, side, *(figures[k] for k in FIELDS[4:])))
    print_table("10,000 rows, 30 % removed at random", ["", "side", *FIELDS[4:]], rows)


def odds(args):
    """Errors of one fit, with near rows weighted by the odds of their values, and without.

    The method was chosen on half a of the tables.
    """
    from dataclasses import replace

    from skae import AEImputer

    found = []
    for name in args.tables:
        for removal in ("MCAR 30 %", "MAR 30 %", "MNAR 30 %"):
            for seed in args.seeds:
                frame = read_table(args.data, name, args.rows, seed)
                gone = removed(frame, removal, seed)
                is_mixed = (frame.dtypes == "category").any()
                X = frame.mask(gone) if is_mixed else frame.mask(gone).to_numpy()
                imputer = AEImputer(random_state=seed).fit(X)
                models, row = imputer._imputation.fold_models, [name, removal]
                for scale in (0, 0.5, 0.75, 1):
                    fitted = list(models)
                    for model in fitted:
                        tilt = model.neighbors.log_odds
                        tilt = None if tilt is None or not scale else np.float32(scale) * tilt
                        neighbors = replace(model.neighbors, log_odds=tilt)
                        models[models.index(model)] = replace(model, neighbors=neighbors)
                    filled = imputer.transform(X)
                    if not is_mixed:
                        filled = pd.DataFrame(filled, columns=frame.columns)
                    row.append(np.mean(list(errors(frame, filled, gone)[0].values())))
                    models[:] = fitted
                found.append(row)
    names = ["without", "half", "three quarters", "odds"]
    found = pd.DataFrame(found, columns=["table", "removal", *names])
    half_a = [*sorted(NUMERIC)[::2], "diamonds", "penguins"]
    found["part"] = np.where(found["table"].isin(half_a), "half a", "half b")
    for by in ("part", "table"):
        means = found.groupby(["removal", by], sort=False)[names].mean()
        means["difference, %"] = 100 * (means["odds"] / means["without"] - 1)
        rows = [
            (", ".join(at), *v) for at, v in zip(means.index, means.to_numpy(), strict=True)
        ]
        print_table(f"Values missing by their size, by {by}", ["", *means.columns], rows)


def made_table(n_rows, n_columns, seed=0):
    """Tangents of ten factors, with noise."""
    rng = np.random.RandomState(seed)
    factors, mixing = rng.normal(size=(n_rows, 10)), rng.normal(size=(10, n_columns))
    noise = 0.3 * rng.normal(size=(n_rows, n_columns))
    return pd.DataFrame(np.tanh(0.5 * factors @ mixing) + noise).add_prefix("x")


def sizes(args):
    """Errors and seconds on made tables of some sizes."""
    ours(made_table(200, 5).mask(np.eye(200, 5, dtype=bool)), 0, 1)  # imports
    rows = []
    for size in args.sizes:
        frame = made_table(*map(int, size.split("x")))
        gone = removed(frame, "MCAR 10 %", 0)
        for side in args.sides:
            before = time.process_time()
            figures = measure(frame, gone, side, 0)
            processor = time.process_time() - before
            rows.append((size, side, figures["nrmse"], figures["seconds"], processor))
            print(*rows[-1], flush=True)
    columns = ["size", "side", "nrmse", "seconds", "processor, s"]
    print_table("Made tables, 10 % removed at random", columns, rows)


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--tables", nargs="+", default=[*MIXED, *NUMERIC])
    parser.add_argument("--sides", nargs="+", default=list(SIDES), choices=list(SIDES))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument(
        "--rows", type=int, default=2000, help="maximum number of rows of a table"
    )
    parser.add_argument("--results", type=Path, help="file of results")
    parser.add_argument("--speed", action="store_true", help="only the seconds at 10,000 rows")
    parser.add_argument("--sizes", nargs="+", help="only made tables, such as 2000x100")
    parser.add_argument("--odds", action="store_true", help="only AEImputer's odds, on and off")
    args = parser.parse_args()
    if args.sizes:
        sizes(args)
        return
    if args.data is None:
        parser.error("--data FOLDER is needed, but with --sizes")
    if args.speed or args.odds:
        (speed if args.speed else odds)(args)
        return
    results = Results(args.results)
    run(args, results)
    summary(results)


if __name__ == "__main__":
    main()
