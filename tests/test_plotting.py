"""Displays: what is drawn, with which labels, and what is refused."""

import sys
from copy import copy
from inspect import Parameter, signature

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import Normalizer, StandardScaler

from data import data_rng
from skae.metrics import reconstruction_score
from skae.plotting import (
    AnomalyScoreDisplay,
    ComponentCurveDisplay,
    LatentPathDisplay,
    LatentSpaceDisplay,
    LossCurveDisplay,
    ReconstructionDisplay,
    SampleQualityDisplay,
)

pytestmark = [
    pytest.mark.any_data,
    pytest.mark.any_backend,
    pytest.mark.usefixtures("plt"),
]


@pytest.fixture(scope="module")
def series():
    rng = data_rng()
    return np.sin(np.arange(20) / 3 + rng.uniform(0, 6, size=(30, 1)))


def texts(labels):
    return [label.get_text() for label in labels]


def test_without_matplotlib_the_error_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"LossCurveDisplay.*pip install -e '\.\[plot\]'"):
        LossCurveDisplay.from_curves([3, 2, 1])


@pytest.mark.parametrize(
    "method",
    [
        AnomalyScoreDisplay.from_scores,
        ComponentCurveDisplay.from_curves,
        LatentPathDisplay.from_arrays,
        LatentSpaceDisplay.from_codes,
        LossCurveDisplay.from_curves,
        ReconstructionDisplay.from_arrays,
        SampleQualityDisplay.from_samples,
    ],
    ids=lambda method: method.__qualname__,
)
def test_what_draws_arrays_lists_the_parameters_of_class_and_plot(method):
    display = method.__self__
    of_class, of_plot = signature(display).parameters, dict(signature(display.plot).parameters)
    del of_plot["self"]
    listed = dict(signature(method).parameters)
    assert listed.keys() == of_class.keys() | of_plot.keys()
    assert of_class.items() <= listed.items()
    assert {listed[name].kind for name in of_plot} <= {
        Parameter.KEYWORD_ONLY,
        Parameter.VAR_KEYWORD,
    }
    assert all(listed[name].default == of_plot[name].default for name in of_plot)


# Loss curves


def test_losses_of_an_estimator(fitted):
    display = LossCurveDisplay.from_estimator(fitted)
    training, validation, *_ = display.lines_
    assert_allclose(training.get_xydata(), np.c_[[1, 2, 3], fitted.loss_curve_])
    held_out = [fitted.start_loss_, *fitted.validation_loss_curve_]
    assert_allclose(validation.get_xydata(), np.c_[[0, 1, 2, 3], held_out])
    assert "squared units of X" in display.ax_.get_ylabel()
    legend = texts(display.ax_.get_legend().get_texts())
    assert legend[:2] == ["Training", "Validation"]
    assert legend[-1].startswith(f"Kept: epoch {fitted.best_iter_}, ")
    assert display.ax_.get_title() == "Loss by epoch: stopped at max_iter"


def test_losses_of_both_starts(quick, digits):
    """The start that was not kept is grey, with the reason why its training ended."""
    ae = quick(n_components=1).fit(digits)
    other = {"pca": "random", "random": "pca"}[ae.init_]
    display = LossCurveDisplay.from_estimator(ae)
    assert_allclose(display.lines_[2].get_ydata(), ae.starts_[other]["validation_loss_curve"])
    name = "PCA" if other == "pca" else other
    ending = {"max_iter": "stopped at max_iter", "behind": "behind the first start"}
    ending = ending[ae.starts_[other]["ending"]]
    assert display.lines_[2].get_label() == f"{name} start: {ending}"
    assert len(LossCurveDisplay.from_estimator(ae.set_params(warm_start=True)).lines_) == 2


@pytest.mark.parametrize(
    ("params", "label"),
    [
        ({"standardize": True}, "Squared error (squared standard deviations)"),
        ({"loss": "absolute_error"}, "Absolute error (units of X)"),
        ({"table_": object()}, "Loss of the table (weighted over its columns)"),
    ],
)
def test_the_unit_of_the_loss(fitted, params, label):
    estimator = copy(fitted)
    vars(estimator).update(params)
    assert LossCurveDisplay.from_estimator(estimator).ax_.get_ylabel() == label


def test_losses_of_several_estimators_share_axes():
    parts = {"reconstruction": [2, 1], "kl": [1, 2]}
    first = LossCurveDisplay.from_curves([3, 2], [4, 3], best=(2, 3), parts=parts, name="a")
    other = LossCurveDisplay.from_curves(
        [5, 4], [6, 5], parts=parts, name="b", ax=first.axes_, lw=3
    )
    assert list(other.axes_) == list(first.axes_)
    legend = texts(other.ax_.get_legend().get_texts())
    kept = "a: Kept: epoch 2, 3"
    assert legend == ["a: Training", "a: Validation", kept, "b: Training", "b: Validation"]
    colors = [{line.get_color() for line in each.lines_} for each in (first, other)]
    assert len(set.union(*colors)) == 2
    assert {line.get_linewidth() for line in other.lines_} == {3}
    with pytest.raises(ValueError, match="ax must be one matplotlib Axes or 1; got 3"):
        LossCurveDisplay.from_curves([3, 2], ax=first.axes_)


def test_losses_inside_a_pipeline(fitted):
    pipeline = make_pipeline(StandardScaler(), fitted)
    lines = LossCurveDisplay.from_estimator(pipeline).lines_
    assert_allclose(lines[0].get_ydata(), fitted.loss_curve_)


def test_no_rows_held_out(quick, digits):
    ae = quick(early_stopping=False, max_iter=1).fit(digits)
    display = LossCurveDisplay.from_estimator(ae, log_scale=True)
    assert len(display.lines_) == 1
    assert display.ax_.get_yscale() == "log"


def test_a_warm_start_has_no_epoch_0(quick, digits):
    """Its start loss is that of the epoch where it went on."""
    ae = quick(warm_start=True).fit(digits).fit(digits)
    validation = LossCurveDisplay.from_estimator(ae).lines_[1]
    assert_allclose(validation.get_xdata(), np.arange(1, 7))


def test_parts_of_the_loss_are_drawn_apart(plt):
    parts = {"reconstruction": [2, 1.5, 1.2], "kl": [0.1, 0.3, 0.2]}
    display = LossCurveDisplay.from_curves([2.1, 1.8, 1.4], parts=parts)
    assert [ax.get_ylabel() for ax in display.axes_[1:]] == [
        "Part: reconstruction",
        "Part: kl",
    ]
    assert_allclose(display.lines_[2].get_ydata(), parts["kl"])
    _, axes = plt.subplots(1, 2)
    display.plot(ax=axes[1])
    assert display.ax_ is axes[1]


def test_nothing_to_draw(digits):
    with pytest.raises(TypeError, match=r"loss_curve_.*PCA"):
        LossCurveDisplay.from_estimator(PCA(2).fit(digits))


# What the first columns explain


@pytest.fixture(scope="module")
def ordered(quick, digits):
    return quick(n_components=4, ordered=True).fit(digits)


def test_curves_of_the_rows_held_out(ordered):
    display = ComponentCurveDisplay.from_estimator(make_pipeline(StandardScaler(), ordered))
    network, pca = display.lines_
    assert_array_equal(network.get_xdata(), [1, 2, 3, 4])
    assert_array_equal(network.get_ydata(), ordered.variance_explained_)
    assert_array_equal(pca.get_ydata(), ordered.pca_variance_explained_)
    assert [line.get_label() for line in display.lines_] == ["Network", "PCA"]
    assert display.ax_.get_ylabel() == "Share of variance explained"
    assert display.n_components_ is None


def test_curves_of_other_rows(plt, ordered, digits):
    _, axes = plt.subplots(1, 2)
    pca = PCA(6).fit(digits)
    display = ComponentCurveDisplay.from_estimator(ordered, digits, pca=pca, ax=axes[1])
    assert display.ax_ is axes[1]
    network, other = (line.get_ydata() for line in display.lines_)
    assert network[-1] == pytest.approx(ordered.score(digits))
    assert other == pytest.approx(np.cumsum(pca.explained_variance_ratio_)[:4])
    assert len(ComponentCurveDisplay.from_estimator(ordered, digits).lines_) == 1


def test_the_size_that_is_enough():
    display = ComponentCurveDisplay.from_curves([0.2, 0.5, 0.6], [0.1, 0.3, 0.4], share=0.45)
    assert display.n_components_ == 2
    texts = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert texts == ["Network", "PCA", "45% by 2 columns"]
    assert ComponentCurveDisplay.from_curves([0.2], share=0.9).n_components_ is None


def test_curves_of_pca(digits):
    pca = PCA(6).fit(digits)
    display = ComponentCurveDisplay.from_estimator(pca)
    assert_allclose(display.lines_[0].get_ydata(), np.cumsum(pca.explained_variance_ratio_))
    pipeline = make_pipeline(StandardScaler(), PCA(6)).fit(digits)
    scaled = pipeline[:-1].transform(digits)
    other = ComponentCurveDisplay.from_estimator(
        pipeline, digits, name="scaled", ax=display.ax_, ls=":"
    )
    assert_allclose(
        other.lines_[0].get_ydata(), np.cumsum(PCA(6).fit(scaled).explained_variance_ratio_)
    )
    assert texts(display.ax_.get_legend().get_texts()) == ["PCA", "scaled"]
    assert other.lines_[0].get_linestyle() == ":"
    assert other.lines_[0].get_color() != display.lines_[0].get_color()


def test_curves_of_searches(digits):
    pipeline = Pipeline([("scale", StandardScaler()), ("pca", PCA())])
    grid = {"pca__n_components": [8, 2, 4, 0.5], "pca__whiten": [True, False]}
    search = GridSearchCV(pipeline, grid, cv=3, scoring=reconstruction_score).fit(digits)
    display = ComponentCurveDisplay.from_estimator(search, name="PCA")
    results = search.cv_results_
    sizes = np.array([given["pca__n_components"] for given in results["params"]])
    best = [results["mean_test_score"][sizes == size].max() for size in (2, 4, 8)]
    assert_allclose(display.lines_[0].get_xydata(), np.c_[[2, 4, 8], best])
    assert display.ax_.get_ylabel() == "Mean test score"
    # With rows, and of one size alone, what the best estimator explains.
    some = ComponentCurveDisplay.from_estimator(search, digits).lines_[0].get_ydata()
    assert len(some) == search.best_estimator_[-1].n_components_
    one = GridSearchCV(PCA(3), {"whiten": [True]}, cv=3).fit(digits)
    assert_allclose(
        ComponentCurveDisplay.from_estimator(one).explained,
        np.cumsum(one.best_estimator_.explained_variance_ratio_),
    )


def test_no_curve_of_a_code_without_order(fitted, ordered, digits):
    with pytest.raises(TypeError, match="variance_explained_"):
        ComponentCurveDisplay.from_estimator(fitted)
    with pytest.raises(TypeError, match="ordered=True"):
        ComponentCurveDisplay.from_estimator(fitted, digits)
    with pytest.raises(ValueError, match="give X too"):
        ComponentCurveDisplay.from_estimator(ordered, pca=PCA(2).fit(digits))


# Reconstructions


def test_images_over_reconstructions_over_errors(fitted, digits):
    display = ReconstructionDisplay.from_estimator(
        fitted, digits, n_samples=4, image_shape=(8, 8)
    )
    labels = texts(display.ax_.get_yticklabels())
    assert labels == ["Original", "AutoencoderTransformer", "Error"]
    images = [np.asarray(image.get_array()) for image in display.ax_.images]
    assert len(images) == 12
    back = fitted.reconstruct(digits[:4]).reshape(-1, 8, 8)
    assert_allclose(images[:4], digits[:4].reshape(-1, 8, 8))
    assert_allclose(images[4:8], back)
    assert_allclose(images[8:], np.abs(back - digits[:4].reshape(-1, 8, 8)))
    assert "units of X" in display.colorbar_.ax.get_ylabel()


def test_several_methods_share_their_scales(fitted, digits):
    pca = PCA(3).fit(digits)
    methods = {
        "PCA": pca.inverse_transform(pca.transform(digits)),
        "skae": fitted.reconstruct(digits),
    }
    display = ReconstructionDisplay.from_arrays(digits, methods, image_shape=(8, 8))
    labels = ["Original", "PCA", "Error", "skae", "Error"]
    assert texts(display.ax_.get_yticklabels()) == labels
    assert len({image.get_clim() for image in display.ax_.images}) == 2
    display.plot(errors=False)
    assert texts(display.ax_.get_yticklabels()) == ["Original", "PCA", "skae"]
    assert display.colorbar_ is None


@pytest.mark.parametrize("shape", [(8, 8), (8, 8, 1), (4, 4, 4)])
def test_rows_that_come_as_images(shape, digits):
    X = digits.reshape(-1, *shape)
    display = ReconstructionDisplay.from_arrays(X, X / 2, n_samples=3)
    assert len(display.ax_.images) == 9


def test_a_figure_already_made(plt, fitted, digits):
    figure, axes = plt.subplots(2, 1)
    for ax, kind in zip(axes, ["image", "series"], strict=True):
        display = ReconstructionDisplay.from_estimator(
            fitted, digits, kind=kind, image_shape=(8, 8), ax=ax
        )
        assert display.figure_ is figure
        assert display.ax_ is ax


def test_series_lie_over_one_another(series):
    pipeline = make_pipeline(StandardScaler(), PCA(2)).fit(series)
    display = ReconstructionDisplay.from_estimator(pipeline, series, kind="series", n_samples=7)
    assert display.axes_.shape == (2, 5)
    original, back = display.axes_[1, 1].lines
    assert_allclose(original.get_ydata(), series[6])
    expected = pipeline.inverse_transform(pipeline.transform(series))
    assert_allclose(back.get_ydata(), expected[6])
    assert back.get_label() == "PCA"
    assert not display.axes_[1, 2].axison


def test_series_of_several_channels(series):
    X = np.stack([series, series**2], axis=2)
    display = ReconstructionDisplay.from_arrays(X, X + 1, kind="series", n_samples=3)
    assert display.axes_.shape == (2, 3)
    assert_allclose(display.axes_[1, 2].lines[1].get_ydata(), X[2, :, 1] + 1)


def test_tables_differ_in_standard_deviations_of_the_column(blob):
    X = blob * [1, 10, 100, 1000, 0]
    display = ReconstructionDisplay.from_arrays(X, X + X.std(axis=0) / 2, n_samples=4)
    values = display.axes_[0, 0].images[0].get_array()
    assert_allclose(values, np.tile([0.5, 0.5, 0.5, 0.5, 0], (4, 1)), atol=1e-9)
    assert "standard deviations" in display.colorbar_.ax.get_ylabel()
    assert f"{X[0, 1]:.3g}" in display.axes_[0, 0].texts[1].get_text()


def test_tables_name_their_columns(blob):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(blob, columns=list("abcde"))
    display = ReconstructionDisplay.from_estimator(PCA(2).fit(frame), frame)
    assert texts(display.axes_[0, 0].get_xticklabels()) == list("abcde")


@pytest.mark.parametrize(("n_columns", "n_names"), [(30, 30), (31, 16), (64, 22)])
def test_wide_tables_name_some_of_their_columns(n_columns, n_names, digits):
    X = digits[:, :n_columns]
    panel = ReconstructionDisplay.from_arrays(X, X / 2).axes_[0, 0]
    assert len(panel.get_xticklabels()) == n_names
    named = (
        "Column"
        if n_names == 30
        else f"{n_columns} columns, one of {n_columns // 30 + 1} named"
    )
    assert panel.get_xlabel() == f"{named}, by Reconstruction"


BAD_RECONSTRUCTIONS = {
    "shape": ({"reconstructions": np.ones((60, 4))}, r"shape.*\(60, 5\).*\(60, 4\)"),
    "none": ({"reconstructions": {}}, "reconstructions must hold at least one"),
    "kind": ({"kind": "sound"}, "kind must be one of.*'sound'"),
    "image_shape": ({"image_shape": (2, 2)}, r"image_shape.*5 numbers in all; got \(2, 2\)"),
    "no image": ({"kind": "image"}, r"got \(5,\). Give image_shape"),
    "n_samples": ({"n_samples": 0}, "n_samples must be at least 1; got 0"),
    "names": ({"feature_names": ["a"]}, "feature_names must name 5 columns; got 1"),
    "text": ({"originals": [["a"] * 5] * 60}, "originals must hold numbers only"),
}


@pytest.mark.parametrize("case", BAD_RECONSTRUCTIONS)
def test_bad_reconstructions(case, blob, plt):
    params, match = BAD_RECONSTRUCTIONS[case]
    params = {"originals": blob, "reconstructions": blob, **params}
    with pytest.raises(ValueError, match=match):
        ReconstructionDisplay.from_arrays(**params)
    assert not plt.get_fignums()


def test_transformers_that_cannot_go_back(digits):
    transformer = Normalizer().fit(digits)
    with pytest.raises(TypeError, match="Normalizer"):
        ReconstructionDisplay.from_estimator(transformer, digits)
    with pytest.raises(TypeError, match="Normalizer has no inverse_transform"):
        LatentPathDisplay.from_estimator(transformer, digits[:1], digits[1:2])


# Codes


def test_classes_are_told_apart_by_colour_and_marker(fitted, digits):
    y = np.arange(300) % 12
    display = LatentSpaceDisplay.from_estimator(fitted, digits, y, y_name="Group")
    looks = {
        (tuple(s.get_facecolor()[0]), s.get_paths()[0].vertices.tobytes())
        for s in display.scatters_
    }
    assert len(looks) == 12
    assert texts(display.legend_.get_texts()) == [str(i) for i in range(12)]
    assert display.legend_.get_title().get_text() == "Group"
    codes = fitted.transform(digits)
    assert_allclose(display.scatters_[3].get_offsets(), codes[y == 3][:, :2])


@pytest.mark.parametrize("y", [np.arange(60.0) / 7, np.arange(60)])
def test_measured_values_get_a_colour_bar(y, blob):
    display = LatentSpaceDisplay.from_codes(blob, y, y_name="Age (years)")
    assert display.legend_ is None
    assert display.colorbar_.ax.get_ylabel() == "Age (years)"
    assert_allclose(display.scatters_[0].get_array(), y)


def test_which_plane(blob):
    display = LatentSpaceDisplay.from_codes(blob, components=(3, 1), color="black")
    assert_allclose(display.scatters_[0].get_offsets(), blob[:, [3, 1]])
    assert display.ax_.get_xlabel() == "Component 3 of the code"
    assert display.ax_.get_title() == "Codes"
    display = LatentSpaceDisplay.from_codes(blob, list("abc") * 20, components="pca")
    assert "of its variance" in display.ax_.get_xlabel()
    assert len(display.scatters_) == 3


def test_codes_of_one_number_lie_along_lines(blob):
    y = [None if i % 5 == 0 else "ab"[i % 2] for i in range(60)]
    display = LatentSpaceDisplay.from_codes(blob[:, :1], y, y_name="Group", name="PCA")
    assert texts(display.ax_.get_yticklabels()) == ["missing", "b", "a"]
    assert display.ax_.get_title() == "Codes by PCA"
    assert display.ax_.get_ylabel() == "Group"
    assert display.legend_ is None
    a, b, missing = (np.asarray(each.get_offsets()) for each in display.scatters_)
    assert_allclose(a[:, 0], blob[[label == "a" for label in y], 0])
    for points, line in ((missing, 0), (b, 1), (a, 2)):
        assert np.abs(points[:, 1] - line).max() <= 0.4
        assert len(set(points[:, 1])) == len(points)
    measured = LatentSpaceDisplay.from_codes(blob, blob[:, 1], components=4)
    assert_allclose(measured.scatters_[0].get_offsets()[:, 0], blob[:, 4])
    assert measured.colorbar_ is not None
    assert len(LatentSpaceDisplay.from_codes(blob[:, :1], components="pca").scatters_) == 1


def test_each_pair_of_several_components_has_a_panel(blob):
    y = ["ab"[i % 2] for i in range(60)]
    display = LatentSpaceDisplay.from_codes(blob, y, components=(0, 3, 2))
    assert display.axes_.shape == (2, 2)
    assert not display.axes_[0, 1].axison
    pairs = [(0, 3), (0, 2), (3, 2)]
    for i, pair in enumerate(pairs):
        assert_allclose(display.scatters_[2 * i].get_offsets(), blob[::2, pair])
    assert display.axes_[1, 1].get_xlabel() == "Component 3 of the code"
    assert display.axes_[1, 0].get_ylabel() == "Component 2 of the code"
    assert texts(display.legend_.get_texts()) == ["a", "b"]
    assert LatentSpaceDisplay.from_codes(blob, blob[:, 0], components=(0, 1, 2)).colorbar_


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"components": (0, 5)}, r"components.*0 to 4.*got \(0, 5\)"),
        ({"components": "tsne"}, "or 'pca'; got 'tsne'"),
        ({"y": [0, 1]}, "inconsistent numbers of samples"),
    ],
)
def test_bad_codes(params, match, blob, plt):
    with pytest.raises(ValueError, match=match):
        LatentSpaceDisplay.from_codes(**{"codes": blob, **params})
    assert not plt.get_fignums()


# Paths


def test_strips_from_row_to_row(fitted, digits):
    weights = np.arange(0.05, 1, 0.15)
    display = LatentPathDisplay.from_estimator(
        fitted, digits[:2], digits[2:4], weights=weights, image_shape=(8, 8)
    )
    path = fitted.interpolate(digits[:2], digits[2:4], weights=weights)
    images = [np.asarray(image.get_array()) for image in display.ax_.images]
    assert_allclose(images, path.reshape(-1, 8, 8))
    percent = texts(display.ax_.get_xticklabels())
    assert percent == ["5%", "20%", "35%", "50%", "65%", "80%", "95%"]


def test_strips_of_a_pipeline_follow_its_last_step(quick, digits, monkeypatch):
    pipeline = make_pipeline(StandardScaler(), quick()).fit(digits)
    monkeypatch.setattr(type(pipeline[-1]), "_interpolation", "spherical")
    rows = [
        LatentPathDisplay.from_estimator(
            pipeline, digits[:1], digits[1:2], method=method, image_shape=(8, 8)
        ).rows
        for method in ("auto", "spherical", "linear")
    ]
    assert_allclose(rows[0], rows[1])
    assert not np.allclose(rows[0], rows[2])


def test_one_strip_for_each_number_of_the_code(fitted, digits):
    display = LatentPathDisplay.from_traversal(fitted, digits, image_shape=(8, 8), n_values=5)
    assert_allclose(display.rows, fitted.latent_traversal(digits, n_values=5))
    assert texts(display.ax_.get_yticklabels()) == ["0", "1", "2"]
    assert texts(display.ax_.get_xticklabels()) == ["-2", "-1", "0", "+1", "+2"]
    display = LatentPathDisplay.from_traversal(
        fitted, digits, image_shape=(8, 8), components=1, values=[0, 0.5]
    )
    assert texts(display.ax_.get_xticklabels()) == ["0", "0.5"]


def test_a_grid_is_the_plane_of_the_codes(digits):
    pca = PCA(3).fit(digits)
    display = LatentPathDisplay.from_grid(
        pca, digits, components=(2, 0), values=[-10, 0, 10], image_shape=(8, 8)
    )
    assert display.rows.shape == (3, 3, 64)
    mean = pca.transform(digits).mean(axis=0)
    top_left = pca.inverse_transform([[10, mean[1], -10]])
    assert_allclose(display.rows[0, 0], top_left[0])
    assert display.ax_.get_xlabel() == "Component 2 of the code"
    assert texts(display.ax_.get_yticklabels()) == ["10", "0", "-10"]


def test_paths_of_series_are_lines(series):
    display = LatentPathDisplay.from_traversal(PCA(2).fit(series), series)
    assert display.axes_.shape == (2, 7)
    assert_allclose(display.axes_[1, 6].lines[0].get_ydata(), display.rows[1, 6])


def test_decoded_rows_that_came_from_anywhere(digits):
    display = LatentPathDisplay.from_arrays(digits[:6].reshape(2, 3, 8, 8), title="Digits")
    assert len(display.ax_.images) == 6
    assert display.ax_.get_title() == "Digits"
    with pytest.raises(ValueError, match=r"n_strips.*got shape \(300, 64\)"):
        LatentPathDisplay.from_arrays(digits)


# Sampled rows


def drawn_lines(panel, *labels):
    """Data of the lines with these labels, (2, n_points) each."""
    by_label = {line.get_label(): line for line in panel.lines}
    return [np.array(by_label[label].get_data()) for label in labels]


def test_marginals_and_correlations_of_sampled_rows_by_hand():
    x = np.arange(10.0)
    X = pd.DataFrame({"a": x, "b": -x, "kind": ["u"] * 5 + ["v"] * 5})
    sampled = pd.DataFrame({"a": x + 3, "b": x, "kind": ["u", "w"] * 5})
    display = SampleQualityDisplay.from_samples(X, {"one": sampled, "same": X[::-1]})
    marginals, pairs = display.axes_[0]
    one, same = drawn_lines(marginals, "one", "same")
    assert texts(marginals.get_yticklabels()) == ["a", "b", "kind"]
    # Three of ten values are below all others; half of the categories are new.
    assert_allclose(one, [[0.3, 0.9, 0.5], [0, 1, 2]])
    assert_allclose(same, [[0, 0, 0], [0, 1, 2]], atol=1e-12)
    one, same = drawn_lines(pairs, "one", "same")
    with_v = np.corrcoef(x, x >= 5)[0, 1]
    real = [-1, with_v, -with_v]
    assert_allclose(same, [real, real])
    # Of two categories one has all there is; the sampled rows have none of it.
    assert_allclose(one, [real, [1, np.nan, np.nan]])


def test_distances_of_sampled_rows_to_training_rows(plt):
    rng = data_rng()
    train, real, sampled = rng.normal(size=(3, 40, 4))
    _, axes = plt.subplots(1, 3)
    display = SampleQualityDisplay.from_samples(real, {"A": sampled}, X_train=train, ax=axes)
    assert display.axes_[0, 2] is axes[2]
    scaled = [rows / train.std(axis=0) for rows in (train, real, sampled)]
    lines = [np.array(line.get_data()) for line in axes[2].lines]
    for line, rows in zip(lines, scaled[1:], strict=True):
        nearest = np.sqrt(np.square(rows[:, np.newaxis] - scaled[0]).sum(axis=2)).min(axis=1)
        assert_allclose(line, [np.sort(nearest), (1 + np.arange(40)) / 40])
    # Training rows are a reference in the other panels.
    assert texts(axes[1].get_legend().get_texts()) == ["Training rows", "A"]
    assert_allclose(drawn_lines(axes[0], "Training rows")[0][1], np.arange(4))


def test_rows_are_sampled_by_any_model(fitted, digits):
    from sklearn.mixture import GaussianMixture
    from sklearn.neighbors import KernelDensity

    X = digits[:, 20:24]
    for model in (GaussianMixture(2, random_state=0), KernelDensity()):
        display = SampleQualityDisplay.from_estimator(model.fit(X), X, random_state=0)
        (rows,) = display.samples.values()
        assert rows.shape == X.shape
        assert texts(display.axes_[0, 1].get_legend().get_texts()) == [type(model).__name__]
    display = SampleQualityDisplay.from_estimator(
        model, X, n_samples=7, random_state=1, name="A"
    )
    assert_array_equal(display.samples["A"], model.sample(7, random_state=1))
    with pytest.raises(TypeError, match="must have the method sample; AutoencoderTransformer"):
        SampleQualityDisplay.from_estimator(fitted, digits)


def test_what_are_no_samples(digits):
    with pytest.raises(ValueError, match="at least; got none"):
        SampleQualityDisplay.from_samples(digits, {})
    with pytest.raises(
        ValueError, match=r"samples\['Sampled rows'\] must have the columns of X"
    ):
        SampleQualityDisplay.from_samples(digits, digits[:, :3])
    X = pd.DataFrame({"a": [1.0, 2], "b": ["u", "v"]})
    with pytest.raises(ValueError, match="2 of which 1 are numbers; it has 2, of which 2 are"):
        SampleQualityDisplay.from_samples(X, X.assign(b=1.0))
