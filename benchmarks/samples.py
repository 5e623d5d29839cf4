"""Sampled and real rows: `VAETransformer` with both kinds of sampling, and mixtures.

Half of the rows of each table, at most 2,000, are fitted to, and as many others are real rows.
Each method samples as many rows, and a random forest classifies sampled and real rows:
`skae.metrics.two_sample_score`, the AUC by threefold cross-validation; 0.5: indistinguishable,
1: always distinguished. Beside it the share of sampled rows that are as near to a training row
as the nearest twentieth of real rows, %: `skae.metrics.closest_record_share`.

- residuals: `VAETransformer` of the size of `likelihood.py`, at its defaults.
- likelihood: the same network with ``sampling="likelihood"``; "normal": with the standard
  normal as prior, too.
- mixture of rows: `GaussianMixture` of 2 to 20 components, chosen by BIC, on the data, or of a
  mixed table on the matrix of `TabularEncoder`, which decodes what it samples.

Of numbers also the mean log-likelihood of a real row in nats, after standardization. Of mixed
tables (rows with missing values, names and nearly empty columns left out) also the AUC of
`HistGradientBoostingClassifier` for a column of the table on real rows, trained on as many
training rows ("real") or sampled ones. "people" and "orders" are made by the script: columns
that are zero in most rows, two that are never positive together, columns that determine each
other, an end after its start, a total that is a sum.

Then half of the columns of each of 1,000 real rows, at random, are drawn given the others, with
``sample(given=...)`` of both kinds of sampling, and by

- mixture of rows: its conditional distribution;
- hot deck: the values of one of the 5 nearest training rows, at random;
- imputer: `AEImputer.sample`, fitted to the training rows;
- not given: the values of a row of `VAETransformer.sample`.

The forest classifies such rows and the other real ones; and five draws of each value are
compared with the real one by the continuous ranked probability score (CRPS, in its unbiased
energy form), of numbers in standard deviations, of categories with a distance of one.

    python benchmarks/samples.py --data FOLDER [--results FILE.csv]

FOLDER holds `adbench/*.npz` (https://github.com/Minqi824/ADBench, "Classical" tables) and
`tables/*.csv` (titanic, penguins, mpg and diamonds of seaborn). Tables of fewer than 500
training rows are split and fitted five times: among so few rows the share near a training row
has a standard error of more than two points, which is printed beside the mean. Splits that
FILE.csv has already are not measured again.
"""

import argparse
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.linalg import cho_factor, cho_solve
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import roc_auc_score
from sklearn.mixture import GaussianMixture
from sklearn.preprocessing import StandardScaler

from _common import Figures, note, print_bars, print_table
from likelihood import MIXTURES, SIZE
from skae import AEImputer, VAETransformer
from skae.metrics import closest_record_share, two_sample_score
from skae.tables import TabularEncoder

NUMBERS = ("vowels", "pendigits", "magic.gamma", "satellite", "cardio", "wine")
# The column that is predicted, and columns that are left out.
MIXED = {
    "titanic": ("survived", ["deck", "alive"]),
    "penguins": ("species", []),
    "mpg": ("origin", ["name"]),
    "diamonds": ("cut", []),
}
MOST_ROWS = 2000
# Splits of tables with fewer training rows.
SPLITS, FEW_ROWS = 5, 500
# Rows with values that are drawn given others, draws of each, and rows of the hot deck.
GIVEN_ROWS, DRAWS, DONORS = 1000, 5, 5


def people(rng, n):
    """Rows like those of a census: spikes, two columns never positive together, a code."""
    level = rng.choice(5, n, p=[0.1, 0.35, 0.3, 0.17, 0.08])
    age = (17 + rng.gamma(3.0, 7.5, n)).clip(17, 90).astype(int)
    hours = np.where(rng.uniform(size=n) < 0.5, 40, rng.normal(38 + level, 12, n))
    score = 0.05 * (age - 40) + level - 2.2 + 0.03 * (hours - 40)
    rich = rng.uniform(size=n) < 1 / (1 + np.exp(-score))
    kind = np.where(rng.uniform(size=n) < 0.07 + 0.1 * rich, 1, 0)
    kind = np.where((kind == 0) & (rng.uniform(size=n) < 0.05), 2, kind)
    amount = np.exp(rng.normal(8 + rich, 0.8, n)).round(0)
    names = np.array(["basic", "school", "college", "bachelor", "master"])
    return pd.DataFrame(
        {
            "age": age,
            "education": names[level],
            "education_years": np.array([8, 12, 13, 16, 18])[level],
            "hours": hours.clip(1, 99).astype(int),
            "gain": np.where(kind == 1, amount, 0.0),
            "loss": np.where(kind == 2, amount / 4, 0.0).round(0),
            "married": rng.uniform(size=n) < 1 / (1 + np.exp(-(age - 32) / 8)),
            "income": np.where(rich, "high", "low"),
        }
    )


def orders(rng, n):
    """Rows of orders: an end after its start, a total that is a sum, a discount rarely."""
    start = pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.randint(0, 365, n), unit="D")
    kind = rng.choice(["standard", "express", "pickup"], n, p=[0.6, 0.25, 0.15])
    mean = pd.Series(kind).map({"standard": 5.0, "express": 1.0, "pickup": 0.2}).to_numpy()
    items = np.exp(rng.normal(3.5, 0.9, n)).round(2)
    fee = pd.Series(kind).map({"standard": 4.9, "express": 12.9, "pickup": 0.0}).to_numpy()
    fee = np.where(items > 60, 0.0, fee)
    discount = np.where(rng.uniform(size=n) < 0.15, (0.1 * items).round(2), 0.0)
    return pd.DataFrame(
        {
            "ordered": start,
            "delivered": start + pd.to_timedelta(rng.poisson(mean, n) + 1, unit="D"),
            "kind": kind,
            "items": items,
            "fee": fee,
            "discount": discount,
            "total": (items + fee - discount).round(2),
            "returned": np.where(rng.uniform(size=n) < 0.08 + 0.2 * (items > 90), "yes", "no"),
        }
    )


MADE = {"people": (people, "income"), "orders": (orders, "returned")}


def load(name, folder, seed):
    """Training rows, real rows, and the column that is predicted or None."""
    rng, target = np.random.RandomState(seed), None
    if name in MADE:
        make, target = MADE[name]
        rows = make(np.random.RandomState(100 + seed), 2 * MOST_ROWS)
    elif name in MIXED:
        target, left_out = MIXED[name]
        rows = pd.read_csv(Path(folder, "tables", f"{name}.csv")).drop(columns=left_out)
        rows = rows.dropna().reset_index(drop=True)
        rows[target] = rows[target].astype(str)
    else:
        (path,) = Path(folder, "adbench").glob(f"*_{name}.npz")
        table = np.load(path)
        rows = np.asarray(table["X"], np.float64)[table["y"] == 0]
    chosen = rng.permutation(len(rows))[: 2 * MOST_ROWS]
    halves = np.array_split(chosen, 2)
    if isinstance(rows, pd.DataFrame):
        train, real = (rows.iloc[half].reset_index(drop=True) for half in halves)
        return train, real, target
    train, real = (rows[half] for half in halves)
    varies = train.std(axis=0) > 0
    scale = StandardScaler().fit(train[:, varies])
    return scale.transform(train[:, varies]), scale.transform(real[:, varies]), None


class MixtureOfRows:
    """Gaussian mixture of rows or of the matrix of a table, of the size that BIC chooses."""

    def __init__(self, rows, seed):
        self.encoder = None
        if isinstance(rows, pd.DataFrame):
            self.encoder = TabularEncoder().fit(rows)
            rows = self.encoder.transform(rows)
        sizes = [k for k in MIXTURES if k < len(rows)]
        fitted = [GaussianMixture(k, reg_covar=1e-4, random_state=seed) for k in sizes]
        self.mixture = min(fitted, key=lambda mixture: mixture.fit(rows).bic(rows))

    def sample(self, n_samples, random_state):
        rows, _ = self.mixture.set_params(random_state=random_state).sample(n_samples)
        return rows if self.encoder is None else self.encoder.inverse_transform(rows)

    def sample_given(self, rows, given, rng):
        """Rows, (n_rows, n_columns), with values drawn where the mask `given` is False."""
        Z, mask = matrix(self.encoder, rows, given)
        mixture, draws = self.mixture, [Z.copy() for _ in range(DRAWS)]
        for i, known in enumerate(mask):
            parts = []
            for mean, covariance in zip(mixture.means_, mixture.covariances_, strict=True):
                factor = cho_factor(covariance[np.ix_(known, known)], lower=True)
                residual = Z[i, known] - mean[known]
                solved = cho_solve(factor, residual)
                size = np.log(np.diagonal(factor[0])).sum()
                parts.append((-0.5 * residual @ solved - size, factor, solved))
            weight = np.log(mixture.weights_) + [part[0] for part in parts]
            weight = np.exp(weight - weight.max())
            share = weight / weight.sum()
            for drawn in draws:
                k = rng.choice(len(share), p=share)
                mean, covariance = mixture.means_[k], mixture.covariances_[k]
                slope = covariance[np.ix_(~known, known)]
                rest = covariance[np.ix_(~known, ~known)]
                rest = rest - slope @ cho_solve(parts[k][1], slope.T)
                variance, axes = np.linalg.eigh(rest)
                noise = np.sqrt(variance.clip(0)) * rng.standard_normal(len(variance))
                drawn[i, ~known] = mean[~known] + slope @ parts[k][2] + axes @ noise
        if self.encoder is not None:
            draws = [self.encoder.inverse_transform(drawn) for drawn in draws]
        return [joined(rows, given, drawn) for drawn in draws]


def matrix(encoder, rows, given):
    """Rows as numbers, and the mask of given values for these."""
    if encoder is None:
        return np.asarray(rows), given
    of = np.zeros(encoder.n_numbers, int)
    for j, block in enumerate(encoder.blocks_):
        of[block.start : block.stop] = j
    return encoder.transform(rows), given[:, of]


def joined(rows, given, drawn):
    """Real rows where values are given, and drawn ones elsewhere."""
    if isinstance(rows, np.ndarray):
        return np.where(given, rows, drawn)
    drawn = drawn.set_axis(rows.columns, axis=1).reset_index(drop=True)
    return pd.DataFrame(
        {
            name: drawn[name].astype(rows[name].dtype).where(~given[:, j], rows[name])
            for j, name in enumerate(rows)
        }
    )


class HotDeck:
    """Values of one of the nearest training rows by the given columns."""

    def __init__(self, train):
        self.encoder = TabularEncoder().fit(train) if isinstance(train, pd.DataFrame) else None
        self.train = train
        self.Z = train if self.encoder is None else self.encoder.transform(train)

    def sample_given(self, rows, given, rng):
        Z, mask = matrix(self.encoder, rows, given)
        donors = []
        for row, known in zip(Z, mask, strict=True):
            squares = np.square(self.Z[:, known] - row[known]).sum(axis=1)
            donors.append(rng.choice(np.argsort(squares)[:DONORS], DRAWS))
        is_frame = isinstance(rows, pd.DataFrame)
        return [
            joined(rows, given, self.train.iloc[index] if is_frame else self.train[index])
            for index in np.transpose(donors)
        ]


def as_numbers(rows, real):
    """Columns of rows in units of distance, (n_rows, n_columns), and which are categories."""
    if isinstance(rows, np.ndarray):
        return rows / real.std(axis=0), np.zeros(rows.shape[1], bool)
    columns, are_categories = [], []
    for name in real:
        is_time = real[name].dtype.kind == "M"
        is_number = real[name].dtype.kind in "iuf"
        if is_time or is_number:
            values, others = (
                rows_[name].astype("int64" if is_time else "float64").to_numpy(float)
                for rows_ in (rows, real)
            )
            columns.append(values / others.std())
        else:
            known = {value: i for i, value in enumerate(sorted(set(map(str, real[name]))))}
            columns.append(rows[name].astype(str).map(known).fillna(-1).to_numpy(float))
        are_categories.append(not (is_time or is_number))
    return np.column_stack(columns), np.array(are_categories)


def crps(draws, real, given):
    """Mean continuous ranked probability score of the values that were drawn."""
    truth, are_categories = as_numbers(real, real)
    values = [as_numbers(drawn, real)[0] for drawn in draws]

    def distance(a, b):
        between = np.abs(a - b)
        return np.where(are_categories, between > 0, between)[~given].mean()

    n = len(values)
    pairs = [distance(values[i], values[j]) for i in range(n) for j in range(i)]
    return np.mean([distance(value, truth) for value in values]) - np.mean(pairs) / 2


def given_half(vae, mixture, train, real, seed):
    """Figures of rows of which half of the columns are drawn given the others."""
    rng, n_columns = np.random.RandomState(seed), real.shape[1]
    rows, others = real[: len(real) // 2], real[len(real) // 2 :]
    rows = rows[:GIVEN_ROWS]
    others = others.reset_index(drop=True) if isinstance(real, pd.DataFrame) else others
    order = rng.uniform(size=(len(rows), n_columns)).argsort(axis=1)
    given = order < (n_columns + 1) // 2
    if isinstance(rows, pd.DataFrame):
        holed = pd.DataFrame({n: rows[n].where(given[:, j]) for j, n in enumerate(rows)})
    else:
        holed = np.where(given, rows, np.nan)
    draws, residuals = {}, vae._residuals

    def of_vae():
        seeds = range(seed, seed + DRAWS)
        return [vae.sample(random_state=each, given=holed) for each in seeds]

    draws["residuals"] = [joined(rows, given, drawn) for drawn in of_vae()]
    vae._residuals = None
    draws["likelihood"] = [joined(rows, given, drawn) for drawn in of_vae()]
    vae._residuals = residuals
    for name, method in (("mixture of rows", mixture), ("hot deck", HotDeck(train))):
        draws[name] = method.sample_given(rows, given, rng)
    imputer = AEImputer(random_state=seed).fit(train)
    drawn = imputer.sample(holed, DRAWS, random_state=seed)
    draws["imputer"] = [joined(rows, given, each) for each in drawn]
    draws["not given"] = [
        joined(rows, given, vae.sample(len(rows), random_state=seed + i)) for i in range(DRAWS)
    ]
    figures = {}
    for method, drawn in draws.items():
        score = two_sample_score(others, drawn[0], random_state=seed)
        figures[f"given, AUC, {method}"] = score
        figures[f"given, CRPS, {method}"] = crps(drawn, rows, given)
        near = closest_record_share(train, others, drawn[0])
        figures[f"given, near, {method}"] = 100 * near
    return figures


def usefulness(rows, real, target):
    """AUC on real rows of a classifier of one column that is fitted to other rows."""
    both = pd.concat([rows.astype(real.dtypes.to_dict()), real], ignore_index=True)
    X, y = both.drop(columns=target), both[target]
    for name in X.select_dtypes(["datetime", "datetimetz"]):
        X[name] = X[name].astype("int64")
    for name in X.select_dtypes(exclude="number"):
        X[name] = X[name].astype("category")
    train = np.arange(len(both)) < len(rows)
    model = HistGradientBoostingClassifier(categorical_features="from_dtype", random_state=0)
    share = model.fit(X[train], y[train]).predict_proba(X[~train])
    if share.shape[1] == 2:
        share = share[:, 1]
    known = np.isin(y[~train], model.classes_)
    return roc_auc_score(y[~train][known], share[known], multi_class="ovr")


def evaluate(name, folder, seed):
    """Figures of a table and a split, by name."""
    train, real, target = load(name, folder, seed)
    size = max(min(SIZE, 2 * train.shape[1] // 3), 2)
    vae = VAETransformer(size, random_state=seed).fit(train)
    figures = {"rows": len(train), "columns": train.shape[1]}
    rows, prior, residuals = {}, vae.prior_, vae._residuals
    rows["residuals"] = vae.sample(len(real), random_state=seed)
    vae._residuals = None  # as with sampling="likelihood"
    rows["likelihood"] = vae.sample(len(real), random_state=seed)
    if target is None:
        figures["nats, mixture prior"] = vae.score(real)
        vae.prior_ = None
        rows["normal"] = vae.sample(len(real), random_state=seed)
        figures["nats, normal prior"] = vae.score(real)
    vae.prior_, vae._residuals = prior, residuals
    mixture = MixtureOfRows(train, seed)
    if target is None:
        figures["nats, mixture of rows"] = mixture.mixture.score(real)
    rows["mixture of rows"] = mixture.sample(len(real), seed)
    if target is not None:
        figures["useful, real"] = usefulness(train, real, target)
    for method, sampled in rows.items():
        figures[f"AUC, {method}"] = two_sample_score(real, sampled, random_state=seed)
        near = closest_record_share(train, real, sampled)
        figures[f"near, {method}"] = 100 * near
        if target is not None and method in ("residuals", "mixture of rows"):
            figures[f"useful, {method}"] = usefulness(sampled, real, target)
    return figures | given_half(vae, mixture, train, real, seed)


def line(name, figures, keys):
    """A row of a table; numbers of rows, shares in %, and others."""
    cells = []
    for key in keys:
        value = figures.get(key)
        form = "{:.0f}" if key in ("rows", "columns") else "{:.2f}"
        form = "{:.1f}" if "near" in key else form
        cells.append("" if value is None else form.format(value))
    return [name, *cells]


def bars_of(results):
    """Bars of the rows that are sampled by residuals, if all tables were measured."""
    auc, near = (
        [figures[f"{key}, residuals"] for figures in results.values()]
        for key in ("AUC", "near")
    )
    lost = [
        figures["useful, real"] - figures["useful, residuals"]
        for figures in results.values()
        if "useful, real" in figures
    ]
    near_claim = "rows near a training row, worst of twelve tables, %"
    lost_claim = "AUC for a column of real rows, real less sampled rows, mean of six tables"
    bars = [
        ("AUC of a forest, mean of twelve tables", "<=", 0.7, np.mean(auc)),
        ("AUC of a forest, worst of twelve tables", "<=", 0.8, max(auc)),
        (near_claim, "<=", 7, max(near)),
        (lost_claim, "<=", 0.03, np.mean(lost) if lost else None),
    ]
    are_all = len(results) == len([*NUMBERS, *MIXED, *MADE])
    return [(*bar, measured if are_all else None) for *bar, measured in bars]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="folder with adbench/ and tables/")
    parser.add_argument("--seeds", type=int, default=1, help="splits of the larger tables")
    parser.add_argument("--only", nargs="*", default=[*NUMBERS, *MIXED, *MADE])
    parser.add_argument("--results", type=Path, help="file of results")
    options = parser.parse_args()
    # Mixtures with many components on few rows warn that they do not converge.
    warnings.simplefilter("ignore", ConvergenceWarning)
    found, results = [], {}
    if options.results and options.results.exists():
        found = pd.read_csv(options.results).to_dict("records")
    known = {(row["table"], row["seed"]) for row in found}
    for name in options.only:
        is_small = len(load(name, options.data, 0)[0]) < FEW_ROWS
        for seed in range(max(options.seeds, SPLITS) if is_small else options.seeds):
            if (name, seed) in known:
                continue
            figures = evaluate(name, options.data, seed)
            found += [
                {"table": name, "seed": seed, "figure": key, "value": value}
                for key, value in figures.items()
            ]
            note(name, seed, {key: round(value, 3) for key, value in figures.items()})
            if options.results:
                pd.DataFrame(found).to_csv(options.results, index=False)
    for name, part in pd.DataFrame(found).groupby("table", sort=False):
        runs = part.pivot(index="seed", columns="figure", values="value")
        results[name] = runs[part["figure"].unique()].mean().to_dict()
        if len(runs) > 1:
            results[name]["near, standard error"] = runs["near, residuals"].sem()
    bars = bars_of(results)
    keys = {key: None for figures in results.values() for key in figures}
    results["mean"] = {
        key: float(np.mean([f[key] for f in results.values() if key in f]))
        for key in keys
        if key != "near, standard error"
    }
    for title, start in (
        ("AUC of a forest", ("rows", "columns", "AUC")),
        ("Share near a training row, %", ("near",)),
        ("Nats of a real row", ("nats",)),
        ("AUC for a column of real rows", ("useful",)),
        ("AUC of a forest, half of the columns given", ("given, AUC",)),
        ("CRPS of values, half of the columns given", ("given, CRPS",)),
        ("Share near a training row, %, half of the columns given", ("given, near",)),
    ):
        chosen = [key for key in keys if key.startswith(start)]
        shown = [n for n, f in results.items() if any(k in f for k in chosen)]
        header = ["table", *(key.rpartition(", ")[2] for key in chosen)]
        print_table(title, header, [line(n, results[n], chosen) for n in shown])
    print_bars(bars, Figures())


if __name__ == "__main__":
    main()
