"""The tests nearest to what changed, for `make check`: `python tests/changed.py [COMMIT]`.

Prints test files, at most MOST: those that changed since the commit (HEAD), those with the name
of a changed module, and those that import it, the most specific first. All others are for
`make test`.
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MOST = 4


def changed_files(commit):
    """Paths of files that differ from a commit or are new, relative to the root."""
    commands = ["diff", "--name-only", commit], ["ls-files", "--others", "--exclude-standard"]
    outputs = (
        subprocess.run(["git", *each], cwd=ROOT, capture_output=True, text=True, check=True)
        for each in commands
    )
    return sorted({line for done in outputs for line in done.stdout.splitlines()})


def nearest_tests(paths, tests):
    """Names of test files for changed paths; `tests` are their texts by name."""
    nearest = [Path(path).name for path in paths if Path(path).name in tests]
    for path in (path for path in paths if re.fullmatch(r"skae/.*\.py", path)):
        parts = Path(path).with_suffix("").parts
        name, package = parts[-1].strip("_"), ".".join(parts[:-1])
        by_name = [f"test_{each}.py" for each in (name, f"{name}s", parts[-2])]
        imported = re.compile(
            rf"{re.escape('.'.join(parts))}\b|from {package} import .*\b{parts[-1]}\b"
        )
        importing = [test for test, text in tests.items() if imported.search(text)]
        nearest += [test for test in by_name if test in tests]
        # Who imports little is about what it imports.
        nearest += sorted(importing, key=lambda test: tests[test].count("from skae"))
    return list(dict.fromkeys(nearest))[:MOST]


if __name__ == "__main__":
    texts = {path.name: path.read_text("utf-8") for path in ROOT.glob("tests/test_*.py")}
    for name in nearest_tests(changed_files(*sys.argv[1:2] or ["HEAD"]), texts):
        print(f"tests/{name}")
