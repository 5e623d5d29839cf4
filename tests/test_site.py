"""`docs/check_site.py` sees what is wrong with a page."""

import importlib.util
import os
import shutil
from pathlib import Path

import pytest

import skae

ROOT = Path(skae.__file__).parents[1]
pytestmark = [pytest.mark.any_data, pytest.mark.any_backend]
SCREEN = '<meta name="viewport" content="width=device-width, initial-scale=1">'
PAGES = {
    "error": "<article><script>no.such.name</script></article>",
    "logged": '<article><script>console.error("bad")</script></article>',
    "picture": '<article><img alt="a" src="none.png"></article>',
    "nameless": '<article><img src="data:image/gif;base64,R0lGODlhAQABAAAAACw="></article>',
    "bright": """<article><script>
        const dark = matchMedia("(prefers-color-scheme: dark)").matches;
        document.documentElement.dataset.theme = dark ? "dark" : "light";
        </script><img alt="a" src="data:image/gif;base64,R0lGODlhAQABAAAAACw="></article>""",
    "wide": f"<article><p style='white-space: nowrap'>{'word ' * 90}</p></article>",
    "cell": f"<article><table style='table-layout: fixed; width: 90px'><tr>"
    f"<td>{'x' * 40}</td><td>y</td></tr></table></article>",
    "elsewhere": '<article><script src="http://localhost:1/a.js"></script></article>',
    "code": f"<article><pre style='overflow-x: auto'>{'x' * 80}</pre></article>",
    "methods": "<article><dl class='py class'><dl class='py method'></dl></dl></article>",
    "right": f"<article><pre style='overflow-x: auto'>{'x' * 79}</pre></article>",
    "gallery/reduce/plot_one": "<article>An example.</article>",
}
EXPECTED = {
    "error": "ReferenceError: no is not defined",
    "logged": "bad",
    "picture": "picture is missing",
    "nameless": "picture has no description",
    "bright": "phone: picture is white in the dark style",
    "wide": "text beside the screen: word",
    "cell": "beside its cell: xxx",
    "elsewhere": "loads http://localhost:1/a.js",
    "code": "code of 80 characters: xxx",
    "methods": "a class without a table of its methods",
    "gallery/reduce/plot_one": "an example without pictures",
}


@pytest.fixture(scope="module")
def check_site():
    path = ROOT / "docs" / "check_site.py"
    spec = importlib.util.spec_from_file_location("check_site", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_each_fault_of_a_page_is_found(check_site, tmp_path, monkeypatch, capsys):
    if not os.environ.get("CHROMIUM") and not any(map(shutil.which, check_site.BROWSERS)):
        pytest.skip("needs Chromium")
    for name, body in PAGES.items():
        path = tmp_path / f"{name}.html"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"<!doctype html><html><head>{SCREEN}</head><body>{body}</body></html>")
    monkeypatch.setattr("sys.argv", ["check_site.py", str(tmp_path), "--only", ".html"])
    assert check_site.main() == 1
    lines = capsys.readouterr().out.splitlines()
    for name, words in EXPECTED.items():
        assert any(line.startswith(f"{name}.html: ") and words in line for line in lines), name
    assert not any(line.startswith("right.html") for line in lines)


def test_without_a_browser_nothing_is_checked(check_site, tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("CHROMIUM", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sys.argv", ["check_site.py", str(tmp_path)])
    assert check_site.main() == 0
    assert capsys.readouterr().out.startswith("Skipped: no Chromium")
