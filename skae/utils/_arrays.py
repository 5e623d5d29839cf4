"""Validation of arrays, which are brought to one layout, and containers of rows."""

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_array

from skae.utils._process import parallel_slices
from skae.utils._sklearn import check_sample_weight

Function = TypeVar("Function", bound=Callable[..., Any])

#: Options of every check of rows; other dtypes become the first. With one layout the same rows
#: give the same bits in any container: sums and products round by the order in memory.
LAYOUT: dict[str, Any] = {"dtype": (np.float64, np.float32), "order": "C"}


def as_array(tensor: Any) -> NDArray[Any]:
    """A copy of a backend's tensor.

    Not by :func:`keras.ops.convert_to_numpy`, of which NumPy warns.
    """
    if hasattr(tensor, "detach"):  # PyTorch's, from whatever device
        tensor = tensor.detach().cpu()
    return np.array(tensor.numpy() if hasattr(tensor, "numpy") else tensor)


def overridable(function: Function) -> Function:
    """Function of arrays that arrays of another kind compute in a way of their own.

    ONNX tensors do so where NumPy has another algorithm, or asks for values that they do not
    have. It is the protocol of NumPy's own functions, ``__array_function__`` (NEP 18).
    """

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        for each in args:
            if not isinstance(each, np.ndarray) and hasattr(each, "__array_function__"):
                result = each.__array_function__(call, (type(each),), args, kwargs)
                if result is NotImplemented:
                    raise TypeError(f"{type(each).__name__} does not support {call.__name__}")
                return result
        return function(*args, **kwargs)

    return call  # type: ignore[return-value]


@overridable
def by_chunk(
    function: Callable[..., Any], n_rows: int, n_multiplications: float, *arrays: NDArray[Any]
) -> Any:
    """Result of a function of rows of arrays, (n_samples, ...), at most so many at a time.

    It takes about so many multiplications for a row, and returns an array or a tuple of them.
    """
    n_samples = len(arrays[0])
    parts = parallel_slices(
        lambda at: function(*(array[at] for array in arrays)),
        n_samples,
        n_rows,
        n_samples * n_multiplications,
    )
    if len(parts) == 1:
        return parts[0]
    if isinstance(parts[0], tuple):
        return tuple(map(np.concatenate, zip(*parts, strict=True)))
    return np.concatenate(parts)


def check_floats(values: Any, name: str, **options: Any) -> NDArray[Any]:
    """An array of finite numbers in float32 or float64, rows one after the other.

    `options` are those of :func:`sklearn.utils.check_array`.
    """
    refuse_masked(values, name, options.get("ensure_all_finite") == "allow-nan")
    return np.asarray(check_array(values, input_name=name, **{**LAYOUT, **options}))


def check_weight(
    sample_weight: Any, n_samples: int, fewest: int = 1
) -> NDArray[np.float64] | None:
    """Weights of rows, (n_samples,), of which at least `fewest` are positive and none negative.

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


def whole_numbers(name: str, given: Any, fewest: int) -> tuple[int, ...]:
    """A parameter that is an integer of at least 1, or several: one for each layer."""
    numbers = np.atleast_1d(np.asarray(given))
    wrong = numbers.size and (numbers.dtype.kind not in "iu" or numbers.min() < 1)
    if wrong or numbers.ndim > 1 or numbers.size < fewest:
        raise ValueError(
            f"{name} must be integers of at least 1, one for each layer of the encoder"
            f"{' and at least one' if fewest else ''}; got {given!r}."
        )
    return tuple(map(int, numbers))


def refuse_masked(values: Any, name: str, takes_missing: bool = False) -> None:
    """Raise if entries of a masked array are masked: they are missing, as NaN is."""
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


# Containers of rows


def column_names(X: Any, n_columns: int) -> list[str]:
    """Those of a data frame, else x0, x1, ... as in scikit-learn."""
    # In PyArrow `columns` are arrays.
    columns = getattr(X, "column_names", getattr(X, "columns", None))
    if columns is None:
        return [f"x{i}" for i in range(n_columns)]
    return [str(name) for name in columns]


def index_of(X: Any) -> Any:
    """The index of a data frame of pandas, else None."""
    return X.index if hasattr(X, "iloc") and hasattr(X, "columns") else None


def in_the_form_of(X: Any, values: NDArray[Any]) -> Any:
    """A data frame with the index and columns of X where X is one, else the array."""
    if hasattr(X, "iloc") and hasattr(X, "columns"):
        return type(X)(values, index=X.index, columns=X.columns)
    if hasattr(X, "get_columns"):  # polars
        return type(X)(np.asarray(values), schema=list(X.columns))
    if hasattr(X, "from_arrays"):  # PyArrow
        return type(X).from_arrays(list(values.T), names=X.column_names)
    return values


def unique_names(names: Sequence[str], is_derived: ArrayLike) -> list[str]:
    """Names of which those that were derived from others are made unique.

    Those of the mask `is_derived`, (n_names,), get a suffix, "_2", "_3" and so on, where the
    name is that of another column or stands earlier in the sequence.
    """
    derived = np.asarray(is_derived, bool)
    taken = {name for name, can_change in zip(names, derived, strict=True) if not can_change}
    unique = list(names)
    for i in map(int, np.flatnonzero(derived)):
        count = 2
        while unique[i] in taken or (count > 2 and unique[i] in names):
            unique[i], count = f"{names[i]}_{count}", count + 1
        taken.add(unique[i])
    return unique
