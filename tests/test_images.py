"""Displays as pictures, in two styles and of tables of any width, beside small ones.

After a change that was meant, look at the displays and run this file as a script: it draws the
small pictures anew, and with a folder as argument saves the displays in it.
"""

import io
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from skae.plotting import (
    AnomalyScoreDisplay,
    ComponentCurveDisplay,
    LatentPathDisplay,
    LatentSpaceDisplay,
    LossCurveDisplay,
    ReconstructionDisplay,
    SampleQualityDisplay,
)

pytestmark = [pytest.mark.any_data, pytest.mark.any_backend]

STYLES = ("default", "dark_background")
WIDTHS = (2, 10, 60, 200)
IMAGES = Path(__file__).with_name("images.npz")
# Width and height of the small pictures. Letters are smaller than their pixels, so that other
# fonts make little difference.
SIZE = 48, 32
# Greatest mean difference of pixels, of 255, with and without areas of colour, whose edges move
# by fractions of a pixel. Between matplotlib 3.8 and 3.11 it is at most 1.9 and 0.9.
MOST = {True: 2.5, False: 1.0}


def table(n_columns, n_rows=8):
    """Numbers (n_rows, n_columns) around a plane, with names."""
    rng = np.random.RandomState(0)
    X = rng.normal(size=(n_rows, 2)) @ rng.normal(size=(2, n_columns))
    return X + rng.normal(scale=0.3, size=X.shape), [f"column {j}" for j in range(n_columns)]


def reconstruction(n_columns):
    X, names = table(n_columns)
    X, back = X.astype(object), (0.7 * X).astype(object)
    X[:, 0], back[:, 0] = list("abababab"), list("aaababab")
    return ReconstructionDisplay.from_arrays(X, back, feature_names=names)


def path(n_columns):
    X, names = table(n_columns)
    rows = np.linspace(X[:2], X[2:4], 4, axis=1).astype(object)
    rows[:, :, 1] = [["north", "north", "south", "south"], ["east"] * 4]
    return LatentPathDisplay.from_arrays(
        rows, feature_names=names, strip_labels=["Pair 0", "Pair 1"], step_labels=list("0123")
    )


def anomaly(n_columns):
    X, names = table(n_columns)
    rng = np.random.RandomState(1)
    return AnomalyScoreDisplay.from_scores(
        -rng.gamma(3, 1, 200),
        -7.0,
        held_out=-rng.gamma(3, 1, 100),
        explanation=np.abs(X[0]) ** 3,
        feature_names=names,
        notes=[f"{x:.3g} (expected 0)" for x in X[0]],
    )


def shares(n_columns):
    X, names = table(n_columns)
    return AnomalyScoreDisplay.from_scores(
        -np.abs(X).sum(axis=1), explanation=np.abs(X) ** 3, feature_names=names
    )


def sampled(n_columns):
    X, names = table(n_columns, 120)
    frame = pd.DataFrame(X, columns=names).assign(kind=np.where(X[:, 0] > 0, "a", "b"))
    first, second = frame[80:], 0.8 * frame.drop(columns="kind")
    return SampleQualityDisplay.from_samples(
        frame[:40], {"A": first, "B": second.assign(kind="a")}, X_train=frame[40:80]
    )


def losses():
    falls = 0.8 ** np.arange(20)
    first = LossCurveDisplay.from_curves(
        falls, falls + 0.2, start_loss=1.5, best=(20, 0.21), others={"Random": falls + 0.4},
        name="a",
    )  # fmt: skip
    return LossCurveDisplay.from_curves(falls + 1, falls + 1.2, name="b", ax=first.axes_)


def components():
    sizes = np.arange(1, 17)
    return ComponentCurveDisplay.from_curves(1 - 0.7**sizes, 1 - 0.8**sizes, share=0.9)


def codes(n_components, kind="classes"):
    X = table(4, 150)[0]
    y = {
        "classes": [None if i % 4 == 0 else "abcdefghijkl"[i % 12] for i in range(150)],
        "dates": np.datetime64("2024-01-01") + np.arange(150).astype("m8[D]"),
    }[kind]
    return LatentSpaceDisplay.from_codes(X, y, components=range(n_components))


def plane():
    x, y = np.mgrid[-2:3, -2:3]
    rows = np.stack([x, y, x * y], axis=2)
    return LatentPathDisplay.from_arrays(rows, feature_names=list("xyz"), by_column=True)


def images():
    rng = np.random.RandomState(0)
    X = rng.uniform(size=(4, 6, 6))
    return ReconstructionDisplay.from_arrays(X, {"A": X**2, "B": 0.5 * X})


def series():
    X = np.sin(np.arange(20) / 3 + np.arange(6)[:, np.newaxis])
    return ReconstructionDisplay.from_arrays(X, {"A": 0.5 * X, "B": X**2}, kind="series")


DISPLAYS = {
    f"{draw.__name__} {width}": (draw, width)
    for draw in (reconstruction, path, anomaly, shares, sampled)
    for width in WIDTHS
} | {
    "losses": (losses,),
    "components": (components,),
    "codes 1": (codes, 1),
    "codes 2": (codes, 2),
    "codes 4": (codes, 4),
    "codes by date": (codes, 2, "dates"),
    "plane": (plane,),
    "images": (images,),
    "series": (series,),
}


def drawn(name, style, folder=None):
    """A display as a small picture, colours of uint8."""
    import matplotlib as mpl
    import matplotlib.pyplot as plt
    from PIL import Image

    mpl.use("agg")
    draw, *args = DISPLAYS[name]
    # Hinting depends on the version of the library that draws letters.
    with plt.style.context([style, {"text.hinting": "none"}]):
        figure = draw(*args).figure_
        data = io.BytesIO()
        # A layout depends on the widths of texts.
        figure.set_layout_engine("none")
        figure.savefig(data, dpi=72, format="png")
        if folder:  # as users see it
            draw(*args).figure_.savefig(Path(folder, f"{name} {style}.png"), dpi=70)
        plt.close("all")
    picture = Image.open(data).convert("RGB").resize(SIZE, Image.Resampling.BOX)
    return np.asarray(picture)


@pytest.mark.slow
@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("name", DISPLAYS)
def test_displays_look_as_before(name, style):
    pytest.importorskip("matplotlib")
    pytest.importorskip("PIL")
    expected = np.load(IMAGES)[f"{name} {style}"].astype(int)
    has_areas = name.startswith(("reconstruction", "path", "images", "plane"))
    assert np.abs(drawn(name, style) - expected).mean() <= MOST[has_areas]


if __name__ == "__main__":
    pictures = {
        f"{name} {style}": drawn(name, style, *sys.argv[1:])
        for name in DISPLAYS
        for style in STYLES
    }
    np.savez_compressed(IMAGES, **pictures)
