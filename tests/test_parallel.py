"""Fits that are trained side by side, and what makes their epochs one program."""

import threading
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import FitFailedWarning
from sklearn.model_selection import GridSearchCV, cross_validate

from skae import AutoencoderTransformer, DenoisingAutoencoder, VAETransformer
from skae.parallel import side_by_side
from skae.training import _company
from skae.training._company import Company

BACKEND = keras.backend.backend()
only_jax = pytest.mark.skipif(BACKEND != "jax", reason="only JAX trains side by side")
any_backend = pytest.mark.any_backend

SMALL = {"hidden_layer_sizes": (8,), "max_iter": 4, "random_state": 0}


def scores(search):
    results = search.cv_results_
    return np.array([results[name] for name in sorted(results) if name.startswith("split")])


# Searches


@only_jax
@pytest.mark.parametrize(
    "estimator",
    [
        AutoencoderTransformer(**SMALL),
        AutoencoderTransformer(ordered=True, **SMALL),
        DenoisingAutoencoder(corruption="swap", **SMALL),
        VAETransformer(**SMALL),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_a_search_finds_the_same(estimator, pixels):
    grid = {"n_components": [2, 3], "learning_rate": [0.01, 0.001]}

    def search():
        return GridSearchCV(clone(estimator), grid, cv=3).fit(pixels)

    alone = search()
    with side_by_side(6):
        first, second = search(), search()
    assert_allclose(scores(first), scores(alone), rtol=1e-3, atol=1e-4)
    assert_array_equal(scores(first), scores(second))
    assert first.best_params_ == alone.best_params_
    assert_array_equal(first.transform(pixels), second.transform(pixels))


@only_jax
def test_a_fit_does_not_depend_on_those_beside_it(pixels):
    def of_length(max_iter):
        estimator = AutoencoderTransformer(2, **SMALL | {"max_iter": max_iter}, tol=None)
        return estimator.fit(pixels).reconstruct(pixels)

    with side_by_side(3), ThreadPoolExecutor(3) as pool:
        beside = list(pool.map(of_length, (2, 9, 5)))
        by_itself = [of_length(max_iter) for max_iter in (2, 9, 5)]
    for one, other in zip(beside, by_itself, strict=True):
        assert_array_equal(one, other)


@only_jax
def test_a_fit_that_fails_leaves_the_others(pixels):
    search = GridSearchCV(
        AutoencoderTransformer(2, **SMALL), {"activation": ["relu", "none such"]}, cv=3
    )
    with (
        side_by_side(6),
        pytest.warns(FitFailedWarning),
        pytest.warns(UserWarning, match="non-finite"),
    ):
        search.fit(pixels)
    found = search.cv_results_["mean_test_score"]
    assert np.isfinite(found[0])
    assert np.isnan(found[1])


@only_jax
def test_epochs_are_run_together(pixels, monkeypatch):
    sizes, run_group = [], Company._run_group

    def counted(self, group):
        sizes.append(len(group))
        run_group(self, group)

    monkeypatch.setattr(Company, "_run_group", counted)
    with side_by_side(4):
        cross_validate(AutoencoderTransformer(2, **SMALL | {"max_iter": 40}), pixels, cv=4)
    assert np.median(sizes) > 1


@only_jax
def test_fits_after_it_are_alone_again(pixels):
    def fit():
        return AutoencoderTransformer(2, **SMALL).fit(pixels).reconstruct(pixels)

    before = fit()
    with side_by_side(2), side_by_side(3):
        fit()
    assert_array_equal(fit(), before)


@any_backend
@pytest.mark.parametrize("n_fits", [0, -1, 2.5, "auto"])
def test_how_many_is_checked(n_fits):
    with pytest.raises(ValueError, match="'n_fits' parameter of side_by_side"):
        side_by_side(n_fits).__enter__()


@pytest.mark.skipif(BACKEND == "jax", reason="JAX can")
def test_other_backends_are_refused():
    with pytest.raises(RuntimeError, match=rf"'jax'; Keras runs on '{BACKEND}'"):
        side_by_side(2).__enter__()


# Company


def squares(seen):
    """A program, and what it is given."""

    def program(fits):
        seen.append(tuple(fits))
        return [fit**2 for fit in fits]

    return program


def all_at_once(company, work, fits):
    """What threads get that take a seat each before any of them asks."""
    seated = threading.Barrier(len(fits), timeout=60)

    def sit(fit):
        with company.seat("key", list):
            seated.wait()
            return work(fit)

    with ThreadPoolExecutor(len(fits)) as pool:
        return [pool.submit(sit, fit) for fit in fits]


@any_backend
@pytest.mark.any_data
def test_programs_get_as_many_fits_as_they_are_made_for():
    seen, company = [], Company(4)
    program = squares(seen)
    asked = all_at_once(company, lambda fit: company.run(0, program, fit), range(1, 7))
    assert [one.result() for one in asked] == [1, 4, 9, 16, 25, 36]
    assert [len(fits) for fits in seen] == [4, 4]
    assert {fit for fits in seen for fit in fits} == set(range(1, 7))


@any_backend
@pytest.mark.any_data
def test_each_kind_has_its_program():
    seen, company = [], Company(3)
    program = squares(seen)
    asked = all_at_once(company, lambda fit: company.run(fit % 2, program, fit), range(6))
    assert [one.result() for one in asked] == [0, 1, 4, 9, 16, 25]
    assert sorted(map(sorted, seen)) == [[0, 2, 4], [1, 3, 5]]


@any_backend
@pytest.mark.any_data
def test_all_get_the_error_of_a_program():
    def fail(fits):
        raise ValueError("no memory")

    company = Company(2)
    for asked in all_at_once(company, lambda fit: company.run(0, fail, fit), range(3)):
        with pytest.raises(ValueError, match="no memory"):
            asked.result()


@any_backend
@pytest.mark.any_data
def test_who_is_elsewhere_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(_company, "_PATIENCE", 0.01)
    company, others = Company(2), threading.Event()

    def work(fit):
        if fit == 0:
            assert others.wait(60)
            return None
        outcome = company.run(0, squares([]), fit)
        others.set()
        return outcome

    assert [asked.result() for asked in all_at_once(company, work, range(3))] == [None, 1, 4]


@any_backend
@pytest.mark.any_data
def test_a_fit_within_a_fit_goes_on():
    company = Company(2)
    with company.seat("outer", list), company.seat("inner", list):
        assert company.run(0, squares([]), 3) == 9


@any_backend
@pytest.mark.any_data
def test_seats_of_a_key_share_what_was_made():
    company, made = Company(2), []

    def make():
        made.append([object()])
        return made[-1]

    with company.seat("key", make) as first, company.seat("key", make) as second:
        assert first is not second
        assert first[0] is second[0]
    assert len(made) == 1
