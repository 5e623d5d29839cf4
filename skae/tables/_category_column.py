"""The encoding of a column of categories, and which columns are identifiers."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skae.tables._column_values import ColumnValues
from skae.tables._columns import Column

Array = NDArray[Any]

# The least standard deviation of a flag: a rarer one is no farther away.
_LEAST_UNIT = 0.2

# A column is an identifier if more than this share of values to come is new, and if more than
# so many values are different.
_MOST_UNSEEN = 0.5
_FEWEST_IDENTIFIERS = 50


def flag_unit(share: Any) -> float:
    """Root of the sum of the variances of flags that are on in these shares, (n_flags,)."""
    share = np.atleast_1d(share)
    return max(float(np.sqrt((share * (1 - share)).sum())), _LEAST_UNIT)


@dataclass(frozen=True, kw_only=True)
class CategoryColumn(Column):
    """A column of categories: one flag for each, or one in all where there are two.

    Flags are centred and have one unit for the column, in which they vary in all as much
    as a number does.

    Parameters
    ----------
    categories : tuple
        In the order of the flags.

    flag_of : dict
        Position of the flag of each category; the rarest may share the last one.

    share : ndarray of shape (n_flags,)
        How often each flag is on.
    """

    categories: tuple[Any, ...]
    flag_of: dict[Any, int] = field(repr=False)
    share: Array = field(repr=False)

    @classmethod
    def from_data(
        cls,
        data: ColumnValues,
        values: Array,
        weight: Array | None,
        max_categories: int | None,
    ) -> "CategoryColumn":
        """Encoding of a column by its values that count, (n_values,), and their weights."""
        weight = np.ones(len(values)) if weight is None else weight
        totals: dict[Any, float] = {}
        for value, counts in zip(values.tolist(), weight, strict=True):
            totals[value] = totals.get(value, 0.0) + float(counts)
        categories = _in_order(totals)
        kind = {1: "constant", 2: "binary"}.get(len(categories), "categorical")
        flag_of = {category: i for i, category in enumerate(categories)}
        if max_categories is not None and len(categories) > max_categories:
            # Python's sort is stable: of equals, the first ones have a flag.
            frequent = sorted(categories, key=lambda category: -totals[category])
            with_flag = set(frequent[: max_categories - 1])
            categories = [category for category in categories if category in with_flag]
            categories.append(frequent[max_categories - 1])
            flags = {category: i for i, category in enumerate(categories)}
            flag_of = {category: flags.get(category, len(flags) - 1) for category in totals}
        share = np.zeros(len(categories))
        for category, total in totals.items():
            share[flag_of[category]] += total
        share /= share.sum()
        return cls(
            name=data.name,
            kind=kind,
            dtype=data.values.dtype,
            unit=data.unit,
            type=data.type,
            categories=tuple(categories),
            flag_of=flag_of,
            share=share[1:] if kind == "binary" else share,
        )

    def __getstate__(self) -> dict[str, Any]:
        # skops makes other keys of keys that are no strings.
        return {**vars(self), "flag_of": list(self.flag_of.items())}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update({**state, "flag_of": dict(state["flag_of"])})

    @property
    def width(self) -> int:
        """See :class:`Column`."""
        return len(self.share)

    @property
    def family(self) -> str:
        """See :class:`Column`."""
        return "category" if self.unit is None else "time"

    @property
    def flag_names(self) -> list[str]:
        """See :class:`Column`."""
        return [f"{self.name}_{category}" for category in self.categories[-self.width :]]

    def encode(self, data: ColumnValues) -> tuple[Array, Array]:
        """See :class:`Column`."""
        values = self.in_unit(data).tolist()
        flags = np.fromiter((self.flag_of.get(v, -1) for v in values), np.intp, len(values))
        flags[~data.observed] = -1
        known = flags >= 0
        if len(self.flag_of) > len(self.categories):
            # What was not seen is as rare as those that share a flag.
            flags[~known] = len(self.categories) - 1
        first = 1 if self.kind == "binary" else 0
        on = flags[:, np.newaxis] == np.arange(first, first + self.width)
        has_flags = known if self.kind == "binary" else data.observed
        z = (on - self.share) / flag_unit(self.share)
        return np.where(has_flags[:, np.newaxis], z, 0.0), known

    def decode(self, numbers: Array, clip: bool, rounded: bool = True) -> Array:
        """See :class:`Column`."""
        on = numbers * flag_unit(self.share) + self.share
        if self.kind == "binary" and not rounded:
            low, high = map(float, self.categories)
            return low + on[:, 0].clip(0, 1) * (high - low)
        which = (on[:, 0] > 0.5).astype(np.intp) if self.kind == "binary" else on.argmax(axis=1)
        categories = np.empty(len(self.categories), dtype=object)
        categories[:] = self.categories
        return np.asarray(categories[which].astype(self.dtype))


def _in_order(categories: Iterable[Any]) -> list[Any]:
    """Categories sorted, or as they come if they have no order: the same in all libraries."""
    try:
        return sorted(categories)
    except TypeError:
        return list(categories)


def is_identifier(counts: Counter[Any], max_categories: int | None) -> bool:
    """Return True if nearly all categories differ, as identifiers and free text do.

    That is so if more than half of the values to come are expected not to be among them, and
    there are more than 50, and more than may have a flag.
    """
    most = max(_FEWEST_IDENTIFIERS, max_categories or 0)
    return len(counts) > most and unseen_share(counts) > _MOST_UNSEEN


def unseen_share(counts: Counter[Any]) -> float:
    """Share of values to come whose category is none of these: that of those seen once [1]_.

    References
    ----------
    .. [1] I. J. Good, "The Population Frequencies of Species and the Estimation of Population
       Parameters", Biometrika 40, 1953.
    """
    return sum(n == 1 for n in counts.values()) / max(counts.total(), 1)
