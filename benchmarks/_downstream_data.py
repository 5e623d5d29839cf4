"""Labelled tables of `downstream.py`: those of scikit-learn, made ones, and of a folder."""

import numpy as np
import pandas as pd
from sklearn import datasets


def tables(folder=None):
    """Tables by name: (X, y), a matrix or a frame and classes or numbers.

    Classes are strings, so that numbers are what is regressed.
    """
    found = dict(_shipped()) | dict(_made())
    if folder is not None:
        found |= dict(_frames(folder / "tables")) | dict(_labelled(folder / "adbench"))
    return found


def _shipped():
    for load in (datasets.load_wine, datasets.load_breast_cancer, datasets.load_digits):
        X, y = load(return_X_y=True)
        yield load.__name__.removeprefix("load_"), (X, y.astype(str))
    yield "diabetes", datasets.load_diabetes(return_X_y=True)


def _made():
    rng = np.random.RandomState(0)
    X, y = datasets.make_classification(
        1500, 30, n_informative=8, n_redundant=12, n_classes=3, random_state=0
    )
    yield "made classes", (X, y.astype(str))
    X, y = datasets.make_moons(1500, noise=0.1, random_state=0)
    yield "moons in 12 columns", (_embedded(X, 12, rng), y.astype(str))
    yield "friedman", datasets.make_friedman1(1500, 12, noise=1.0, random_state=0)
    X, y = datasets.make_swiss_roll(1500, noise=0.5, random_state=0)
    yield "roll in 12 columns", (_embedded(X, 12, rng), y)
    X = rng.normal(size=(1500, 5)) @ rng.normal(size=(5, 25)) + rng.normal(size=(1500, 25))
    yield "factors", (X, X @ rng.normal(size=25) + rng.normal(size=1500))
    yield "made customers", _customers(rng)


def _embedded(X, n_columns, rng):
    """Rows X (n, d) turned into (n, n_columns), with noise."""
    X = (X - X.mean(axis=0)) / X.std(axis=0) @ rng.normal(size=(X.shape[1], n_columns))
    return X + 0.1 * rng.normal(size=X.shape)


def _customers(rng, n=1500):
    """A frame of numbers and categories that depend on two hidden traits, and who left."""
    wealth, loyalty = rng.normal(size=(2, n))
    X = pd.DataFrame(
        {
            "income": np.exp(10 + 0.5 * wealth + 0.2 * rng.normal(size=n)),
            "months": np.round(np.exp(3 + 0.6 * loyalty + 0.4 * rng.normal(size=n))),
            "calls": rng.poisson(np.exp(0.5 - 0.5 * loyalty)),
            "charge": 40 + 10 * wealth - 4 * loyalty + 5 * rng.normal(size=n),
            "age": np.clip(45 + 8 * loyalty + 4 * wealth + 9 * rng.normal(size=n), 18, 95),
            "plan": np.where(wealth + rng.normal(size=n) > 0.5, "large", "small"),
            "contract": np.select(
                [loyalty + 0.7 * rng.normal(size=n) > 0.7, loyalty > -0.5],
                ["two years", "one year"],
                "monthly",
            ),
            "region": rng.choice(["north", "south", "east", "west"], n),
        }
    )
    left = 1 / (1 + np.exp(1 + 1.5 * loyalty - 0.4 * wealth)) > rng.uniform(size=n)
    X.loc[rng.uniform(size=n) < 0.05, "income"] = np.nan
    return X, left.astype(str)


def _frames(folder):
    for name, target in (
        ("titanic", "survived"),
        ("penguins", "species"),
        ("mpg", "mpg"),
        ("diamonds", "price"),
    ):
        X = pd.read_csv(folder / f"{name}.csv").dropna(subset=target)
        y = X.pop(target).to_numpy()
        # The same fact under another name, and what is nearly all distinct.
        X = X.drop(columns=["alive", "name"], errors="ignore")
        yield name, (X, y.astype(str) if target in ("survived", "species") else y.astype(float))


def _labelled(folder):
    for name in (
        "12_fault", "18_Ionosphere", "22_magic.gamma", "29_Pima", "30_satellite",
        "35_SpamBase", "47_yeast", "5_campaign",
    ):  # fmt: skip
        with np.load(folder / f"{name}.npz") as file:
            yield name.split("_", 1)[1], (file["X"], file["y"].astype(str))
