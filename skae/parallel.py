"""Fits that are trained at the same time."""

from collections.abc import Iterator
from contextlib import contextmanager
from numbers import Integral

from joblib import parallel_config

from skae.utils._sklearn import Interval, validate_parameter_constraints

__all__ = ["side_by_side"]


@contextmanager
def side_by_side(n_fits: int) -> Iterator[None]:
    """Train the fits of a search side by side, as one program, for small networks on a GPU.

    A small network leaves a GPU idle: 25 of them, each an entry of the same matrix products,
    take as long as one. Inside ``with side_by_side(n_fits):`` whatever scikit-learn runs by
    `n_jobs` (:class:`~sklearn.model_selection.GridSearchCV`,
    :func:`~sklearn.model_selection.cross_validate` and so on) runs in `n_fits` threads, and
    an epoch of each waits for those of the others, to be run with them. Fits that share a
    program are run together, as they would share what was compiled: folds of nearly as many
    rows, and candidates that differ by a latent size of the same magnitude, by the learning
    rate, by `tol` and the like. Others take turns.

    On a CPU, where products are bound by arithmetic, nothing is gained.

    Parameters
    ----------
    n_fits : int
        How many fits at a time. The number of folds is a good one, and the number of folds
        times that of candidates a better one, as long as the device holds the rows of all.

    Raises
    ------
    ValueError
        If `n_fits` is not a positive integer.

    RuntimeError
        If Keras runs on another backend than JAX, or distributes over several devices.

    See Also
    --------
    joblib.parallel_config : Sets where and how often scikit-learn's `n_jobs` run.

    Notes
    -----
    Products side by side round otherwise than alone, so a fit gives other bits inside than
    outside, and training may enlarge the difference. Inside, the same `n_fits` and
    `random_state` give the same results: they do not depend on which fits happen to be run
    together. The best estimator, which a search fits again at its end, is trained inside
    too, by itself.

    `n_jobs` given as a number goes before that of the context; leave it at None. A program
    is compiled for `n_fits`, which fewer are filled up to, and forgotten at the end of the
    context.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.model_selection import GridSearchCV
    >>> from skae import AutoencoderTransformer
    >>> from skae.parallel import side_by_side
    >>> X, _ = load_digits(return_X_y=True)
    >>> search = GridSearchCV(
    ...     AutoencoderTransformer(random_state=0), {"n_components": [4, 8, 16]}, cv=5
    ... )
    >>> with side_by_side(15):  # doctest: +SKIP
    ...     search.fit(X)
    """
    allowed = {"n_fits": [Interval(Integral, 1, None, closed="left")]}
    validate_parameter_constraints(allowed, {"n_fits": n_fits}, "side_by_side")
    from skae import training

    with training.side_by_side(n_fits), parallel_config("threading", n_jobs=n_fits):
        yield
