"""Work shared out over threads."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, get_ident

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from threadpoolctl import ThreadpoolController, threadpool_limits

from skae import VAETransformer
from skae.utils import _process
from skae.utils._process import parallel_slices

pytestmark = [pytest.mark.any_data, pytest.mark.any_backend]

FEW, SOME, MANY = 1, _process._FEWEST_IN_THREADS, _process._FEWEST_TO_SHARE


@pytest.fixture
def two_threads(monkeypatch):
    """Products take two threads, whatever machine this is."""
    monkeypatch.setattr(_process, "_threads_of_products", lambda: 2)


def product_threads():
    """How many threads each library for matrix products takes."""
    libraries = ThreadpoolController().lib_controllers
    return [library.num_threads for library in libraries if library.user_api == "blas"]


@pytest.mark.parametrize("n_rows", [1, 3, 40])
@pytest.mark.parametrize("n_multiplications", [FEW, SOME, MANY])
def test_each_row_is_given_once(two_threads, n_rows, n_multiplications):
    given, sizes = [], []

    def take(rows):
        sizes.append(len(range(n_rows)[rows]))
        given.extend(range(n_rows)[rows])

    parallel_slices(take, n_rows, 7, n_multiplications)
    assert sorted(given) == list(range(n_rows))
    assert max(sizes) <= 7


def test_rows_are_shared_out_with_one_thread_for_a_product(two_threads):
    both, before = Barrier(2, timeout=60), product_threads()
    seen = []

    def wait(rows):
        both.wait()
        seen.append((get_ident(), max(product_threads(), default=1)))

    parallel_slices(wait, 4, 4, MANY)
    assert len({thread for thread, _ in seen}) == 2
    assert {n for _, n in seen} == {1}
    assert product_threads() == before


def test_who_asks_for_one_thread_gets_one():
    threads = set()
    with threadpool_limits(1, user_api="blas"):
        parallel_slices(lambda rows: threads.add(get_ident()), 100, 5, MANY)
    assert threads == {get_ident()}


def test_an_error_ends_the_work_and_is_raised(two_threads):
    before, done = product_threads(), []

    def fail(rows):
        if rows.start == 3:
            raise ValueError("no row 3")
        done.append(rows)

    with pytest.raises(ValueError, match="no row 3"):
        parallel_slices(fail, 100_000, 1, MANY)
    assert len(done) < 99_999
    assert product_threads() == before


def test_several_callers_leave_the_process_as_it_was(two_threads):
    before = product_threads()
    A = np.ones((64, 64))
    with ThreadPoolExecutor(4) as pool:
        calls = [
            pool.submit(parallel_slices, lambda rows: A @ A, 50, 1, MANY) for _ in range(20)
        ]
        for call in calls:
            call.result()
    assert product_threads() == before


def test_scores_are_the_same_bits_with_any_number_of_threads(monkeypatch, digits):
    vae = VAETransformer(2, hidden_layer_sizes=(64,), max_iter=1, random_state=0).fit(digits)
    X = np.tile(digits, (8, 1))
    monkeypatch.setattr(_process, "_FEWEST_TO_SHARE", _process._FEWEST_IN_THREADS)
    found = []
    for n_threads in (1, 2, 5):
        monkeypatch.setattr(_process, "_threads_of_products", lambda n=n_threads: n)
        found.append((vae.score_samples(X), vae.reconstruct(X)))
    for scores, rows in found[1:]:
        assert_array_equal(scores, found[0][0])
        assert_array_equal(rows, found[0][1])
