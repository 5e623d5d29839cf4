"""
New rows of a table, and a check of them
========================================

A variational autoencoder samples new rows. Whether they are like the real
ones is checked three ways: by each column, by pairs of columns, and by a
classifier that tries to distinguish them.
"""

# %%
# Fit and sample
# --------------
#
# Measurements of wines, with the grower as a category.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.datasets import load_wine

from skae import VAETransformer
from skae.metrics import closest_record_share, two_sample_score

names = ["alcohol", "flavanoids", "color_intensity", "proline"]
wine = load_wine(as_frame=True)
table = wine.data[names].copy()
table["grower"] = np.array(["A", "B", "C"])[wine.target]
table["proline"] = table["proline"].astype(int)

vae = VAETransformer(3, random_state=0).fit(table)
drawn = vae.sample(len(table), random_state=0)
drawn.head()

# %%
# The new rows are a table like the given one: whole numbers are whole,
# categories are categories, and values stay within the range of the
# training rows.
#
# Columns
# -------

both = {"real": table, "sampled": drawn}
print(
    pd.concat(
        {
            k: v[names].describe().loc[["mean", "std"]].round(2)
            for k, v in both.items()
        }
    )
)
print(pd.DataFrame({k: v["grower"].value_counts() for k, v in both.items()}))

# %%
# Pairs of columns
# ----------------
#
# Correlations, and a scatter plot by grower.

difference = (table[names].corr() - drawn[names].corr()).abs()
print(f"largest difference of a correlation: {difference.max().max():.2f}")

colors = {"A": "#0072B2", "B": "#D55E00", "C": "#009E73"}
fig, axes = plt.subplots(
    1, 2, figsize=(8, 3.8), sharex=True, sharey=True, layout="constrained"
)
for ax, (title, rows) in zip(axes, both.items(), strict=True):
    for grower, color in colors.items():
        some = rows[rows["grower"] == grower]
        ax.scatter(
            some["flavanoids"],
            some["color_intensity"],
            s=14,
            color=color,
            label=grower,
        )
    ax.set(title=f"{title} rows", xlabel="flavanoids")
axes[0].set_ylabel("colour intensity")
axes[0].legend(title="grower")

# %%
# A classifier as judge
# ---------------------
#
# A random forest is trained to distinguish sampled rows from real ones,
# and tested on rows that it has not seen. An AUROC of 0.5 means that it
# cannot; 1.0 means that it always can. For comparison, rows whose columns
# were sampled independently of each other.

rng = np.random.RandomState(0)
shuffled = table.apply(lambda c: rng.permutation(c.to_numpy()))

sampled_area, shuffled_area = (
    two_sample_score(table, rows, random_state=0) for rows in (drawn, shuffled)
)
print(f"sampled by the autoencoder: {sampled_area:.2f}")
print(f"columns independent:        {shuffled_area:.2f}")

# %%
# Copies of training rows would pass this test, too. So a model is fitted
# to half of the table, and the distances of its samples to the nearest of
# these rows are compared with those of the other half: a share of 0.05 is
# that of real rows.

half = table.sample(frac=0.5, random_state=0)
others = table.drop(index=half.index)
of_half = VAETransformer(3, random_state=0).fit(half)
share = closest_record_share(
    half, others, of_half.sample(1000, random_state=0)
)
print(f"as near as the nearest 5 % of real rows: {share:.2f}")

# %%
# The likelihood of a row
# -----------------------
#
# ``score_samples`` is the log-likelihood: a wine with values that do not go
# together has a low one.

rows = table.iloc[[0, 0]].copy()
rows.iloc[1, rows.columns.get_loc("flavanoids")] = 0.4
print(np.round(vae.score_samples(rows), 1))

# sphinx_gallery_start_ignore
assert sampled_area < shuffled_area - 0.1
assert share < 0.25
assert set(drawn["grower"]) <= set("ABC")
likelihood = vae.score_samples(rows)
assert likelihood[1] < likelihood[0] - 2
# sphinx_gallery_end_ignore
