"""
Customers: from read_csv to a map, groups and anomalies
=======================================================

A table as it comes: numbers, categories, a date as a string, missing
values. No column is encoded, scaled or imputed by hand.
"""

# %%
# The file
# --------
#
# Made here, so that the example runs anywhere: 900 customers of a shop, of
# three kinds that the table does not name, and two rows that are wrong.

from io import StringIO

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score

from skae import AEAnomalyDetector, AutoencoderTransformer

rng = np.random.RandomState(0)
kind = rng.choice(["student", "family", "company"], 900, p=[0.4, 0.4, 0.2])
age = {"student": 23, "family": 42, "company": 48}
orders = {"student": 4, "family": 14, "company": 30}
basket = {"student": 18, "family": 60, "company": 250}
n_orders = np.array([rng.poisson(orders[k]) + 1 for k in kind])
mean_basket = np.array([basket[k] for k in kind]) * rng.lognormal(0, 0.25, 900)
made = pd.DataFrame(
    {
        "age": np.array([rng.normal(age[k], 4) for k in kind]).round(),
        "orders": n_orders,
        "revenue": (n_orders * mean_basket).round(2),
        "device": [
            rng.choice(["phone", "laptop"], p=[0.8, 0.2])
            if k == "student"
            else rng.choice(["phone", "laptop"], p=[0.3, 0.7])
            for k in kind
        ],
        "payment": [
            "invoice"
            if k == "company" and rng.uniform() < 0.9
            else rng.choice(["card", "wallet"])
            for k in kind
        ],
        "since": pd.Timestamp("2019-01-01")
        + pd.to_timedelta(rng.randint(0, 2000, 900), unit="D"),
    }
)
made["age"] = made["age"].mask(rng.uniform(size=900) < 0.1)
made["device"] = made["device"].mask(rng.uniform(size=900) < 0.05)
made.loc[100, "revenue"] *= 100
made.loc[300, "orders"] = 1900
made.loc[300, "revenue"] = 40.0
csv = StringIO(made.to_csv(index=False))

# %%
# Five lines
# ----------

customers = pd.read_csv(csv)
ae = AutoencoderTransformer(2, random_state=0).fit(customers)
code = ae.transform(customers)
print(pd.Series(ae.columns_))
customers.head()

# %%
# ``since`` was recognized as a date, ``orders`` as whole numbers, and the
# missing values of ``age`` and ``device`` stay where they are: they do not
# count in the loss.
#
# Groups
# ------
#
# The code is a numeric matrix, in which any scikit-learn estimator works:
# here k-means on a code of four numbers. The medians of the groups are
# those of a family, a student and a company. The adjusted Rand index
# compares groups with the true kinds: 0 is chance, 1 is perfect.

four = AutoencoderTransformer(4, random_state=0).fit_transform(customers)
group = KMeans(3, n_init=10, random_state=0).fit_predict(four)
numbers = customers[["age", "orders", "revenue"]]
print(numbers.groupby(group).median())
print(f"adjusted Rand index: {adjusted_rand_score(kind, group):.2f}")

# %%
# The map of all customers, coloured by group. The two wrong rows lie far
# from all others.

fig, ax = plt.subplots(figsize=(6, 4.4))
for label, color in enumerate(("#0072B2", "#D55E00", "#009E73")):
    x, y = code[group == label].T
    ax.scatter(x, y, s=10, color=color, label=str(label))
for row in (100, 300):
    ax.annotate(f"row {row} ", code[row], ha="right", va="center")
ax.set(xlabel="first number of the code", ylabel="second number")
ax.legend(title="group")
fig.tight_layout()

# %%
# Anomalies, in words
# -------------------
#
# The detector takes the same table. Its sentences name the columns, the
# value and what would have been expected. The two wrong rows come first;
# the others are unusual, not wrong.

detector = AEAnomalyDetector(random_state=0).fit(customers)
score = detector.score_samples(customers)
worst = np.argsort(score)[:5]
for row, text in zip(
    worst, detector.describe(customers.iloc[worst]), strict=True
):
    print(f"row {row}: {text}")

# sphinx_gallery_start_ignore
distance = np.linalg.norm(code - np.median(code, axis=0), axis=1)
assert set(np.argsort(distance)[-2:].tolist()) == {100, 300}
assert set(worst[:2].tolist()) == {100, 300}
# sphinx_gallery_end_ignore
