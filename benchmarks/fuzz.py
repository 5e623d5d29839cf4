"""Strange tables for `TabularEncoder`, strange requests for the service of `examples/serve`.

    python benchmarks/fuzz.py encoder --minutes 5
    python benchmarks/fuzz.py service --minutes 5 --seed 1000

`tests/strange_tables.py` draws them by hypothesis and has the checks: a table is encoded to
finite numbers, decoded and copied, or refused by a sentence; a request is answered with status
200 or 422, never with an error. Rounds of a hundred examples take the seeds in order, so that a
finding is repeated by its seed; each is reduced to a small example, and printed once for each
place where it is raised. Files are changed by `fuzz_load.py`.
"""

import argparse
import collections
import sys
import time
import traceback

from hypothesis import HealthCheck, Phase, given, seed, settings

from _common import ROOT

sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "examples" / "serve")]
import strange_tables  # noqa: E402

EXAMPLES = 100


def encoder(counts):
    """A check that hypothesis calls with two tables, often with the same columns."""

    @given(strange_tables.tables(labels=["a", "b"]), strange_tables.tables(labels=["a", "b"]))
    def check(table, other):
        counts[strange_tables.check_encoder(table, other)] += 1

    return check


def service(counts):
    """A check that hypothesis calls with bodies of requests."""
    import app

    import skae
    from data import data_rng
    from test_serve import ROW, table

    params = {"novelty": True, "hidden_layer_sizes": (8,), "n_steps": 50, "random_state": 0}
    served = app.create_app(skae.AEAnomalyDetector(**params).fit(table(300, data_rng())))

    @given(strange_tables.bodies(ROW))
    def check(body):
        counts[strange_tables.check_service(served, body)] += 1

    return check


def rounds(check, minutes, first):
    """Findings by their place: the seed, and the text of the reduced example."""
    checked = settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        print_blob=False,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )(check)
    findings, end, number = {}, time.monotonic() + 60 * minutes, first
    while time.monotonic() < end:
        try:
            seed(number)(checked)()
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            for each in getattr(error, "exceptions", [error]):
                cause = each.__cause__ or each
                frame = traceback.extract_tb(cause.__traceback__)[-1]
                place = f"{type(cause).__name__} at {frame.filename}:{frame.lineno}"
                if place not in findings:
                    findings[place] = number
                    notes = "\n".join(getattr(each, "__notes__", []))
                    print(f"seed {number}: {place}: {each!s:.500}\n{notes:.3000}\n", flush=True)
        number += 1
    return findings, number


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("target", choices=["encoder", "service"])
    parser.add_argument("--minutes", type=float, default=1)
    parser.add_argument("--seed", type=int, default=0, help="that of the first round")
    args = parser.parse_args()
    counts = collections.Counter()
    findings, after = rounds(globals()[args.target](counts), args.minutes, args.seed)
    outcomes = ", ".join(f"{n} {outcome}" for outcome, n in sorted(counts.items()))
    print(
        f"{args.target}, seeds {args.seed} to {after - 1}: {outcomes}; {len(findings)} findings"
    )
    raise SystemExit(bool(findings))


if __name__ == "__main__":
    main()
