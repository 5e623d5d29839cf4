"""Calls of the user: seeds, warnings and errors for them, and rollback of a failed one."""

import functools
import sys
import warnings
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from sklearn.utils import check_random_state

Method = TypeVar("Method", bound=Callable[..., Any])


def generator(random_state: Any) -> np.random.RandomState:
    """The generator of a `random_state`; None: a new one, not NumPy's global one."""
    if random_state is None:
        return np.random.RandomState()
    return check_random_state(random_state)


def draw_seed(random_state: Any) -> int:
    """A seed from the generator of a `random_state`."""
    return int(generator(random_state).randint(2**31 - 1))


def restores_state_on_error(method: Method) -> Method:
    """Decorate a fit method so that an exception leaves the estimator as it was."""

    @functools.wraps(method)
    def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
        before = dict(vars(self))
        try:
            return method(self, *args, **kwargs)
        except BaseException:
            vars(self).clear()
            vars(self).update(before)
            raise

    return wrapper  # type: ignore[return-value]


def warn_user(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn at the line that called into skae, however many calls lie between."""
    frame, level = sys._getframe(1), 2
    internal = "skae", "sklearn", "joblib"
    while (
        frame.f_back is not None
        and str(frame.f_globals.get("__name__")).partition(".")[0] in internal
    ):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)


def missing_package(caller: str, package: str, extra: str) -> ImportError:
    """The error for a package that `caller` needs and an extra of skae installs.

    skae is not on PyPI: the command in it is one for a checkout.
    """
    return ImportError(
        f"{caller} needs {package}, which is not installed. From a checkout of skae: "
        f"pip install -e '.[{extra}]'"
    )
