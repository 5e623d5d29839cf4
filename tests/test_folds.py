"""Folds of the anomaly detector and the rows that are trimmed: by hand."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.model_selection import KFold, PredefinedSplit

from skae.anomaly._folds import (
    Folds,
    central_mask,
    check_groups,
    split_folds,
    trim_mask,
)

pytestmark = [pytest.mark.any_backend, pytest.mark.any_data]


def split(cv, n_samples, groups=None, counted=None, X=None, seed=0):
    rng = np.random.RandomState(seed)
    counted = np.ones(n_samples, bool) if counted is None else np.array(counted, bool)
    X = np.zeros((n_samples, 1)) if X is None else X
    return split_folds(cv, X, groups, counted, rng)


def plain(splits):
    return [(train.tolist(), test.tolist()) for train, test in splits]


def test_fold_models_are_trained_on_central_rows_where_there_are_some():
    splits = [(np.array([0, 1]), np.array([2, 3])), (np.array([2, 3]), np.array([0, 1]))]
    folds = Folds.from_splits(splits, np.array([True, False, False, False]))
    assert_array_equal(folds.train_mask, [[1, 0, 0, 0], [0, 0, 1, 1]])
    assert [test.tolist() for test in folds.held_out] == [[2, 3], [0, 1]]


def test_values_of_held_out_rows_are_means_over_the_models_that_have_not_seen_them():
    folds = Folds(np.zeros((2, 4), bool), [np.array([0, 1]), np.array([3, 1])])
    values = folds.held_out_values(lambda model, rows: 10.0 * model + rows)
    assert_array_equal(values, [0, (1 + 11) / 2, np.nan, 13])
    several = folds.held_out_values(lambda model, rows: np.stack([rows, 2.0 * rows], axis=1))
    assert_array_equal(several, [[0, 0], [1, 2], [np.nan, np.nan], [3, 6]])


@pytest.mark.parametrize(("cv", "n_folds"), [(None, 5), (3, 3), (np.int64(4), 4), (50, 12)])
def test_folds_are_drawn_at_random(cv, n_folds):
    splits = split(cv, 12)
    expected = KFold(n_folds, shuffle=True, random_state=np.random.RandomState(0))
    assert plain(splits) == plain(expected.split(np.zeros((12, 1))))


def test_folds_of_groups_and_of_rows_that_count():
    groups = np.array(list("aabbcc"))
    for train, test in split(5, 6, groups):
        assert len(test) == 2
        assert groups[test[0]] == groups[test[1]]
        assert len(train) == 4
    assert len(split(5, 6, groups)) == 3
    # Of the rows that count only two groups are left, and they are numbered among these.
    splits = split(5, 6, groups, [1, 1, 0, 0, 1, 0])
    assert sorted(plain(splits)) == [([0, 1], [2]), ([2], [0, 1])]
    with pytest.raises(ValueError, match=r"all 2 rows are of the group .*'a'"):
        split(5, 6, groups, [1, 1, 0, 0, 0, 0])


def test_positions_of_an_iterable_are_those_of_the_rows_as_given():
    folds = [([0, 1, 2], [3, 4]), ([3, 4], [0])]
    assert plain(split(folds, 5)) == folds
    counted = [1, 0, 1, 1, 1]
    assert plain(split(folds, 5, counted=counted)) == [([0, 1], [2, 3]), ([2, 3], [0])]
    # A split without a row that counts is left out.
    assert plain(split([([0, 2], [1]), ([0], [2])], 5, counted=counted)) == [([0], [1])]
    masks = [(np.array([1, 1, 0], bool), np.array([0, 0, 1], bool))]
    assert plain(split(masks, 3)) == [([0, 1], [2])]
    with pytest.raises(ValueError, match="rows of positive weight"):
        split([([0, 2], [1])], 5, counted=counted)


def test_splitters_of_scikit_learn_split_the_rows_that_count():
    splits = split(KFold(2), 5, counted=[1, 0, 1, 1, 1])
    assert plain(splits) == [([2, 3], [0, 1]), ([0, 1], [2, 3])]
    fixed = split(PredefinedSplit([0, 0, 1, 1, 1]), 5, counted=[1, 0, 1, 1, 1])
    assert plain(fixed) == [([1, 2, 3], [0]), ([0], [1, 2, 3])]

    class Splitter:
        def split(self, X, y, groups):
            assert y is None
            return [(np.flatnonzero(X[:, 0] > 2), np.flatnonzero(X[:, 0] <= 2))]

    X = np.arange(5.0)[:, np.newaxis]
    assert plain(split(Splitter(), 5, X=X)) == [([3, 4], [0, 1, 2])]


@pytest.mark.parametrize(
    ("cv", "message"),
    [
        ([([0], [1, 2]), 3], "split 1 is 3"),
        ([([0], [1], [2])], "split 0 is"),
        ([([], [1])], "train on at least one row; split 0 has none"),
        ([([0], [1]), ([0], [])], "hold out at least one row; split 1 has none"),
        ([([0, 1, 2], [2, 1])], "split 0 has 2 rows in both parts"),
        ([([0], [3])], "from 0 to 2; those of split 0 range from 3 to 3"),
        ([([-1, 0], [1])], "range from -1 to 0"),
        ([([0.0], [1])], "dtype float64"),
        ([([[0]], [1])], r"shape \(1, 1\)"),
        ([([True, False], [1])], "dtype bool"),
        (KFold(4), "cannot split the rows"),
    ],
)
def test_invalid_splits(cv, message):
    with pytest.raises(ValueError, match=message):
        split(cv, 3)


def test_groups_are_one_for_each_row():
    X = np.zeros((3, 2))
    assert check_groups(X, None) is None
    assert check_groups(X, ["a", "b", "a"]).tolist() == ["a", "b", "a"]
    with pytest.raises(ValueError, match=r"array of shape \(3, 1\)"):
        check_groups(X, [[1], [2], [3]])
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        check_groups(X, [1, 2])
    with pytest.raises(TypeError, match="got int, str"):
        check_groups(X, np.array([1, "a", 2], dtype=object))


# Trimming


def test_the_most_distant_rows_are_trimmed():
    distance = np.array([1.0, 9, 3, 8, 8])
    Z = np.arange(5.0)[:, np.newaxis] ** 2
    assert_array_equal(trim_mask(distance, Z, 0.2), [1, 0, 1, 1, 1])
    # Of equally distant rows the first.
    assert_array_equal(trim_mask(distance, Z, 0.4), [1, 0, 1, 0, 1])
    assert_array_equal(trim_mask(distance, Z, 0.19), np.ones(5, bool))


def test_a_value_loses_no_more_than_twice_its_share():
    values = np.repeat([0.0, 1.0], [30, 10])[:, np.newaxis]
    distance = np.arange(40.0)
    # A fifth: eight rows, of which the rarer value may lose four, the most distant.
    mask = trim_mask(distance, values, 0.2)
    assert_array_equal(np.flatnonzero(~mask), [26, 27, 28, 29, 36, 37, 38, 39])


@pytest.mark.parametrize("n_rows", [3, 15, 30])
def test_central_rows_by_the_distance_to_a_neighbour(n_rows):
    rng = np.random.RandomState(5)
    Z = rng.normal(size=(n_rows, 2)) * np.arange(1, n_rows + 1)[:, np.newaxis]
    distances = np.abs(Z[:, np.newaxis] - Z).sum(axis=2)
    rank = min(20, n_rows - 2)
    distance = np.sort(distances, axis=1)[:, rank]
    expected = trim_mask(distance, Z, 0.34)
    assert_array_equal(central_mask(Z, 0.34, rng), expected)
    assert expected.sum() == n_rows - int(0.34 * n_rows)


def test_central_rows_of_many_columns_by_the_euclidean_distance(monkeypatch):
    monkeypatch.setattr("skae.anomaly._folds._MANY_COLUMNS", 2)
    rng = np.random.RandomState(5)
    Z = rng.normal(size=(60, 2)) * np.arange(1, 61)[:, np.newaxis]
    distances = np.sqrt(np.square(Z[:, np.newaxis] - Z).sum(axis=2))
    expected = trim_mask(np.sort(distances, axis=1)[:, 20], Z, 0.34)
    assert_array_equal(central_mask(Z, 0.34, rng), expected)
    manhattan = np.abs(Z[:, np.newaxis] - Z).sum(axis=2)
    assert (trim_mask(np.sort(manhattan, axis=1)[:, 20], Z, 0.34) != expected).any()


def test_two_rows_are_both_central():
    assert_array_equal(central_mask(np.array([[0.0], [9.0]]), 0.5, None), [True, True])
