"""A failed call leaves an estimator as it was."""

import functools
from collections.abc import Callable
from typing import Any, TypeVar

Method = TypeVar("Method", bound=Callable[..., Any])


def restores_state_on_error(method: Method) -> Method:
    """Decorate a fit method so that an exception leaves the estimator as it was.

    Parameters
    ----------
    method : callable
        A method that may set attributes on its estimator before it fails.

    Returns
    -------
    callable
        The method; when it raises, the attributes it set or replaced are put back
        before the exception goes on to the caller.
    """

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
