"""The notebooks that the gallery offers run, each in a kernel of its own."""

import shutil
from pathlib import Path

import pytest

GALLERY = Path(__file__).resolve().parent.parent / "examples" / "gallery"
SCRIPTS = sorted(GALLERY.glob("*/plot_*.py"))

pytestmark = [pytest.mark.slow, pytest.mark.any_data, pytest.mark.any_backend]


def notebook_of(script, folder):
    """The notebook that sphinx-gallery makes of a script, in a folder."""
    nbformat = pytest.importorskip("nbformat")
    gallery = pytest.importorskip("sphinx_gallery.notebook")
    copy = shutil.copy(script, folder)
    gallery.python_to_jupyter_cli([copy])
    return nbformat.read(Path(copy).with_suffix(".ipynb"), as_version=4)


@pytest.mark.parametrize("script", SCRIPTS, ids=[script.stem for script in SCRIPTS])
def test_notebooks_run(script, tmp_path):
    nbclient = pytest.importorskip("nbclient")
    notebook = notebook_of(script, tmp_path)
    client = nbclient.NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": tmp_path}}
    )
    client.execute()
    outputs = [each for cell in notebook.cells for each in cell.get("outputs", [])]
    assert any("image/png" in each.get("data", {}) for each in outputs)
    # Nothing red.
    assert [each.text for each in outputs if each.get("name") == "stderr"] == []
