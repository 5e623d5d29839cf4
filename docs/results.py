"""The figures of `benchmarks/results`: for charts, and two directives for pages.

`.. bars::` is a table of all bars, met and missed. `.. measured:: speed.csv` names the machine
and the versions with which the figures of a file were measured, and links to it.
"""

import csv
from pathlib import Path

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective

FOLDER = Path(__file__).resolve().parent.parent / "benchmarks" / "results"


def rows(name):
    """Figures of a script, a dictionary each."""
    with (FOLDER / f"{name}.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def table(name, part):
    """The text of each value of a part of a file, by name and metric."""
    found = {}
    for row in rows(name):
        if row["part"] == part:
            found.setdefault(row["name"], {})[row["metric"]] = row["value"]
    return found


def bars():
    """Script, claim, bar, measured value and whether the bar is met."""
    for path in sorted(FOLDER.glob("*.csv")):
        for row in rows(path.stem):
            if row["part"] == "bars":
                sign, bar = row["metric"].split()
                value, bound = float(row["value"]), float(bar)
                met = value >= bound if sign == ">=" else value <= bound
                yield path.stem, row["name"], row["metric"], row["value"], met


class Bars(SphinxDirective):
    """All bars, those that were missed in bold."""

    def run(self):
        found = list(bars())
        met = sum(one[-1] for one in found)
        text = f"{met} of {len(found)} bars are met, and {len(found) - met} missed."
        group = nodes.tgroup(cols=3)
        group += [nodes.colspec(colwidth=width) for width in (64, 16, 20)]
        group += nodes.thead("", line(["claim", "bar", "measured"]))
        body = nodes.tbody()
        last = None
        for script, claim, bar, value, is_met in found:
            if script != last:
                last = script
                body += line([f"{script}.py"])
                body[-1][0]["morecols"] = 2
                body[-1]["classes"] = ["script"]
            bar = bar.replace(">=", "at least").replace("<=", "at most")
            result = value if is_met else f"{value}, missed"
            body += line([claim, bar, result], not is_met)
        group += body
        return [nodes.paragraph("", text), nodes.table("", group, classes=["bars"])]


def line(cells, is_bold=False):
    """A row of a table."""
    row = nodes.row()
    for cell in cells:
        text = nodes.strong("", cell) if is_bold else nodes.Text(cell)
        row += nodes.entry("", nodes.paragraph("", "", text))
    return row


class Measured(SphinxDirective):
    """Machine, versions, commit and date of a file of results, and links."""

    required_arguments = 1

    def run(self):
        name = self.arguments[0].removesuffix(".csv")
        found = {
            "; ".join(
                filter(None, (row["machine"], row["versions"], row["commit"], row["date"]))
            )
            for row in rows(name)
        }
        where = "; ".join(sorted(filter(None, found))) or "machine and versions not recorded"
        text = f"Measured: {where}. Figures: "
        text += f":download:`{name}.csv </../benchmarks/results/{name}.csv>`"
        if (FOLDER.parent / "notes" / f"{name}.md").exists():
            text += f"; notes: :download:`{name}.md </../benchmarks/notes/{name}.md>`"
        node = nodes.container(classes=["measured"])
        self.state.nested_parse(StringList([text + "."]), self.content_offset, node)
        return [node]


def setup(app):
    app.add_directive("bars", Bars)
    app.add_directive("measured", Measured)
    return {"parallel_read_safe": True}
