"""Save the tables that a script printed, one figure a line, in benchmarks/results/.

    python benchmarks/search.py | tee /dev/stderr | python benchmarks/save.py search.py
    python benchmarks/anomaly.py --data FOLDER | python benchmarks/save.py anomaly.py \
        --values AUROC "average precision" --part one-class

``part`` is the title of a table, ``name`` the first cell of a row, ``metric`` the heading of a
column and ``value`` a number as it was printed; bars have the part "bars" and the metric
">= 4" or "<= 4". Machine, versions, commit and date are those of this environment, in which the
script must have run. Parts that the script did not print again stay in the file as they are.
"""

import argparse
import csv
import datetime
import re
import subprocess
import sys

from _common import ROOT, machine, versions

FOLDER = ROOT / "benchmarks" / "results"
FIELDS = ("part", "name", "metric", "value", "machine", "versions", "commit", "date")
TITLE = re.compile(r"\*\*(.+?)\*\*|#+ (.+)")
NUMBER = re.compile(r"[+-]?\d+(?:,\d{3})*(?:\.\d+)?(?:e-?\d+)?(?![\w.])")


def cells(line):
    """Cells of a line of a Markdown table."""
    return [cell.strip(" *") for cell in line.strip().strip("|").split("|")]


def tables(text):
    """Title, heading and rows of each Markdown table."""
    title, table = "", []
    for line in [*text.splitlines(), ""]:
        if line.startswith("|"):
            table.append(cells(line))
            continue
        if len(table) > 2:
            yield title, table[0], table[2:]
        table = []
        found = TITLE.match(line)
        if found:
            title = found[1] or found[2]


def metrics(header):
    """Headings of columns; one that is not unique gets the group or the column before it."""
    bare = [heading.rpartition(": ")[2] for heading in header]
    group = ""
    for i, heading in enumerate(header):
        group = (heading.rpartition(": ")[0] or group) if i else ""
        if heading == bare[i] and bare.count(heading) > 1:
            yield f"{group}: {heading}" if group else f"{header[i - 1]}, {heading}"
        else:
            yield heading


def figures(title, header, rows, values=(), keys=1):
    """One tuple (part, name, metric, value) for each number; cells of text are left out."""
    first = ""
    for row in rows:
        first = row[0] or first
        name = ", ".join([first, *row[1:keys]])
        for metric, cell in list(zip(metrics(header), row, strict=True))[keys:]:
            found = [number.replace(",", "").lstrip("+") for number in NUMBER.findall(cell)]
            names = ["", "standard error"] if "±" in cell else [*values]
            if not cell.startswith("[") and not NUMBER.match(cell):
                continue
            if len(found) != len(names):
                found, names = found[:1], [""]
            for value, suffix in zip(found, names, strict=True):
                yield title, name, f"{metric}: {suffix}" if suffix else metric, value


def bars(rows):
    """The same for a table of `print_bars`: claim, bar, measured, verdict."""
    for claim, bar, measured, *_ in rows:
        if NUMBER.fullmatch(measured):
            yield "bars", claim, bar, measured


def commit():
    """The commit of this checkout, with a plus where tracked files differ from it."""
    command = ["git", "-C", str(ROOT), "describe", "--always", "--abbrev=7", "--dirty=+"]
    done = subprocess.run([*command, "--exclude=*"], capture_output=True, text=True)
    return done.stdout.strip()


def origin():
    """Machine, versions, commit and date of figures that are measured now."""
    date = datetime.date.today().isoformat()
    return {"machine": machine(), "versions": versions(), "commit": commit(), "date": date}


def write(path, records, by_row=False):
    """Replace the parts of a file that the records have, or their rows, and keep the others."""
    known = []
    if path.exists():
        with path.open(newline="", encoding="utf-8") as file:
            known = list(csv.DictReader(file))
    # A new bar replaces an old one of the same claim; other parts are replaced as a whole.
    keys = {(r["part"], r["name"]) for r in records}
    if not by_row:
        keys |= {r["part"] for r in records} - {"bars"}
    known = [r for r in known if r["part"] not in keys and (r["part"], r["name"]) not in keys]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, FIELDS, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(known + records)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("script", help="name of the script whose output is read")
    parser.add_argument("--part", help="title of tables that have none")
    parser.add_argument("--values", nargs="+", default=(), help="names of numbers in one cell")
    parser.add_argument("--keys", type=int, default=1, help="columns that name a row")
    args = parser.parse_args()
    meta, found = origin(), []
    for title, header, rows in tables(sys.stdin.read()):
        one = (
            bars(rows)
            if title == "Bars"
            else figures(title or args.part or "", header, rows, args.values, args.keys)
        )
        found += [dict(zip(FIELDS, figure, strict=False)) | meta for figure in one]
    path = FOLDER / args.script.replace(".py", ".csv")
    write(path, found)
    print(f"{len(found)} figures: {path.relative_to(ROOT)}", file=sys.stderr)


if __name__ == "__main__":
    main()
