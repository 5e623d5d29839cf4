"""Callbacks for scikit-learn's protocol, which `set_callbacks` takes."""

from numbers import Real
from time import monotonic
from typing import Any

import sklearn
from sklearn.pipeline import Pipeline

from skae.utils._sklearn import (
    HAS_CALLBACKS,
    BaseSearchCV,
    Interval,
    validate_parameter_constraints,
)

__all__ = ["TimeLimit"]


class TimeLimit:
    """Ends training after a while, with the best network so far.

    Training stops at the end of the first epoch that ends after so many seconds, counted
    from the start of `fit`: checks, the PCA start and compilation are in them, and so are
    all epochs of both starts of an autoencoder. The result is the one of training that
    stopped by itself, without a warning.

    Several networks, of :class:`~skae.AEAnomalyDetector`, :class:`~skae.AEImputer` and
    :class:`~skae.AEClassifier`, share the time: of five, the third ends at three fifths of it.

    It takes at least one epoch of each network. The steps after training (comparing the
    network with its start, the mixture of :class:`~skae.VAETransformer`) come on top.

    Parameters
    ----------
    seconds : float
        Limit, more than zero.

    Raises
    ------
    ValueError
        If `seconds` is not a positive number.

    ImportError
        With scikit-learn before 1.9, which has no callbacks.

    See Also
    --------
    sklearn.callback.ProgressBar : Shows how far a fit has come.

    Notes
    -----
    Each fit has a clock of its own: those of clones too, one after the other or side by
    side, in a search with `n_jobs`. So a limit on the estimator inside a `Pipeline` or a
    `GridSearchCV` is one for each of its fits. The limit is set on the estimator that has
    the epochs; on a `Pipeline` or a search, `fit` raises a `TypeError`.

    Any estimator that stops when callbacks of scikit-learn's protocol return True at the end
    of a task may be limited. Of scikit-learn 1.9 itself none does:
    :class:`~sklearn.linear_model.LogisticRegression` calls callbacks in its iterations and
    continues.

    Where time runs out is not the same in every run, so neither are results, whatever
    `random_state` is.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import AutoencoderTransformer
    >>> from skae.callbacks import TimeLimit
    >>> X, _ = load_digits(return_X_y=True)
    >>> ae = AutoencoderTransformer(8, max_iter=100_000, tol=None, random_state=0)
    >>> ae = ae.set_callbacks(TimeLimit(seconds=1)).fit(X)
    >>> ae.n_iter_ < 100_000
    True
    """

    seconds: float
    _begun: dict[Any, float]

    def __init__(self, seconds: float) -> None:
        if not HAS_CALLBACKS:
            raise ImportError(
                "TimeLimit needs the callbacks of scikit-learn 1.9 or later; this is "
                f"scikit-learn {sklearn.__version__}."
            )
        allowed = {"seconds": [Interval(Real, 0, None, closed="neither")]}
        validate_parameter_constraints(allowed, {"seconds": seconds}, type(self).__name__)
        self.seconds = seconds
        self._begun = {}

    def __repr__(self) -> str:
        return f"{type(self).__name__}(seconds={self.seconds!r})"

    def __getstate__(self) -> dict[str, Any]:
        # Without the fits of this process.
        return {"seconds": self.seconds, "_begun": {}}

    def setup(self, estimator: Any, context: Any) -> None:
        """Start the clock of a fit.

        Parameters
        ----------
        estimator : estimator
            The estimator that is fitted.

        context : CallbackContext
            Its fit.
        """
        if isinstance(estimator, Pipeline | BaseSearchCV):
            raise TypeError(
                f"TimeLimit ends epochs, and {type(estimator).__name__} has none: set it on "
                "the estimator inside, with its method set_callbacks."
            )
        self._begun[context] = monotonic()

    def on_fit_task_begin(self, estimator: Any, context: Any) -> None:
        """Do nothing.

        Parameters
        ----------
        estimator, context
            As in `setup`; the task that begins.
        """

    def on_fit_task_end(self, estimator: Any, context: Any) -> bool:
        """Return True once time is up.

        Parameters
        ----------
        estimator, context
            As in `setup`; the task that has ended.

        Returns
        -------
        bool
            Whether to stop.
        """
        share = 1.0
        while context is not None and context not in self._begun:
            if context.task_name == "network" and context.parent.max_subtasks:
                share = (context.task_id + 1) / context.parent.max_subtasks
            context = context.parent
        if context is None:
            return False
        return monotonic() - self._begun[context] >= share * self.seconds

    def teardown(self, estimator: Any, context: Any) -> None:
        """Forget the clock of a fit.

        Parameters
        ----------
        estimator, context
            As in `setup`.
        """
        self._begun.pop(context, None)
