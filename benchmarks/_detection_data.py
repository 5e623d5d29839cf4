"""Clean tables of many distributions, and anomalies injected into them."""

from pathlib import Path

import numpy as np
from sklearn import datasets

SIZES = (300, 2000)
N_NEW = 2000


def gaussian(rng, n, d=10):
    """Correlated columns of a multivariate normal distribution."""
    return rng.normal(size=(n, d)) @ np.random.RandomState(5).normal(size=(d, d))


def lognormal(rng, n, d=10):
    return np.exp(rng.normal(size=(n, d)))


def t3(rng, n, d=10):
    """Student's t distribution with three degrees of freedom."""
    return rng.standard_t(3, size=(n, d))


def uniform(rng, n, d=10):
    return rng.uniform(size=(n, d))


def curved(rng, n, d=10):
    """A curved surface of two dimensions, with a little noise."""
    fixed = np.random.RandomState(6)
    angles = rng.uniform(-3, 3, size=(n, 2)) @ fixed.normal(size=(2, d))
    return np.sin(angles + fixed.uniform(0, 6, d)) + 0.05 * rng.normal(size=(n, d))


def clusters(rng, n, d=10):
    """Three clusters, of 60, 30 and 10 % of the rows."""
    centres = 4 * np.random.RandomState(7).normal(size=(3, d))
    return centres[rng.choice(3, n, p=[0.6, 0.3, 0.1])] + rng.normal(size=(n, d))


def binary(rng, n, d=10, shares=(0.5, 0.2, 0.05)):
    """Numbers, and binary columns, with these shares of ones."""
    binary = [rng.uniform(size=n) < share for share in shares]
    return np.column_stack([gaussian(rng, n, d - len(shares)), *binary]).astype(float)


SHAPES = {f.__name__: f for f in (gaussian, lognormal, t3, uniform, curved, clusters, binary)}


def clean_tables(seed, folder=None):
    """Name, training rows and new rows of each table; real ones are split in halves."""
    for name, make in SHAPES.items():
        for n in SIZES:
            rng = np.random.RandomState(1000 * seed + n)
            yield f"{name} {n:,}", make(rng, n), make(rng, N_NEW)
    for name, X in real_tables(folder):
        order = np.random.RandomState(seed).permutation(len(X))
        half = len(X) // 2
        yield f"{name} {half:,}", X[order[:half]], X[order[half:]]


def real_tables(folder):
    """Tables that come with scikit-learn, and penguins if they are in the folder."""
    cancer = datasets.load_breast_cancer()
    yield "breast cancer", cancer.data
    yield "benign", cancer.data[cancer.target == 1]
    yield "wine", datasets.load_wine().data
    yield "digits", datasets.load_digits().data
    path = folder and Path(folder, "tables", "penguins.csv")
    if path and path.exists():
        import pandas as pd

        yield "penguins", pd.read_csv(path).select_dtypes("number").dropna().to_numpy(float)


def injected(X, share, seed, size=12):
    """Copy of X with a share of rows moved by `size` deviations in random directions; mask."""
    rng = np.random.RandomState(seed)
    n = max(round(share * len(X)), 1)
    rows = rng.permutation(len(X))[:n]
    way = rng.normal(size=(n, X.shape[1]))
    way /= np.linalg.norm(way, axis=1, keepdims=True)
    X, anomalous = X.copy(), np.zeros(len(X), dtype=bool)
    X[rows] += size * way * X.std(axis=0)
    anomalous[rows] = True
    return X, anomalous


WIDTH = 48


def windows(n, seed):
    """Overlapping windows of slow cycles of varying length and height, like sunspots."""
    rng = np.random.RandomState(seed)
    n_steps = n + WIDTH - 1

    def smooth(length):
        noise = rng.normal(size=n_steps + 8 * length - 1)
        values = np.convolve(noise, np.exp(-np.arange(8 * length) / length), mode="valid")
        return values / values.std()

    phase = np.cumsum(np.pi / 100 * np.exp(0.15 * smooth(50)))
    series = np.exp(0.3 * smooth(100)) * np.sin(phase) ** 2 + 0.03 * smooth(3)
    series += 0.02 * rng.normal(size=n_steps)
    return np.lib.stride_tricks.sliding_window_view(series, WIDTH)


def disturbed(windows, rng):
    """The same windows, each with a stretch that is repeated or constant."""
    anomalous = windows.copy()
    for row in anomalous:
        start = rng.randint(WIDTH // 4, WIDTH // 2)
        stretch = slice(start, start + WIDTH // 4)
        row[stretch] = row[: WIDTH // 4] if rng.uniform() < 0.5 else row[start]
    return anomalous


def titanic(folder):
    """Passengers as numbers, encoded by hand."""
    import pandas as pd

    frame = pd.read_csv(Path(folder, "tables", "titanic.csv"))
    X = frame[["pclass", "age", "sibsp", "parch", "fare"]].copy()
    X["age"] = X["age"].fillna(X["age"].median())
    X["male"] = (frame["sex"] == "male").astype(float)
    X["alone"] = frame["alone"].astype(float)
    X["deck_missing"] = frame["deck"].isna().astype(float)
    return X.join(pd.get_dummies(frame["embarked"], prefix="embarked", dtype=float))
