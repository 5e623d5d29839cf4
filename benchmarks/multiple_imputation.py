"""Draws of missing values, as draws: skae's `sample`, and the usual multiple imputations.

Values of complete tables are removed at random (MCAR) or by another column (MAR), and each
incomplete table is completed ten times. The continuous ranked probability score (CRPS) compares
the draws of each missing number with its true value, in standard deviations of the column: the
mean distance to it minus half the mean distance between two draws. The energy distance compares
the completed rows with the true ones, in all numbers together: 0 where they have the same
distribution. The error of spread is |log(standard deviation of the completed column / of the
true one)|, a mean over columns.

Coverage: rows of a known regression, whose values are removed by the outcome; the regression is
fitted on each of ten completed tables, and the results are combined by Rubin's rules. Shares of
90 % intervals that contain the true coefficient, over the coefficients and the runs.

    python benchmarks/multiple_imputation.py --data FOLDER

FOLDER is as in `imputation.py`; `--parts coverage` needs none. Tables that `--results FILE.csv`
has already are not measured again.
"""

import argparse
import os
import time
import warnings
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pandas as pd
from scipy.spatial.distance import cdist
from scipy.stats import t as student
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer
from sklearn.metrics import nan_euclidean_distances

from _common import Figures, note, print_bars, print_table
from _imputation_data import read_table, removed
from imputation import Coded

# Half of the tables, on which changes were chosen, and the others, on which they are validated.
CHOSEN = ("22_magic.gamma", "40_vowels", "47_yeast", "14_glass", "mpg")
VALIDATED = ("28_pendigits", "6_cardio", "29_Pima", "45_wine", "diamonds")
REMOVALS = ("MCAR 30 %", "MAR 30 %")
N_DRAWS, MOST_ROWS = 10, 1000
N_RUNS, N_ROWS, CONFIDENCE = 100, 300, 0.9
# Donors of hot deck and of predictive mean matching; trees and rounds of the forests.
N_DONORS, N_TREES, N_ROUNDS = 5, 10, 5


def ours(frame, n_draws, seed):
    """Draw by AEImputer, on data frames or on arrays for tables of numbers."""
    from skae import AEImputer

    imputer = AEImputer(random_state=seed)
    if (frame.dtypes == "category").any():
        return imputer.fit(frame).sample(frame, n_draws, random_state=seed)
    X = frame.to_numpy()
    drawn = imputer.fit(X).sample(X, n_draws, random_state=seed)
    return [pd.DataFrame(each, columns=frame.columns) for each in drawn]


def posterior(frame, n_draws, seed):
    """Draw from the posterior of Bayesian ridge regressions, a chain for each draw."""
    code = Coded(frame, one_hot=True)
    Z = code.array()
    return [
        code.frame_of(
            IterativeImputer(sample_posterior=True, random_state=seed + k).fit_transform(Z)
        )
        for k in range(n_draws)
    ]


def forests(frame, n_draws, seed):
    """Draw by chained forests on bootstrap samples, as in R's mice.

    Numbers are the observed values of rows whose predictions are near (predictive mean
    matching), categories those of a tree that is drawn.
    """
    code = Coded(frame, one_hot=False)
    Z, is_category = code.array(), np.array(list(code.kinds.values()))
    drawn = []
    for k in range(n_draws):
        rng = np.random.RandomState(seed + k)
        filled, missing = Z.copy(), np.isnan(Z)
        for j in range(Z.shape[1]):
            filled[missing[:, j], j] = rng.choice(Z[~missing[:, j], j], missing[:, j].sum())
        order = [j for j in np.argsort(missing.sum(axis=0)) if missing[:, j].any()]
        for j in order * N_ROUNDS:
            donors = np.flatnonzero(~missing[:, j])
            others, sample = np.delete(filled, j, axis=1), rng.choice(donors, len(donors))
            kind = RandomForestClassifier if is_category[j] else RandomForestRegressor
            forest = kind(
                N_TREES,
                min_samples_leaf=1 if is_category[j] else 5,
                max_features=1 / 3,
                random_state=rng.randint(2**31 - 1),
            ).fit(others[sample], Z[sample, j])
            rows = others[missing[:, j]]
            if is_category[j]:
                chances = forest.predict_proba(rows).cumsum(axis=1)
                point = (chances < rng.uniform(size=(len(rows), 1))).sum(axis=1)
                filled[missing[:, j], j] = forest.classes_[
                    point.clip(0, len(forest.classes_) - 1)
                ]
                continue
            distance = cdist(
                forest.predict(rows)[:, np.newaxis],
                forest.predict(others[donors])[:, np.newaxis],
            )
            nearest = np.argsort(distance, axis=1)[:, :N_DONORS]
            one = nearest[np.arange(len(rows)), rng.randint(nearest.shape[1], size=len(rows))]
            filled[missing[:, j], j] = Z[donors[one], j]
        drawn.append(code.frame_of(filled))
    return drawn


def hot_deck(frame, n_draws, seed):
    """Draw values of the nearest rows that have them; those of one row where one has all."""
    coded, Z = Coded(frame, one_hot=True), Coded(frame, one_hot=False)
    Z, code = Z.array(), Z
    distance = nan_euclidean_distances(coded.array())
    distance[np.isnan(distance)] = np.inf
    np.fill_diagonal(distance, np.inf)
    order, missing = np.argsort(distance, axis=1), np.isnan(Z)
    rng, drawn = np.random.RandomState(seed), []
    for _ in range(n_draws):
        filled = Z.copy()
        for i in np.flatnonzero(missing.any(axis=1)):
            place = rng.randint(N_DONORS)
            for j in np.flatnonzero(missing[i]):
                donors = order[i][~missing[order[i], j]][:N_DONORS]
                filled[i, j] = Z[donors[min(place, len(donors) - 1)], j]
        drawn.append(code.frame_of(filled))
    return drawn


SIDES = {
    "AEImputer.sample": ours,
    "IterativeImputer(sample_posterior=True)": posterior,
    "chained forests, matched means": forests,
    "hot deck": hot_deck,
}


def scores(frame, drawn, gone):
    """CRPS, energy distance and error of spread of some completed tables."""
    numbers = [j for j, name in enumerate(frame) if frame[name].dtype != "category"]
    scale = frame.iloc[:, numbers].std(ddof=0).to_numpy()
    true = frame.iloc[:, numbers].to_numpy(float) / scale
    draws = np.array([each.iloc[:, numbers].to_numpy(float) / scale for each in drawn])
    gone = gone[:, numbers]
    m = len(draws)
    error = np.abs(draws - true).mean(axis=0)
    between = np.abs(draws[:, np.newaxis] - draws).sum(axis=(0, 1)) / (m * (m - 1))
    crps = error - between / 2
    columns = np.flatnonzero(gone.any(axis=0))
    # Rows that were incomplete before cannot be compared.
    rows = np.flatnonzero(~np.isnan(true).any(axis=1))
    true, draws = true[rows], draws[:, rows]
    within = cdist(true, true).mean()
    energy = [
        2 * cdist(each, true).mean() - cdist(each, each).mean() - within for each in draws
    ]
    spread = np.abs(np.log(draws.std(axis=1) / true.std(axis=0)))[:, columns]
    return {
        "CRPS": np.mean([crps[gone[:, j], j].mean() for j in columns]),
        "energy distance": np.mean(energy),
        "error of spread": spread.mean(),
    }


def tables(args):
    """Print the scores on tables of the folder."""
    found = []
    if args.results and args.results.exists():
        found = pd.read_csv(args.results).to_dict("records")
    known = {row["table"] for row in found}
    for name in (name for name in args.tables if name not in known):
        frame = read_table(args.data, name, MOST_ROWS, 0)
        for removal in REMOVALS:
            gone = removed(frame, removal, 0)
            for side in args.sides:
                start = time.perf_counter()
                drawn = SIDES[side](frame.mask(gone), N_DRAWS, 0)
                found.append(
                    {"table": name, "removal": removal, "side": side}
                    | scores(frame, drawn, gone)
                    | {"seconds": time.perf_counter() - start}
                )
                note(*found[-1].values())
        if args.results:
            pd.DataFrame(found).to_csv(args.results, index=False)
    found = pd.DataFrame(found)
    metrics = ["CRPS", "energy distance", "error of spread"]
    found["half"] = np.where(found["table"].isin(CHOSEN), "chosen", "validated")
    bars = []
    for half, part in [("all", found), *found.groupby("half")]:
        means = part.groupby("side", sort=False)[[*metrics, "seconds"]].mean()
        ranks = part.pivot(index=["table", "removal"], columns="side", values="CRPS").rank(
            axis=1
        )
        means.insert(1, "rank by CRPS", ranks.mean())
        n = len(part.groupby(["table", "removal"]))
        rows = [(side, *row) for side, row in zip(means.index, means.to_numpy(), strict=True)]
        print_table(f"Ten draws, {half}, {n} tasks", ["", *means.columns], rows)
        if len(means) > 1 and half != "chosen":
            for metric in metrics[:2]:
                ratio = means[metric].iloc[0] / means[metric].iloc[1:].min()
                claim = f"{metric} of AEImputer.sample over the best other, {half}"
                bars.append((claim, "<=", 1.03, ratio))
    wide = found.pivot(index=["table", "removal"], columns="side", values="CRPS")[args.sides]
    rows = [(", ".join(at), *row) for at, row in zip(wide.index, wide.to_numpy(), strict=True)]
    print_table("CRPS by task", ["", *args.sides], rows)
    return bars


def regression(rng):
    """Rows (x1, x2, x3, y) of a known regression and which are removed, by y and x1.

    The coefficients of x1, x2 and x3 are 1, 1 and -1. x2 follows from x1, x3 from the square of
    x1: a normal distribution does not hold.
    """
    x1 = rng.normal(size=N_ROWS)
    x2 = 0.6 * x1 + 0.8 * rng.normal(size=N_ROWS)
    x3 = 0.5 * (x1**2 - 1) + 0.7 * rng.normal(size=N_ROWS)
    y = 1 + x1 + x2 - x3 + rng.normal(size=N_ROWS)
    X = np.column_stack([x1, x2, x3, y])
    gone = np.zeros(X.shape, dtype=bool)
    gone[:, 1] = rng.uniform(size=N_ROWS) < 0.6 / (1 + np.exp(-(y - 1)))
    gone[:, 2] = rng.uniform(size=N_ROWS) < 0.6 / (1 + np.exp(-2 * x1))
    return X, gone


def least_squares(X):
    """Coefficients of the regression of the last column on the others, and their variances."""
    design, y = np.column_stack([np.ones(len(X)), X[:, :-1]]), X[:, -1]
    inverse = np.linalg.inv(design.T @ design)
    coef = inverse @ design.T @ y
    noise = np.square(y - design @ coef).sum() / (len(X) - design.shape[1])
    return coef, noise * np.diag(inverse)


def combined(estimates, variances, n):
    """Mean and half width of the intervals by Rubin's rules, degrees by Barnard and Rubin."""
    m = len(estimates)
    between, within = np.var(estimates, axis=0, ddof=1), np.mean(variances, axis=0)
    total = within + (1 + 1 / m) * between
    share = np.maximum((1 + 1 / m) * between / total, 1e-9)
    complete = n - estimates.shape[1]
    degrees = (m - 1) / share**2
    observed = (complete + 1) / (complete + 3) * complete * (1 - share)
    degrees = 1 / (1 / degrees + 1 / observed)
    width = student.ppf((1 + CONFIDENCE) / 2, degrees) * np.sqrt(total)
    return estimates.mean(axis=0), width


def coverage(args):
    """Print the shares of intervals that contain the true coefficients."""
    true, found = np.array([1, 1, 1, -1]), {}
    for run in range(args.runs):
        X, gone = regression(np.random.RandomState(run))
        frame = pd.DataFrame(X).add_prefix("x").mask(gone)
        complete = X[~gone.any(axis=1)]
        fits = {"all values": least_squares(X), "complete rows": least_squares(complete)}
        for side, (coef, variance) in fits.items():
            n = len(X) if side == "all values" else len(complete)
            width = student.ppf((1 + CONFIDENCE) / 2, n - len(true)) * np.sqrt(variance)
            found.setdefault(side, []).append((coef, width))
        for side in args.sides:
            drawn = SIDES[side](frame, N_DRAWS, run)
            fits = [least_squares(each.to_numpy(float)) for each in drawn]
            coefs, variances = (np.array(each) for each in zip(*fits, strict=True))
            found.setdefault(side, []).append(combined(coefs, variances, len(X)))
        note("run", run)
    rows = []
    for side, fits in found.items():
        coef, width = (np.array(each) for each in zip(*fits, strict=True))
        inside = np.abs(coef - true) <= width
        error = np.sqrt(np.square(coef - true).mean())
        rows.append((side, *inside.mean(axis=0), inside.mean(), width.mean(), error))
    names = ["intercept", "x1", "x2", "x3", "all", "half width", "RMSE"]
    print_table(f"Coverage of 90 % intervals, {args.runs} runs", ["", *names], rows)
    ours = next((row[5] for row in rows if row[0] == next(iter(SIDES))), None)
    if ours is None:
        return []
    claim = "coverage of 90 % intervals by AEImputer.sample"
    return [(f"{claim}, at least", ">=", 0.85, ours), (f"{claim}, at most", "<=", 0.95, ours)]


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--tables", nargs="+", default=[*CHOSEN, *VALIDATED])
    parser.add_argument("--sides", nargs="+", default=list(SIDES), choices=list(SIDES))
    parser.add_argument("--parts", nargs="+", default=["tables", "coverage"])
    parser.add_argument("--results", type=Path, help="file of results")
    parser.add_argument("--runs", type=int, default=N_RUNS, help="runs of the regression")
    args = parser.parse_args()
    if args.data is None and "tables" in args.parts:
        parser.error("--data FOLDER is needed, but with --parts coverage")
    warnings.simplefilter("ignore")
    bars = tables(args) if "tables" in args.parts else []
    if "coverage" in args.parts:
        bars += coverage(args)
    print_bars(bars, Figures())


if __name__ == "__main__":
    main()
