"""Counts how many small faults in the package the tests notice; see tests/README.md.

::

    python tests/mutants.py --sample 200 --jobs 2

draws faults at random, puts each into a copy of the repository and runs the tests that call
the faulty function, until one of them fails. Which tests these are is learnt in one run of
the suite, which is kept in ``.mutants/`` for each file of tests until this changes.
"""

import argparse
import ast
import difflib
import hashlib
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from mutant_operators import mutants_of

ROOT = Path(__file__).resolve().parent.parent
RECORDS = ROOT / ".mutants"
FOLDERS = (
    "losses", "corruption", "networks", "models", "anomaly", "tables",
    "imputation", "variational",
)  # fmt: skip
# They run for long and call everything, or nothing in their own process.
LEFT_OUT = "test_examples", "test_sklearn_contract", "test_processes", "test_architecture"

# Seconds of processors that a process may use: at least, and for each second of its tests. What
# needs more does not end, which is noticed. What waits for ever is ended after a while too.
LEAST_LIMIT, PATIENCE, WAITING = 60, 5, 20

_CALL = "__import__('sys').__dict__.setdefault('skae_calls', set()).add({!r})  # a block"


# Processes: each is forked from this one, where TensorFlow is loaded already.


def load_libraries():
    """Import what nearly every test needs, and nothing of skae."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras  # noqa: F401
    import pandas  # noqa: F401
    import polars  # noqa: F401
    import pyarrow  # noqa: F401
    import scipy.stats  # noqa: F401
    import sklearn.ensemble
    import sklearn.model_selection  # noqa: F401


def start(sandbox, files, plugin, output, limit):
    """Run pytest in a copy of the repository, in another process; returns its id."""
    process = os.fork()
    if process:
        return process
    code = 1
    try:
        os.setsid()
        resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 10))
        log = os.open(output.with_suffix(".log"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for stream in (1, 2):
            os.dup2(log, stream)
        os.chdir(sandbox)
        os.environ["PYTHONPATH"] = str(sandbox)
        sys.path[:] = [str(sandbox), *(p for p in sys.path if p != str(ROOT / "tests"))]
        # Of two texts of one second and one length, the second is taken for the first.
        sys.dont_write_bytecode = True
        code = pytest.main(["-q", "-m", "not slow", *files], plugins=[plugin])
        output.write_text(json.dumps(plugin.result))
    finally:
        os._exit(int(code))


class Recorder:
    """Learns how long each test takes and which blocks of functions it reaches."""

    def __init__(self):
        self.result = {}
        self._calls = sys.__dict__.setdefault("skae_calls", set())
        self._of_fixture = {}

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef, request):
        # What a fixture calls counts for all tests that use it, not for the first alone.
        outer = set(self._calls)
        self._calls.clear()
        result = yield
        self._of_fixture.setdefault(fixturedef.argname, set()).update(self._calls)
        self._calls.update(outer)
        return result

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item, nextitem):
        self._calls.clear()
        begin = time.process_time()
        result = yield
        calls = set(self._calls)
        for name in item.fixturenames:
            calls |= self._of_fixture.get(name, set())
        self.result[item.nodeid] = round(time.process_time() - begin, 3), sorted(calls)
        return result

    def pytest_runtest_logreport(self, report):
        if report.failed:
            print("FAILED", report.nodeid)


class Chosen:
    """Runs these tests in this order, up to the first that fails."""

    def __init__(self, tests):
        self.result = []
        self._tests = {test: i for i, test in enumerate(tests)}

    def pytest_configure(self, config):
        config.option.maxfail = 1

    def pytest_collection_modifyitems(self, items):
        items[:] = [item for item in items if item.nodeid in self._tests]
        items.sort(key=lambda item: self._tests[item.nodeid])

    def pytest_runtest_logreport(self, report):
        if report.failed:
            self.result.append(report.nodeid)

    def pytest_collectreport(self, report):
        if report.failed:
            self.result.append(f"import of {report.nodeid}")


def run_all(tasks, n_jobs, folder):
    """Run (sandbox -> process, output, limit) tasks side by side; yields those that ended.

    Parameters
    ----------
    tasks : iterable of callable
        Each is given a copy of the repository and a path for its output, and returns the
        id of a process and how many seconds of processors it may use.

    Yields
    ------
    tuple
        Position of the task, exit code (None: it took too long) and output path.
    """
    free = [copied(folder / f"copy{i}") for i in range(n_jobs)]
    waiting, running = list(enumerate(tasks)), {}
    while waiting or running:
        while waiting and free:
            i, task = waiting.pop(0)
            sandbox, output = free.pop(), folder / f"output{i}.json"
            process, limit = task(sandbox, output)
            running[process] = i, sandbox, output, time.monotonic() + WAITING * limit
        for process, (i, sandbox, output, end) in list(running.items()):
            done, status = os.waitpid(process, os.WNOHANG)
            late = not done and time.monotonic() > end
            if late:
                os.killpg(process, signal.SIGKILL)
                os.waitpid(process, 0)
            if done or late:
                del running[process]
                free.append(sandbox)
                code = None if late else os.waitstatus_to_exitcode(status)
                yield i, None if code == -signal.SIGXCPU else code, output
        time.sleep(0.05)


def copied(sandbox):
    """A copy of the files of the repository."""
    command = ["git", "ls-files", "-co", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    for name in names.stdout.splitlines():
        if (ROOT / name).is_file():
            (sandbox / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, sandbox / name)
    return sandbox


# Which tests reach which block


def instrument(sandbox):
    """Let every block of the functions of the folders note that it was reached."""
    for path in modules(sandbox):
        tree = ast.parse(path.read_text("utf-8"))
        for scope, function in functions(tree):
            documented = ast.get_docstring(function) is not None
            for i, block in enumerate(list(blocks(function))):
                call = _CALL.format(f"{path.relative_to(sandbox).as_posix()}:{scope}#{i}")
                at = int(documented and i == 0)
                block[at:at] = ast.parse(call).body
        path.write_text(ast.unparse(ast.fix_missing_locations(tree)), "utf-8")


def modules(root):
    return [path for folder in FOLDERS for path in sorted(root.glob(f"skae/{folder}/*.py"))]


def functions(tree, scope=""):
    """Functions and methods of a module, without those inside others."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            yield scope + node.name, node
        elif isinstance(node, ast.ClassDef):
            yield from functions(node, f"{scope}{node.name}.")


def blocks(function):
    """Lists of statements: the body, and what stands under conditions and in loops."""
    for node in ast.walk(function):
        for name in ("body", "orelse", "finalbody"):
            block = getattr(node, name, None)
            if isinstance(block, list) and block:
                yield block


def recorded(n_jobs):
    """Seconds and calls of each test; files of tests that are new or changed are run."""
    RECORDS.mkdir(exist_ok=True)
    records, tasks, missing = {}, [], []
    for path in sorted(ROOT.glob("tests/test_*.py")):
        if path.stem in LEFT_OUT:
            continue
        digest = hashlib.sha256(path.read_bytes() + _CALL.encode()).hexdigest()
        record = RECORDS / f"{path.stem}.json"
        held = json.loads(record.read_text()) if record.exists() else {}
        if held.get("digest") == digest:
            records.update(held["tests"])
        else:
            missing.append((record, digest))
            tasks.append(_recording(path.relative_to(ROOT).as_posix()))
    if missing:
        print(f"Recording the tests of {len(missing)} files.", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for i, code, output in run_all(tasks, n_jobs, Path(folder)):
            record, digest = missing[i]
            if code is None or not output.exists():
                print(f"{record.stem}: no record", flush=True)
                continue
            tests = json.loads(output.read_text())
            record.write_text(json.dumps({"digest": digest, "tests": tests}))
            records.update(tests)
            seconds = sum(t for t, _ in tests.values())
            failed = output.with_suffix(".log").read_text().count("FAILED")
            more = f", {failed} FAILED" if code else ""
            print(f"{record.stem}: {len(tests)} tests, {seconds:.0f} s{more}", flush=True)
    return records


def _recording(file):
    def task(sandbox, output):
        instrument(sandbox)
        limit = 3600
        return start(sandbox, [file], Recorder(), output, limit), limit

    return task


def chosen(mutant, records, budget):
    """Tests that may notice a fault: the most specific and quickest first, up to a budget.

    After them come other tests of the same files: what was compiled for one test runs in the
    next without a call.
    """
    faulty = places_of(mutant)
    calls = {test: faulty & set(called) for test, (_, called) in records.items()}
    near = Counter(test.split("::")[0] for test in records if calls[test])

    def order(test):
        seconds, called = records[test]
        if calls[test]:
            return 0, (seconds + 0.05) * len(called)
        return 1, -near[test.split("::")[0]], seconds

    spent, tests = 0.0, []
    for test in sorted((t for t in records if near[t.split("::")[0]]), key=order):
        seconds = records[test][0] + 0.02
        if spent + seconds <= budget or not tests:
            spent += seconds
            tests.append(test)
    return tests, spent


def places_of(mutant):
    """The blocks in which a fault shows."""
    known = dict(functions_of(mutant.path))
    if mutant.scope in known:
        blocks_of = list(blocks(known[mutant.scope]))
        around = [i for i, block in enumerate(blocks_of) if _holds(block, mutant.start)]
        # Of blocks inside each other the last is the innermost; none: it is a default.
        return {f"{mutant.path}:{mutant.scope}#{max(around, default=0)}"}
    users = {place for name in mutant.names for place in users_of(name)}
    in_class = {f"{mutant.path}:{scope}#0" for scope in known if scope.startswith(mutant.scope)}
    return users or in_class


def _holds(block, place):
    last = block[-1].end_lineno, block[-1].end_col_offset
    return (block[0].lineno, block[0].col_offset) <= place < last


@cache
def functions_of(path):
    return tuple(functions(ast.parse((ROOT / path).read_text("utf-8"))))


@cache
def users_of(name):
    """Functions of the folders that use a name of the top of a module."""
    return {
        f"{path.relative_to(ROOT).as_posix()}:{scope}#0"
        for path in modules(ROOT)
        for scope, function in functions_of(path.relative_to(ROOT).as_posix())
        if any(isinstance(n, ast.Name) and n.id == name for n in ast.walk(function))
    }


# Mutants


def drawn(n_mutants, seed, only):
    """A random sample of the faults of the folders."""
    found = []
    for path in modules(ROOT):
        name = path.relative_to(ROOT).as_posix()
        if only in name:
            found += mutants_of(name, path.read_text("utf-8"))
    return random.Random(seed).sample(found, min(n_mutants, len(found))), len(found)


def _trial(mutant, tests, seconds):
    def task(sandbox, output):
        for path in modules(ROOT):
            shutil.copy(path, sandbox / path.relative_to(ROOT))
        if mutant is not None:
            source = (ROOT / mutant.path).read_text("utf-8")
            (sandbox / mutant.path).write_text(mutant.applied(source), "utf-8")
        files = list(dict.fromkeys(test.split("::")[0] for test in tests))
        limit = round(LEAST_LIMIT + PATIENCE * seconds)
        return start(sandbox, files, Chosen(tests), output, limit), limit

    return task


def difference(mutant):
    source = (ROOT / mutant.path).read_text("utf-8")
    lines = source.splitlines(), mutant.applied(source).splitlines()
    diff = difflib.unified_diff(*lines, mutant.path, mutant.path, lineterm="", n=1)
    return "\n".join([f"{mutant.kind}, in {mutant.scope or 'the module'}", *list(diff)[2:]])


def noticed_by(code, output):
    """What noticed a fault; None: nothing."""
    if code is None:
        return "the time limit"
    if code == 0 or code == 5:
        return None
    failed = json.loads(output.read_text()) if output.exists() else []
    return failed[0] if failed else f"exit code {code}"


def tried(mutants, records, n_jobs, budget):
    """What noticed each mutant, in any order: tuples of position and test or None."""
    choices = [chosen(mutant, records, budget) for mutant in mutants]
    tasks = [_trial(m, *choice) for m, choice in zip(mutants, choices, strict=True)]
    with tempfile.TemporaryDirectory() as folder:
        for i, code, output in run_all(tasks, n_jobs, Path(folder)):
            yield i, noticed_by(code, output) if choices[i][0] else None


def unsound(killers, records, n_jobs):
    """Of tests that noticed faults, those that fail without one."""
    killers = [killer for killer in killers if killer in records]
    failing = set()
    while killers:
        with tempfile.TemporaryDirectory() as folder:
            seconds = sum(records[killer][0] for killer in killers)
            task = _trial(None, killers, seconds)
            ((_, code, output),) = run_all([task], n_jobs, Path(folder))
        failed = noticed_by(code, output)
        if failed is None:
            break
        failing.add(failed)
        killers = [killer for killer in killers if killer != failed and failed in killers]
    return failing


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sample", type=int, default=200, help="how many faults")
    parser.add_argument("--seed", type=int, default=0, help="of the draw")
    parser.add_argument("--jobs", type=int, default=1, help="processes side by side")
    parser.add_argument("--only", default="", help="part of the path of the modules")
    parser.add_argument("--budget", type=float, default=20, help="seconds of tests a fault")
    parser.add_argument("--output", default=RECORDS / "mutants.json", type=Path)
    args = parser.parse_args()

    load_libraries()
    records = recorded(args.jobs)
    mutants, n_all = drawn(args.sample, args.seed, args.only)
    begin, by, results = time.monotonic(), {}, []
    for i, killer in tried(mutants, records, args.jobs, args.budget):
        by[i] = killer
        m = mutants[i]
        print(
            f"[{len(by)}/{len(mutants)}, {sum(map(bool, by.values()))} noticed, "
            f"{time.monotonic() - begin:.0f} s] {m.path}:{m.start[0]} {m.kind}: "
            f"{killer or 'SURVIVES'}",
            flush=True,
        )
        results.append({**vars(m), "killed_by": killer, "difference": difference(m)})
        args.output.write_text(json.dumps(results, indent=1))
    failing = unsound(sorted({k for k in by.values() if k}), records, args.jobs)
    report(results, failing, n_all, time.monotonic() - begin)


def report(results, failing, n_all, seconds):
    for result in results:
        if result["killed_by"] in failing:
            result["killed_by"] = None
    survivors = [result for result in results if not result["killed_by"]]
    for result in survivors:
        print(f"\n{result['path']}: {result['difference']}")
    for test in sorted(failing):
        print(f"\nFails without a fault and does not count: {test}")
    n, n_killed = len(results), len(results) - len(survivors)
    folders = Counter(result["path"].split("/")[1] for result in results)
    alive = Counter(result["path"].split("/")[1] for result in survivors)
    print(
        f"\n{n_killed} of {n} noticed ({n_killed / max(n, 1):.1%}), {n_all} possible, ", end=""
    )
    print(f"{seconds / max(n, 1):.0f} s each")
    for folder, total in sorted(folders.items()):
        print(f"  {folder:12} {total - alive[folder]} of {total}")


if __name__ == "__main__":
    main()
