"""Validation of arrays, which are brought to one layout."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_array

from skae.utils._sklearn import check_sample_weight

#: The dtypes of computations; others become the first.
DTYPES = (np.float64, np.float32)

#: Options of every check of rows. With one layout the same rows give the same bits in any
#: container: sums and products round by the order in memory.
LAYOUT: dict[str, Any] = {"dtype": DTYPES, "order": "C"}


def as_array(tensor: Any) -> NDArray[Any]:
    """A copy of a backend's tensor.

    Not by :func:`keras.ops.convert_to_numpy`, of which NumPy warns.
    """
    if hasattr(tensor, "detach"):  # PyTorch's, from whatever device
        tensor = tensor.detach().cpu()
    return np.array(tensor.numpy() if hasattr(tensor, "numpy") else tensor)


def check_floats(values: Any, name: str, **options: Any) -> NDArray[Any]:
    """An array of finite numbers.

    Parameters
    ----------
    values : array-like
        As given by the user.

    name : str
        Name of the parameter.

    **options
        For :func:`sklearn.utils.check_array`.

    Returns
    -------
    ndarray
        float32 or float64, rows one after the other.
    """
    refuse_masked(values, name, options.get("ensure_all_finite") == "allow-nan")
    return np.asarray(check_array(values, input_name=name, **{**LAYOUT, **options}))


def check_weight(
    sample_weight: Any, n_samples: int, fewest: int = 1
) -> NDArray[np.float64] | None:
    """Weights of rows, none of them negative and some of them positive.

    Parameters
    ----------
    sample_weight : array-like of shape (n_samples,), float or None
        As given by the user.

    n_samples : int
        Number of rows.

    fewest : int, default=1
        How many weights must be positive.

    Returns
    -------
    ndarray of shape (n_samples,) or None
        None: all rows count the same.
    """
    if sample_weight is None:
        return None
    rows = np.broadcast_to(0.0, n_samples)
    try:
        weight = check_sample_weight(
            sample_weight, rows, dtype=np.float64, ensure_non_negative=True
        )
    except ValueError as error:
        if "weight" in str(error):
            raise
        raise ValueError(f"sample_weight must be numbers: {error}") from error
    n_positive = np.count_nonzero(weight > 0)
    if n_positive < fewest:
        raise ValueError(
            f"sample_weight must be positive for at least {fewest} "
            f"{'row' if fewest == 1 else 'rows'}; it is for {n_positive} of {n_samples}."
        )
    return np.asarray(weight)


def refuse_masked(values: Any, name: str, takes_missing: bool = False) -> None:
    """Raise if entries of a masked array are masked: they are missing, as NaN is.

    Parameters
    ----------
    values : array-like
        As given by the user.

    name : str
        Name of the parameter.

    takes_missing : bool, default=False
        Whether the values may have NaN.
    """
    n_masked = np.ma.getmaskarray(values).sum() if isinstance(values, np.ma.MaskedArray) else 0
    if n_masked:
        floats = "" if values.dtype.kind in "fO" else ".astype(float)"
        advice = (
            f"Pass {name}{floats}.filled(numpy.nan), in which they are missing."
            if takes_missing
            else f"{name} must have none: replace them by values, or leave out their rows."
        )
        raise ValueError(
            f"{name} is a masked array with {n_masked} masked entries, which are missing "
            f"values. {advice}"
        )
