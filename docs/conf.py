"""Sphinx configuration; the build needs no network."""

import re

import skae

project = "skae"
author = "The skae developers"
copyright = "2026, The skae developers"
version = release = skae.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "matplotlib.sphinxext.plot_directive",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
templates_path = ["_templates"]
exclude_patterns = ["_build"]
default_role = "literal"
autodoc_typehints = "none"
autosummary_generate = True
plot_include_source = True
plot_formats = [("png", 120)]
plot_html_show_formats = False
plot_html_show_source_link = False
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False

# Examples run in every build, and assert what they claim in blocks that are not shown.
sphinx_gallery_conf = {
    "examples_dirs": "../examples/gallery",
    "gallery_dirs": "gallery",
    "subsection_order": [
        f"../examples/gallery/{name}" for name in ("reduce", "detect", "complete", "networks")
    ],
    "within_subsection_order": "FileNameSortKey",
    "abort_on_example_error": True,
    "capture_repr": ("_repr_html_",),
    "backreferences_dir": "gallery/backreferences",
    "doc_module": ("skae",),
    "reference_url": {"skae": None},
    "remove_config_comments": True,
    "show_signature": False,
    "min_reported_time": 1e9,
    "write_computation_times": False,
}

html_theme = "pydata_sphinx_theme"
html_title = f"skae {release}"
html_show_sourcelink = False
html_theme_options = {
    "navigation_with_keys": False,
    "show_prev_next": True,
    "footer_start": ["copyright"],
    "footer_end": [],
}


def escape_shapes(app, what, name, obj, options, lines):
    """``shape (n_samples, n_components_)`` is no link, though it ends in an underscore."""
    for i, line in enumerate(lines):
        if "of shape (" in line:
            lines[i] = re.sub(r"(?<=\w)_(?=[,)])", r"\\_", line)


def setup(app):
    # After numpydoc, which listens at 500.
    app.connect("autodoc-process-docstring", escape_shapes, priority=600)
