"""Tables with masked values, for the comparison of imputers."""

from pathlib import Path

import numpy as np
import pandas as pd

NUMERIC = (
    "12_fault", "14_glass", "18_Ionosphere", "22_magic.gamma", "28_pendigits", "29_Pima",
    "32_shuttle", "38_thyroid", "40_vowels", "42_WBC", "43_WDBC", "45_wine", "47_yeast",
    "4_breastw", "6_cardio",
)  # fmt: skip
MIXED = ("titanic", "penguins", "mpg", "diamonds")

# Columns that duplicate others, and identifiers.
_LEFT_OUT = {"titanic": ["class", "embark_town", "alive"], "mpg": ["name"]}

REMOVALS = ("MCAR 10 %", "MCAR 30 %", "MCAR 50 %", "MAR 30 %", "MNAR 30 %")

# Share of the columns, under MAR, that stay complete and decide what is masked in the others.
_DRIVERS = 1 / 3
_MOST = 0.95


def read_table(folder, name, most, seed):
    """Load a data frame, with a random sample of at most `max_rows` rows."""
    if name in MIXED:
        frame = pd.read_csv(Path(folder, "tables", f"{name}.csv"))
        frame = frame.drop(columns=_LEFT_OUT.get(name, []))
    else:
        X = np.load(Path(folder, "adbench", f"{name}.npz"), allow_pickle=False)["X"]
        frame = pd.DataFrame(X.astype(np.float64)).add_prefix("x")
        frame = frame.loc[:, frame.nunique() > 1]
    rows = np.random.RandomState(seed).permutation(len(frame))[:most]
    frame = frame.iloc[np.sort(rows)].reset_index(drop=True)
    return frame.astype({name: _dtype(name, frame) for name in frame})


def _dtype(name, frame):
    """Numbers as floats; strings, booleans and, in mixed tables, 0 and 1 as categories."""
    column = frame[name]
    is_number = pd.api.types.is_numeric_dtype(column) and column.dtype != bool
    mixed = not all(str(other).startswith("x") for other in frame)
    two = mixed and column.nunique() == 2
    return "float64" if is_number and not two else "category"


def removed(frame, removal, seed):
    """Mask of the observed values that are removed."""
    rng = np.random.RandomState(seed)
    kind, rate = removal.split()[0], int(removal.split()[1]) / 100
    n, d = frame.shape
    ranks = np.column_stack([_ranks(frame[name], rng) for name in frame])
    chance = np.full((n, d), rate)
    if kind == "MAR":
        n_drivers = max(round(_DRIVERS * d), 1)
        order = rng.permutation(d)
        chance[:, order[:n_drivers]] = 0
        for j in order[n_drivers:]:
            chance[:, j] = _chance(ranks[:, rng.choice(order[:n_drivers])], rate, rng)
    if kind == "MNAR":
        for j in range(d):
            chance[:, j] = _chance(ranks[:, j], rate, rng)
    return (rng.uniform(size=(n, d)) < chance) & frame.notna().to_numpy()


def _ranks(column, rng):
    """Ranks between zero and one; categories are ordered at random."""
    if column.dtype == "category":
        codes = column.cat.codes.to_numpy()
        place = rng.permutation(len(column.cat.categories)).astype(float)
        column = pd.Series(np.where(codes < 0, np.nan, place[codes]))
    return column.rank(pct=True).fillna(0.5).to_numpy()


def _chance(rank, rate, rng):
    """Probabilities of removal that increase or decrease with the rank."""
    weight = 1 / (1 + np.exp(-8 * rng.choice([-1, 1]) * (rank - 0.5)))
    return np.minimum(rate * weight / weight.mean(), _MOST)


def errors(frame, filled, gone):
    """Normalised RMSE of each number and error rate of each category, by column."""
    numbers, categories = {}, {}
    for j, name in enumerate(frame):
        mask = gone[:, j]
        if not mask.any():
            continue
        true, imputed = frame[name][mask], filled[name][mask]
        if frame[name].dtype == "category":
            categories[name] = float(
                (true.astype(str).values != imputed.astype(str).values).mean()
            )
        else:
            lost = np.asarray(true, float) - np.asarray(imputed, float)
            numbers[name] = float(np.sqrt(np.square(lost).mean()) / frame[name].std(ddof=0))
    return numbers, categories
