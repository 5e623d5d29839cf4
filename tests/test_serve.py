"""The service of `examples/serve`: what it answers, what it refuses, that it keeps running."""

import asyncio
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import skae
from data import data_rng
from skae import AEAnomalyDetector

httpx = pytest.importorskip("httpx")
pd = pytest.importorskip("pandas")
pytest.importorskip("starlette")
pytest.importorskip("uvicorn")

FOLDER = Path(__file__).resolve().parent.parent / "examples" / "serve"
ROW = {"items": 3, "amount": 120.5, "method": "card", "paid": True, "day": "2024-03-05"}
N_REQUESTS = 10_000
N_CONNECTIONS = 16

# Scores are none of these tests' business, and what scores is tried elsewhere.
pytestmark = [pytest.mark.any_data, pytest.mark.any_backend]


def table(n, rng):
    items = rng.poisson(5, n) + 1
    days = np.datetime64("2024-01-01") + rng.randint(300, size=n).astype("m8[D]")
    return pd.DataFrame(
        {
            "items": items,
            "amount": (40 * items + rng.normal(0, 5, n)).round(2),
            "method": rng.choice(["card", "invoice", None], n),
            "paid": rng.choice([True, False], n),
            "day": days.astype("M8[us]"),
        }
    )


@pytest.fixture(scope="module")
def detector():
    params = {"novelty": True, "hidden_layer_sizes": (8,), "n_steps": 50, "random_state": 0}
    return AEAnomalyDetector(**params).fit(table(300, data_rng()))


@pytest.fixture(scope="module")
def saved(detector, tmp_path_factory):
    path = tmp_path_factory.mktemp("serve") / "detector"
    skae.save(detector, path)
    return path


@pytest.fixture(scope="module")
def app():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(FOLDER)
        import app

        yield app
        sys.modules.pop("app")


@pytest.fixture(scope="module")
def post(app, saved):
    """Sends a body to the app, without a network."""
    transport = httpx.ASGITransport(app.create_app(skae.load(saved)))

    async def send(body):
        async with httpx.AsyncClient(transport=transport, base_url="http://app") as client:
            return await client.post("/score", content=body)

    return lambda body: asyncio.run(send(body))


def body(*rows):
    return json.dumps({"rows": rows}).encode()


def changed(**cells):
    return body({**ROW, **cells})


BAD = {
    "no JSON": b"rows",
    "no bytes of text": b"\xff\xfe{",
    "nested without end": b"[" * 100_000,
    "no rows": b"{}",
    "an empty list": body(),
    "rows that are lists": body([1, 2, 3, 4, 5]),
    "a missing column": body({name: ROW[name] for name in ROW if name != "amount"}),
    "an unknown column": changed(colour="red"),
    "text for a number": changed(amount="much"),
    "a flag for a number": changed(amount=True),
    "a number for text": changed(method=7),
    "a list in a cell": changed(method=["card"]),
    "half a letter": changed(method="\ud800"),
    "no date": changed(day="soon"),
    "a date out of reach": changed(day="99999-01-01"),
    "a number for a date": changed(day=5),
    "NaN": changed(amount=float("nan")),
    "infinity": changed(amount=float("inf")),
    "a number that is infinite": body(ROW).replace(b"120.5", b"1e999"),
    "a number of many digits": body(ROW).replace(b"120.5", b"9" * 400),
    "columns of two types": body(ROW, {**ROW, "method": 7}),
    "too many rows": body(*[ROW] * 1001),
    "too many bytes": changed(method="x" * 2_000_000),
}


def test_answers_are_those_of_the_detector(post, detector):
    odd = {**ROW, "amount": 9120.0}
    answer = post(body(ROW, odd))
    assert answer.status_code == 200
    ordinary, marked = answer.json()["rows"]
    X = pd.DataFrame([ROW, odd]).astype({"day": "M8[us]"})
    assert [row["score"] for row in (ordinary, marked)] == list(detector.score_samples(X))
    assert [row["p_value"] for row in (ordinary, marked)] == list(detector.p_values(X))
    assert marked["anomaly"] is True
    assert marked["reason"] == detector.describe(X[1:])[0]
    assert (ordinary["anomaly"], ordinary["reason"]) == (False, None)


def test_missing_cells_of_a_table_are_read(post):
    empty = dict.fromkeys(ROW)
    assert post(body(ROW, empty)).status_code == 200
    assert post(body(empty)).status_code == 200


@pytest.mark.parametrize("kind", BAD)
def test_bad_rows_are_refused_and_nothing_breaks(post, kind):
    answer = post(BAD[kind])
    assert answer.status_code == 422
    assert answer.json()["error"]
    assert post(body(ROW)).status_code == 200


def test_numbers_without_names_and_holes(app):
    X = data_rng().normal(size=(200, 3))
    params = {"novelty": True, "hidden_layer_sizes": (8,), "n_steps": 50, "random_state": 0}
    detector = AEAnomalyDetector(**params).fit(X)
    rows = [dict(zip(("x0", "x1", "x2"), row, strict=True)) for row in X[:5].tolist()]
    scores = [answer["score"] for answer in app.score_rows(detector, rows)]
    assert scores == list(detector.score_samples(X[:5]))
    (missing,) = app.score_rows(detector, [{**rows[0], "x1": None}])
    assert missing["score"] < app.score_rows(detector, rows[:1])[0]["score"]


def run(code, *arguments):
    command = [sys.executable, "-c", code, str(FOLDER), *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_it_runs_without_keras(saved):
    code = """
import sys
sys.path.insert(0, sys.argv[1])
import app, json
app.score_rows(app.skae.load(sys.argv[2]), app.parse(sys.argv[3].encode()))
print([name for name in ("keras", "tensorflow", "jax", "torch") if name in sys.modules])
"""
    with run(code, saved, changed(amount=9120.0).decode()) as process:
        assert process.communicate(timeout=120)[0].strip() == "[]"
    assert process.returncode == 0


@pytest.fixture
def port(saved):
    """Where a server runs, in a process of its own, for as long as a test takes."""
    code = """
import socket, sys, uvicorn
sys.path.insert(0, sys.argv[1])
import app
sock = socket.create_server(("127.0.0.1", 0))
print(sock.getsockname()[1], flush=True)
config = uvicorn.Config(app.create_app(app.skae.load(sys.argv[2])), log_level="error")
uvicorn.Server(config).run(sockets=[sock])
"""
    with run(code, saved) as process:
        try:
            yield int(process.stdout.readline())
            assert process.poll() is None
        finally:
            process.terminate()


class Connection:
    """One that is kept alive. A client for people takes longer than what is tried here."""

    @classmethod
    async def to(cls, port):
        connection = cls()
        connection.streams = await asyncio.open_connection("127.0.0.1", port)
        return connection

    async def ask(self, method, path, sent=b""):
        reader, writer = self.streams
        head = f"{method} {path} HTTP/1.1\r\nHost: here\r\nContent-Length: {len(sent)}\r\n\r\n"
        writer.write(head.encode() + sent)
        await writer.drain()
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().lower().splitlines()
        length = next(int(line.split(":")[1]) for line in lines if "content-length" in line)
        return int(first.split()[1]), await reader.readexactly(length)

    async def close(self):
        self.streams[1].close()
        await self.streams[1].wait_closed()


@pytest.mark.slow
def test_many_requests_and_no_error(port):
    """Ten thousand requests, every second of them bad, and answers that never change."""
    good = [body(ROW), body(*[{**ROW, "items": i} for i in range(5)]), changed(amount=9120.0)]
    good = [good[0]] * 8 + good[1:]
    bad = [BAD[kind] for kind in BAD if kind != "too many bytes"]
    numbers = iter(range(N_REQUESTS))
    seen, answers = Counter(), {}

    async def ask(connection):
        for i in numbers:
            is_bad = i % 2 == 1
            sent = bad[i // 2 % len(bad)] if is_bad else good[i // 2 % len(good)]
            status, answer = await connection.ask("POST", "/score", sent)
            seen[status] += 1
            assert status == (422 if is_bad else 200), answer
            assert answers.setdefault(sent, answer) == answer

    async def load():
        connections = [await Connection.to(port) for _ in range(N_CONNECTIONS)]
        await asyncio.gather(*map(ask, connections))
        last = connections[0]
        status, _ = await last.ask("POST", "/score", BAD["too many bytes"])
        assert status == 422
        status, answer = await last.ask("GET", "/health")
        assert (status, json.loads(answer)["status"]) == (200, "ok")
        for connection in connections:
            await connection.close()

    asyncio.run(asyncio.wait_for(load(), 500))
    assert sum(seen.values()) == N_REQUESTS
    assert seen.keys() == {200, 422}


def test_dates_as_they_are_in_json(app):
    """Strings, times with a zone and times of day are read by the detector itself."""
    days = pd.date_range("2024-01-01", periods=100)
    X = pd.DataFrame(
        {
            "day": days.strftime("%Y-%m-%d"),
            "moment": days.tz_localize("Europe/Berlin"),
            "clock": pd.Series([f"{8 + i % 9:02d}:30" for i in range(100)]),
            "amount": np.arange(100.0),
        }
    )
    detector = AEAnomalyDetector(hidden_layer_sizes=(8,), n_steps=20, random_state=0).fit(X)
    row = {"day": "2024-02-03", "moment": "2024-02-03T00:00:00+01:00", "clock": "09:30"}
    (answer,) = app.score_rows(detector, [{**row, "amount": 33.0}])
    assert answer["score"] == detector.score_samples(X[33:34].assign(clock="09:30"))[0]
    with pytest.raises(app.BadRowsError, match="'moment' had cells of type time with a zone"):
        app.score_rows(detector, [{**row, "moment": "2024-02-03", "amount": 33.0}])
