"""Work shared out over threads."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, get_ident

import numpy as np
import pytest
from numpy.testing import assert_allclose
from threadpoolctl import ThreadpoolController, threadpool_limits

from skae import VAETransformer
from skae.utils import _threads
from skae.utils._threads import share_out

pytestmark = [pytest.mark.any_data, pytest.mark.any_backend]

MANY = _threads._FEWEST_MULTIPLICATIONS


@pytest.fixture
def two_threads(monkeypatch):
    """Products take two threads, whatever machine this is."""
    monkeypatch.setattr(_threads, "_threads_of_products", lambda: 2)


def product_threads():
    """How many threads each library for matrix products takes."""
    libraries = ThreadpoolController().lib_controllers
    return [library.num_threads for library in libraries if library.user_api == "blas"]


@pytest.mark.parametrize("n_parts", [0, 1, 3, 40])
@pytest.mark.parametrize("n_multiplications", [1, MANY])
def test_each_part_is_done_once(two_threads, n_parts, n_multiplications):
    done = []
    share_out(done.append, range(n_parts), n_multiplications)
    assert sorted(done) == list(range(n_parts))


def test_parts_are_done_side_by_side_with_one_thread_each(two_threads):
    both, before = Barrier(2, timeout=60), product_threads()
    seen = []

    def wait(part):
        both.wait()
        seen.append((get_ident(), max(product_threads(), default=1)))

    share_out(wait, range(4), MANY)
    assert len({thread for thread, _ in seen}) == 2
    assert {n for _, n in seen} == {1}
    assert product_threads() == before


def test_who_asks_for_one_thread_gets_one():
    with threadpool_limits(1, user_api="blas"):
        threads = set()
        share_out(lambda part: threads.add(get_ident()), range(8), MANY)
    assert threads == {get_ident()}


def test_an_error_ends_the_work_and_is_raised(two_threads):
    before, done = product_threads(), []

    def fail(part):
        if part == 3:
            raise ValueError("no part 3")
        done.append(part)

    with pytest.raises(ValueError, match="no part 3"):
        share_out(fail, range(100_000), MANY)
    assert len(done) < 99_999
    assert product_threads() == before


def test_several_callers_leave_the_process_as_it_was(two_threads):
    before = product_threads()
    A = np.ones((64, 64))
    with ThreadPoolExecutor(4) as pool:
        calls = [pool.submit(share_out, lambda part: A @ A, range(50), MANY) for _ in range(20)]
        for call in calls:
            call.result()
    assert product_threads() == before


def test_likelihoods_do_not_depend_on_threads(monkeypatch, two_threads, digits):
    vae = VAETransformer(2, hidden_layer_sizes=(8,), max_iter=1, random_state=0).fit(digits)
    X = np.tile(digits, (8, 1))
    alone = vae.score_samples(X)
    monkeypatch.setattr(_threads, "_FEWEST_MULTIPLICATIONS", 0)
    assert_allclose(vae.score_samples(X), alone, rtol=1e-6)
