"""Compare the figures that README and guide quote with those in benchmarks/.

    python benchmarks/check_figures.py [ROOT]

A comment before a paragraph, a list or a table names what it quotes: a script and, after
semicolons, words by which lines are found in ``benchmarks/results/SCRIPT.csv`` (read as
``| part | name | metric | value |``) and ``benchmarks/notes/SCRIPT.md``. A section of
``benchmarks/README.md`` may be named, too.

    .. figures: anomaly.py; **mean**            in reStructuredText
    <!-- figures: speed.py; keras.Model.fit --> in Markdown

Several comments may stand before one block. Each number of the block must occur in these lines,
rounded to the digits with which it is quoted; code is skipped. A decimal number or a percentage
in a block without a comment is an error, so that each figure has a source. Two comments more:
``figures: here; SCRIPT`` where the page itself is the record of what a script printed, and
``figures: none`` where nothing was measured, as with the constants of a rule.
"""

import csv
import re
import sys
from decimal import Decimal
from itertools import chain
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCE = "benchmarks"
PAGES = ("README.md", "docs/*.rst", "docs/user_guide/*.rst")

MARK = re.compile(r"(?:\.\. |<!-- )figures: (.+?)(?: -->)?")
HERE = re.compile(r"none$|here; benchmarks/\w+\.py$")
FIGURE = re.compile(r"\d\.\d|\d ?%")
NUMBER = re.compile(r"(?<![\w.,-])[+-]?\d+(?:,\d{3})*(?:\.\d+)?(?:e-?\d+)?(?!\w|\.\d)")
# Not figures: literals, links and footnotes, and versions.
CODE = re.compile(r"``.+?``|`[^`]+`_?|\[\d+\]_|:\w+:`[^`]+`", re.S)
VERSION = re.compile(r"(?:Python|scikit-learn|Keras|TensorFlow) \d[\d.]*")
# Blocks without prose: doctests, comments, and directives other than tables.
SKIPPED = re.compile(r">>>|\.\. (?!list-table::)")


def blocks(text):
    """Paragraphs, lists and tables, with the indented lines that follow."""
    text = re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)
    return re.split(r"\n(?:[ \t]*\n)+(?=\S)", text)


def prose(block):
    """A block without code, literal blocks and the options of directives."""
    first, literal, _ = block.partition("::\n\n")
    if literal and not block.startswith(".. list-table"):
        block = first
    block = re.sub(r"^ +:[\w-]+:.*$", "", block, flags=re.M)
    return VERSION.sub("", CODE.sub("", block))


def is_quoted(number, values):
    """True if a value has these digits when it is rounded like the number."""
    # Zeros at the end of a large number are not significant: 90,000 for 89,879.
    exact = number.normalize() if abs(number) >= 1000 else number
    half = Decimal(10) ** exact.as_tuple().exponent / 2
    return any(abs(value - number) <= half or abs(-value - number) <= half for value in values)


def numbers(text):
    """Numbers of a text, with their digits."""
    return [Decimal(match.replace(",", "")) for match in NUMBER.findall(text)]


def figures(path):
    """Lines of a file of results."""
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            yield "| {part} | {name} | {metric} | {value} |".format_map(row)


def sections(folder):
    """Lines of the results and notes of each script, and of each section of the README."""
    parts = re.split(r"^#{2,3} (.+)$", (folder / "README.md").read_text("utf-8"), flags=re.M)
    found = dict(zip(parts[1::2], map(str.splitlines, parts[2::2]), strict=True))
    for path in [*folder.glob("notes/*.md"), *folder.glob("results/*.csv")]:
        lines = figures(path) if path.suffix == ".csv" else path.read_text("utf-8").splitlines()
        found.setdefault(f"{path.stem}.py", []).extend(lines)
    return found


def quoted(mark, source):
    """Values in the lines that a comment names; none where a line is missing."""
    section, *words = (part.strip() for part in mark.split(";"))
    lines = source.get(section, [])
    found = ["\n".join(line for line in lines if word in line) for word in words or [""]]
    return numbers("\n".join(found)) if all(found) else []


def errors(page, source):
    """Errors in the figures of a page, a sentence for each block."""
    marks = []
    for block in blocks(page):
        comments = [MARK.fullmatch(line) for line in block.strip().splitlines()]
        if all(comments):
            marks += [comment[1] for comment in comments]
            continue
        text = "" if SKIPPED.match(block) else prose(block)
        where = " ".join(text.split())[:60]
        if not marks and FIGURE.search(text):
            yield f"no comment names the source of the figures in: {where}"
        if marks and not HERE.match(marks[0]):
            values = [quoted(mark, source) for mark in marks]
            if not all(values):
                yield f"{SOURCE} has no such lines: {marks}: {where}"
            known = list(chain.from_iterable(values))
            wrong = [n for n in numbers(text) if not is_quoted(n, known)]
            if wrong:
                yield f"{', '.join(map(str, wrong))} not in {marks}: {where}"
        marks = []


def main(root=ROOT):
    """Print the errors of all pages; the exit status is 1 if there are any."""
    source = sections(root / SOURCE)
    found = [
        f"{path.relative_to(root)}: {error}"
        for pattern in PAGES
        for path in sorted(root.glob(pattern))
        for error in errors(path.read_text("utf-8"), source)
    ]
    if found:
        print("\n".join(found))
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main(*map(Path, sys.argv[1:])))
