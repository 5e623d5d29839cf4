"""Sphinx configuration; the build needs no network."""

import inspect
import re
import sys
import tomllib
from importlib import import_module
from pathlib import Path

from docutils import nodes
from sklearn.experimental import enable_iterative_imputer  # noqa: F401

import skae

sys.path.insert(0, str(Path(__file__).parent))

project = "skae"
author = "The skae developers"
copyright = "2026, The skae developers"
version = release = skae.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.viewcode",
    "numpydoc",
    "matplotlib.sphinxext.plot_directive",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    "results",
]
templates_path = ["_templates"]
exclude_patterns = ["_build"]
default_role = "literal"
nitpicky = True
autodoc_typehints = "none"
autosummary_generate = True
plot_include_source = True
plot_formats = [("png", 120)]
plot_html_show_formats = False
plot_html_show_source_link = False
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False
# Types of parameters are links, where it is known to what.
numpydoc_xref_param_type = True
numpydoc_xref_ignore = "all"
numpydoc_xref_aliases = {name: f"skae.{name}" for name in skae.__all__ if name[0].isupper()} | {
    "Axes": "matplotlib.axes.Axes",
    "TabularEncoder": "skae.tables.TabularEncoder",
    "array-like": "sklearn.array_like",
    "ndarray": "numpy.ndarray",
}

# Prompts and outputs stay on the page when an example is copied.
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

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
html_static_path = ["_static"]
html_css_files = ["narrow.css", "dark.css"]
html_favicon = "_static/icon.svg"
# The picture of previews; the README has it too.
html_extra_path = ["comparison.png"]
# Else the theme logs that it has none.
html_context = {"default_mode": "auto"}
html_show_sourcelink = False
# Pages outside a section have no navigation beside them.
html_sidebars = {
    page: []
    for page in (
        "architecture", "benchmarks", "changelog", "coming_from", "faq", "glossary", "index",
        "install", "quick_start", "which",
    )
}  # fmt: skip
html_theme_options = {
    "navigation_with_keys": False,
    "header_links_before_dropdown": 6,
    "show_prev_next": True,
    "footer_start": ["copyright"],
    "footer_end": [],
}
ROOT = Path(__file__).parents[1]
URLS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["urls"]


def published(urls):
    """Address of the site, its links for editing, and the theme's: none with a placeholder."""
    if any("OWNER" in url for url in urls.values()):
        return "", {}, {}
    edit = {
        "edit_page_provider_name": "GitHub",
        "edit_page_url_template": urls["Repository"] + "/edit/main/{{ source_of(file_name) }}",
    }
    theme = {"github_url": urls["Repository"], "use_edit_page_button": True}
    return f"{urls['Documentation']}/", edit, theme


def source_of(page):
    """File in the repository of which a page is made; of a class or a function, its module."""
    page = page.removesuffix(".rst")
    if page == "changelog":
        return "CHANGELOG.md"
    if page.startswith("api/generated/"):
        module, _, name = page.rpartition("/")[2].rpartition(".")
        path = Path(inspect.getsourcefile(getattr(import_module(module), name)))
        return path.relative_to(Path(skae.__file__).parents[1]).as_posix()
    if page.startswith("gallery/"):
        path = page.removesuffix("index") + "GALLERY_HEADER.rst"
        return f"examples/{path if page.endswith('/index') else page + '.py'}"
    return f"docs/{page}.rst"


html_baseurl, edit_context, theme_options = published(URLS)
html_context |= edit_context
html_theme_options |= theme_options


def escape_shapes(app, what, name, obj, options, lines):
    """``shape (n_samples, n_components_)`` is no link, though it ends in an underscore."""
    for i, line in enumerate(lines):
        if "of shape (" in line:
            lines[i] = re.sub(r"(?<=\w)_(?=[,)])", r"\\_", line)


# Pages of other packages by the first part of a name; the inventories of intersphinx would need
# a network. A name that the installed package does not have is a broken reference.
EXTERNAL = {
    "sklearn": "https://scikit-learn.org/stable/modules/generated/{name}.html",
    "pandas": "https://pandas.pydata.org/docs/reference/api/{name}.html",
    "keras": "https://keras.io/api/",
    "skl2onnx": "https://onnx.ai/sklearn-onnx/api_summary.html",
    "enum": "https://docs.python.org/3/library/enum.html#{name}",
    "datetime": "https://docs.python.org/3/library/datetime.html",
    "numpy": "https://numpy.org/doc/stable/reference/generated/{name}.html",
    "matplotlib": "https://matplotlib.org/stable/api/_as_gen/{name}.html",
}
# Types by the names that numpydoc gives them.
TYPES = {
    "python:int": "https://docs.python.org/3/library/functions.html#int",
    "python:float": "https://docs.python.org/3/library/functions.html#float",
    "python:callable": "https://docs.python.org/3/glossary.html#term-callable",
    "python:bltin-boolean-values": "https://docs.python.org/3/library/functions.html#bool",
    **{
        f"python:{name}": f"https://docs.python.org/3/glossary.html#term-{name}"
        for name in ("generator", "iterable", "iterator", "sequence")
    },
    "python:None": "https://docs.python.org/3/library/constants.html#None",
    **{
        f"python:{name}": f"https://docs.python.org/3/library/stdtypes.html#{name}"
        for name in ("dict", "list", "str", "tuple")
    },
    "numpy.ndarray": "https://numpy.org/doc/stable/reference/generated/numpy.ndarray.html",
    "numpy.random.RandomState": "https://numpy.org/doc/stable/reference/random/legacy.html",
    "sklearn.array_like": "https://scikit-learn.org/stable/glossary.html#term-array-like",
}


def external_link(app, env, node, contnode):
    """Link to an object of another package, if there is one of this name."""
    name = node.get("reftarget", "")
    if name in TYPES:
        # Plain text, as the rest of the line.
        text = nodes.inline("", contnode.astext().rpartition(":")[2])
        return nodes.reference("", "", text, internal=False, refuri=TYPES[name])
    package = name.partition(".")[0]
    if node.get("refdomain") != "py" or package not in EXTERNAL:
        return None
    module, _, attribute = name.rpartition(".")
    if module and not hasattr(import_module(module), attribute):
        return None
    url = EXTERNAL[package].format(name=name)
    return nodes.reference("", "", contnode, internal=False, refuri=url, reftitle=name)


def describe_page(app, pagename, templatename, context, doctree):
    """The first paragraph of a page describes it to search engines and in previews."""
    context["source_of"] = source_of
    paragraph = next(iter(doctree.findall(nodes.paragraph)), None) if doctree else None
    if paragraph is not None:
        text = " ".join(paragraph.astext().split()).replace('"', "&quot;")[:200]
        title = re.sub("<.*?>", "", context.get("title") or project).replace('"', "&quot;")
        context["metatags"] += (
            f'<meta name="description" content="{text}">'
            f'<meta property="og:title" content="{title}">'
            f'<meta property="og:description" content="{text}">'
            f'<meta property="og:site_name" content="{project}">'
            '<meta property="og:type" content="website">'
        )
        if html_baseurl:  # a preview needs a whole address
            context["metatags"] += (
                f'<meta property="og:url" content="{html_baseurl}{pagename}.html">'
                f'<meta property="og:image" content="{html_baseurl}comparison.png">'
            )


def show_changelog(app, docname, source):
    """The changelog as reStructuredText: headings, and links; the rest is the same in both."""
    if docname != "changelog":
        return
    path = Path(app.srcdir).parent / "CHANGELOG.md"
    app.env.note_dependency(str(path))
    text = path.read_text("utf-8").partition("\n\n")[2]
    text = re.sub(r"\[([^]]+)\]\((\S+?)\)", r"`\1 <\2>`__", text)
    for mark, line in (("## ", "-"), ("### ", "~")):
        text = re.sub(
            rf"^{mark}(.+)$",
            lambda found, line=line: f"{found[1]}\n{line * len(found[1])}",
            text,
            flags=re.M,
        )
    source[0] += "\n" + text


def setup(app):
    app.connect("source-read", show_changelog)
    app.connect("missing-reference", external_link)
    app.connect("html-page-context", describe_page)
    # After numpydoc, which listens at 500.
    app.connect("autodoc-process-docstring", escape_shapes, priority=600)
