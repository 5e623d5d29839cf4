"""Codes of tables with categories and missing values, compared with PCA of the encoded table.

    python benchmarks/mixed_codes.py --data FOLDER [--seeds 3] [--parts codes speed]

Tables: Titanic, penguins, mpg and diamonds (3,000 rows), and two made from the last that look
like census tables: most columns categories, a tenth of the values missing. Three quarters of
the rows are training rows, at the defaults, and the error of the others is measured in the
columns of the table, over observed values: for numbers the root mean squared error in standard
deviations of the column, for categories the share of wrong ones. Each figure is the mean over
columns.

- codes: `AutoencoderTransformer(k)` on the table, PCA of `TabularEncoder`, and PCA of a table
  encoded by hand (numbers standardised, one-hot encoding, mean imputation; the largest value is
  decoded). Columns of more than 50 categories are omitted.
- speed: seconds of a fit on 50,000 rows of 15 columns, five of them categories, over those of
  a fit on as many numeric columns as the encoded table has; both take turns.
"""

import statistics

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from _common import clock, parse, print_table
from skae import AutoencoderTransformer
from skae.tables import TabularEncoder

SIZES = (4, 8)
_MOST_LEVELS = 50


# Tables


def tables(folder, most_rows=3000):
    """Pandas frames by name."""
    found = {}
    for name in ("titanic", "penguins", "mpg", "diamonds"):
        X = pd.read_csv(folder / "tables" / f"{name}.csv")
        texts = X.select_dtypes(exclude=["number", "bool"])
        few = [c for c in X if c not in texts or X[c].nunique() <= _MOST_LEVELS]
        found[name] = X[few].sample(min(len(X), most_rows), random_state=0)
    found["diamonds, binned"] = _binned(found["diamonds"])
    found["titanic, binned"] = _binned(found["titanic"])
    return found


def _binned(X):
    """Most numbers as ranges, a tenth of the values missing: like a census."""
    X = X.copy()
    rng = np.random.RandomState(0)
    numbers = [c for c in X.select_dtypes("number") if X[c].nunique() > 10]
    for name in numbers[1:]:
        X[name] = pd.qcut(X[name], 8, duplicates="drop").astype(str)
        X.loc[X[name] == "nan", name] = None
    return X.astype(object).where(rng.random_sample(X.shape) > 0.1).infer_objects()


# What is compared


class ByHand:
    """PCA of a table that was encoded as in tutorials."""

    def __init__(self, n_components):
        self.n_components = n_components

    def fit(self, X):
        self.numbers = list(X.select_dtypes("number"))
        self.categories = {
            c: sorted(X[c].dropna().unique()) for c in X if c not in self.numbers
        }
        self.scaler = StandardScaler().fit(X[self.numbers]) if self.numbers else None
        self.means = self._flags(X).mean()
        Z = self._matrix(X)
        self.pca = PCA(min(self.n_components, *Z.shape)).fit(Z)
        return self

    def reconstruct(self, X):
        Z = self.pca.inverse_transform(self.pca.transform(self._matrix(X)))
        n = len(self.numbers)
        decoded = pd.DataFrame(index=X.index)
        if n:
            decoded[self.numbers] = self.scaler.inverse_transform(Z[:, :n])
        for name, categories in self.categories.items():
            one_hot = Z[:, n : n + len(categories)]
            decoded[name] = np.array(categories, dtype=object)[one_hot.argmax(axis=1)]
            n += len(categories)
        return decoded[list(X)]

    def _flags(self, X):
        """One-hot encoding, missing where the value is."""
        one_hot = {
            (name, category): (X[name] == category).astype(float).where(X[name].notna())
            for name, categories in self.categories.items()
            for category in categories
        }
        return pd.DataFrame(one_hot, index=X.index)

    def _matrix(self, X):
        """Numbers standardised, one-hot columns unscaled, mean imputation."""
        one_hot = self._flags(X).fillna(self.means).to_numpy()
        if not self.numbers:
            return one_hot
        numbers = np.nan_to_num(self.scaler.transform(X[self.numbers]))
        return np.hstack([numbers, one_hot])


class Pipe:
    """PCA of `TabularEncoder`."""

    def __init__(self, n_components):
        self.n_components = n_components

    def fit(self, X):
        encoder = TabularEncoder().fit(X)
        size = min(self.n_components, encoder.transform(X[:1]).shape[1])
        self.pipe = make_pipeline(encoder, PCA(size)).fit(X)
        return self

    def reconstruct(self, X):
        return self.pipe.inverse_transform(self.pipe.transform(X))


METHODS = {
    "skae": lambda k, seed: AutoencoderTransformer(k, random_state=seed),
    "PCA of TabularEncoder": lambda k, seed: Pipe(k),
    "PCA by hand": lambda k, seed: ByHand(k),
}


def errors(X, decoded, train):
    """Error of each column, by name."""
    found = {}
    for name in X:
        there = X[name].notna().to_numpy()
        true, other = X[name][there], decoded[name][there]
        if pd.api.types.is_numeric_dtype(X[name]) and X[name].dtype != bool:
            spread = train[name].std()
            # The mean in the place of missing outputs.
            missed = true.to_numpy(float) - other.fillna(train[name].mean()).to_numpy(float)
            found[name] = float(np.sqrt(np.mean(missed**2)) / spread)
        else:
            found[name] = float((true.astype(str).to_numpy() != other.astype(str)).mean())
    return found


def codes(args):
    rows = []
    for name, X in tables(args.data, 300 if args.quick else 3000).items():
        for k in SIZES:
            for seed in range(args.seeds):
                train, test = train_test_split(X, test_size=0.25, random_state=seed)
                for method, make in METHODS.items():
                    seconds, model = clock(make(k, seed).fit, train)
                    by_column = errors(test, model.reconstruct(test), train)
                    rows.append(
                        {
                            "table": name,
                            "size": k,
                            "seed": seed,
                            "method": method,
                            "error": statistics.fmean(by_column.values()),
                            "columns": by_column,
                            "seconds": seconds,
                        }
                    )
    _show_codes(rows)
    return rows


def _show_codes(rows):
    frame = pd.DataFrame(rows)
    mean = frame.groupby(["table", "size", "method"], sort=False)["error"].mean().unstack()
    seconds = frame[frame["method"] == "skae"].groupby(["table", "size"])["seconds"].median()
    table = [
        [
            f"{name}, {k}",
            *(f"{mean.loc[(name, k), m]:.3f}" for m in METHODS),
            f"{seconds.loc[(name, k)]:.1f}",
        ]
        for name, k in mean.index
    ]
    print_table("Mean error over columns", ["table, size", *METHODS, "s"], table)
    worse = (mean["skae"] > mean[["PCA of TabularEncoder", "PCA by hand"]].min(axis=1)).sum()
    print(f"\nskae is worse than the better PCA in {worse} of {len(mean)} cases.")
    wide = frame.pivot_table(
        index=["table", "size"], columns="method", values="columns", aggfunc=_mean_of_columns
    )
    pairs = [
        (row["skae"][name] <= row["PCA by hand"][name] + 1e-9)
        for _, row in wide.iterrows()
        for name in row["skae"]
    ]
    print(f"Single columns: not worse than PCA by hand in {sum(pairs)} of {len(pairs)}.")


def _mean_of_columns(dicts):
    dicts = list(dicts)
    return {name: statistics.fmean(d[name] for d in dicts) for name in dicts[0]}


# Speed


def large_table(n_rows):
    """Ten numeric and five categorical columns, similar to diamonds."""
    rng = np.random.RandomState(0)
    code = rng.normal(size=(n_rows, 4))
    numbers = np.tanh(code @ rng.normal(size=(4, 10))) + 0.1 * rng.normal(size=(n_rows, 10))
    X = pd.DataFrame(numbers, columns=[f"n{i}" for i in range(10)])
    for i, n_categories in enumerate((2, 3, 5, 8, 12)):
        scores = code @ rng.normal(size=(4, n_categories)) + rng.gumbel(
            size=(n_rows, n_categories)
        )
        X[f"c{i}"] = np.array(list("abcdefghijkl"))[scores.argmax(axis=1)]
    return X.mask(rng.random_sample(X.shape) < 0.02)


def speed(args):
    X = large_table(2000 if args.quick else 50_000)
    Z = TabularEncoder().fit_transform(X)
    width = Z.shape[1]
    numbers = np.tile(X.filter(like="n").fillna(0).to_numpy(), 1 + width // 10)[:, :width]
    numbers += 0.1 * np.random.RandomState(1).normal(size=numbers.shape)
    sides = {"table": X, "numbers": numbers}
    params = {"max_iter": 5, "tol": None, "init": "pca", "random_state": 0}
    for rows in sides.values():  # compile
        AutoencoderTransformer(8, **params).fit(rows)
    seconds = {name: [] for name in sides}
    for _ in range(args.repeats):
        for name, rows in sides.items():
            seconds[name].append(clock(AutoencoderTransformer(8, **params).fit, rows)[0])
    median = {name: statistics.median(values) for name, values in seconds.items()}
    ratio = median["table"] / median["numbers"]
    print(
        f"\n{len(X):,} rows, {X.shape[1]} columns encoded in {width}, refit of 5 epochs: "
        f"{median['table']:.2f} s, numbers of that width {median['numbers']:.2f} s, "
        f"ratio {ratio:.2f}"
    )
    return [{"part": "speed", **median, "ratio": ratio}]


PARTS = {"codes": codes, "speed": speed}


def main():
    from pathlib import Path

    parser = parse(__doc__.split("\n")[0], repeats=3, parts=tuple(PARTS))
    parser.add_argument("--data", type=Path, required=True, help="folder with tables/*.csv")
    parser.add_argument("--seeds", type=int, default=3)
    args = parser.parse_args()
    rows = [row for part in args.parts for row in PARTS[part](args)]
    if args.output:
        pd.DataFrame(rows).to_json(args.output, orient="records", indent=1)


if __name__ == "__main__":
    main()
