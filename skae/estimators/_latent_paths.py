"""Paths through the code: interpolation between rows, and latent traversals."""

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skae.metrics import check_inverse
from skae.utils._arrays import check_floats
from skae.utils._sklearn import Interval, StrOptions, validate_parameter_constraints

_CONSTRAINTS = {
    "n_steps": [Interval(Integral, 1, None, closed="left")],
    "n_values": [Interval(Integral, 1, None, closed="left")],
    "method": [StrOptions({"auto", "linear", "spherical"})],
}

# Traversals go this many standard deviations to each side.
_REACH = 2


class LatentPathsMixin:
    """Interpolation and traversals, for whatever encodes rows and decodes codes."""

    #: What ``method="auto"`` stands for.
    _interpolation = "linear"

    def interpolate(
        self,
        X_start: Any,
        X_end: Any,
        *,
        n_steps: int = 10,
        weights: Any = None,
        method: str = "auto",
    ) -> np.ndarray:
        """Decode the path through the code from one row to another.

        Parameters
        ----------
        X_start : array-like of shape (n_samples, n_features)
            Rows where the paths start.

        X_end : array-like of shape (n_samples, n_features)
            Rows where they end: the first path leads from the first row of `X_start` to
            the first of `X_end`, and so on.

        n_steps : int, default=10
            Steps at equal distances, both ends among them. Not used with `weights`.

        weights : array-like of shape (n_steps,), default=None
            Shares of the way instead: 0 is the start and 1 the end. Values outside
            [0, 1] extrapolate.

        method : {"auto", "linear", "spherical"}, default="auto"
            "linear": along the straight line between the codes. "spherical": along the
            arc around the code's origin [1]_, for codes that lie around it as a normal
            distribution does; a line where the codes point the same way or opposite
            ways. "auto": what suits the estimator's code.

        Returns
        -------
        ndarray of shape (n_samples, n_steps, n_features)
            Decoded rows in the units of the data. The ends are reconstructions of the
            rows, not the rows.

        References
        ----------
        .. [1] T. White, "Sampling Generative Networks", arXiv 1609.04468, 2016.

        Examples
        --------
        >>> from sklearn.datasets import load_digits
        >>> from skae import AutoencoderTransformer
        >>> X = load_digits().data
        >>> ae = AutoencoderTransformer(8, max_iter=5, tol=None, random_state=0).fit(X)
        >>> ae.interpolate(X[[0]], X[[1]], weights=[0.25, 0.5, 0.75]).shape
        (1, 3, 64)
        """
        check_is_fitted(self)
        return interpolate(self, X_start, X_end, n_steps, weights, method)

    def latent_traversal(
        self,
        X: Any,
        *,
        start: Any = None,
        components: Sequence[int] | None = None,
        n_values: int = 7,
        values: Any = None,
    ) -> np.ndarray:
        """Decode codes in which one number varies and the others stay.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows of whose codes a traversal starts at the mean and goes two standard
            deviations to each side of it.

        start : array-like of shape (1, n_features), default=None
            One row whose code is varied, instead of the mean code of `X`.

        components : int or array-like of int, default=None
            Which columns of the code to vary. None: each of them.

        n_values : int, default=7
            Values at equal distances. Not used with `values`.

        values : array-like of shape (n_values,), default=None
            The numbers to put in each chosen column of the code, instead.

        Returns
        -------
        ndarray of shape (n_components, n_values, n_features)
            Decoded rows in the units of the data.

        Examples
        --------
        >>> from sklearn.datasets import load_digits
        >>> from skae import AutoencoderTransformer
        >>> X = load_digits().data
        >>> ae = AutoencoderTransformer(8, max_iter=5, tol=None, random_state=0).fit(X)
        >>> ae.latent_traversal(X, components=[0, 1]).shape
        (2, 7, 64)
        """
        check_is_fitted(self)
        return decode(self, traversal_codes(self, X, start, components, n_values, values)[0])


def interpolate(
    estimator: Any, X_start: Any, X_end: Any, n_steps: int, weights: Any, method: str
) -> np.ndarray:
    """The method of that name, for any transformer that goes back."""
    given = {"n_steps": n_steps, "method": method}
    validate_parameter_constraints(_CONSTRAINTS, given, "interpolate")
    start, end = encode(estimator, X_start, "X_start"), encode(estimator, X_end, "X_end")
    if len(start) != len(end):
        raise ValueError(
            "X_start and X_end must have as many rows as each other, which are paired; "
            f"got {len(start)} and {len(end)}."
        )
    if method == "auto":
        # The code of a Pipeline is that of its last step.
        steps = getattr(estimator, "steps", None)
        method = getattr(steps[-1][1] if steps else estimator, "_interpolation", "linear")
    shares = np.linspace(0, 1, n_steps) if weights is None else numbers("weights", weights)
    shares = shares.astype(np.result_type(start, end))[:, np.newaxis]
    path = _spherical if method == "spherical" else _linear
    return decode(estimator, path(start[:, np.newaxis], end[:, np.newaxis], shares))


def traversal_codes(
    estimator: Any,
    X: Any,
    start: Any,
    components: Any,
    n_values: int,
    values: Any,
    together: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """Codes of a traversal, and the values in them.

    With `together`, of two components at once: shape (n_values, n_values, n_components_).
    """
    given = {"n_values": n_values}
    validate_parameter_constraints(_CONSTRAINTS, given, "latent_traversal")
    code = encode(estimator, X, "X")
    centre = mean = code.mean(axis=0)
    if start is not None:
        centre, *others = encode(estimator, start, "start")
        if others:
            raise ValueError(
                f"start must be one row, of shape (1, n_features); got {1 + len(others)}."
            )
    chosen = check_components(components, code.shape[1])
    if values is None:
        reach = np.linspace(-_REACH, _REACH, n_values)
        values = mean[chosen, None] + code.std(axis=0)[chosen, None] * reach
    else:
        values = np.tile(numbers("values", values), (len(chosen), 1))
    if together:
        codes = np.tile(centre, (values.shape[1], values.shape[1], 1))
        codes[..., chosen[0]] = values[0]
        codes[..., chosen[1]] = values[1][:, np.newaxis]
    else:
        codes = np.tile(centre, (*values.shape, 1))
        for i, component in enumerate(chosen):
            codes[i, :, component] = values[i]
    return codes, values


def encode(estimator: Any, X: Any, name: str) -> np.ndarray:
    """Codes of rows; the error names the parameter that the rows came in."""
    if hasattr(X, "__len__") and not len(X):
        raise ValueError(f"{name} must have at least one row; got none.")
    try:
        # A data frame, where `set_output` asks for one, may have the other memory layout,
        # by which sums round differently.
        return np.ascontiguousarray(estimator.transform(X))
    except ValueError as error:
        raise ValueError(f"{name} cannot be encoded: {error}") from error


def decode(estimator: Any, codes: np.ndarray) -> np.ndarray:
    """Rows for an array of codes with any number of axes before the last."""
    check_inverse(estimator)
    rows = np.asarray(estimator.inverse_transform(codes.reshape(-1, codes.shape[-1])))
    return rows.reshape(*codes.shape[:-1], *rows.shape[1:])


def check_components(
    components: Any, n_components: int, how_many: int | None = None
) -> np.ndarray:
    """Positions of columns of the code, as an array."""
    if components is None:
        return np.arange(n_components)
    chosen = np.atleast_1d(np.asarray(components))
    right = chosen.ndim == 1 and chosen.size and chosen.dtype.kind in "iu"
    if not right or chosen.min() < 0 or chosen.max() >= n_components:
        raise ValueError(
            f"components must be integers from 0 to {n_components - 1}, columns of the "
            f"code; got {components!r}."
        )
    if how_many not in (None, len(chosen)):
        raise ValueError(f"components must be {how_many} columns; got {components!r}.")
    return chosen


def numbers(name: str, values: Any) -> np.ndarray:
    """A one-dimensional array of finite numbers."""
    values = check_floats(values, name, dtype=np.float64, ensure_2d=False)
    if values.ndim != 1:
        raise ValueError(f"{name} must be one-dimensional; got shape {values.shape}.")
    return values


def _linear(start, end, shares):
    return (1 - shares) * start + shares * end


def _spherical(start, end, shares):
    """Spherical interpolation; a line where there is no arc or no single one."""
    norms = np.linalg.norm(start, axis=-1) * np.linalg.norm(end, axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        cosine = (start * end).sum(axis=-1) / norms
    cosine = np.nan_to_num(np.clip(cosine, -1, 1), nan=1.0)[..., np.newaxis]
    angle, sine = np.arccos(cosine), np.sqrt(1 - cosine**2)
    # Below this the quotient of sines loses half of its digits.
    straight = sine < np.sqrt(np.finfo(sine.dtype).eps)
    sine = np.where(straight, 1, sine)
    arc = np.sin((1 - shares) * angle) * start + np.sin(shares * angle) * end
    return np.where(straight, _linear(start, end, shares), arc / sine)
