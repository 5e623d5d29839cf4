"""What corruptions do: each with known draws, and how often where they are random."""

import keras
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from data import data_rng
from skae.corruption import (
    GaussianNoise,
    MaskingNoise,
    SaltAndPepperNoise,
    SwapNoise,
    _corruptions,
)
from skae.corruption._corruptions import PooledDraws, Spread, draw_pool
from skae.utils._arrays import as_array

pytestmark = pytest.mark.any_backend

X = np.array([[1.0, 10.0], [2.0, 20.0], [4.0, 30.0]])
SPREAD = Spread(
    zero=np.array([0.5, -1.0]),
    deviation=np.array([2.0, 10.0]),
    low=np.array([0.0, 5.0]),
    high=np.array([5.0, 28.0]),
    unit=0.25,
)


class Given:
    """Draws that are known, one array after the other."""

    def __init__(self, *numbers):
        self.numbers = iter(np.array(array, float) for array in numbers)

    def normal(self, like):
        return next(self.numbers)

    uniform = normal


def applied(corruption, *numbers, spread=SPREAD, rows=X):
    return corruption.apply(np, Given(*numbers), corruption.settings(spread), rows)


NOISE = [[1.0, -1.0], [0.0, 2.0], [-2.0, 0.5]]
SHARES = [[0.1, 0.3], [0.6, 0.2], [0.45, 0.05]]


def test_gaussian_noise_is_in_deviations_of_a_column():
    corrupted = applied(GaussianNoise(0.5), NOISE)
    assert_allclose(corrupted, X + 0.5 * np.array(NOISE) * [2, 10])


def test_gaussian_noise_in_the_unit_of_the_data():
    corrupted = applied(GaussianNoise(2.0, unit="data"), NOISE)
    assert_allclose(corrupted, X + 0.5 * np.array(NOISE))


def test_clipped_noise_stays_in_the_range_of_a_column_or_of_all():
    by_column = applied(GaussianNoise(0.5, clip=True), NOISE)
    assert_allclose(by_column, [[2, 5], [2, 28], [2, 28]])
    # In units of the data the columns begin at zero: from -0.5 to 29 there.
    overall = applied(GaussianNoise(40.0, unit="data", clip=True), np.multiply(NOISE, 10))
    expected = np.clip(X + 100 * np.array(NOISE), [0.0, -1.5], [29.5, 28.0])
    assert_allclose(overall, expected)


def test_masking_sets_cells_to_zero_in_the_unit_of_the_data():
    corrupted = applied(MaskingNoise(0.3), SHARES)
    assert_allclose(corrupted, [[0.5, 10], [2, -1], [4, -1]])


def test_salt_and_pepper_set_half_of_the_cells_to_each_end():
    corrupted = applied(SaltAndPepperNoise(0.5), SHARES)
    assert_allclose(corrupted, [[0, 28], [2, 5], [5, 5]])
    corrupted = applied(SaltAndPepperNoise(0.5, unit="data"), SHARES)
    assert_allclose(corrupted, [[0.0, 28.0], [2, -1.5], [29.5, -1.5]])


def test_swapping_takes_the_cell_of_the_row_that_is_drawn():
    rows = [[0.0, 0.34], [0.5, 0.99], [0.7, 1.0]]
    corrupted = applied(SwapNoise(0.4), SHARES, rows)
    # Cells with a share of less than 0.4; a draw that rounding makes one is the last row.
    assert_allclose(corrupted, [[1, 20], [2, 30], [4, 30]])
    assert_allclose(applied(SwapNoise(1.0), SHARES, rows), [[1, 20], [2, 30], [4, 30]])
    rows = [[0.7, 0.1], [0.34, 0.0], [0.2, 0.5]]
    assert_allclose(applied(SwapNoise(1.0), SHARES, rows), [[4, 10], [2, 10], [1, 20]])


@pytest.mark.parametrize("level", [0.3, 1.0])
def test_swapping_takes_cells_from_all_rows_alike(level):
    n = 50
    rows = np.tile(np.arange(n, dtype=float)[:, None], 400)
    corrupted = SwapNoise(level)(rows, random_state=0)
    changed = corrupted != rows
    assert_allclose(changed.mean(), level * (1 - 1 / n), atol=0.01)
    times = np.bincount(corrupted[changed].astype(int), minlength=n)
    expected = changed.sum() / n
    assert np.abs(times - expected).max() < 5 * np.sqrt(expected)


@pytest.mark.parametrize("corruption", [MaskingNoise(0.4), SwapNoise(0.4)], ids=repr)
def test_columns_of_one_cell_are_corrupted_together(corruption):
    rows = data_rng().normal(size=(200, 4)) + 5
    cells = np.array([0, 1, 1, 3])
    corrupted = corruption.corrupt(
        rows, Spread.from_data(rows, cells=cells), np.random.RandomState(0)
    )
    changed = corrupted != rows
    assert_array_equal(changed[:, 1], changed[:, 2])
    assert (changed[:, 0] != changed[:, 3]).any()
    if isinstance(corruption, SwapNoise):
        # Of the same row, too.
        source = [np.flatnonzero(np.isclose(rows[:, 1], cell))[0] for cell in corrupted[:, 1]]
        assert_array_equal(corrupted[:, 2], rows[source, 2])


def test_the_spread_of_rows():
    spread = Spread.from_data(X, np.array([1.0, 1.0, 2.0]))
    mean = [11 / 4, 22.5]
    variance = [(1.75**2 + 0.75**2 + 2 * 1.25**2) / 4, (12.5**2 + 2.5**2 + 2 * 7.5**2) / 4]
    assert_allclose(spread.deviation, np.sqrt(variance))
    assert_array_equal([spread.zero, spread.low, spread.high], [[0, 0], [1, 10], [4, 30]])
    scaled = spread.standardised(np.array(mean), 5.0)
    assert_allclose(scaled.zero, np.multiply(mean, -0.2))
    assert_allclose(scaled.low, [-0.35, -2.5])
    assert_allclose(scaled.high, [0.25, 1.5])
    assert_allclose(scaled.deviation, np.sqrt(variance) / 5)
    assert scaled.unit == 0.2
    wider = spread.widened(np.array([[0.0, 31.0]]), np.ones(2))
    assert_array_equal([wider.low, wider.high], [[0, 10], [4, 31]])
    assert_array_equal(wider.deviation, [1, 1])


def test_another_level_is_no_other_program_and_another_unit_is():
    assert GaussianNoise(0.1).key == GaussianNoise(0.2).key
    keys = {noise.key for noise in (GaussianNoise(), GaussianNoise(clip=True), MaskingNoise())}
    assert len(keys | {GaussianNoise(unit="data").key, SwapNoise().key}) == 5


@pytest.mark.parametrize("kind", ["normal", "uniform"])
def test_draws_of_a_program_are_stretches_of_its_pool(kind):
    pool = draw_pool(kind, np.random.RandomState(0), (16, 5))
    assert pool.dtype == np.float32
    assert_allclose(pool.mean(), 0.5 * (kind == "uniform"), atol=0.02)
    assert_allclose(pool.std(), 1 if kind == "normal" else np.sqrt(1 / 12), rtol=0.02)
    # Of a batch of whatever size, and for the largest there are some places to begin.
    assert len(draw_pool(kind, np.random.RandomState(0), (2**14, 5))) >= 4 * 5 * 2**14
    draws = PooledDraws(keras.random.SeedGenerator(0), {f"{kind}_pool": pool})
    like = np.zeros((4, 5), np.float32)
    places = []
    for _ in range(20):
        drawn = as_array(getattr(draws, kind)(like))
        assert drawn.shape == (4, 5)
        (place,) = np.flatnonzero(pool[: len(pool) - 19] == drawn.flat[0])
        assert_array_equal(pool[place : place + 20], drawn.ravel())
        places.append(place)
    assert len(set(places)) == 20
    assert np.ptp(places) > len(pool) / 2


@pytest.mark.parametrize(
    ("shape", "size"), [((1,), 2**10), ((256, 1), 2**10), ((257, 1), 2**11), ((2**9, 4), 2**13)]
)
def test_a_pool_is_a_power_of_two_and_lasts_for_four_batches(shape, size, monkeypatch):
    monkeypatch.setattr(_corruptions, "_POOL_SIZE", 2**10)
    for kind, draw in (("normal", "standard_normal"), ("uniform", "random_sample")):
        pool = draw_pool(kind, np.random.RandomState(7), shape)
        assert pool.dtype == np.float32
        assert_array_equal(pool, getattr(np.random.RandomState(7), draw)(size).astype("f4"))


def test_draws_start_anywhere_in_the_pool_and_end_with_it():
    """Of a pool of four numbers, three in a row: those from the first or from the second."""
    pool = np.arange(4, dtype=np.float32)
    draws = PooledDraws(keras.random.SeedGenerator(0), {"normal_pool": pool})
    like = np.zeros((1, 3), np.float32)
    drawn = {tuple(as_array(draws.normal(like))[0].tolist()) for _ in range(30)}
    assert drawn == {(0.0, 1.0, 2.0), (1.0, 2.0, 3.0)}
