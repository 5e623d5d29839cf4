"""Paths through the code: where they start, where they end, and what is refused."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from data import data_rng
from skae.estimators._latent_paths import _linear, _spherical

pytestmark = pytest.mark.any_backend


def test_the_path_leads_from_one_reconstruction_to_the_other(fitted, digits):
    start, end = digits[:4], digits[4:8]
    path = fitted.interpolate(start, end)
    assert path.shape == (4, 10, 64)
    assert_allclose(path[:, 0], fitted.reconstruct(start), atol=1e-9)
    assert_allclose(path[:, -1], fitted.reconstruct(end), atol=1e-9)


def test_shares_of_the_way(fitted, digits):
    weights = np.arange(0.05, 1, 0.15)
    path = fitted.interpolate(digits[:1], digits[1:2], weights=weights)
    assert path.shape == (1, 7, 64)
    start, end = fitted.transform(digits[:2])
    code = (1 - weights[:, None]) * start + weights[:, None] * end
    assert_allclose(path[0], fitted.inverse_transform(code), atol=1e-9)


@pytest.mark.parametrize("method", ["linear", "spherical"])
def test_there_and_back_is_the_same_way(method, fitted, digits):
    there = fitted.interpolate(digits[:2], digits[2:4], n_steps=5, method=method)
    back = fitted.interpolate(digits[2:4], digits[:2], n_steps=5, method=method)
    assert_allclose(there, back[:, ::-1], atol=1e-8)


def test_an_arc_keeps_its_distance_from_the_origin():
    rng = data_rng()
    start, end = rng.normal(size=(2, 5, 1, 3))
    start, end = (x / np.linalg.norm(x, axis=-1, keepdims=True) for x in (start, end))
    shares = np.linspace(0, 1, 9)[:, None]
    path = _spherical(start, end, shares)
    assert_allclose(np.linalg.norm(path, axis=-1), 1)
    steps = np.linalg.norm(np.diff(path, axis=1), axis=-1)
    assert_allclose(steps, steps[:, :1] * np.ones(8))
    assert (np.linalg.norm(_linear(start, end, shares), axis=-1)[:, 4] < 1).all()


@pytest.mark.parametrize("factor", [0, 2, -1])
def test_without_an_arc_the_path_is_a_line(factor):
    start = np.array([[[3.0, 4.0]]])
    shares = np.linspace(0, 1, 5)[:, None]
    path = _spherical(start, factor * start, shares)
    assert_allclose(path, _linear(start, factor * start, shares))


def test_a_class_says_what_auto_stands_for(fitted, digits, monkeypatch):
    start, end = digits[:1], digits[1:2]
    assert_array_equal(
        fitted.interpolate(start, end), fitted.interpolate(start, end, method="linear")
    )
    monkeypatch.setattr(type(fitted), "_interpolation", "spherical")
    arc = fitted.interpolate(start, end)
    assert_array_equal(arc, fitted.interpolate(start, end, method="spherical"))
    assert not np.allclose(arc, fitted.interpolate(start, end, method="linear"))


def test_float32_stays(fitted, digits):
    X = digits.astype(np.float32)
    for method in ("linear", "spherical"):
        assert fitted.interpolate(X[:1], X[1:2], method=method).dtype == np.float32
    assert fitted.latent_traversal(X).dtype == np.float32


def test_data_frames_and_set_output(quick, digits):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(digits, columns=[f"pixel{i}" for i in range(64)])
    ae = quick().fit(frame).set_output(transform="pandas")
    plain = quick().fit(digits)
    path = ae.interpolate(frame[:2], frame[2:4])
    assert isinstance(path, np.ndarray)
    assert_allclose(path, plain.interpolate(digits[:2], digits[2:4]))
    assert_allclose(ae.latent_traversal(frame), plain.latent_traversal(digits))


def test_a_traversal_varies_one_number_about_the_mean_code(fitted, digits):
    code = fitted.transform(digits)
    rows = fitted.latent_traversal(digits)
    assert rows.shape == (3, 7, 64)
    middle = fitted.inverse_transform(code.mean(axis=0, keepdims=True))
    assert_allclose(rows[:, 3], np.repeat(middle, 3, axis=0), atol=1e-9)
    far = code.mean(axis=0)
    far[1] += 2 * code[:, 1].std()
    assert_allclose(rows[1, -1:], fitted.inverse_transform(far[None]), atol=1e-9)


def test_a_traversal_of_one_row(fitted, digits):
    code = fitted.transform(digits[:1])
    rows = fitted.latent_traversal(
        digits, start=digits[:1], components=2, values=[code[0, 2], 0.0]
    )
    assert rows.shape == (1, 2, 64)
    assert_allclose(rows[0, :1], fitted.reconstruct(digits[:1]), atol=1e-9)
    code[0, 2] = 0
    assert_allclose(rows[0, 1:], fitted.inverse_transform(code), atol=1e-9)


BAD = {
    "other lengths": (
        lambda ae, X: ae.interpolate(X[:2], X[:3]),
        "X_start and X_end.*got 2 and 3",
    ),
    "one dimension": (
        lambda ae, X: ae.interpolate(X[0], X[1]),
        "X_start cannot.*Expected 2D",
    ),
    "other columns": (
        lambda ae, X: ae.interpolate(X[:1], X[:1, :7]),
        "X_end cannot.*7 features.*expecting 64",
    ),
    "no rows": (lambda ae, X: ae.interpolate(X[:0], X[:0]), "X_start must.*at least one row"),
    "no steps": (
        lambda ae, X: ae.interpolate(X[:1], X[:1], n_steps=0),
        "'n_steps' parameter of interpolate must be.*Got 0",
    ),
    "method": (
        lambda ae, X: ae.interpolate(X[:1], X[:1], method="cubic"),
        "'method' parameter.*linear.*Got 'cubic'",
    ),
    "weights of nan": (
        lambda ae, X: ae.interpolate(X[:1], X[:1], weights=[np.nan]),
        "weights contains NaN",
    ),
    "weights of two axes": (
        lambda ae, X: ae.interpolate(X[:1], X[:1], weights=[[0.5]]),
        r"weights must be one-dimensional; got shape \(1, 1\)",
    ),
    "component": (
        lambda ae, X: ae.latent_traversal(X, components=3),
        "components must be integers from 0 to 2.*got 3",
    ),
    "half a component": (lambda ae, X: ae.latent_traversal(X, components=0.5), "got 0.5"),
    "two starts": (lambda ae, X: ae.latent_traversal(X, start=X[:2]), "start must be one row"),
    "no values": (lambda ae, X: ae.latent_traversal(X, n_values=0), "'n_values'.*Got 0"),
    "text": (lambda ae, X: ae.latent_traversal(X, values=["a"]), "could not convert"),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_input_is_refused_by_name(kind, fitted, digits):
    call, match = BAD[kind]
    with pytest.raises(ValueError, match=match):
        call(fitted, digits)


def test_not_fitted(fitted, digits):
    for call in (
        lambda ae: ae.interpolate(digits[:1], digits[:1]),
        lambda ae: ae.latent_traversal(digits),
    ):
        with pytest.raises(NotFittedError):
            call(clone(fitted))
