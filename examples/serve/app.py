"""A web service for anomaly detection: a small ASGI app for a saved detector.

    export SKAE_DETECTOR=detector.skae
    uvicorn --app-dir examples/serve --factory app:from_environment

`POST /score` accepts ``{"rows": [{"column": value, ...}, ...]}`` and returns, for each row,
``score``, ``p_value``, ``anomaly`` and ``reason``, which is null for rows that are not marked.
Invalid requests get status 422 and the reason, a body that arrives too slowly 408. The reason
names values of the request, the log none. `GET /health` reports that the service runs, and its
columns. Neither loading nor scoring imports Keras.

Whoever reaches the app may use it: `nginx.conf` beside it is a proxy that asks for a password.
"""

import asyncio
import json
import logging
import os
import traceback

import numpy as np
import pandas as pd
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from starlette.routing import Route

import skae

MOST_ROWS = 1_000
MOST_BYTES = 1_000_000
MOST_SECONDS = 10.0  # for the whole body


class BadRowsError(ValueError):
    """Error of an invalid request, with the reason."""


def from_environment():
    """App for the file that `SKAE_DETECTOR` names."""
    return create_app(skae.load(os.environ["SKAE_DETECTOR"]))


def create_app(detector):
    """App for a fitted detector."""

    async def health(request):
        return JSONResponse({"status": "ok", "columns": detector.columns_})

    async def score(request):
        try:
            async with asyncio.timeout(MOST_SECONDS):
                body = await limited_body(request)
            rows = parse(body)
            return JSONResponse({"rows": await run_in_threadpool(score_rows, detector, rows)})
        except BadRowsError as error:
            raise HTTPException(422, str(error)) from None
        except TimeoutError:
            message = f"The body must arrive within {MOST_SECONDS:g} seconds."
            raise HTTPException(408, message, {"connection": "close"}) from None
        except ClientDisconnect:
            raise HTTPException(400, "The body is not complete.") from None
        except Exception as error:
            log_without_values(error)
            raise HTTPException(500, "The rows could not be scored.") from None

    async def refused(request, error):
        return JSONResponse({"error": error.detail}, error.status_code, error.headers)

    return Starlette(
        routes=[Route("/health", health), Route("/score", score, methods=["POST"])],
        exception_handlers={HTTPException: refused},
    )


def log_without_values(error):
    """Log the type and the place of an error, whose message may have values of the rows."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    logging.getLogger("uvicorn.error").error(
        "%s in %s, line %s of %s",
        type(error).__name__,
        place.name,
        place.lineno,
        place.filename,
    )


# From bytes to rows


async def limited_body(request):
    """Body of a request. One that is too long is read without storing it, to be answered."""
    body, size = bytearray(), 0
    async for chunk in request.stream():
        size += len(chunk)
        if size <= MOST_BYTES:
            body += chunk
        elif size > 20 * MOST_BYTES:
            break
    if size > MOST_BYTES:
        raise BadRowsError(f"The body must have at most {MOST_BYTES} bytes.")
    return bytes(body)


def parse(body):
    """Rows of a body: objects whose values are numbers, strings, booleans or null."""
    try:
        sent = json.loads(body, parse_constant=refuse_constant)
    except BadRowsError:
        raise
    except (ValueError, RecursionError) as error:
        raise BadRowsError(f"The body must be JSON: {error}.") from None
    rows = sent.get("rows") if isinstance(sent, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise BadRowsError('The body must be {"rows": [{"column": value, ...}, ...]}.')
    if not 1 <= len(rows) <= MOST_ROWS:
        raise BadRowsError(f"rows must have 1 to {MOST_ROWS} rows; got {len(rows)}.")
    return rows


def refuse_constant(name):
    """Raise for NaN and Infinity, which are not JSON but which Python accepts."""
    raise BadRowsError(f"Values must be numbers, strings, true, false or null; got {name}.")


# From rows to scores


def score_rows(detector, rows):
    """Score, p-value, mark and reason of each row."""
    frame = as_frame(detector, rows)
    X = frame if hasattr(detector, "feature_names_in_") else frame.to_numpy()
    try:
        scores, p_values = detector.score_samples(X), detector.p_values(X)
        marked = scores < detector.offset_
        reasons = iter(detector.describe(X[marked]) if marked.any() else [])
    except (TypeError, ValueError) as error:
        raise BadRowsError(str(error)) from None
    return [
        {
            "score": float(score),
            "p_value": float(p),
            "anomaly": bool(anomalous),
            "reason": next(reasons) if anomalous else None,
        }
        for score, p, anomalous in zip(scores, p_values, marked, strict=True)
    ]


def as_frame(detector, rows):
    """Rows as a data frame with the detector's columns, in their order."""
    columns = detector.columns_
    for i, row in enumerate(rows):
        if row.keys() != columns.keys():
            missing, unknown = sorted(columns.keys() - row), sorted(row.keys() - columns)
            raise BadRowsError(
                f"Row {i}: columns {missing} are missing, {unknown} are unknown."
            )
    read = {
        name: read_column(name, kind, [row[name] for row in rows])
        for name, kind in columns.items()
    }
    return pd.DataFrame(read)


def read_column(name, kind, values):
    """Values of one column, by its kind; null is a missing value."""
    for value in values:
        if value is not None and not is_of_kind(value, kind):
            raise BadRowsError(f"Column {name!r}, which is {kind}, cannot hold {value!r:.50}.")
    try:
        if kind in ("numeric", "integer"):
            return np.array([np.nan if value is None else value for value in values], float)
    except (ValueError, OverflowError) as error:
        raise BadRowsError(f"Column {name!r}, which is {kind}: {error}.") from None
    # The detector itself parses dates in ISO 8601.
    return pd.Series(values, dtype=object)


def is_of_kind(value, kind):
    """Return True if a value is allowed in a column of this kind."""
    if isinstance(value, float) and not np.isfinite(value):
        return False
    if kind in ("numeric", "integer"):
        return isinstance(value, int | float) and not isinstance(value, bool)
    if isinstance(value, str):
        # Half of a surrogate pair is valid JSON, but not text.
        return value.isascii() or value.encode("utf-8", "replace").decode() == value
    return kind != "date" and isinstance(value, bool | int | float)
