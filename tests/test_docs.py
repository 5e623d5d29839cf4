"""Sentences of README and guide that a script can compare with what they speak of."""

import importlib.util
import inspect
import re
import shutil
import tomllib
from pathlib import Path

import pytest

import skae
from skae.utils._calls import missing_package
from skae.utils._sklearn import HAS_CALLBACKS

pytestmark = [pytest.mark.any_data, pytest.mark.any_backend]

ROOT = Path(skae.__file__).parents[1]
GUIDE = [ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.rst"))]
BENCHMARKS = [
    ROOT / "benchmarks" / "README.md",
    *sorted(ROOT.glob("benchmarks/notes/*.md")),
    *sorted(ROOT.glob("benchmarks/results/*.csv")),
]


@pytest.fixture(scope="module")
def check_figures():
    path = ROOT / "benchmarks" / "check_figures.py"
    spec = importlib.util.spec_from_file_location("check_figures", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def copy(tmp_path):
    """README, guide and figures, to be changed."""
    for path in [*GUIDE, *BENCHMARKS]:
        target = tmp_path / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    return tmp_path


def change(path, before, after):
    text = path.read_text()
    assert text.count(before) == 1, before
    path.write_text(text.replace(before, after))


def test_figures_are_those_of_the_benchmarks(check_figures, capsys):
    assert check_figures.main() == 0, capsys.readouterr().out


@pytest.mark.parametrize(
    ("page", "before", "after", "error"),
    [
        ("README.md", "| 0.625 | 0.773 | 0.776 |", "| 0.625 | 0.773 | 0.778 |", "0.778 not in"),
        ("README.md", "0.682 against 0.646", "0.646", None),
        (
            "benchmarks/results/reconstruction.csv",
            "mean,PCA,0.625",
            "mean,PCA,0.626",
            "0.625",
        ),
        ("benchmarks/notes/speed.md", "`keras.Model.fit`'s speed", "its speed", None),
        ("benchmarks/README.md", "## Data and networks", "## Data", "no such lines"),
        (
            "benchmarks/results/anomaly.csv",
            "unsupervised,mean,skae: AUROC,84.0",
            "unsupervised,mean,skae: AUROC,85.0",
            "84.0 not in",
        ),
        (
            "docs/user_guide/serving.rst",
            "and `describe` 3.5 ms",
            "and `describe` 3.9 ms",
            "3.9",
        ),
        (
            "docs/user_guide/training_time.rst",
            "figures: wait.py",
            "figures: waits.py",
            "no such lines",
        ),
        (
            "docs/user_guide/defaults.rst",
            "benchmarks/defaults.py\n\n``",
            "\n\n``",
            "no such lines",
        ),
        ("README.md", "M 3 epochs", "M 7 epochs", "7 not in"),
        ("docs/quick_start.rst", "and back:", "and back, in 1.5 ms:", "no comment names"),
        ("docs/quick_start.rst", "and back:", "and back, for 40 %:", "no comment names"),
        ("docs/quick_start.rst", "and back:", "and back, of `0.5` in Python 3.11:", None),
    ],
)
def test_a_figure_that_is_not_measured_is_found(
    check_figures, copy, capsys, page, before, after, error
):
    change(copy / page, before, after)
    assert check_figures.main(copy) == (error is not None)
    printed = capsys.readouterr().out
    assert error is None or error in printed


def test_digits_are_rounded_and_not_cut(check_figures):
    quoted = check_figures.is_quoted
    values = check_figures.numbers("0.806 and -1.27, 89,879 rows or 31.1")
    for right in ("0.81", "0.806", "1.27", "-1.3", "90,000", "31"):
        assert quoted(check_figures.numbers(right)[0], values), right
    for wrong in ("0.80", "0.807", "1.26", "80,000", "32", "8"):
        assert not quoted(check_figures.numbers(wrong)[0], values), wrong


@pytest.fixture(scope="module")
def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def extras(project):
    return set(project["optional-dependencies"])


def test_the_oldest_versions_are_those_of_the_project(project):
    page = (ROOT / "docs" / "versions.rst").read_text()
    listed = re.findall(r"^   \* - ([\w-]+)\n     - ([\d.]+)$", page, re.MULTILINE)
    bounds = [each.partition(";")[0] for each in project["dependencies"]]
    assert [f"{name}>={version}" for name, version in listed] == bounds
    pythons = re.findall(r"^   \* - ([\d.]+)$", page, re.MULTILINE)
    named = re.findall(r"Python :: ([\d.]+\d)", "\n".join(project["classifiers"]))
    assert pythons == named
    assert project["requires-python"] == f">={pythons[0]}"


def test_the_owner_of_the_repository_is_stated_in_one_place(project):
    hosts = r"https://(?:github\.com/([\w-]+)|([\w-]+)\.github\.io)/skae\b"
    found = [re.match(hosts, url) for url in project["urls"].values()]
    (owner,) = {one[1] or one[2] for one in found}
    written = [*ROOT.glob("*.md"), *ROOT.glob("*.cff"), *ROOT.glob(".github/**/*.*"), *GUIDE]
    assert not [
        path
        for path in written
        if path.is_file() and re.search(rf"\b{owner}(/|\.github\.io/)skae", path.read_text())
    ]


@pytest.fixture(scope="module")
def conf():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "docs"))
        yield importlib.import_module("conf")


def test_pages_link_to_the_repository_once_it_has_an_owner(conf, project):
    assert conf.published(project["urls"]) == ("", {}, {})
    known = {name: url.replace("OWNER", "someone") for name, url in project["urls"].items()}
    base, edit, theme = conf.published(known)
    assert base == "https://someone.github.io/skae/"
    assert edit["edit_page_url_template"].startswith("https://github.com/someone/skae/edit/")
    assert theme == {
        "github_url": "https://github.com/someone/skae", "use_edit_page_button": True
    }  # fmt: skip


def test_each_page_has_a_source_that_can_be_edited(conf):
    pages = [path.relative_to(ROOT / "docs") for path in ROOT.glob("docs/**/*.rst")]
    pages = [str(path) for path in pages if path.parts[0] in (path.name, "user_guide")]
    pages += [f"gallery{name}/index.rst" for name in ("", "/reduce")]
    pages += ["gallery/detect/plot_fraud.rst", "api/generated/skae.networks.ConvNetwork.rst"]
    assert {page for page in pages if not (ROOT / conf.source_of(page)).is_file()} == set()
    assert conf.source_of("api/generated/skae.AEImputer.rst") == "skae/imputation/_imputer.py"
    assert conf.source_of("changelog.rst") == "CHANGELOG.md"


@pytest.mark.parametrize(
    "path", sorted(ROOT.glob(".github/workflows/*.yml")), ids=lambda p: p.name
)
def test_workflows_are_pinned_and_have_no_permissions(path):
    text = path.read_text()
    actions = re.findall(r"uses: (.+)", text)
    pinned = re.compile(r"[\w/-]+@[0-9a-f]{40} # v[\d.]+")
    assert [action for action in actions if not pinned.fullmatch(action)] == []
    assert "\npermissions: {}\n" in text
    targets = re.findall(r"\bmake ([a-z -]+)$|target: \[(.+)\]", text, re.MULTILINE)
    for target in re.findall(r"[a-z-]+", " ".join(map("".join, targets))):
        assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE), target


def test_the_citation_has_the_version():
    lines = (ROOT / "CITATION.cff").read_text().splitlines()
    assert f"version: {skae.__version__}" in lines


@pytest.mark.parametrize("name", sorted(path.name for path in ROOT.glob("*.md")))
def test_project_files_name_what_is_there(name):
    """Files and folders that are named, and targets of make."""
    text = (ROOT / name).read_text()
    folders = "benchmarks|docs|examples|skae|tests|.github|.ci"
    for path in re.findall(rf"(?<![\w/.-])(?:{folders})/[\w/.-]*\w", text):
        # The tree of the documentation's build.
        assert "_build" in path or (ROOT / path).exists(), path
    for path in re.findall(r"\]\(([\w./-]+)\)", text):
        assert (ROOT / path).exists(), path
    makefile = (ROOT / "Makefile").read_text()
    targets = re.findall(r"(?:`|\$ )make ((?:[a-z-]+ ?)+)", text)
    for target in " ".join(targets).split():
        assert re.search(rf"^{target}:|^(?:[a-z-]+ )*{target}\b.*:", makefile, re.M), target


def test_extras_that_are_named_exist_and_can_be_installed(extras):
    """From a checkout: there is no package on PyPI yet."""
    for path in [*GUIDE, *ROOT.glob("skae/**/*.py"), ROOT / "benchmarks" / "README.md"]:
        text = path.read_text()
        named = re.findall(r"pip install.*?['\"]?\.\[([\w,]+)\]", text)
        assert {name for names in named for name in names.split(",")} <= extras, path
        assert "install skae" not in text, path
        assert "skae[" not in text, path


def test_every_extra_is_explained(extras):
    page = (ROOT / "docs" / "install.rst").read_text()
    assert set(re.findall(r"   \* - `\.\[([\w]+)\]`", page)) == extras - {"progress"}


def test_a_missing_package_names_its_extra(extras):
    for caller, package, extra in [("f", "skl2onnx", "onnx"), ("g", "matplotlib", "plot")]:
        message = str(missing_package(caller, package, extra))
        assert extra in extras
        assert message.startswith(f"{caller} needs {package}")
        assert f"pip install -e '.[{extra}]'" in message


@pytest.fixture(scope="module")
def arrived(digits):
    """Fitted estimators of each section of "Coming from", and what is no part of them."""
    X, few = digits[:60], {"max_iter": 2, "tol": None}
    late = [] if HAS_CALLBACKS else ["set_callbacks"]
    ae = skae.AutoencoderTransformer(2, **few).fit(X)
    ordered = skae.AutoencoderTransformer(2, ordered=True, **few).fit(X)
    vae = skae.VAETransformer(2, max_iter=2, tol=None).fit(X)
    denoiser = skae.DenoisingAutoencoder(2, **few).fit(X)
    detector = skae.AEAnomalyDetector(novelty=True, n_steps=5).fit(X)
    return {
        "From PCA": ([ae, ordered], {"StandardScaler"}),
        "From hand-written Keras, or SciKeras": (
            [ae, denoiser], {"compile", "GridSearchCV", *late}
        ),
        "From PyOD or IsolationForest": (
            [detector, skae.AEAnomalyDetector(n_steps=5).fit(X)], {"a", "auto"}
        ),
        "From KNNImputer or IterativeImputer": ([skae.AEImputer(n_steps=5).fit(X)], set()),
        "From CTGAN or TVAE": ([vae], set()),
    }  # fmt: skip


@pytest.mark.slow
def test_those_who_come_from_elsewhere_find_what_the_tables_name(arrived):
    """Each parameter, attribute, method and argument in the last column of each row."""
    page = (ROOT / "docs" / "coming_from.rst").read_text()
    found = re.split(r"^(From .+)\n-+$", page, flags=re.M)
    sections = dict(zip(found[1::2], found[2::2], strict=True))
    assert sections.keys() == arrived.keys()
    for title, section in sections.items():
        estimators, others = arrived[title]
        rows = re.findall(r"^   \* - .*(?:\n     .*)*", section, re.M)
        assert len(rows) > 5
        cells = [re.split(r"\n     - ", row)[-1] for row in rows[1:]]
        text = re.sub(r":\w+:`[^`]+`", "", "\n".join(cells))
        for term in re.findall(r"``?([^`]+)``?", text):
            name, bracket, arguments = re.match(r"\W*(\w+)(\(?)(.*)", term).groups()
            made = getattr(skae, name, None)
            at = [made] if made else [one for one in estimators if hasattr(one, name)]
            assert at or name in others, f"{title}: {term}"
            if bracket:
                functions = [made or getattr(one, name) for one in at]
                known = {
                    each for one in functions for each in inspect.signature(one).parameters
                }
                assert set(re.findall(r"(\w+)=", arguments)) <= known, term


def test_recipes_name_what_is_there():
    """Files, registries and methods in "Where to add what"."""
    page = (ROOT / "docs" / "architecture.rst").read_text()
    recipes = page.partition("Where to add what")[2].partition("\nModules\n")[0]
    package = "\n".join(path.read_text() for path in ROOT.glob("skae/**/*.py"))
    for name in re.findall(r"``([^`]+)``", recipes):
        if name.endswith(".py"):
            assert list((ROOT / "skae").glob(name)) or (ROOT / name).exists(), name
        else:
            assert re.search(rf"\b{re.escape(name.split('.')[-1])}\b", package), name


def test_a_few_rows_have_a_validation_loss(quick, digits):
    """As the docstring says: of fewer than ten rows, on all of them."""
    ae = quick(n_components=2).fit(digits[:9])
    assert len(ae.validation_loss_curve_) == ae.n_iter_
    assert quick(early_stopping=False).fit(digits).validation_loss_curve_ is None
    assert quick().partial_fit(digits).validation_loss_curve_ is None


def test_the_page_on_the_architecture_lists_every_module():
    """With the first lines of the docstrings; `python docs/list_modules.py` writes them."""
    script = ROOT / "docs" / "list_modules.py"
    spec = importlib.util.spec_from_file_location("list_modules", script)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    page = module.PAGE.read_text("utf-8")
    assert page == module.written(page)


@pytest.fixture(scope="module")
def save():
    """`benchmarks/save.py`, which imports its neighbours."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "benchmarks"))
        yield importlib.import_module("save")


PRINTED = """
**One table**

| table, code | PCA | skae: AUROC | PCA | again, s | / PCA | of four |
| --- | ---: | ---: | ---: | ---: | ---: | ---: |
| wine, 2 | 0.520 | 98.7 / 41.3 | 1,234 | +2.2 ± 0.5 | - | about 3 |
"""


def test_what_a_script_printed_is_saved_figure_by_figure(save):
    ((title, header, rows),) = save.tables(PRINTED)
    found = list(save.figures(title, header, rows, ("first", "second")))
    assert {part for part, *_ in found} == {"One table"}
    assert {name for _, name, *_ in found} == {"wine, 2"}
    assert [figure[2:] for figure in found] == [
        ("table, code, PCA", "0.520"),
        ("skae: AUROC: first", "98.7"),
        ("skae: AUROC: second", "41.3"),
        ("skae: PCA", "1234"),
        ("again, s", "2.2"),
        ("again, s: standard error", "0.5"),
    ]


def test_saving_replaces_the_parts_that_are_new(save, tmp_path):
    path = tmp_path / "one.csv"

    def record(part, name, value):
        return {"part": part, "name": name, "metric": "<= 2", "value": value}

    save.write(path, [record("a", "x", 1), record("a", "y", 1), record("b", "x", 1)])
    save.write(path, [record("bars", "x", 1), record("bars", "y", 1)])
    save.write(path, [record("a", "x", 2), record("bars", "y", 2)])
    lines = path.read_text().splitlines()
    assert [line.partition(",<= 2,")[::2] for line in lines[1:]] == [
        ("b,x", "1,,,,"),
        ("bars,x", "1,,,,"),
        ("a,x", "2,,,,"),
        ("bars,y", "2,,,,"),
    ]


def test_a_script_writes_its_figures_in_the_same_form(save, tmp_path):
    path = tmp_path / "one.csv"
    figures = importlib.import_module("_common").Figures()
    assert figures.add("a", "x", "seconds", [3.0, None, 1.0, 2.0]) == 2.0
    figures.add("a", "y", "seconds", [5.0])
    figures.save(path)
    header, *lines = (line.split(",")[:4] for line in path.read_text().splitlines())
    assert header == list(save.FIELDS[:4])
    assert lines == [
        ["a", "x", "seconds", "2.0"],
        ["a", "x", "seconds: least", "1.0"],
        ["a", "x", "seconds: most", "3.0"],
        ["a", "y", "seconds", "5.0"],
    ]
    save.write(path, [{"part": "a", "name": "x", "value": 4}], by_row=True)
    assert [line.split(",")[1] for line in path.read_text().splitlines()[1:]] == ["y", "x"]


def test_each_benchmark_is_listed_with_its_files():
    folder = ROOT / "benchmarks"
    text = (folder / "README.md").read_text()
    tools = {"check_figures", "save"}
    scripts = {path.stem for path in folder.glob("[a-z]*.py")} - tools
    assert set(re.findall(r"^\| `.*python benchmarks/(\w+)\.py", text, re.M)) == scripts
    linked = set(re.findall(r"\]\(((?:notes|results)/[\w.]+)\)", text))
    assert linked == {str(path.relative_to(folder)) for path in BENCHMARKS[1:]}
