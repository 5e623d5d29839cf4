"""First fit, refit, peak memory and loss of one package on one workload."""

from dataclasses import replace

import numpy as np

from _common import clock, note, peak_mb, print_table, ratio, rss_mb, run_worker
from _sides import FLOOR, REFERENCE, SIDES
from _workloads import workload

_METRICS = ("first_s", "refit_s", "peak_mb", "fit_mb", "loss", "epoch_s", "two_s")


def fit_worker(side, name, quick, refits):
    """Worker: a first fit in this fresh process, then refits of the same shape."""
    work = workload(name, quick)
    X = work.data(quick)
    fit = SIDES[side](work)
    before = rss_mb()
    first, reconstruct = clock(fit, X, 0)
    peak = peak_mb()
    refit, loss = [], None
    for seed in range(1, refits + 1):
        reconstruct = None
        seconds, reconstruct = clock(fit, X, seed)
        refit.append(seconds)
    if reconstruct is not None:
        loss = float(np.mean(np.square(reconstruct(X) - X, dtype=np.float64)))
    result = {"first_s": first, "refit_s": refit, "loss": loss}
    result |= {"peak_mb": peak, "fit_mb": peak - before}
    if name == "M" and side == REFERENCE:
        # Time of one more epoch, without the initial steps of a fit.
        fit = SIDES[side](replace(work, epochs=2 * work.epochs))
        double, _ = clock(fit, X, 0)
        result["epoch_s"] = (double - float(np.median(refit))) / work.epochs
    if name == "M" and side in (REFERENCE, FLOOR):
        # Whole refits so short that the initial steps matter; the first one compiles.
        fit = SIDES[side](replace(work, epochs=2))
        result["two_s"] = [clock(fit, X, seed)[0] for seed in range(4)][1:]
    return result


def compare(script, name, sides, quick, repeats, figures, refits=2):
    """Run all packages on a workload in turn, `repeats` times; print and return medians."""
    runs = {side: [] for side in sides}
    for repeat in range(repeats):
        for side in sides:
            note(f"{name}, run {repeat + 1} of {repeats}: {side}")
            runs[side].append(
                run_worker(script, "fit", side=side, name=name, quick=quick, refits=refits)
            )
    result = {}
    for side, all_runs in runs.items():
        done = [run for run in all_runs if "missing" not in run]
        missing = next((run["missing"] for run in all_runs if "missing" in run), None)
        result[side] = {"missing": missing}
        for metric in _METRICS:
            values = [run.get(metric) for run in done]
            if metric in ("refit_s", "two_s"):
                values = [seconds for run in done for seconds in run.get(metric, [])]
            result[side][metric] = figures.add(name, side, metric, values)
    _print(workload(name, quick), result)
    return result


def _print(work, result):
    skae = result[REFERENCE]
    rows = []
    for side, medians in result.items():
        if medians["first_s"] is None:
            rows.append((f"{side} (needs {medians['missing']})", *[None] * 7))
            continue
        # The bare products hold no data: their memory has no meaning.
        memory = None if side == FLOOR else medians["peak_mb"]
        rows.append(
            (
                side,
                medians["first_s"],
                ratio(medians["first_s"], skae["first_s"]),
                medians["refit_s"],
                ratio(medians["refit_s"], skae["refit_s"]),
                memory,
                None if side == FLOOR else medians["fit_mb"],
                medians["loss"],
            )
        )
    header = ["", "first fit, s", "/ skae", "refit, s", "/ skae", "peak MB", "of it the fit"]
    print_table(str(work), [*header, "loss"], rows)
