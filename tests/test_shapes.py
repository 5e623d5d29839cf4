"""Shapes of rows, layers and codes: each by hand."""

import numpy as np
import pytest

from skae.networks._base import output_with_channels, with_channels
from skae.networks._dense import DenseNetwork
from skae.utils._arrays import whole_numbers

pytestmark = [pytest.mark.any_backend, pytest.mark.any_data]


@pytest.mark.parametrize(
    ("given", "fewest", "expected"),
    [((4, 2), 0, (4, 2)), (3, 1, (3,)), ((), 0, ()), (np.array([5, 1]), 2, (5, 1))],
)
def test_layers_are_one_integer_or_several(given, fewest, expected):
    found = whole_numbers("filters", given, fewest)
    assert found == expected
    assert all(type(n) is int for n in found)


@pytest.mark.parametrize(
    ("given", "fewest"), [((), 1), (0, 0), ((4, 0), 0), (1.5, 0), ([[1, 2]], 0), ((4,), 2)]
)
def test_invalid_layers(given, fewest):
    with pytest.raises(ValueError, match="filters must be integers of at least 1"):
        whole_numbers("filters", given, fewest)


@pytest.mark.parametrize(
    ("shape", "rows", "n_axes", "expected"),
    [
        (None, (8, 6), 2, (8, 6, 1)), (None, (8, 6, 3), 2, (8, 6, 3)),
        ((8, 6), (48,), 2, (8, 6, 1)), ((8, 6, 2), (96,), 2, (8, 6, 2)),
        ((8, 6), (8, 6), 2, (8, 6, 1)), ((8, 6), (8, 6, 1), 2, (8, 6, 1)),
        ((8, 6, 1), (8, 6), 2, (8, 6, 1)), ((8, 6, 2), (8, 6, 2), 2, (8, 6, 2)),
        (None, (10, 3), 1, (10, 3)), ((10,), (10,), 1, (10, 1)), ((5, 2), (10,), 1, (5, 2)),
    ],
)  # fmt: skip
def test_shapes_of_rows_with_their_channels(shape, rows, n_axes, expected):
    assert with_channels("image_shape", shape, rows, n_axes) == expected


@pytest.mark.parametrize(
    ("shape", "rows", "n_axes", "message"),
    [
        (None, (48,), 2, "rows of X have shape"), (None, (10,), 1, "rows of X have shape"),
        (None, (2, 3, 4, 5), 2, "rows of X have shape"), (None, (10, 3, 2), 1, "rows of X ha"),
        ((8, 6), (47,), 2, "a row of 48 numbers"), ((8, 6), (6, 8), 2, "a row of 48 numbers"),
        ((8, 6, 3), (8, 6), 2, "a row of 144 numbers"), ((8,), (8,), 2, "must be 2 or 3 integ"),
        ((8, 0), (8, 0), 2, "integers of at least 1"), ((8.0, 6), (48,), 2, "must be 2 or 3"),
        ((5, 2, 1), (10,), 1, "must be 1 or 2 integers"),
    ],
)  # fmt: skip
def test_shapes_that_do_not_fit_rows(shape, rows, n_axes, message):
    with pytest.raises(ValueError, match=message):
        with_channels("image_shape", shape, rows, n_axes)


@pytest.mark.parametrize(
    ("inputs", "rows", "outputs", "expected"),
    [
        ((8, 6, 3), (8, 6, 3), (8, 6, 3), (8, 6, 3)), ((8, 6, 3), (144,), (144,), (8, 6, 3)),
        ((8, 6, 3), (144,), (48,), (8, 6, 1)), ((8, 6, 3), (144,), (96,), (8, 6, 2)),
        ((8, 6, 3), (8, 6, 3), (4, 4, 2), (4, 4, 2)), ((8, 6, 3), (8, 6, 3), (4, 4), (4, 4, 1)),
        ((10, 2), (10, 2), (5, 3), (5, 3)), ((10, 2), (10, 2), (10,), (10, 1)),
        ((10, 2), (20,), (30,), (10, 3)),
    ],
)  # fmt: skip
def test_shapes_of_targets_with_their_channels(inputs, rows, outputs, expected):
    assert output_with_channels(inputs, rows, outputs) == expected


@pytest.mark.parametrize(
    ("inputs", "outputs"),
    [((8, 6, 3), (50,)), ((8, 6, 3), (0,)), ((8, 6, 3), (8, 6, 3, 1)), ((10, 2), (5, 2, 1)),
     ((10, 2), (9,))],
)  # fmt: skip
def test_shapes_of_targets_that_do_not_fit(inputs, outputs):
    with pytest.raises(ValueError, match="rows of target must be of the size of X's"):
        output_with_channels(inputs, (7,), outputs)


def test_a_network_with_another_number_of_components():
    network = DenseNetwork(5, 3, hidden=(4,), activation="tanh")
    assert network.resized(2) == DenseNetwork(5, 2, hidden=(4,), activation="tanh")
