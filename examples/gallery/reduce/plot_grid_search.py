"""
Grid search beside PCA in a pipeline with a ColumnTransformer
=============================================================

The step that reduces the columns is a parameter of the search like any
other: PCA, an autoencoder and no reduction at all compete for the best
classifier, on the same folds and by the same score.
"""

# %%
# The table
# ---------
#
# Thirteen measurements of wines of three growers, with a text column, the
# bottle's shop, that a bottle comes with. ``ColumnTransformer`` scales the
# numbers and encodes the text.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_wine
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from skae import AutoencoderTransformer

X, y = load_wine(return_X_y=True, as_frame=True)
rng = np.random.RandomState(0)
X["shop"] = rng.choice(["market", "station", "web"], len(X))
X.iloc[:3, [0, 1, -2, -1]]

# %%
# The pipeline and the search
# ---------------------------
#
# ``"passthrough"`` is the candidate without reduction. All latent sizes
# of the autoencoder share one compiled program.

prepare = ColumnTransformer(
    [("text", OneHotEncoder(sparse_output=False), ["shop"])],
    remainder=StandardScaler(),
)
pipeline = Pipeline(
    [
        ("prepare", prepare),
        ("reduce", PCA()),
        ("classify", KNeighborsClassifier()),
    ]
)
sizes = [1, 2, 4, 8]
grid = [
    {"reduce": [PCA(random_state=0)], "reduce__n_components": sizes},
    {
        "reduce": [AutoencoderTransformer(random_state=0)],
        "reduce__n_components": sizes,
    },
    {"reduce": ["passthrough"]},
]
folds = StratifiedKFold(5, shuffle=True, random_state=0)
search = GridSearchCV(pipeline, grid, cv=folds).fit(X, y)

# %%
# The result
# ----------
#
# Accuracy of five neighbours, mean and standard deviation over the folds.

results = search.cv_results_
for rank in np.argsort(results["rank_test_score"], kind="stable"):
    params = results["params"][rank]
    name = type(params["reduce"]).__name__.replace("str", "no reduction")
    size = params.get("reduce__n_components", "")
    mean = results["mean_test_score"][rank]
    std = results["std_test_score"][rank]
    print(f"{mean:.3f} +- {std:.3f}  {name} {size}")

# %%
# Read the whole list, not only its first line: candidates whose means are
# closer than their standard deviations cannot be told apart by 178 wines.

fig, ax = plt.subplots(figsize=(6, 3.6))
for kind, label, color in (
    (PCA, "PCA", "#D55E00"),
    (AutoencoderTransformer, "autoencoder", "#0072B2"),
):
    rows = [isinstance(p["reduce"], kind) for p in results["params"]]
    mean = results["mean_test_score"][rows]
    std = results["std_test_score"][rows]
    ax.errorbar(
        sizes, mean, std, fmt="o-", capsize=3, color=color, label=label
    )
everything = results["mean_test_score"][-1]
ax.axhline(everything, color="0.4", ls="--", label="no reduction")
ax.set(xlabel="numbers in the code", ylabel="accuracy", xticks=sizes)
ax.grid(alpha=0.3)
ax.legend(loc="lower right")
fig.tight_layout()

# %%
# The best pipeline is fitted on all rows and takes new ones with the same
# columns.

print(search.best_estimator_["reduce"])
print(search.predict(X.iloc[[0, 70, 150]]), y.iloc[[0, 70, 150]].tolist())
