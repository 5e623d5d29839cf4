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

    python benchmarks/samples.py --data FOLDER

FOLDER holds `adbench/*.npz` (https://github.com/Minqi824/ADBench, "Classical" tables) and
`tables/*.csv` (titanic, penguins, mpg and diamonds of seaborn).
"""

import argparse
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import roc_auc_score
from sklearn.mixture import GaussianMixture
from sklearn.preprocessing import StandardScaler

from _common import print_table
from likelihood import MIXTURES, SIZE
from skae import VAETransformer
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
    return figures


def line(name, figures, keys):
    """A row of a table; numbers of rows, shares in %, and others."""
    cells = []
    for key in keys:
        value = figures.get(key)
        form = "{:.0f}" if key in ("rows", "columns") else "{:.2f}"
        form = "{:.1f}" if key.startswith("near") else form
        cells.append("" if value is None else form.format(value))
    return [name, *cells]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="folder with adbench/ and tables/")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--only", nargs="*", default=[*NUMBERS, *MIXED, *MADE])
    options = parser.parse_args()
    # Mixtures with many components on few rows warn that they do not converge.
    warnings.simplefilter("ignore", ConvergenceWarning)
    results = {}
    for name in options.only:
        runs = [evaluate(name, options.data, seed) for seed in range(options.seeds)]
        results[name] = {key: float(np.mean([run[key] for run in runs])) for key in runs[0]}
        print(name, {k: round(v, 3) for k, v in results[name].items()}, flush=True)
    keys = {key: None for figures in results.values() for key in figures}
    results["mean"] = {
        key: float(np.mean([f[key] for f in results.values() if key in f])) for key in keys
    }
    for title, start in (
        ("AUC of a forest", ("rows", "columns", "AUC")),
        ("Share near a training row, %", ("near",)),
        ("Nats of a real row", ("nats",)),
        ("AUC for a column of real rows", ("useful",)),
    ):
        chosen = [key for key in keys if key.startswith(start)]
        shown = [n for n, f in results.items() if any(k in f for k in chosen)]
        header = ["table", *(key.rpartition(", ")[2] for key in chosen)]
        print_table(title, header, [line(n, results[n], chosen) for n in shown])


if __name__ == "__main__":
    main()
