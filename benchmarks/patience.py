"""Seconds and variance explained of fits at the defaults, compared with another version.

Tables are split 75 : 25 and standardised as in `reconstruction.py`, and encoded in few numbers;
8,000 of the images are training rows, not standardised, and the last 2,000 are held out.
Every fit is a first fit in a fresh process, with building and compiling and without imports;
the two versions take turns. The figures are seconds of `fit`, and the share of variance
explained on the held-out rows, also by PCA. On a busy machine, `taskset -c 0` and `--clock cpu`
measure the processor time on one core.

    git worktree add /tmp/before COMMIT
    python benchmarks/patience.py --data FOLDER --before /tmp/before

FOLDER as for `reconstruction.py`.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

from _common import ROOT, environment, print_table

IMAGES = "mnist_images"

# Tables of 300 to 50,000 rows, and sizes of the code.
CELLS = {
    "Ionosphere": (4,),
    "breastw": (2,),
    "vowels": (2, 8),
    "yeast": (4,),
    "cardio": (2, 8),
    "fault": (4, 16),
    "thyroid": (2,),
    "SpamBase": (8,),
    "optdigits": (4, 16),
    "satellite": (2, 8),
    "pendigits": (2, 8),
    IMAGES: (4, 16),
    "magic.gamma": (2, 4),
    "campaign": (4, 16),
    "shuttle": (2, 4),
}
MANY = 10_000
MOST = 50_000

# Script of a process, which imports only what both versions have.
WORKER = """
import json, sys, time
import numpy as np
import keras, skae
path, size, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
rows = np.load(path)
clock = time.process_time if sys.argv[4] == "cpu" else time.perf_counter
start = clock()
ae = skae.AutoencoderTransformer(size, random_state=seed).fit(rows["train"])
seconds = clock() - start
test = rows["test"]
left = np.square(ae.reconstruct(test) - test).sum() / np.square(test - test.mean(axis=0)).sum()
figures = {"seconds": seconds, "score": 1 - float(left), "init": ae.init_, "n_iter": ae.n_iter_}
print("@result " + json.dumps(figures))
"""


def fitted(tree, path, size, seed, clock):
    """Seconds and score of one version."""
    command = [sys.executable, "-c", WORKER, str(path), str(size), str(seed), clock]
    env = environment() | {"PYTHONPATH": str(tree)}
    # Python imports packages from the working directory first.
    done = subprocess.run(command, capture_output=True, text=True, env=env, cwd=tree)
    for line in done.stdout.splitlines():
        if line.startswith("@result "):
            return json.loads(line.removeprefix("@result "))
    raise RuntimeError(done.stderr[-3000:])


def measure(args, name, size):
    """Figures of both versions on the splits of a table."""
    from sklearn.decomposition import PCA

    from reconstruction import split, tables
    from skae.metrics import reconstruction_score

    (_, X), *_ = tables(args.data, MOST, only=[name])
    sides = {"before": args.before, "now": ROOT}
    runs = {side: [] for side in ("PCA", *sides)}
    for seed in range(args.seeds):
        train, test = split(X, seed) if name != IMAGES else (X[:8000] / 255, X[8000:] / 255)
        path = args.scratch.resolve() / "rows.npz"
        np.savez(path, train=train, test=test)
        start = time.perf_counter()
        pca = PCA(size, random_state=seed).fit(train)
        seconds = time.perf_counter() - start
        score = reconstruction_score(pca, test)
        runs["PCA"].append({"seconds": seconds, "score": score})
        for side in sorted(sides, reverse=bool(seed % 2)):
            runs[side].append(fitted(sides[side], path, size, seed, args.clock))
    cell = {"table": name, "rows": len(X), "size": size}
    for side, figures in runs.items():
        cell[side] = float(np.mean([run["score"] for run in figures]))
        cell[f"{side}, s"] = float(np.median([run["seconds"] for run in figures]))
    return cell


def main():
    """Measure the selected cells, print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--data", required=True, help="folder with adbench/ and mnist_10k.npz")
    parser.add_argument("--before", type=Path, required=True, help="tree of another version")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument(
        "--clock",
        choices=("wall", "cpu"),
        default="wall",
        help="cpu: processor time, for a busy machine",
    )
    parser.add_argument("--only", nargs="*", default=list(CELLS), choices=list(CELLS))
    parser.add_argument("--output", type=Path, help="JSON file of the cells")
    parser.add_argument("--scratch", type=Path, default=Path("."))
    args = parser.parse_args()
    cells = []
    if args.output and args.output.exists():
        cells = json.loads(args.output.read_text())
    known = {(cell["table"], cell["size"]) for cell in cells}
    for name in args.only:
        for size in CELLS[name]:
            if (name, size) in known:
                continue
            cells.append(measure(args, name, size))
            print(json.dumps(cells[-1]), file=sys.stderr, flush=True)
            if args.output:
                args.output.write_text(json.dumps(cells, indent=1))
    summarise(cells)


def summarise(cells):
    """The cells, and the bars."""
    header = ["table", "rows", "size", "PCA", "before", "now", "gain", "s before", "s", "ratio"]
    rows = []
    for c in cells:
        gain, ratio = c["now"] - c["before"], c["now, s"] / c["before, s"]
        scores = [f"{c[side]:.4f}" for side in ("PCA", "before", "now")]
        seconds = [f"{c[side]:.1f}" for side in ("before, s", "now, s")]
        known = [c["table"], str(c["rows"]), str(c["size"])]
        rows.append((*known, *scores, f"{gain:+.4f}", *seconds, f"{ratio:.2f}"))
    print_table("Held-out variance explained, and seconds of a first fit", header, rows)
    gain = np.array([c["now"] - c["before"] for c in cells])
    tables = {c["table"]: [] for c in cells}
    for c, g in zip(cells, gain, strict=True):
        tables[c["table"]].append(g)
    worst = min(tables, key=lambda name: np.mean(tables[name]))
    print(f"\nseconds in all: {share(cells):.2f} of before (bar 0.5)")
    many = [c for c in cells if c["rows"] > MANY]
    if many:
        print(f"above {MANY:,} rows: {share(many):.2f} (bar 0.33)")
    print(f"gain on the mean: {gain.mean():+.4f} (bar 0)")
    print(f"worst table: {worst} {np.mean(tables[worst]):+.4f} (bar -0.003)")
    below = min(c["now"] - c["PCA"] for c in cells)
    print(f"worst cell against PCA: {below:+.4f} (bar -0.002)")


def share(cells):
    """Share of the seconds of the other version."""
    return sum(c["now, s"] for c in cells) / sum(c["before, s"] for c in cells)


if __name__ == "__main__":
    main()
