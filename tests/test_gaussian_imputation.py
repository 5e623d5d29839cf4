"""Conditional means of missing values, and normal scores of numbers: against plain NumPy."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import norm

from data import data_rng
from skae.imputation import _predictors, _stacking
from skae.imputation._predictors import (
    BlockGaussian,
    Gaussian,
    Layout,
    NormalScores,
    like_columns,
)
from skae.imputation._stacking import normal_distribution, selection_slopes, shared_kernels

pytestmark = pytest.mark.any_backend


def incomplete_rows(n=30, p=3, share=0.3):
    """Correlated rows, and a mask of observed values, at least one of each row."""
    rng = data_rng()
    X = rng.normal(size=(n, p)) @ rng.normal(size=(p, p)) + np.arange(p)
    observed = rng.random_sample((n, p)) > share
    observed[np.arange(n), rng.randint(p, size=n)] = True
    return X, observed


def conditional(mean, covariance, x, observed):
    """Mean and covariance of a row, given its observed values."""
    missing, filled = ~observed, x.copy()
    among, across = np.ix_(observed, observed), np.ix_(missing, observed)
    weights = covariance[across] @ np.linalg.inv(covariance[among])
    filled[missing] = mean[missing] + weights @ (x[observed] - mean[observed])
    remaining = np.zeros_like(covariance)
    both = np.ix_(missing, missing)
    remaining[both] = covariance[both] - weights @ covariance[across].T
    return filled, remaining


def by_hand(X, observed, n_rounds):
    """Expectation and maximisation row by row, with rows of independent columns added."""
    n, p = X.shape
    mean = np.array([X[on, j].mean() for j, on in enumerate(observed.T)])
    variance = np.array([X[on, j].var() for j, on in enumerate(observed.T)]) + 1e-6
    covariance, prior = np.diag(variance), 2 + np.sqrt(p) / 2
    for _ in range(n_rounds):
        rows = [conditional(mean, covariance, *row) for row in zip(X, observed, strict=True)]
        filled = np.array([row for row, _ in rows])
        mean = filled.mean(axis=0)
        scatter = (filled - mean).T @ (filled - mean) + sum(remaining for _, remaining in rows)
        covariance = (scatter + prior * np.diag(variance)) / (n + prior) + 1e-6 * np.eye(p)
    return mean, covariance


def test_a_missing_value_is_its_regression_on_the_others():
    model = Gaussian(np.array([1.0, 2.0]), np.array([[4.0, 2.0], [2.0, 3.0]]))
    X = np.array([[5.0, np.nan], [np.nan, 5.0], [7.0, 8.0], [np.nan, np.nan]])
    X = np.nan_to_num(X, nan=99.0)
    observed = np.array([[1, 0], [0, 1], [1, 1], [0, 0]], bool)
    assert_allclose(model.fill(X, observed), [[5, 4], [3, 5], [7, 8], [1, 2]])


def test_several_missing_values_have_their_joint_conditional_mean(monkeypatch):
    X, observed = incomplete_rows(p=4)
    scatter = np.cov(X.T)
    model = Gaussian(X.mean(axis=0), scatter)
    rows = zip(X, observed, strict=True)
    expected = [conditional(model.mean, scatter, *row)[0] for row in rows]
    assert_allclose(model.fill(np.where(observed, X, 1e3), observed), expected)
    # A few rows at a time change nothing.
    monkeypatch.setattr("skae.imputation._predictors._CHUNK_ENTRIES", 7 * 4 * 4)
    assert_allclose(model.fill(X, observed), expected)


def test_each_value_has_its_regression_on_the_others(monkeypatch):
    X, observed = incomplete_rows()
    monkeypatch.setattr(_predictors, "_CHUNK_ENTRIES", 9 * 7)
    root = data_rng().normal(size=(3, 3))
    model = Gaussian(np.array([1.0, 2.0, 3.0]), root @ root.T + np.eye(3))
    means = model.by_others(np.where(observed, X, 1e3), observed)
    for i, j in np.ndindex(X.shape):
        known = observed[i] & (np.arange(3) != j)
        filled, _ = conditional(model.mean, model.covariance, X[i], known)
        assert_allclose(means[i, j], filled[j], atol=1e-10)


def rows_missing_by(slope, column, n=2000):
    """Normal rows of three columns, and a mask; the log-odds of the first to be missing.

    They have a slope in a column: missing rows are those of the observed ones' distribution
    tilted exponentially, which is normal with another mean.
    """
    rng = data_rng()
    covariance = np.array([[1, 0.6, 0.5], [0.6, 1, 0.2], [0.5, 0.2, 1]])
    scores = rng.multivariate_normal(np.zeros(3), covariance, size=n)
    scores[::2] += slope * covariance[column]
    observed = np.ones(scores.shape, dtype=bool)
    observed[::2, 0] = False
    return np.where(observed, scores, 0), observed, Gaussian(np.zeros(3), covariance)


def slopes_of(scores, observed, gaussian, is_number=True):
    layout = Layout(np.arange(3), np.full(3, is_number))
    return selection_slopes(layout, gaussian, scores, observed, data_rng())


@pytest.mark.parametrize("slope", [1.0, -0.6])
def test_values_missing_by_their_size_have_the_slope_of_the_log_odds(slope):
    scores, observed, gaussian = rows_missing_by(slope, column=0)
    slopes = slopes_of(scores, observed, gaussian)
    assert_allclose(slopes, [slope, 0, 0], atol=0.25)
    assert_array_equal(slopes[1:], 0)
    assert slopes_of(scores, observed, gaussian, is_number=False) is None


def test_values_missing_by_another_column_have_no_slope():
    scores, observed, gaussian = rows_missing_by(1.0, column=1)
    assert slopes_of(scores, observed, gaussian) is None


def test_values_missing_with_those_of_another_column_have_no_slope():
    scores, observed, gaussian = rows_missing_by(1.0, column=0)
    observed[:, 2] = observed[:, 0]
    scores[:, 2] *= observed[:, 2]
    assert slopes_of(scores, observed, gaussian) is None


def test_values_missing_at_random_have_no_slope():
    assert slopes_of(*rows_missing_by(0.0, column=0)) is None


def test_few_missing_values_have_no_slope():
    scores, observed, gaussian = rows_missing_by(1.0, column=0)
    observed[18:, 0] = True
    assert slopes_of(scores, observed, gaussian) is None


def test_complete_rows_have_their_mean_and_covariance():
    X, _ = incomplete_rows()
    observed = np.ones(X.shape, bool)
    model = Gaussian.from_data(X, observed, None)
    mean, covariance = by_hand(X, observed, 1)
    assert_allclose(model.mean, X.mean(axis=0))
    assert_allclose(model.mean, mean)
    assert_allclose(model.covariance, covariance)


def test_incomplete_rows_by_expectation_and_maximisation():
    X, observed = incomplete_rows()
    model = Gaussian.from_data(np.where(observed, X, -1e3), observed, None)
    mean, covariance = by_hand(X, observed, 12)
    assert_allclose(model.mean, mean)
    assert_allclose(model.covariance, covariance)


def test_many_columns_by_expectation_and_maximisation(monkeypatch):
    """Only the missing values of a row are solved for, and rows with as many together."""
    X, observed = incomplete_rows(n=50, p=_predictors._NARROW + 1)
    observed[:3], observed[3] = True, False
    monkeypatch.setattr(_predictors, "_SMALL_CHUNK_ENTRIES", 700)
    model = Gaussian.from_data(np.where(observed, X, -1e3), observed, None)
    mean, covariance = by_hand(X, observed, 12)
    assert_allclose(model.mean, mean, atol=1e-8)
    assert_allclose(model.covariance, covariance, atol=1e-8)


def blocks_of_columns(monkeypatch, n=200, p=24):
    """Columns of three factors, a mask, and distributions of blocks of six."""
    for module in (_predictors, _stacking):
        monkeypatch.setattr(module, "MOST_TOGETHER", 9)
    monkeypatch.setattr(_predictors, "_FACTORS", 3)
    rng = data_rng()
    X = rng.normal(size=(n, 3)) @ rng.normal(size=(3, p)) + 0.5 * rng.normal(size=(n, p))
    X += np.arange(p)
    observed = rng.random_sample((n, p)) > 0.2
    return X, observed, normal_distribution(np.where(observed, X, -1e3), observed, rng)


def test_blocks_of_columns_are_distributed_with_factors_of_the_others(monkeypatch):
    X, observed, model = blocks_of_columns(monkeypatch)
    assert isinstance(model, BlockGaussian)
    assert_array_equal(np.bincount(model.blocks), [6, 6, 6, 6])
    monkeypatch.setattr(_predictors, "_CHUNK_ENTRIES", 9 * 40)
    filled = model.fill(np.where(observed, X, 1e3), observed)
    assert_array_equal(filled[observed], X[observed])
    for i, block in ((0, 0), (57, 2), (199, 3)):
        inside = model.blocks == block
        known = observed[i] & ~inside
        loadings, z = model.loadings[known], ((X[i] - model.center) / model.scale)[known]
        precision = model.noise * np.eye(3) + loadings.T @ loadings
        row = np.concatenate([X[i, inside], np.linalg.solve(precision, loadings.T @ z)])
        mask = np.concatenate([observed[i, inside], [True] * 3])
        gaussian = model.gaussians[block]
        expected, _ = conditional(gaussian.mean, gaussian.covariance, row, mask)
        assert_allclose(filled[i, inside], expected[:6])


def test_blocks_of_columns_of_few_factors_are_as_good_as_all_columns(monkeypatch):
    X, observed, model = blocks_of_columns(monkeypatch)
    known = np.where(observed, X, 0)
    together = Gaussian.from_data(known, observed, None).fill(known, observed)
    errors = [np.square(filled - X)[~observed].mean() for filled in (
        model.fill(known, observed), together)]  # fmt: skip
    assert errors[0] < 1.1 * errors[1]
    assert errors[0] < 0.2 * X[~observed].var()


def test_like_columns_are_together():
    kind = np.array([0, 1, 2, 0, 1, 2, 0, 1, 0])
    similarity = np.where(kind[:, None] == kind, 0.9, 0.1)
    groups = like_columns(similarity, 4)
    # The largest group first; then the others, of which one has a place left for none.
    assert_array_equal(groups == 0, kind == 0)
    assert [len(set(groups[kind == k])) for k in (1, 2)].count(1) >= 1
    assert np.bincount(groups).max() <= 4


def test_columns_share_kernels_where_there_are_many():
    rng = data_rng()
    rows = np.repeat(rng.normal(size=(50, 5)), 20, axis=1) + 0.1 * rng.normal(size=(50, 100))
    layout = Layout(np.arange(100), np.ones(100, bool))
    shared = shared_kernels(layout, rows)
    assert_array_equal(np.bincount(shared), [20] * 5)
    assert all(len(set(shared[j : j + 20])) == 1 for j in range(0, 100, 20))
    few = Layout(np.arange(32), np.ones(32, bool))
    assert shared_kernels(few, rows[:, :32]) is None
    assert_array_equal(few.kernel_of, np.arange(32))


def test_a_kernel_is_used_where_any_of_its_columns_is():
    mask = np.array([[1, 0, 0, 0], [0, 0, 1, 1], [0, 0, 0, 0]], bool)
    layout = Layout(np.arange(4), np.ones(4, bool), np.array([1, 0, 0, 1]))
    assert_array_equal(layout.of_kernels(mask), np.array([[0, 1], [1, 1], [0, 0]], bool))


def test_the_mean_of_a_column_without_a_value_is_zero():
    X, observed = incomplete_rows()
    observed[:, 1] = False
    observed[:, 0] = True
    model = Gaussian.from_data(X, observed, None)
    assert_allclose(model.mean[1], 0, atol=1e-6)
    assert_allclose(model.fill(X, observed)[:, 1], 0, atol=1e-3)


@pytest.mark.parametrize(("n_rows", "p", "n_used"), [(1001, 2, 1000), (1300, 60, 1200)])
def test_of_many_rows_a_random_part_is_used(n_rows, p, n_used):
    X = data_rng().normal(size=(n_rows, p))
    observed = np.ones(X.shape, bool)
    chosen = np.random.RandomState(3).permutation(n_rows)[:n_used]
    model = Gaussian.from_data(X, observed, np.random.RandomState(3))
    assert_allclose(model.mean, X[chosen].mean(axis=0))
    few = X[:n_used]
    assert_allclose(Gaussian.from_data(few, observed[:n_used], None).mean, few.mean(axis=0))


def test_normal_scores_are_those_of_the_middle_of_the_ranks():
    X = np.array([[1.0, 0], [2, 1], [2, 0], [5, 1], [9, 7]])
    observed = np.array([[1, 1], [1, 1], [1, 1], [1, 1], [0, 0]], bool)
    scores = NormalScores.from_data(X, observed)
    low, middle, high = norm.ppf([0.125, 0.5, 0.875])
    new = np.array([[1.0, 0.3], [2, 1], [3.5, -4], [5, 0], [0, 0], [8, 9]])
    expected = [low, middle, (middle + high) / 2, high, low, high]
    found = scores.transform(new)
    assert_allclose(found[:, 0], expected, atol=1e-12)
    # A column of two values stays.
    assert_array_equal(found[:, 1], new[:, 1])
    back = scores.inverse_transform(found)
    assert_allclose(back[:, 0], [1, 2, 3.5, 5, 1, 5])
    assert_array_equal(back[:, 1], new[:, 1])


@pytest.mark.parametrize(("n_values", "n_points"), [(3, 3), (200, 200), (201, 200), (999, 200)])
def test_a_curve_of_scores_has_few_points(n_values, n_points):
    values = np.arange(n_values)[:, np.newaxis] ** 2.0
    ((points, curve),) = NormalScores.from_data(values, np.ones(values.shape, bool)).curves
    assert len(points) == len(curve) == n_points
    assert (points[0], points[-1]) == (0, (n_values - 1) ** 2)
    ranks = np.sqrt(points)
    assert_allclose(curve, norm.ppf((ranks + 0.5) / n_values), atol=1e-12)
