"""One table in several libraries."""

import math

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa

from data import data_rng


def people(n_rows=60):
    """A pandas frame with columns of every kind, and holes."""
    rng = data_rng()
    sex = rng.choice(["female", "male"], n_rows)
    deck = np.where(rng.random_sample(n_rows) < 0.3, rng.choice(list("ABCD"), n_rows), None)
    age = rng.gamma(4, 8, n_rows).round()
    fare = (rng.gamma(2, 8, n_rows) + 20 * (sex == "female")).round(2)
    # Every kind is there, whatever is drawn.
    sex[:2], deck[:5], age[:4] = ["female", "male"], [None, *"ABCD"], [4, 31, 62, 80]
    fare[1] = 7.25
    days = pd.Timestamp("1912-04-10") + pd.to_timedelta(rng.randint(0, 5, n_rows), unit="D")
    return pd.DataFrame(
        {
            "age": np.where(np.arange(n_rows) % 6 == 5, np.nan, age),
            "fare": fare,
            "sex": sex,
            "deck": deck,
            "alone": np.arange(n_rows) % 3 == 0,
            "survived": (np.arange(n_rows) % 2).astype(np.int64),
            "port": pd.Categorical(rng.permutation(np.arange(n_rows) % 3).astype(str)),
            "boarded": days.as_unit("us"),
            "ship": "Titanic",
            "notes": np.full(n_rows, np.nan),
        }
    )


def _pandas(columns):
    return pd.DataFrame(columns) if isinstance(columns, dict) else columns


def _pandas_arrow(columns):
    with np.errstate(invalid="ignore"):  # pandas 2.2 tries whether infinite numbers are whole
        return _pandas(columns).convert_dtypes(dtype_backend="pyarrow")


def _polars(columns):
    if isinstance(columns, dict):
        return pl.DataFrame(columns, strict=False)
    return pl.from_pandas(columns)


def _arrow(columns):
    if isinstance(columns, dict):
        return pa.table(columns)
    return pa.Table.from_pandas(columns, preserve_index=False)


#: Makes a table of a dict of columns, or of a pandas frame.
LIBRARIES = {
    "pandas": _pandas,
    "pandas with PyArrow": _pandas_arrow,
    "polars": _polars,
    "pyarrow": _arrow,
}


def columns_of(table):
    """Lists of Python's own objects, None for what is missing."""
    if isinstance(table, pd.DataFrame):
        return {name: [_plain(v) for v in table[name].tolist()] for name in table.columns}
    columns = (
        table.to_pydict() if isinstance(table, pa.Table) else table.to_dict(as_series=False)
    )
    return {name: [_plain(v) for v in values] for name, values in columns.items()}


def rows_of(table):
    """The rows of a table."""
    columns = columns_of(table)
    return list(zip(*columns.values(), strict=True))


def _plain(value):
    if value is None or value is pd.NA or value is pd.NaT:
        return None
    return None if isinstance(value, float) and math.isnan(value) else value
