"""Peak memory of a fit, as a multiple of the table, and of a fit on a file of 4 GB.

Memory is `RssAnon` of /proc (Linux only): pages of a memory-mapped file, which the system can
reclaim, are not counted. The table is counted; the memory before it (Python, TensorFlow) is
shown separately. The memory for XLA's compilation is part of the fit, and the same for tables
of any size. Epochs are measured in wall-clock and in processor seconds of all threads: the
latter include all reading in the background thread, and not other work on the machine.

`--parts programs` is the growth of a process that fits tables of different widths, with XLA and
without.
"""

import os

os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import contextlib
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

from _common import (
    Figures,
    clock,
    note,
    parse,
    print_bars,
    print_machine,
    print_table,
    ratio,
    rss_mb,
    run_worker,
    serve,
)

_VARIATIONAL = "300,000 x 784, float32, 2 epochs, VAETransformer"

# Rows, columns, dtype, epochs: XLA compiles the epoch where there are many steps.
TABLES = {
    "300,000 x 784, float32, 2 epochs": (300_000, 784, "float32", 2),
    "60,000 x 784, float32, 2 epochs": (60_000, 784, "float32", 2),
    "60,000 x 784, float32, 20 epochs": (60_000, 784, "float32", 20),
    "60,000 x 784, float64, 2 epochs": (60_000, 784, "float64", 2),
    "1,000,000 x 50, float32, 2 epochs": (1_000_000, 50, "float32", 2),
    "1,000,000 x 50, float64, 2 epochs": (1_000_000, 50, "float64", 2),
    _VARIATIONAL: (300_000, 784, "float32", 2),
}
FILE_ROWS, FILE_COLUMNS = 1_310_720, 784  # 4.1 GB in float32
SUBSET_ROWS = 60_000
DETECTOR_ROWS, DETECTOR_COLUMNS = 5_000_000, 30  # 0.6 GB in float32
IMPUTER_ROWS, IMPUTER_COLUMNS = 500_000, 20
WIDTHS = 200  # tables of different widths, each with a program of its own
PARTS = ("tables", "file", "detector", "imputer", "programs")
_RANK = 16
_BLOCK = 8192
_MB = 2**20


# Measuring


def anonymous_mb():
    """Anonymous memory of this process."""
    status = Path("/proc/self/status").read_text().splitlines()
    return int(next(s for s in status if s.startswith("RssAnon")).split()[1]) / 1024


@contextlib.contextmanager
def watched(seconds=0.003):
    """Peak memory inside the context: a list of one number."""
    most, over = [anonymous_mb()], threading.Event()

    def watch():
        while not over.wait(seconds):
            most[0] = max(most[0], anonymous_mb())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield most
    finally:
        over.set()
        watcher.join()


def fill(X):
    """Rows around a plane of 16 dimensions, block by block."""
    rng = np.random.RandomState(0)
    plane = rng.standard_normal((_RANK, X.shape[1]))
    noise = 0.5 * rng.standard_normal((_BLOCK, X.shape[1])).astype(np.float32)
    for start in range(0, len(X), _BLOCK):
        n_rows = min(_BLOCK, len(X) - start)
        code = np.tanh(rng.standard_normal((n_rows, _RANK)))
        X[start : start + n_rows] = code @ plane + noise[:n_rows]
    return X


def fit(X, epochs, variational=False):
    """Peak memory and seconds of the fit, both kinds of seconds of its fastest later epoch.

    And the peak in `score_samples` and `score`; if variational, on a tenth of the rows.
    """
    from skae import AutoencoderTransformer, VAETransformer
    from skae.training._engine import Engine

    plain, seconds = Engine.epoch, []

    def timed(self, order, n_rows, rates=None):
        began = time.perf_counter(), time.process_time()
        result = plain(self, order, n_rows, rates)
        if n_rows:
            ended = time.perf_counter(), time.process_time()
            seconds.append(np.subtract(ended, began))
        return result

    Engine.epoch = timed
    kind = VAETransformer if variational else AutoencoderTransformer
    ae = kind(_RANK, hidden_layer_sizes=(100,), max_iter=epochs, tol=None, random_state=0)
    with watched() as most:
        total, _ = clock(ae.fit, X)
    Engine.epoch = plain
    with watched() as most_of_scores:
        some = X[: len(X) // (10 if variational else 1)]
        ae.score_samples(some)
        ae.score(some)
    return {
        "peak_mb": most[0],
        "score_mb": most_of_scores[0],
        "fit_s": total,
        "epoch_s": min(seconds[1:] or seconds, key=lambda both: both[1]).tolist(),
    }


def warm_up():
    """Import everything and compile something, before memory is counted."""
    from skae import AutoencoderTransformer

    AutoencoderTransformer(2, hidden_layer_sizes=(4,), max_iter=1, tol=None).fit(np.eye(50))
    return anonymous_mb()


# Workers


def table_worker(shape, dtype, epochs, whole=False, variational=False):
    """Worker: a table in memory. `whole`: it is put on the device, like a small one."""
    from skae.estimators import _validation

    if whole:
        _validation.FEW_BYTES = 2**62
    before = warm_up()
    X = fill(np.empty(shape, dtype))
    told = fit(X, epochs, variational)
    return {"before_mb": before, "data_mb": X.nbytes / _MB, **told}


def file_worker(path, epochs, n_rows=None):
    """Worker: a file, or its first rows."""
    before = warm_up()
    X = np.load(path, mmap_mode="r")[:n_rows]
    return {"before_mb": before, "data_mb": X.nbytes / _MB, **fit(X, epochs)}


def detector_worker(path):
    """Worker: a detector on a file."""
    from skae import AEAnomalyDetector

    AEAnomalyDetector(n_steps=5).fit(np.random.RandomState(0).normal(size=(300, 30)))
    before = anonymous_mb()
    X = np.load(path, mmap_mode="r")
    with watched() as most:
        seconds, fitted = clock(AEAnomalyDetector(random_state=0).fit, X)
    sizes = {"before_mb": before, "data_mb": X.nbytes / _MB, "peak_mb": most[0]}
    return {**sizes, "fit_s": seconds, "n_used": fitted.n_samples_fit_}


def imputer_worker(n_rows):
    """Worker: an imputer on an array of which a fifth of the values are missing."""
    from skae import AEImputer

    def array(n_rows):
        rng = np.random.RandomState(0)
        X = rng.normal(size=(n_rows, 5)) @ rng.normal(size=(5, IMPUTER_COLUMNS))
        X += rng.normal(size=X.shape)
        X[rng.uniform(size=X.shape) < 0.2] = np.nan
        return X

    AEImputer(random_state=0).fit_transform(array(2000))
    X = array(n_rows)
    before = anonymous_mb()
    with watched() as most:
        seconds, _ = clock(AEImputer(random_state=0).fit_transform, X)
    sizes = {"before_mb": before, "data_mb": X.nbytes / _MB, "peak_mb": most[0]}
    return {**sizes, "fit_s": seconds}


# Parts


def tables(args, figures):
    """Tables in memory: peak memory as a multiple of the table; the worst of float32."""
    rows, worst = [], 0.0
    for name, (n_rows, n_columns, dtype, epochs) in TABLES.items():
        note(name)
        shape = (n_rows // (20 if args.quick else 1), n_columns)
        options = {"dtype": dtype, "epochs": epochs, "variational": name == _VARIATIONAL}
        m = run_worker(__file__, "table", shape=shape, **options)
        times = (m["peak_mb"] - m["before_mb"]) / m["data_mb"]
        figures.add("tables", name, "times", [times])
        scores = (m["score_mb"] - m["before_mb"]) / m["data_mb"]
        figures.add("tables", name, "score_times", [scores])
        rows.append((name, m["data_mb"], m["before_mb"], m["peak_mb"], times, scores))
        if dtype == "float32":
            worst = max(worst, times)
    print_table(
        "tables in memory",
        ["", "MB", "held before", "at most in fit", "of it the fit / MB", "the scores"],
        rows,
    )
    return worst


def file(args, figures):
    """A file of 4 GB: peak memory, seconds an epoch, and those of a part of it in memory."""
    n_rows, subset = FILE_ROWS, SUBSET_ROWS
    if args.quick:
        n_rows, subset = 40_000, 30_000
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        path = str(Path(folder) / "rows.npy")
        note("writing", path)
        shape = (n_rows, FILE_COLUMNS)
        fill(np.lib.format.open_memmap(path, "w+", np.float32, shape)).flush()
        sides = {}
        for name, options in {
            "the file": {"epochs": 2},
            f"its first {subset:,} rows": {"n_rows": subset, "epochs": args.epochs},
        }.items():
            note(name)
            sides[name] = run_worker(__file__, "file", path=path, **options)
    for name, whole in {"as many rows in memory": False, "on the device": True}.items():
        note(name)
        options = {"shape": (subset, FILE_COLUMNS), "dtype": "float32", "epochs": args.epochs}
        sides[name] = run_worker(__file__, "table", whole=whole, **options)
    rows = []
    for name, m in sides.items():
        per_gb = [seconds / m["data_mb"] * 1024 for seconds in m["epoch_s"]]
        figures.add("file", name, "s_per_gb", per_gb[:1])
        figures.add("file", name, "cpu_s_per_gb", per_gb[1:])
        figures.add("file", name, "peak_mb", [m["peak_mb"]])
        rows.append((name, m["data_mb"], m["peak_mb"], *m["epoch_s"], *per_gb, m["fit_s"]))
    print_table(
        "a file that is mapped to memory",
        [
            "",
            "MB",
            "at most in fit",
            "s an epoch",
            "CPU s",
            "s / GB",
            "CPU s / GB",
            "s of the fit",
        ],
        rows,
    )
    return rows[0][2], ratio(rows[0][5], rows[-1][5])


def detector(args, figures):
    """A detector on a file: peak memory of the fit as a multiple of the file."""
    shape = (DETECTOR_ROWS // (20 if args.quick else 1), DETECTOR_COLUMNS)
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        path = str(Path(folder) / "rows.npy")
        fill(np.lib.format.open_memmap(path, "w+", np.float32, shape)).flush()
        m = run_worker(__file__, "detector", path=path)
    times = (m["peak_mb"] - m["before_mb"]) / m["data_mb"]
    figures.add("detector", "file", "times", [times])
    row = (f"{shape[0]:,} x {shape[1]}", m["data_mb"], m["n_used"], times, m["fit_s"])
    header = ["a detector on a file", "MB", "rows used", "of it the fit / MB", "s of the fit"]
    print_table("a detector", header, [row])
    return times


def imputer(args, figures):
    """An imputer on a long array: memory besides the array, as a multiple of it."""
    m = run_worker(__file__, "imputer", n_rows=IMPUTER_ROWS // (50 if args.quick else 1))
    times = (m["peak_mb"] - m["before_mb"]) / m["data_mb"]
    figures.add("imputer", "array", "times", [times])
    print_table(
        f"AEImputer.fit_transform, {IMPUTER_ROWS:,} x {IMPUTER_COLUMNS}, a fifth missing, MB",
        ["array", "before", "peak", "(peak - before) / array", "s"],
        [(m["data_mb"], m["before_mb"], m["peak_mb"], times, m["fit_s"])],
    )
    return times


def programs_worker(n, whole):
    """Worker: growth from the third table to the last of `n`, with XLA (`whole`) or without."""
    from skae import AutoencoderTransformer
    from skae.training import _train
    from skae.utils._process import malloc_trim

    _train._XLA_MIN_STEPS = 0 if whole else np.inf
    X = np.random.default_rng(0).normal(size=(64, 10 + n))
    options = {"hidden_layer_sizes": (32,), "init": "random", "max_iter": 2, "tol": None}
    sizes = []
    for i in range(n):
        AutoencoderTransformer(2, **options, random_state=0).fit(X[:, : 10 + i])
        if i in (2, n - 1):
            malloc_trim()
            sizes.append(rss_mb())
    return {"growth_mb": sizes[1] - sizes[0]}


def programs(args, figures):
    """Growth over tables of different widths."""
    n = 6 if args.quick else args.widths
    rows = []
    for name, whole in {"with XLA": True, "without": False}.items():
        note(name)
        growth = run_worker(__file__, "programs", n=n, whole=whole)["growth_mb"]
        figures.add("programs", name, "growth_mb", [growth])
        rows.append((name, growth, growth / (n - 3)))
    print_table(f"growth over {n} widths", ["", "MB", "MB a program"], rows)
    return rows[0][1]


def main(args):
    """Run the selected parts and print."""
    figures = Figures()
    print_machine(args.quick, os.environ["KERAS_BACKEND"])
    worst = tables(args, figures) if "tables" in args.parts else None
    peak, slower = file(args, figures) if "file" in args.parts else (None, None)
    most = detector(args, figures) if "detector" in args.parts else None
    copies = imputer(args, figures) if "imputer" in args.parts else None
    growth = programs(args, figures) if "programs" in args.parts else None
    bars = [
        (f"tables of {args.widths} widths: growth, MB", "<=", 300, growth),
        ("float32 tables in memory: peak / table", "<=", 2, worst),
        ("file of 4 GB: peak memory in all, MB", "<=", 1500, peak),
        ("a detector on a file: memory of the fit / file", "<=", 1.5, most),
        ("an imputer: memory besides the array / array", "<=", 3, copies),
        ("file: s an epoch / GB, relative to rows on the device", "<=", 1.3, slower),
    ]
    print_bars(bars, figures)
    figures.save(args.output)


WORKERS = {
    "table": table_worker,
    "file": file_worker,
    "detector": detector_worker,
    "imputer": imputer_worker,
    "programs": programs_worker,
}

if __name__ == "__main__":
    parser = parse(__doc__.split("\n\n")[0], repeats=1, parts=PARTS)
    parser.add_argument("--epochs", type=int, default=6, help="epochs of the smaller fits")
    parser.add_argument("--widths", type=int, default=WIDTHS, help="tables of the last part")
    parser.add_argument("--folder", help="where the file of 4 GB is written")
    arguments = parser.parse_args()
    if arguments.worker:
        serve(WORKERS, arguments)
    else:
        main(arguments)
