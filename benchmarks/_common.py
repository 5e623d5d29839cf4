"""Shared by the benchmark scripts: workers in fresh processes, timing, tables, files.

A measurement that depends on the history of its process (a first fit, peak memory) is
made by a worker: the script starts itself with ``--worker NAME --options JSON`` in a new
interpreter and reads the JSON line that comes back.
"""

import argparse
import contextlib
import gc
import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_MARK = "@result "
_PACKAGES = ("numpy", "scikit-learn", "keras", "tensorflow", "jax", "torch", "pyod")


# Workers


def environment(**extra):
    """Environment of a worker: no log lines, and the package of this checkout on its path."""
    env = dict(os.environ)
    env.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    env.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    env["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), env.get("PYTHONPATH")]))
    return env | extra


def run_worker(script, name, /, **options):
    """Result of a worker in a new process; ``{"missing": ...}`` if a package is absent."""
    command = [sys.executable, str(script), "--worker", name, "--options", json.dumps(options)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment())
    for line in done.stdout.splitlines():
        if line.startswith(_MARK):
            return json.loads(line[len(_MARK) :])
    raise RuntimeError(f"worker {name} {options} failed:\n{done.stderr[-3000:]}")


def serve(workers, args):
    """Run the worker of the command line, if there is one."""
    try:
        result = workers[args.worker](**json.loads(args.options))
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("skae"):
            raise
        result = {"missing": error.name}
    print(_MARK + json.dumps(result), flush=True)


def parse(description, repeats, parts=()):
    """Command line of a script."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help="tiny sizes, as a test")
    parser.add_argument("--repeats", type=int, default=repeats, help="runs per measurement")
    parser.add_argument("--output", type=Path, help="FILE.csv for all figures")
    if parts:
        parser.add_argument("--parts", nargs="+", choices=parts, default=list(parts))
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--options", default="{}", help=argparse.SUPPRESS)
    return parser


# Measuring


def clock(function, *args):
    """Seconds of a call, and its result."""
    gc.collect()
    start = time.perf_counter()
    result = function(*args)
    return time.perf_counter() - start, result


def per_call(function, *args, seconds=1.0, least=7, most=5000):
    """Median seconds of a call, repeated for a given time."""
    for _ in range(3):
        function(*args)
    times, end = [], time.perf_counter() + seconds
    while len(times) < least or (time.perf_counter() < end and len(times) < most):
        start = time.perf_counter()
        function(*args)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def peak_mb():
    """Peak memory of this process.

    From /proc where it exists: `ru_maxrss` of a child includes the memory of its parent.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(s for s in status.read_text().splitlines() if s.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    import resource

    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def rss_mb():
    """Present memory of this process."""
    import psutil

    gc.collect()
    return psutil.Process().memory_info().rss / 2**20


def median(values):
    """Median; None for an empty list."""
    return statistics.median(values) if values else None


def ratio(a, b):
    """Ratio a / b; None where one is unknown."""
    return a / b if a is not None and b else None


# Printing


def note(*words):
    """Print progress to the error stream."""
    print(*words, file=sys.stderr, flush=True)


def versions():
    """Versions of the packages that are compared, those that are installed."""
    found = []
    for package in _PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found.append(f"{package} {importlib.metadata.version(package)}")
    return ", ".join(found)


def machine():
    """Processor, number of cores and version of Python."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{platform.machine()}, {cores} cores, Python {platform.python_version()}"


def print_machine(quick, backend=None):
    """Print the machine and the versions."""
    print(machine())
    print(versions())
    if backend:
        print(f"Keras backend: {backend}")
    if quick:
        print("QUICK RUN: sizes are tiny, the figures below have no meaning.")


def number(value, spec=".3g"):
    """Format a number for a table."""
    if value is None:
        return "-"
    if isinstance(value, str):
        return value
    if spec == ".3g" and abs(value) >= 1000:
        return f"{value:.0f}"
    return format(value, spec)


def print_table(title, header, rows):
    """Print a Markdown table; first column to the left, the others to the right."""
    cells = [header, *([number(cell) for cell in row] for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]

    def line(row):
        first, *others = (
            cell.ljust(w) if i == 0 else cell.rjust(w)
            for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        return "| " + " | ".join([first, *others]) + " |"

    rule = ["-" * widths[0], *("-" * (w - 1) + ":" for w in widths[1:])]
    print(f"\n**{title}**\n")
    print("\n".join(map(line, [header, rule, *cells[1:]])), flush=True)


class Figures:
    """All figures of a run, one record each, for the output file."""

    def __init__(self):
        self.records = []

    def add(self, part, name, metric, runs):
        """Store median, least and most of the runs of one metric; return their median."""
        runs = [run for run in runs if run is not None]
        of_runs = {"": median(runs)}
        if len(runs) > 1:
            of_runs |= {": least": min(runs), ": most": max(runs)}
        if runs:
            self.records += [
                {"part": part, "name": name, "metric": f"{metric}{suffix}", "value": value}
                for suffix, value in of_runs.items()
            ]
        return of_runs[""]

    def save(self, path):
        """Write all figures as `save.py` does."""
        if path is None:
            return
        from save import origin, write

        now = origin()
        write(path, [record | now for record in self.records])
        note("written:", path)


def medians_of(figures, part, side, repeats, script, worker, /, **options):
    """Medians of a worker's metrics over several new processes."""
    runs = []
    for repeat in range(repeats):
        note(f"{part}, run {repeat + 1} of {repeats}: {side}")
        runs.append(run_worker(script, worker, **options))
    return {
        metric: figures.add(part, side, metric, [run[metric] for run in runs])
        for metric in runs[0]
    }


def print_bars(bars, figures):
    """Print bars, given as ``(claim, sign, bar, measured)``, and whether they are met."""
    rows = []
    for claim, sign, bar, measured in bars:
        if measured is None:
            verdict = "not measured"
        else:
            met = measured >= bar if sign == ">=" else measured <= bar
            verdict = "met" if met else "NOT met"
            figures.add("bars", claim, f"{sign} {bar:g}", [measured])
        rows.append((claim, f"{sign} {bar:g}", measured, verdict))
    print_table("Bars", ["claim", "bar", "measured", ""], rows)
