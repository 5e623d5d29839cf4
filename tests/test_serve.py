"""The service of `examples/serve`: what it answers, what it refuses, that it keeps running."""

import asyncio
import base64
import contextlib
import json
import os
import shutil
import socket
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
SECONDS = 3  # in which a body must arrive

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


SERVER = """
import socket, sys, uvicorn
sys.path.insert(0, sys.argv[1])
import app
app.MOST_SECONDS = float(sys.argv[3])
sock = socket.create_server(("127.0.0.1", 0))
print(sock.getsockname()[1], flush=True)
served = app.create_app(app.skae.load(sys.argv[2]))
# All that a server can log, in the output.
uvicorn.config.LOGGING_CONFIG["handlers"]["default"]["stream"] = "ext://sys.stdout"
uvicorn.Server(uvicorn.Config(served, log_level=sys.argv[4])).run(sockets=[sock])
"""


@pytest.fixture
def port(saved):
    """Where a server runs, in a process of its own, for as long as a test takes."""
    with run(SERVER, saved, SECONDS, "error") as process:
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

    async def ask(self, method, path, sent=b"", length=None, head=""):
        reader, writer = self.streams
        length = len(sent) if length is None else length
        first = f"{method} {path} HTTP/1.1\r\nHost: here\r\nContent-Length: {length}\r\n"
        writer.write(f"{first}{head}\r\n".encode() + sent)
        await writer.drain()
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().lower().splitlines()
        length = next(int(line.split(":")[1]) for line in lines if "content-length" in line)
        return int(first.split()[1]), await reader.readexactly(length)

    async def close(self):
        self.streams[1].close()
        with contextlib.suppress(ConnectionError):
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


@pytest.mark.slow
def test_slow_clients_are_answered_and_others_do_not_wait(port):
    """A hundred bodies that never end, one that is given up, and one row beside them."""

    async def load():
        slow = [await Connection.to(port) for _ in range(100)]
        waiting = [asyncio.ensure_future(c.ask("POST", "/score", b"{", 10)) for c in slow]
        gone = await Connection.to(port)
        gone.streams[1].write(
            b"POST /score HTTP/1.1\r\nHost: here\r\nContent-Length: 9\r\n\r\n{"
        )
        await gone.close()
        quick = await Connection.to(port)
        assert (await quick.ask("POST", "/score", body(ROW)))[0] == 200
        assert not any(each.done() for each in waiting)
        answers = await asyncio.gather(*waiting)
        assert {status for status, _ in answers} == {408}
        assert f"within {SECONDS} seconds" in json.loads(answers[0][1])["error"]
        assert (await quick.ask("POST", "/score", body(ROW)))[0] == 200
        for connection in (*slow, quick):
            await connection.close()

    asyncio.run(asyncio.wait_for(load(), 60))


@pytest.mark.slow
def test_huge_bodies_take_no_memory(port):
    """Sixteen of 15 MB at once, and one that only claims to be of a terabyte."""

    async def status(sent, length=None):
        connection = await Connection.to(port)
        try:
            return (await connection.ask("POST", "/score", sent, length))[0]
        except (ConnectionError, asyncio.IncompleteReadError):
            return None  # closed before all was sent, as it took too long
        finally:
            await connection.close()

    async def load():
        sent = b" " * 15_000_000
        assert {*await asyncio.gather(*(status(sent) for _ in range(16)))} <= {422, 408, None}
        assert await status(b"{", 10**12) == 408
        assert await status(body(ROW)) == 200

    if not Path("/proc").exists():
        pytest.skip("no /proc")
    before = peak_memory(port)
    asyncio.run(asyncio.wait_for(load(), 60))
    assert peak_memory(port) - before < 50e6


def peak_memory(port):
    """Bytes of the process that listens at a port."""
    address = f"0100007F:{port:04X}"
    lines = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    (inode,) = (fields[9] for fields in lines if fields[1] == address and fields[3] == "0A")
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if link.readlink() == Path(f"socket:[{inode}]"):
                status = link.parents[1].joinpath("status").read_text()
                return 1024 * int(status.partition("VmHWM:")[2].split()[0])
        except OSError:
            continue
    raise AssertionError(f"nobody listens at {port}")


SECRET = "b7c1e9"


def secret_bodies():
    """Requests of every kind whose values, names and bytes hold a secret."""
    for kind in BAD:
        yield BAD[kind].replace(b"card", SECRET.encode()).replace(b"colour", SECRET.encode())
    yield changed(amount=SECRET)
    yield changed(day=SECRET)
    yield changed(**{SECRET: 1})
    yield SECRET.encode()
    yield changed(method=SECRET)
    yield changed(method=SECRET, amount=9120.0)


@pytest.mark.slow
def test_the_log_has_no_values_of_the_rows(saved):
    """Not of rows that are refused, nor of rows whose scoring fails."""

    async def load(port):
        connection = await Connection.to(port)
        for sent in secret_bodies():
            await connection.ask("POST", "/score", sent)
        await connection.close()

    with run(SERVER, saved, SECONDS, "trace") as process:
        port = int(process.stdout.readline())
        asyncio.run(asyncio.wait_for(load(port), 60))
        process.terminate()
        log = process.stdout.read()
    assert "POST" in log
    assert SECRET not in log


def test_an_error_of_the_server_is_logged_without_its_message(app, caplog):
    """A message may quote a value."""

    class Broken:
        columns_ = {"method": "categorical"}

        def score_samples(self, X):
            raise KeyError(X[0, 0])

    transport = httpx.ASGITransport(app.create_app(Broken()))

    async def send():
        async with httpx.AsyncClient(transport=transport, base_url="http://app") as client:
            return await client.post("/score", content=body({"method": SECRET}))

    answer = asyncio.run(send())
    assert answer.status_code == 500
    assert SECRET not in answer.text
    assert "KeyError in score_samples, line" in caplog.text
    assert SECRET not in caplog.text


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("nginx"), reason="no nginx")
def test_the_proxy_asks_for_a_password(port, tmp_path):
    """The file beside the app, without its TLS, and limits of requests, size and time."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        outside = free.getsockname()[1]
    text = (FOLDER / "nginx.conf").read_text()
    text = text.replace("listen 443 ssl", f"listen 127.0.0.1:{outside}")
    text = text.replace("127.0.0.1:8000", f"127.0.0.1:{port}").replace("time 10s", "time 1s")
    text = "".join(line for line in text.splitlines(True) if "ssl_" not in line)
    # Else root's workers are another user, who may not see this folder.
    user = "user root;" if os.name == "posix" and os.geteuid() == 0 else ""
    (tmp_path / "nginx.conf").write_text(f"daemon off; {user}\n{text}")
    (tmp_path / "users").write_text("anna:{PLAIN}word\n")
    process = subprocess.Popen(["nginx", "-p", tmp_path, "-c", "nginx.conf"])

    def key(word):
        return f"Authorization: Basic {base64.b64encode(f'anna:{word}'.encode()).decode()}\r\n"

    async def ask(sent, head="", path="/score"):
        connection = await Connection.to(outside)
        status, _ = await connection.ask("POST", path, sent, head=head)
        await connection.close()
        return status

    async def load():
        while True:
            try:
                assert await ask(body(ROW)) == 401
                break
            except ConnectionError:
                await asyncio.sleep(0.05)
        assert await ask(body(ROW), key("wrong")) == 401
        assert await ask(body(ROW), key("word")) == 200
        assert await ask(body(ROW), key("word"), "/other") == 404
        assert await ask(b" " * 1_100_000, key("word")) == 413
        many = await asyncio.gather(*(ask(body(ROW), key("word")) for _ in range(30)))
        assert Counter(many).keys() == {200, 429}

    try:
        asyncio.run(asyncio.wait_for(load(), 30))
    finally:
        process.terminate()
        process.wait()


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
    with pytest.raises(app.BadRowsError, match="'moment' had values of type time with a zone"):
        app.score_rows(detector, [{**row, "moment": "2024-02-03", "amount": 33.0}])
