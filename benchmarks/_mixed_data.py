"""Tables of mixed columns with missing values, and anomalies injected into them."""

from pathlib import Path

import numpy as np
import pandas as pd

NAMES = ("titanic", "penguins", "mpg", "diamonds", "census")
MOST_ROWS = 3000


def load(name, folder, rng, n=MOST_ROWS):
    """Load a table by name, with a random sample of its rows."""
    frame = census(rng, n) if name == "census" else pd.read_csv(find(folder, name))
    rows = rng.permutation(len(frame))[:n]
    return frame.iloc[rows].reset_index(drop=True)


def find(folder, name):
    """Path of a table."""
    paths = sorted(Path(folder).rglob(f"{name}.csv"))
    if not paths:
        raise FileNotFoundError(f"{name}.csv was not found in {folder}")
    return paths[0]


def census(rng, n):
    """Synthetic census: work, family, schooling and income of people."""
    schools = np.array(
        [
            "none",
            "primary",
            "lower-secondary",
            "9th",
            "10th",
            "11th",
            "12th",
            "high-school",
            "college",
            "vocational",
            "associate",
            "bachelor",
            "master",
            "professional",
            "doctorate",
        ]
    )
    jobs = np.array(
        [
            "craft",
            "clerical",
            "sales",
            "service",
            "machine",
            "transport",
            "handler",
            "farming",
            "protection",
            "tech",
            "manager",
            "professional",
        ]
    )
    lands = np.array(["Home"] + [f"land {i}" for i in range(30)])
    age = np.clip(rng.gamma(6, 6.5, n).round() + 12, 17, 90).astype(int)
    ability = rng.normal(size=n)
    school = np.clip((8.5 + 2.2 * ability + rng.normal(size=n)).round(), 0, 14).astype(int)
    female = rng.uniform(size=n) < 0.4
    position = np.clip((school - 2) * 0.95 + 1.5 * rng.normal(size=n), 0, 11).round()
    job = np.where(rng.uniform(size=n) < 0.75, position, rng.randint(12, size=n)).astype(int)
    wed = rng.uniform(size=n) < np.clip((age - 18) / 25, 0, 0.75)
    apart = ~wed & (rng.uniform(size=n) < np.clip((age - 25) / 60, 0, 0.6))
    family = np.select([wed, apart], ["married", "divorced"], "single")
    role = np.select(
        [wed & ~female, wed & female, age < 24], ["husband", "wife", "child"], "alone"
    )
    hours = np.clip(rng.normal(40, 8, n) + 4 * (job == 10) - 5 * female, 5, 90).round()
    chance = -3 + 0.9 * ability + 1.3 * wed + 0.03 * (age - 38) + 0.04 * (hours - 40)
    income = rng.uniform(size=n) < 1 / (1 + np.exp(-chance))
    gain = np.where(
        rng.uniform(size=n) < 0.06 + 0.1 * income, np.exp(rng.normal(8, 1, n)).round(), 0
    )
    land = np.where(rng.uniform(size=n) < 0.9, 0, 1 + rng.geometric(0.12, n) % 30)
    frame = pd.DataFrame(
        {
            "age": age,
            "education": schools[school],
            "years": school + 2,
            "occupation": jobs[job],
            "marital_status": family,
            "relationship": role,
            "sex": np.where(female, "female", "male"),
            "hours": hours,
            "gain": gain,
            "country": lands[land],
            "income": np.where(income, "high", "low"),
            "born": pd.Timestamp("2020-06-30")
            - pd.to_timedelta((age * 365.25 + rng.randint(365, size=n)).round(), unit="D"),
        }
    )
    frame.loc[rng.uniform(size=n) < 0.06, "occupation"] = None
    frame.loc[rng.uniform(size=n) < 0.1, "hours"] = np.nan
    return frame


# Injecting anomalies


def exchanged(frame, rng, share=0.03):
    """Copy in which some rows have two values of another row; the rows, and their columns.

    Both values differ from the original ones.
    """
    anomalous, rows_changed, columns = frame.copy(), [], []
    wanted = max(round(share * len(frame)), 1)
    for row in rng.permutation(len(frame)):
        pair = rng.choice(frame.shape[1], 2, replace=False)
        cells = frame.iloc[row, pair]
        other = frame.iloc[rng.randint(len(frame)), pair]
        if ((cells == other) | (cells.isna() & other.isna())).any():
            continue
        for column in pair:
            anomalous.iat[row, column] = frame.iat[other.name, column]
        rows_changed.append(row)
        columns.append([frame.columns[i] for i in pair])
        if len(rows_changed) == wanted:
            break
    return anomalous, np.array(rows_changed), columns


def impossible(frame, rng, share=0.03):
    """Copy in which some rows have an impossible number; the rows, and their columns.

    Half are far outside the range of the column: above the maximum, or below the minimum, by
    one to three times the range. The others are at the wrong end of their column.
    """
    anomalous, rows_changed, columns = frame.copy(), [], []
    numbers = [c for c in frame.select_dtypes("number") if frame[c].nunique() > 9]
    for i, row in enumerate(rng.permutation(len(frame))[: max(round(share * len(frame)), 1)]):
        name = numbers[rng.randint(len(numbers))]
        low, high = frame[name].min(), frame[name].max()
        if i % 2:
            far = (high - low) * rng.uniform(1, 3)
            value = high + far if rng.uniform() < 0.5 else low - far
        else:
            value = high if not frame.at[row, name] > frame[name].median() else low
        whole = (frame[name].dropna() % 1 == 0).all()
        anomalous[name] = anomalous[name].astype(float)
        anomalous.loc[row, name] = round(value) if whole else value
        rows_changed.append(row)
        columns.append([name])
    return anomalous, np.array(rows_changed), columns


PLANTS = {"exchanged": exchanged, "impossible": impossible}


def absurd_sizes(folder, rng, n=5000):
    """Diamonds, and a mask of those with a side of zero or beyond thirty millimetres."""
    frame = pd.read_csv(find(folder, "diamonds"))
    size = frame[["x", "y", "z"]]
    absurd = (size == 0).any(axis=1) | (size[["y", "z"]] > 30).any(axis=1)
    others = rng.permutation(np.flatnonzero(~absurd))[: n - absurd.sum()]
    rows = rng.permutation(np.concatenate([np.flatnonzero(absurd), others]))
    return frame.iloc[rows].reset_index(drop=True), absurd.to_numpy()[rows]
