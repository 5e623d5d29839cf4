"""Displays of what people bring: missing labels and values, dates, data frames, one row."""

from datetime import date, timedelta
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from data import data_rng
from saved_estimators import QUICK_DETECTOR, SMALL
from skae import AEAnomalyDetector, AutoencoderTransformer
from skae.plotting import (
    AnomalyScoreDisplay,
    ComponentCurveDisplay,
    LatentPathDisplay,
    LatentSpaceDisplay,
    ReconstructionDisplay,
    SampleQualityDisplay,
)
from tables import LIBRARIES, people

pytestmark = [
    pytest.mark.any_data,
    pytest.mark.any_backend,
    pytest.mark.usefixtures("plt"),
]

N_ROWS = 42
GONE = np.arange(N_ROWS) % 7 == 0
CODES = data_rng().normal(size=(N_ROWS, 3))
COLOURS = np.array(["red", "green", "blue"] * 14, dtype=object)
DAYS = [date(2024, 1, 1) + timedelta(days=i) for i in range(N_ROWS)]


def holed(values, missing):
    return [missing if gone else v for v, gone in zip(values, GONE, strict=True)]


def texts(labels):
    return [label.get_text() for label in labels]


def points(display):
    return [np.asarray(scatter.get_offsets()) for scatter in display.scatters_]


# Missing labels

CLASSES = {
    "None among objects": np.array(holed(COLOURS, None), dtype=object),
    "NaN among objects": np.array(holed(COLOURS, np.nan), dtype=object),
    "a list": holed(COLOURS, None),
    "a column": np.array(holed(COLOURS, None), dtype=object)[:, np.newaxis],
    "str": pd.Series(holed(COLOURS, None), dtype="str"),
    "NA among strings": pd.Series(holed(COLOURS, None), dtype="string"),
    "categories": pd.Series(holed(COLOURS, None), dtype="category"),
    "Categorical": pd.Categorical(holed(COLOURS, None)),
    "a frame": pd.DataFrame({"y": holed(COLOURS, None)}),
    "polars": pl.Series(holed(COLOURS, None)),
    "categories of polars": pl.Series(holed(COLOURS, None), dtype=pl.Categorical),
    "PyArrow": pa.chunked_array([holed(COLOURS, None)]),
}


@pytest.mark.parametrize("name", CLASSES)
def test_missing_classes(name):
    display = LatentSpaceDisplay.from_codes(CODES, CLASSES[name], y_name="colour")
    *classes, missing = points(display)
    legend = texts(display.legend_.get_texts())
    assert sorted(legend[:-1]) == ["blue", "green", "red"]
    assert legend[-1] == "missing"
    assert_array_equal(missing, CODES[GONE, :2])
    for label, drawn in zip(legend, classes, strict=False):
        assert_array_equal(drawn, CODES[(label == COLOURS) & ~GONE, :2])
    assert display.colorbar_ is None


@pytest.mark.parametrize(
    ("y", "legend"),
    [
        (pd.Series(holed([True, False] * 21, None), dtype="boolean"), ["False", "True"]),
        (pd.Series(holed([3, 1] * 21, None), dtype="Int64"), ["1", "3"]),
        (np.array(holed([0.0, 1.0] * 21, np.nan)), ["0.0", "1.0"]),
        (pl.Series(holed([2, 1] * 21, None)), ["1", "2"]),
        (np.array(holed(["a", 1] * 21, None), dtype=object), ["1", "a"]),
    ],
)
def test_missing_classes_of_other_types(y, legend):
    display = LatentSpaceDisplay.from_codes(CODES, y)
    assert texts(display.legend_.get_texts()) == [*legend, "missing"]


def test_categories_have_their_order():
    order = ["red", "green", "unused", "blue"]
    for y in (
        pd.Series(COLOURS, dtype=pd.CategoricalDtype(order, ordered=True)),
        pd.Categorical(COLOURS, order),
        pl.Series(COLOURS.tolist(), dtype=pl.Enum(order)),
    ):
        display = LatentSpaceDisplay.from_codes(CODES, y)
        assert texts(display.legend_.get_texts()) == ["red", "green", "blue"]


@pytest.mark.parametrize(
    "y",
    [
        np.array(holed(np.linspace(0, 1, N_ROWS), np.nan)),
        pd.Series(holed(np.linspace(0, 1, N_ROWS), None), dtype="Float64"),
        pl.Series(holed(np.linspace(0, 1, N_ROWS).tolist(), None)),
        holed([Decimal(i) / 41 for i in range(N_ROWS)], None),
    ],
)
def test_missing_numbers(y):
    display = LatentSpaceDisplay.from_codes(CODES, y, y_name="share")
    measured, missing = display.scatters_
    assert_allclose(measured.get_array(), np.linspace(0, 1, N_ROWS)[~GONE])
    assert_array_equal(missing.get_offsets(), CODES[GONE, :2])
    assert texts(display.legend_.get_texts()) == ["missing"]
    assert display.colorbar_.ax.get_ylabel() == "share"


@pytest.mark.parametrize("y", [[None] * N_ROWS, np.full(N_ROWS, np.nan)])
def test_nothing_but_missing_labels(y):
    display = LatentSpaceDisplay.from_codes(CODES, y)
    assert texts(display.legend_.get_texts()) == ["missing"]
    assert_array_equal(points(display)[-1], CODES[:, :2])


def test_no_label_is_missing():
    display = LatentSpaceDisplay.from_codes(CODES, COLOURS)
    assert len(display.scatters_) == 3
    assert LatentSpaceDisplay.from_codes(CODES, CODES[:, 0]).legend_ is None


# Dates, durations, many classes

DATES = {
    "dates": DAYS,
    "datetime64[ns]": np.array(DAYS, "M8[ns]"),
    "pandas": pd.Series(pd.to_datetime(DAYS)),
    "a time zone": pd.Series(pd.to_datetime(DAYS)).dt.tz_localize("UTC"),
    "polars": pl.Series(DAYS),
    "PyArrow": pa.chunked_array([DAYS]),
}


@pytest.mark.parametrize("name", DATES)
def test_dates_are_measured(name):
    display = LatentSpaceDisplay.from_codes(CODES, DATES[name])
    assert_allclose(np.diff(display.scatters_[0].get_array()), 1)
    display.figure_.canvas.draw()
    ticks = texts(display.colorbar_.ax.get_yticklabels())
    assert "Feb" in ticks
    assert display.colorbar_.ax.yaxis.get_offset_text().get_text().startswith("2024")


def test_missing_dates():
    y = pd.Series(pd.to_datetime(DAYS)).mask(GONE)
    measured, missing = LatentSpaceDisplay.from_codes(CODES, y).scatters_
    assert len(measured.get_offsets()) == (~GONE).sum()
    assert_array_equal(missing.get_offsets(), CODES[GONE, :2])


@pytest.mark.parametrize(
    ("unit", "shown"), [("D", "days"), ("min", "minutes"), ("s", "seconds")]
)
def test_durations_have_a_unit(unit, shown):
    y = pd.to_timedelta(np.arange(N_ROWS), unit=unit)
    display = LatentSpaceDisplay.from_codes(CODES, y, y_name="wait")
    assert display.colorbar_.ax.get_ylabel() == f"wait ({shown})"
    assert_allclose(display.scatters_[0].get_array(), np.arange(N_ROWS))


def test_rare_classes_are_drawn_as_one():
    y = ["often"] * 4 + [f"id {i:02d}" for i in range(N_ROWS - 4)]
    display = LatentSpaceDisplay.from_codes(CODES, y)
    legend = texts(display.legend_.get_texts())
    assert len(legend) == len(display.scatters_) == 30
    assert legend[-2:] == ["often", "10 others"]
    assert len(display.scatters_[-1].get_offsets()) == 10


def test_labels_that_cannot_be_drawn():
    with pytest.raises(ValueError, match="y must hold finite numbers"):
        LatentSpaceDisplay.from_codes(CODES, np.r_[np.inf, CODES[1:, 0]])
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        LatentSpaceDisplay.from_codes(CODES, COLOURS[:5])
    with pytest.raises(ValueError, match="1d array"):
        LatentSpaceDisplay.from_codes(CODES, np.c_[COLOURS, COLOURS])


@pytest.mark.parametrize("library", LIBRARIES)
def test_codes_of_tables_with_missing_labels(library):
    frame = people()
    table = LIBRARIES[library](frame)
    ae = AutoencoderTransformer(2, **SMALL).fit(table)
    display = LatentSpaceDisplay.from_estimator(ae, table, table["deck"])
    assert texts(display.legend_.get_texts()) == [*"ABCD", "missing"]
    assert len(points(display)[-1]) == frame["deck"].isna().sum()


# One row


def test_one_row():
    assert (
        len(LatentSpaceDisplay.from_codes(CODES[:1], [None]).scatters_[-1].get_offsets()) == 1
    )
    LatentSpaceDisplay.from_codes(CODES[:1], [DAYS[0]])
    for codes in (CODES[:1], np.ones((4, 3))):
        with pytest.raises(ValueError, match="components='pca' needs codes of two rows"):
            LatentSpaceDisplay.from_codes(codes, components="pca")
    rows = ReconstructionDisplay.from_arrays(CODES[:1], CODES[:1] / 2)
    assert_allclose(rows.axes_[0, 0].images[0].get_array(), -CODES[:1] / 2)


@pytest.mark.parametrize("scores", [[-2.0], [-2.0] * 5, [-5e7], [0.0]])
def test_scores_that_are_all_the_same(scores):
    display = AnomalyScoreDisplay.from_scores(scores)
    heights = [bar.get_height() for bar in display.axes_[0].patches]
    assert np.count_nonzero(heights) == 1


# Frames and missing values


@pytest.mark.parametrize("library", LIBRARIES)
def test_rows_of_frames(library):
    frame = people()[["age", "fare", "survived", "alone"]]
    table = LIBRARIES[library](frame)
    back = frame.fillna(30.0)
    display = ReconstructionDisplay.from_arrays(table, LIBRARIES[library](back), n_samples=6)
    drawn = np.ma.filled(display.axes_[0, 0].images[0].get_array(), np.nan)
    assert_array_equal(np.isnan(drawn), frame[:6].isna())
    assert texts(display.axes_[0, 0].get_xticklabels()) == list(frame)


def test_columns_that_cannot_be_drawn_are_named():
    table = people()[["age", "sex", "boarded"]]
    message = r"originals must hold numbers only; these columns hold others: 'sex', 'boarded'"
    with pytest.raises(ValueError, match=message):
        ReconstructionDisplay.from_arrays(table, table, kind="series")


@pytest.mark.parametrize("library", LIBRARIES)
def test_categories_and_times_of_tables(library):
    frame = people()[["age", "sex", "deck", "boarded"]]
    back = frame.assign(
        sex="male",
        deck=frame["deck"].fillna("A"),
        boarded=frame["boarded"] + pd.Timedelta("1D"),
    )
    tables = [LIBRARIES[library](each) for each in (frame, back.assign(age=30.0))]
    display = ReconstructionDisplay.from_arrays(*tables, n_samples=8)
    drawn = np.ma.filled(display.axes_[0, 0].images[0].get_array(), np.nan)
    assert_array_equal(drawn[:, 1] > 0, frame["sex"][:8] == "female")
    assert_array_equal(drawn[:, 2], np.where(frame["deck"][:8].isna(), np.nan, 0))
    days = frame["boarded"].astype("int64") / 86_400e6
    assert_allclose(drawn[:, 3], 1 / days.std(ddof=0))
    cells = np.reshape(texts(display.axes_[0, 0].texts), (8, 4))
    assert cells[0, 1] == "female\nmale"
    assert cells[0, 2] == "missing\nA"
    assert cells[0, 3] == "\n".join(str(table["boarded"][0])[:10] for table in (frame, back))
    assert "another category" in display.colorbar_.ax.get_ylabel()


def test_columns_and_images_of_nothing():
    X = CODES.copy()
    X[:, 1] = np.nan
    display = ReconstructionDisplay.from_arrays(X, CODES, feature_names=pd.Index(list("abc")))
    drawn = display.axes_[0, 0].images[0].get_array()
    assert_array_equal(np.ma.getmaskarray(drawn).all(axis=0), [False, True, False])
    assert texts(display.axes_[0, 0].get_xticklabels()) == list("abc")
    images = np.full((2, 4, 4), np.nan)
    assert len(ReconstructionDisplay.from_arrays(images, images).ax_.images) == 6


def test_paths_of_nullable_integers():
    X = pd.DataFrame(CODES.round(), columns=list("abc")).astype("Int64").mask(CODES > 1.5)
    ae = AutoencoderTransformer(2, **SMALL).fit(X)
    strips = LatentPathDisplay.from_traversal(ae, X, n_values=3).axes_
    assert strips.shape == (1, 2)
    (panel,) = LatentPathDisplay.from_estimator(ae, X[:1], X[1:2], n_steps=4).axes_.flat
    assert texts(panel.get_yticklabels()) == list("abc")


@pytest.mark.parametrize(
    "library",
    [
        pytest.param(library, marks=[pytest.mark.slow] * (library not in ("pandas", "polars")))
        for library in LIBRARIES
    ],
)
def test_paths_of_tables(library):
    frame = people()[["age", "sex", "deck", "boarded", "alone"]]
    table = LIBRARIES[library](frame)
    ae = AutoencoderTransformer(2, **SMALL).fit(table)
    display = LatentPathDisplay.from_traversal(ae, table, n_values=3)
    first, second = display.axes_.flat
    assert texts(first.get_yticklabels()) == list(frame)
    assert first.get_title() == "Component of the code 0"
    rows = display.rows
    assert rows.shape == (2, 3, 5)
    cells = np.reshape(texts(second.texts), (5, 3))
    assert_array_equal(cells[1], rows[1, :, 1])
    assert_array_equal(cells[3], [str(value)[:10] for value in rows[1, :, 3]])
    ages = rows[:, :, 0].astype(float)
    assert_array_equal(cells[0], [f"{age:.3g}" for age in ages[1]])
    drawn = np.ma.filled(second.images[0].get_array(), np.nan)
    assert_allclose(drawn[0], (ages[1] - ages.mean()) / frame["age"].std(ddof=0))
    days = rows[:, :, 3].astype("M8[us]").astype(float)
    spread = (frame["boarded"].astype("int64")).std(ddof=0)
    assert_allclose(drawn[3], (days[1] - days.mean()) / spread, rtol=1e-6, atol=1e-9)
    # Categories have no distance.
    assert_array_equal(np.isnan(drawn).all(axis=1), [False, True, True, False, False])
    grid = LatentPathDisplay.from_grid(ae, table, n_values=2)
    assert [panel.get_title() for panel in grid.axes_.flat[:5]] == list(frame)
    assert texts(grid.axes_[0, 1].texts) == grid.rows[:, :, 1].ravel().tolist()
    path = LatentPathDisplay.from_estimator(ae, table[:2], table[2:4], n_steps=2)
    assert path.axes_.size == 2


def test_paths_of_wide_tables_show_what_changes():
    rows = np.zeros((1, 4, 200))
    rows[0, :, 150:180] = np.arange(4)[:, np.newaxis] * np.arange(1, 31)
    names = [f"c{j}" for j in range(200)]
    display = LatentPathDisplay.from_arrays(
        rows, feature_names=names, deviations=np.ones(200), title="Path"
    )
    (panel,) = display.axes_.flat
    assert texts(panel.get_yticklabels()) == names[150:180]
    assert panel.get_title() == "Path\nthe 30 of 200 columns that change most"
    display = LatentPathDisplay.from_arrays(
        rows, feature_names=names, deviations=np.ones(200), by_column=True
    )
    assert [panel.get_title() for panel in display.axes_.flat[:9]] == names[171:180]
    given = rows.astype(object)
    given[0, :, 3] = ["x", "x", None, "y"]
    (panel,) = LatentPathDisplay.from_arrays(given, deviations=np.ones(200)).axes_.flat
    assert texts(panel.get_yticklabels())[0] == "x3"
    assert texts(panel.texts)[:4] == ["x", "x", "missing", "y"]


@pytest.mark.parametrize("library", LIBRARIES)
def test_explanations_name_the_columns_of_every_library(library):
    table = LIBRARIES[library](people())
    detector = AEAnomalyDetector(**QUICK_DETECTOR).fit(table)
    display = AnomalyScoreDisplay.from_estimator(detector, table, row=-1)
    names = texts(display.axes_[1].get_yticklabels())
    assert set(names) == set(people())
    notes = dict(zip(names, texts(display.axes_[1].texts), strict=True))
    expected = np.asarray(detector.expected(table)["age"])[-1]
    assert notes["age"] == f"missing (expected {expected:,.3g})"
    assert notes["ship"] == "Titanic (expected Titanic)"
    boarded = people()["boarded"].iloc[-1]
    assert notes["boarded"].startswith(f"{boarded:%Y-%m-%d} (expected 1912-04-")
    for row in (60, 1.5, [0, 60], [], np.zeros(60, bool)):
        with pytest.raises(ValueError, match="row must be the position of a row"):
            AnomalyScoreDisplay.from_estimator(detector, table, row=row)


def test_shares_of_several_rows():
    """Each row counts the same, whatever its score."""
    parts = np.array([[1.0, 3.0], [10.0, 0.0], [0.0, 0.0]])
    display = AnomalyScoreDisplay.from_scores([-4.0, -10.0, 0.0], explanation=parts)
    assert_allclose([bar.get_width() for bar in display.bars_], [1.25 / 3, 0.75 / 3])
    assert display.axes_[1].get_xlabel() == "Mean share in the scores of 3 rows"
    X = CODES.copy()
    X[3, 1] = 50
    detector = AEAnomalyDetector(novelty=True, **QUICK_DETECTOR).fit(CODES)
    mask = detector.predict(X) == -1
    display = AnomalyScoreDisplay.from_estimator(detector, X, row=mask)
    assert_allclose(display.explanation, detector.explain(X)[mask])
    positions = np.flatnonzero(mask)
    same = AnomalyScoreDisplay.from_estimator(detector, X, row=positions - len(X))
    assert_allclose(same.explanation, display.explanation)


def test_scores_of_several_detectors_share_axes():
    first = AnomalyScoreDisplay.from_scores([-1.0, -2.0], -1.5, name="a")
    other = AnomalyScoreDisplay.from_scores([-3.0], -2.0, name="b", ax=first.ax_, alpha=0.3)
    legend = texts(other.ax_.get_legend().get_texts())
    assert legend[0] == "a: 2 rows"
    assert legend[2:] == ["b: 1 rows", "b: Threshold 2, 100.0% beyond"]
    colors = [line.get_color()[:3] for line in other.ax_.lines]
    assert colors[0] != colors[1]
    assert other.ax_.patches[-1].get_alpha() == 0.3


def test_the_legend_of_scores_covers_nothing():
    scores = np.linspace(-1, -5, 50)
    display = AnomalyScoreDisplay.from_scores(scores, -3.0, held_out=scores, explanation=[1, 2])
    display.figure_.canvas.draw()
    panel = display.axes_[0]
    assert panel.get_legend().get_window_extent().y1 < panel.xaxis.label.get_window_extent().y0
    assert not display.axes_[1].texts
    display = AnomalyScoreDisplay.from_scores(
        scores, explanation=[1, 3, 2], notes=["a", "b", "c"], n_columns=1
    )
    assert texts(display.axes_[1].texts) == ["b", ""]


def test_scores_that_cannot_be_drawn():
    for scores in ([], [-1.0, np.nan], [-1.0, -np.inf]):
        with pytest.raises(ValueError, match="scores must be finite numbers"):
            AnomalyScoreDisplay.from_scores(scores)
    with pytest.raises(ValueError, match="feature_names must name the 2 columns"):
        AnomalyScoreDisplay.from_scores([-1.0], explanation=[1, 2], feature_names=["a"])


def test_curves_that_are_series():
    explained = pd.Series([0.2, 0.6, 0.7], index=[4, 5, 6])
    display = ComponentCurveDisplay.from_curves(explained, pl.Series([0.1, 0.2]), share=0.5)
    assert display.n_components_ == 2


# Sampled rows


@pytest.mark.parametrize("library", LIBRARIES)
def test_sampled_rows_of_every_library(library):
    X, make = people(60), LIBRARIES[library]
    shuffled = X.sample(frac=1, random_state=0).reset_index(drop=True)
    display = SampleQualityDisplay.from_samples(make(X), make(shuffled), X_train=make(X))
    marginals = display.axes_[0, 0]
    assert texts(marginals.get_yticklabels()) == list(X.columns)
    line = marginals.lines[-1]
    distances = np.array(line.get_xdata(), dtype=float)
    # An empty column has no distribution.
    assert_allclose(distances[:-1], 0, atol=1e-12)
