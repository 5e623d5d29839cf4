"""Warnings that point to the code of the user."""

import sys
import warnings


def warn_user(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn at the line that called into skae, however many calls lie between.

    Parameters
    ----------
    message : str
        The warning.

    category : type of Warning
        Its class.
    """
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and _is_internal(frame.f_globals.get("__name__")):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)


def _is_internal(module: str | None) -> bool:
    return str(module).partition(".")[0] in ("skae", "sklearn", "joblib")
