"""Tables and requests that nobody would write, drawn by hypothesis, and what must hold."""

import asyncio
import copy
import datetime
import decimal
import fractions
import json
import traceback
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
from hypothesis import strategies as st

from skae.tables import TabularEncoder

# Strings that look like something else, or that some library cannot hold.
TEXTS = [
    "", " ", "a", "A", "a ", "é", "e\u0301", "\x00", "\ud800", "\u202e", "nan", "None", "<NA>",
    "NaT", "inf", "-0", "1", "1.0", "1e5", "1_000", "1,5", "٣", "25°C", "true", "False",
    "2024-01-01", "2024-02-30", "2024-01-01T00:00:00Z", "2024-01-01 24:00", "0001-01-01",
    "9999-12-31T23:59:59.999999999+14:00", "2024-W01", "23:59:60", "P1D", "x" * 300,
]  # fmt: skip
FLOATS = [0.0, -0.0, 1.0, 0.1, 5e-324, 1e-300, 1e300, -1.7e308, 2.0**53, np.nan, np.inf]
INTEGERS = [0, 1, -1, 2, 255, 2**31, 2**53 + 1, -(2**63), 2**63 - 1, 2**64 - 1]
DAYS = ["1677-09-22", "1899-12-30", "1970-01-01", "2024-02-29", "2262-04-11", "NaT"]

texts = st.sampled_from(TEXTS) | st.text(max_size=4)
floats = st.sampled_from(FLOATS) | st.floats() | st.integers(-9, 9).map(lambda n: n / 4)
integers = st.sampled_from(INTEGERS) | st.integers(-(2**63), 2**64)
# Not of a signaling NaN, which pandas cannot print, as hypothesis does of what fails.
decimals = st.decimals().filter(lambda number: not number.is_snan())
objects = st.one_of(
    texts,
    floats,
    integers,
    st.booleans(),
    st.none(),
    st.dates(),
    st.times(),
    st.datetimes(timezones=st.none() | st.just(datetime.UTC)),
    st.timedeltas(),
    decimals,
    st.sampled_from([decimal.Decimal("1E+999999"), fractions.Fraction(1, 3), 10**400, 1j]),
    st.binary(max_size=3),
    st.sampled_from([pd.NA, pd.NaT, pd.Period("2024-01", "M"), pd.Interval(0, 1)]),
    st.sampled_from(
        [np.float32("nan"), np.int8(-128), np.datetime64("NaT", "D"), np.str_("a")]
    ),
    st.just([]) | st.just(()) | st.just({"a": 1}) | st.just(object),
)

# Of one kind, from which the rows of a column are drawn: few values make a category.
KINDS = {
    "text": texts,
    "float": floats,
    "integer": integers,
    "flag": st.booleans(),
    "date": st.dates(),
    "time": st.times(),
    "duration": st.timedeltas(),
    "moment": st.datetimes(),
    "UTC": st.datetimes(timezones=st.just(datetime.UTC)),
    "decimal": decimals,
    "bytes": st.binary(max_size=3),
    "anything": objects,
}
DTYPES = {
    "f8": floats,
    "f4": st.floats(width=32),
    "f2": st.floats(width=16),
    "i8": st.integers(-(2**63), 2**63 - 1),
    "u8": st.integers(0, 2**64 - 1),
    "i1": st.integers(-128, 127),
    "bool": st.booleans(),
    "Int64": st.none() | st.integers(-(2**63), 2**63 - 1),
    "boolean": st.none() | st.booleans(),
    "string": st.none() | texts,
    "category": st.none() | texts,
    "M8[ns]": st.sampled_from(DAYS),
    "M8[s]": st.sampled_from([*DAYS, "0001-01-01", "9999-12-31"]),
    "m8[us]": st.integers(-(2**62), 2**62),
}
names = st.sampled_from(["a", "b", "", " ", "a_missing", "a_b", "é", "\ud800"]) | st.text(
    max_size=2
)


@st.composite
def columns(draw, n_rows):
    """A Series of one kind or dtype, or of objects, with missing values or without."""
    dtype = draw(st.none() | st.sampled_from(list(DTYPES)))
    values = DTYPES[dtype] if dtype else KINDS[draw(st.sampled_from(list(KINDS)))]
    pool = draw(st.lists(values, min_size=1, max_size=6))
    if dtype is None and draw(st.booleans()):
        pool.append(None)
    if draw(st.integers(0, 9)) == 0:
        pool.append(draw(objects if dtype is None else values))
    drawn = draw(st.lists(st.integers(0, len(pool) - 1), min_size=n_rows, max_size=n_rows))
    column = np.empty(n_rows, dtype=object)
    for row, i in enumerate(drawn):
        column[row] = pool[i]
    if dtype is None:
        return pd.Series(column, dtype=object)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return pd.Series(column.tolist()).astype(dtype)
        except (TypeError, ValueError, OverflowError):
            return pd.Series(column, dtype=object)


@st.composite
def tables(draw, labels=None):
    """A table of one to four columns in one of three forms, and its labels."""
    n_rows = draw(st.integers(1, 8) | st.integers(20, 70))
    labels = labels or draw(st.lists(names, min_size=1, max_size=4))
    parts = [draw(columns(n_rows)) for _ in labels]
    frame = pd.concat(parts, axis=1)
    frame.columns = pd.Index(labels, dtype=object)
    return draw(st.sampled_from([as_pandas, as_polars, as_array]))(frame)


def as_pandas(frame):
    return frame


def as_array(frame):
    return frame.to_numpy(dtype=object)


def as_polars(frame):
    """In polars, where polars can hold it."""
    try:
        return pl.from_pandas(frame)
    except BaseException:
        return frame


def refused(function, *args):
    """Result of a call, or None where it refuses its arguments in words of its own."""
    try:
        return function(*args)
    except (TypeError, ValueError) as error:
        place = Path(traceback.extract_tb(error.__traceback__)[-1].filename)
        if type(error) in (TypeError, ValueError) and {"skae", "sklearn"} & set(place.parts):
            return None
        raise


def check_encoder(table, other):
    """Whatever the table is, it is refused by a sentence, or encoded, decoded and copied."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", UserWarning)
        return _encoded_or_refused(table, other)


def _encoded_or_refused(table, other):
    encoder = refused(TabularEncoder().fit, table)
    if encoder is None:
        return "refused"
    Z = encoder.transform(table)
    assert np.isfinite(Z).all()
    assert len(encoder.get_feature_names_out()) == Z.shape[1]
    decoded = encoder.inverse_transform(Z)
    assert type(decoded) is type(table)
    assert decoded.shape == (len(Z), encoder.n_features_in_)
    again = refused(encoder.transform, decoded)
    assert again is not None
    encoded = refused(encoder.transform, other)
    if encoded is not None:
        assert np.isfinite(encoded).all()
    encoder.inverse_transform(np.where(Z > 0, 1e9, -1e9))
    assert (copy.deepcopy(encoder).transform(table) == Z).all()
    return "encoded"


# Requests

JSON = st.recursive(
    st.none() | st.booleans() | floats | integers | texts | st.sampled_from([10**30, 10**400]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)


@st.composite
def bodies(draw, row):
    """The body of a request: rows like `row` with values, names, bytes changed, or any JSON."""
    rows = [dict(row) for _ in range(draw(st.integers(1, 3)))]
    for _ in range(draw(st.integers(0, 3))):
        each = draw(st.sampled_from(rows))
        kind = draw(st.integers(0, 9))
        if kind == 0:
            each.pop(draw(st.sampled_from(list(row))), None)
        elif kind == 1:
            each[draw(texts)] = draw(JSON)
        else:
            each[draw(st.sampled_from(list(row)))] = draw(JSON)
    content = {"rows": rows} if draw(st.integers(0, 9)) else draw(JSON)
    body = json.dumps(content, ensure_ascii=draw(st.booleans())).encode(
        "utf-8", "surrogatepass"
    )
    if draw(st.integers(0, 4)) == 0 and body:
        at = draw(st.integers(0, len(body) - 1))
        body = body[:at] + draw(st.binary(max_size=4)) + body[at + draw(st.integers(0, 4)) :]
    return body


def check_service(app, body):
    """The answer is rows of finite numbers, or a sentence; never an error of the server."""
    status, answer = respond(app, body)
    assert status in (200, 422), (status, answer)
    content = json.loads(answer, parse_constant=refuse)
    if status == 422:
        assert isinstance(content["error"], str)
        assert 0 < len(answer) < 1_000, answer
    else:
        assert all(0 <= row["p_value"] <= 1 for row in content["rows"])
    return str(status)


def refuse(name):
    raise AssertionError(f"{name} is not JSON")


def respond(app, body):
    """Status and body of the answer to a POST, without a network, a client or a thread."""
    sent = []

    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST",
        "scheme": "http", "path": "/score", "raw_path": b"/score", "query_string": b"",
        "root_path": "", "headers": [], "server": ("app", 80), "client": ("here", 1),
    }  # fmt: skip
    asyncio.run(app(scope, receive, send))
    return sent[0]["status"], b"".join(m.get("body", b"") for m in sent[1:])
