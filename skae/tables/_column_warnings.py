"""Warnings at fit that name columns of strings that are hardly categories."""

import re
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from skae.tables._column_values import ColumnValues
from skae.tables._columns import Column
from skae.tables._iso import is_iso
from skae.utils._calls import warn_user

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
_CODE = re.compile(r"\d+")

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


class ColumnWarning(NamedTuple):
    """A column of categories that may be something else, and one of its values."""

    name: str
    example: str
    looks_like: str  # "numbers", "dates" or ""
    is_ignored: bool  # as nearly all values differ


def warning_of(data: ColumnValues, column: Column) -> ColumnWarning | None:
    """The warning that a column needs which the user does not declare categorical, if any."""
    is_ignored = column.kind == "identifier"
    if data.family != "category" or not (is_ignored or column.width):
        return None
    values = data.values[data.observed].tolist()
    looks_like, example = "", str(values[0])
    if data.type == "str" and not data.declared and (is_ignored or column.width > 2):
        looks_like, example = _look(Counter(values))
    if not (looks_like or is_ignored):
        return None
    return ColumnWarning(column.name, example, looks_like, is_ignored)


def _look(counts: Counter[str]) -> tuple[str, str]:
    """The look of most strings, "numbers", "dates" or "", and an example."""
    dates = [text for text in counts if _DATE.fullmatch(text) or is_iso(text)]
    numbers = [text for text in counts if _NUMBER.fullmatch(text)]
    are_codes = all(map(_CODE.fullmatch, numbers)) and not (
        len(numbers) > _MOST_CODES and all(map(_DIGITS.fullmatch, numbers))
    )
    for look, alike in (
        ("dates", dates),
        ("numbers", [] if are_codes else numbers),
        ("numbers", _measures(counts)),
    ):
        if alike and sum(counts[text] for text in alike) >= _LEAST_ALIKE * counts.total():
            return look, alike[0]
    return "", next(iter(counts))


def _measures(counts: Counter[str]) -> list[str]:
    """Strings that are numbers with one and the same unit or sign, if there are many."""
    found = {
        text: match[1] or match[2] for text in counts if (match := _MEASURE.fullmatch(text))
    }
    units = Counter(found.values()).most_common(1)
    measures = [text for text, unit in found.items() if unit == units[0][0]]
    return measures if len(measures) > _MOST_CODES else []


def warn_of(found: Iterable[ColumnWarning | None]) -> None:
    """Warn once of all columns that look alike, by their names."""
    columns = [column for column in found if column is not None]
    for looks_like, (what, remedy) in _REMEDIES.items():
        alike = [column for column in columns if column.looks_like == looks_like]
        if not alike:
            continue
        shown = ", ".join(f"{c.name!r} (such as {c.example!r:.{_MOST_SHOWN}})" for c in alike)
        outcomes = ""
        for outcome, is_ignored in (
            ("Encoded as categories", False),
            ("Ignored, as their values are nearly all different", True),
        ):
            names = [repr(column.name) for column in alike if column.is_ignored == is_ignored]
            outcomes += f"{outcome}: {', '.join(names)}. " * bool(names)
        warn_user(
            f"X has columns that look like {what}: {shown}. {outcomes}{remedy}; or "
            "name them in categorical_features, if they are categories.",
        )
