"""Write the list of modules into `architecture.rst`: `python docs/list_modules.py`.

One line for each, the first of its docstring; `tests/test_docs.py` compares.
"""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "architecture.rst"
START, END = ".. modules: begin\n", ".. modules: end\n"


def listed():
    """The list, a definition list for each folder."""
    lines = []
    package = ROOT / "skae"
    folders = sorted({path.parent for path in package.rglob("*.py")})
    for folder in folders:
        name = folder.relative_to(ROOT).as_posix()
        lines += [f"``{name}/``: {summary(folder / '__init__.py')}", ""]
        for path in sorted(folder.glob("*.py")):
            if path.name != "__init__.py":
                lines.append(f"- ``{path.stem}``: {summary(path)}")
        lines.append("")
    return "\n".join(lines)


def summary(path):
    """First paragraph of a module's docstring."""
    text = ast.get_docstring(ast.parse(path.read_text("utf-8")))
    return " ".join(text.split("\n\n")[0].split())


def written(page):
    """The page with the list of today."""
    before, rest = page.split(START)
    _, after = rest.split(END)
    return f"{before}{START}\n{listed()}\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text("utf-8")), "utf-8")
