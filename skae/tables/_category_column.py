"""Columns of categories, the choice of an encoding, and warnings of unusual strings."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skae.tables._column_values import ISO, ColumnValues
from skae.tables._columns import Column, IgnoredColumn, NumberColumn, check_finite
from skae.utils._calls import warn_user

Array = NDArray[Any]

# The least standard deviation of a flag: a rarer one is no farther away.
_LEAST_UNIT = 0.2

# A column is an identifier if more than this share of values to come is new, and if more than
# so many values are different.
_MOST_UNSEEN = 0.5
_FEWEST_IDENTIFIERS = 50

# Numbers that are categories if they are a column's only values.
_BINARY = {(0, 1), (1, 2), (-1, 1)}


def flag_unit(share: Any) -> float:
    """Root of the sum of the variances of flags that are on in these shares, (n_flags,)."""
    return max(float(np.sqrt(np.sum(share * (1 - share)))), _LEAST_UNIT)


@dataclass(frozen=True, kw_only=True)
class CategoryColumn(Column):
    """A column of categories: one flag for each, or one in all where there are two.

    Flags are centred and have one unit for the column, in which they vary in all as much
    as a number does.
    """

    family = "category"

    categories: tuple[Any, ...]  # in the order of the flags
    flag_of: dict[Any, int] = field(repr=False)  # the rarest categories may share the last one
    share: Array = field(repr=False)  # how often each flag is on, (n_flags,)

    @classmethod
    def from_data(
        cls,
        data: ColumnValues,
        values: Array,
        weight: Array | None,
        max_categories: int | None,
    ) -> "CategoryColumn":
        """Encoding of a column by its values that count, (n_values,), and their weights."""
        position: dict[Any, int] = {}
        index = [position.setdefault(value, len(position)) for value in values.tolist()]
        totals = dict(zip(position, np.bincount(index, weight).tolist(), strict=True))
        try:
            categories = sorted(totals)  # the same in all libraries
        except TypeError:
            categories = list(totals)
        kind = {1: "constant", 2: "binary"}.get(len(categories), "categorical")
        if max_categories is not None and len(categories) > max_categories:
            # Python's sort is stable: of equals, the first ones have a flag.
            frequent = sorted(categories, key=lambda category: -totals[category])
            with_flag = set(frequent[: max_categories - 1])
            categories = [category for category in categories if category in with_flag]
            categories.append(frequent[max_categories - 1])
        flags = {category: i for i, category in enumerate(categories)}
        flag_of = {category: flags.get(category, len(flags) - 1) for category in totals}
        share = np.bincount([flag_of[c] for c in totals], list(totals.values()))
        share = share / share.sum()
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

    def encode(self, data: ColumnValues) -> tuple[Array, Array]:
        """See :class:`Column`."""
        # Not every missing value can be looked up: a signaling NaN has no hash.
        cells = zip(data.values.tolist(), data.observed.tolist(), strict=True)
        of_each = (self.flag_of.get(v, -1) if observed else -1 for v, observed in cells)
        flags = np.fromiter(of_each, np.intp, len(data.observed))
        known = flags >= 0
        if len(self.flag_of) > len(self.categories):
            # What was not seen is as rare as those that share a flag.
            flags[~known] = len(self.categories) - 1
        first = int(self.kind == "binary")
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
        return np.fromiter(self.categories, object)[which].astype(self.dtype)


def flag_units(encoder: Any) -> tuple[Array, Array, Array]:
    """Mask of flags, the share in which each was on in fit, and its unit, (n_numbers,) each.

    Of the columns of the matrix of a fitted encoder; share 0 and unit 1 for numbers.
    """
    is_flag = np.zeros(encoder.n_numbers, dtype=bool)
    share, unit = np.zeros(len(is_flag)), np.ones(len(is_flag))
    parts = zip(encoder._columns, encoder.blocks_, encoder._missing_share, strict=True)
    for column, block, missing in parts:
        if isinstance(column, CategoryColumn):
            values = slice(block.start, block.stop)
            is_flag[values], unit[values] = True, flag_unit(column.share)
            share[values] = column.share
        if block.indicator is not None:
            at = block.indicator
            is_flag[at], share[at], unit[at] = True, missing, flag_unit(missing)
    return is_flag, share, unit


def limits_in_fit(encoder: Any) -> Array:
    """Least and largest number in fit of each column of the matrix, (2, n_numbers)."""
    _, share, unit = flag_units(encoder)
    limits = (np.array([share == 1, share > 0]) - share) / unit
    for column, block in zip(encoder._columns, encoder.blocks_, strict=True):
        if isinstance(column, NumberColumn):
            limits[:, block.start] = column.numbers(np.array([column.low, column.high]))
    return limits


# The choice of an encoding


def make_column(
    data: ColumnValues,
    weight: Array | None,
    declared: bool,
    max_categories: int | None,
    squash: bool,
) -> Column:
    """Encoding of a column by its observed values in rows of positive weight, (n_samples,).

    Raises if values are infinite. `declared`: the user declares that it is categorical.
    """
    check_finite(data)
    counts = data.observed if weight is None else data.observed & (weight > 0)
    values = data.values[counts]
    weight = None if weight is None else weight[counts]
    are_categories = declared or data.family == "category"
    ignored = "" if len(values) else "empty"
    if are_categories and not declared:
        # Identifiers and free text are nearly all different.
        seen = Counter(values.tolist())
        most = max(_FEWEST_IDENTIFIERS, max_categories or 0)
        if len(seen) > most and unseen_share(seen) > _MOST_UNSEEN:
            ignored = "identifier"
    if ignored:
        return IgnoredColumn(
            name=data.name, kind=ignored, dtype=data.values.dtype, unit=data.unit, type="empty"
        )
    if data.family == "number":
        ends = float(values.min()), float(values.max())
        are_categories |= ends in _BINARY and bool(np.isin(values, ends).all())
    if are_categories:
        return CategoryColumn.from_data(data, values, weight, max_categories)
    return NumberColumn.from_data(data, values, weight, squash)


def declared_columns(given: Any, names: Sequence[str], is_named: bool) -> Array:
    """Columns that the parameter declares to be categorical, as a mask (n_columns,).

    `given` is "from_dtype", a mask, positions, or names, which only data frames have.
    """
    if isinstance(given, str):
        return np.zeros(len(names), dtype=bool)
    chosen = np.atleast_1d(np.asarray(given))
    if chosen.dtype == bool and len(chosen) == len(names):
        return chosen
    positions = np.arange(len(names))
    if chosen.dtype.kind in "iu" and np.isin(chosen, positions).all():
        return np.isin(positions, chosen)
    are_names = chosen.dtype.kind in "UO" and is_named and set(chosen) <= set(names)
    if len(chosen) and not are_names:
        raise ValueError(
            "categorical_features must be 'from_dtype', a mask over the "
            f"{len(names)} columns, their positions, or names of columns of a data "
            f"frame; got {given!r}."
        )
    return np.isin(names, chosen)


def unseen_share(counts: Counter[Any]) -> float:
    """Share of values to come whose category is none of these: that of those seen once.

    I. J. Good, "The Population Frequencies of Species and the Estimation of Population
    Parameters", Biometrika 40, 1953.
    """
    return sum(n == 1 for n in counts.values()) / max(counts.total(), 1)


# Warnings at fit that name columns that are hardly what they seem

# Share of the values of a column that must look like a number or a date.
_LEAST_ALIKE = 0.5

# Plain digits are more often the name of a thing than its measure: they are taken for numbers
# where there are more values than this, and none has zeros in front.
_MOST_CODES = 10

# Characters of a value that a warning shows.
_MOST_SHOWN = 24

_CURRENCY = r"(?:[$€£¥₹₽₩₺₿]|USD|EUR|GBP|JPY|CHF)"
_NUMBER = re.compile(
    rf"\s*\(?\s*[-+\u2212]?\s*{_CURRENCY}?\s*[-+\u2212]?"
    r"(?:\d{1,3}(?:[,.' \u00a0\u202f]\d{3})+(?:[.,]\d+)?|\d+(?:[.,]\d*)?|[.,]\d+)"
    rf"(?:[eE][-+]?\d+)?\s*(?:[%‰]|{_CURRENCY})?\s*\)?\s*"
)
_MEASURE = re.compile(
    r"\s*[-+]?\d+(?:[.,]\d+)?\s*"
    r"(°?[^\W\d_]{1,4}\d?(?:/[^\W\d_]{1,4}\d?)?|[°+]|thousand|[mb]illions?)\s*"
    r"|\s*([<>≤≥~≈]=?)\s*\d+(?:[.,]\d+)?\s*"
)
_DIGITS = re.compile(r"[-+]?(?:0|[1-9]\d*)")

_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?"
_WEEKDAY = r"(?:[a-z]{3,9},?\s+)"
_CLOCK = r"\d{1,3}:\d\d(?::\d\d(?:[.,]\d+)?)?(?:\s*[ap]\.?m\.?)?"
_DATE = re.compile(
    rf"""\s*(?:
        (?:
            \d{{1,2}}[-/]\d{{1,2}}[-/](?:\d{{4}}|\d\d)
            | \d{{1,2}}\.\s?\d{{1,2}}\.\s?\d{{4}}
            | \d{{4}}[-/.]\d{{1,2}}[-/.]\d{{1,2}}
            | {_WEEKDAY}?\d{{1,2}}(?:st|nd|rd|th)?[-\s.]*{_MONTH}[-\s,]*(?:\d{{4}}|\d\d)
            | {_WEEKDAY}?{_MONTH}\s*\d{{1,2}}(?:st|nd|rd|th)?,?\s*\d{{4}}
            | {_MONTH}[-\s]*(?:\d{{4}}|\d\d)
            | \d{{4}}-?[QW]\d\d?(?:-\d)?
        )
        (?:,?[\sT]+{_CLOCK}(?:\s*[a-z]{{1,5}}|\s*[-+]\d\d:?\d\d)?)?
        | {_CLOCK}
        | -?\d+\s+days?(?:,?\s+{_CLOCK})?
        | -?P(?:\d+[YMWD])*(?:T(?:\d+(?:\.\d+)?[HMS])+)?
    )\s*""",
    re.IGNORECASE | re.VERBOSE,
)


# For each look, what the columns look like and what to do about it.
_REMEDIES = {
    "numbers": (
        "numbers written as strings",
        "Convert them to numbers before fit, for example with pandas.to_numeric after "
        "removing signs and separators",
    ),
    "dates": (
        "dates or times written as strings, not all in one ISO 8601 format",
        "Convert them to dates before fit, for example with pandas.to_datetime",
    ),
    "": (
        "identifiers or free text",
        "Drop them, or encode text and dates in them before fit",
    ),
}


def warn_of_columns(columns: Iterable[tuple[ColumnValues, Column]]) -> None:
    """Warn of columns, which are not declared categorical, by name.

    Once of all strings that look alike, and once of whole numbers in columns that had no name
    in a CSV file that pandas read.
    """
    found: dict[str, list[tuple[str, str, bool]]] = {look: [] for look in _REMEDIES}
    unnamed = []
    for data, column in columns:
        if column.kind == "integer" and re.fullmatch(r"Unnamed: \d+", str(column.name)):
            unnamed.append(repr(column.name))
        is_ignored = column.kind == "identifier"
        if data.family != "category" or not (is_ignored or column.width):
            continue
        values = data.values[data.observed].tolist()
        look, example = "", str(values[0])
        if data.type == "str" and not data.declared and (is_ignored or column.width > 2):
            look, example = _look(Counter(values))
        if look or is_ignored:
            found[look].append((column.name, example, is_ignored))
    if unnamed:
        warn_user(
            f"X has columns of whole numbers without a name: {', '.join(unnamed)}. If they are "
            "row numbers, drop them, or read the file with index_col=0: they count as data."
        )
    for look, alike in found.items():
        if not alike:
            continue
        what, remedy = _REMEDIES[look]
        shown = ", ".join(f"{name!r} (such as {e!r:.{_MOST_SHOWN}})" for name, e, _ in alike)
        outcomes = ""
        for outcome, is_ignored in (
            ("Encoded as categories", False),
            ("Ignored, as their values are nearly all different", True),
        ):
            names = [repr(name) for name, _, ignored in alike if ignored == is_ignored]
            outcomes += f"{outcome}: {', '.join(names)}. " * bool(names)
        warn_user(
            f"X has columns that look like {what}: {shown}. {outcomes}{remedy}; or "
            "name them in categorical_features, if they are categories.",
        )


def _look(counts: Counter[str]) -> tuple[str, str]:
    """The look of most strings, "numbers", "dates" or "", and an example."""
    dates = [text for text in counts if _DATE.fullmatch(text) or ISO.fullmatch(text)]
    numbers = [text for text in counts if _NUMBER.fullmatch(text)]
    are_codes = all(map(str.isdecimal, numbers)) and not (
        len(numbers) > _MOST_CODES and all(map(_DIGITS.fullmatch, numbers))
    )
    # Numbers with one and the same unit or sign, if there are many.
    matches = ((text, _MEASURE.fullmatch(text)) for text in counts)
    unit_of = {text: match[1] or match[2] for text, match in matches if match}
    units = Counter(unit_of.values()).most_common(1)
    measures = [text for text, unit in unit_of.items() if unit == units[0][0]]
    for look, alike in (
        ("dates", dates),
        ("numbers", [] if are_codes else numbers),
        ("numbers", measures if len(measures) > _MOST_CODES else []),
    ):
        if alike and sum(counts[text] for text in alike) >= _LEAST_ALIKE * counts.total():
            return look, alike[0]
    return "", next(iter(counts))
