"""
Missing values imputed, and what that does to the model after it
================================================================

A third of the values of a table are missing. Which imputer comes nearer
to them, and how well does a regression do on its result?
"""

# %%
# The table
# ---------
#
# Diagnostic measurements of 569 tumours. Columns depend on each other:
# area grows with the square of the radius. Values are removed at random
# from training and test rows.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import AEImputer

X, y = load_breast_cancer(return_X_y=True, as_frame=True)
X = X.iloc[:, :10]
rng = np.random.RandomState(0)
missing = rng.uniform(size=X.shape) < 0.33
table = X.mask(missing)
rows = train_test_split(np.arange(len(X)), stratify=y, random_state=0)
train, test = rows
table.iloc[:4, :4].round(2)

# %%
# The error of the imputed values
# -------------------------------
#
# Imputers are fitted on training rows; the root mean square error is that
# of test rows, in standard deviations of the column: 1.0 is the error of
# the mean.

imputers = {
    "mean": SimpleImputer(),
    "KNNImputer": make_pipeline(StandardScaler(), KNNImputer()),
    "IterativeImputer": IterativeImputer(
        max_iter=30, tol=1e-2, random_state=0
    ),
    "AEImputer": AEImputer(random_state=0),
}
deviation = X.iloc[train].std().to_numpy()
hidden = missing[test]
errors, filled = {}, {}
for name, imputer in imputers.items():
    imputer.fit(table.iloc[train])
    for part in (train, test):
        values = imputer.transform(table.iloc[part])
        if name == "KNNImputer":
            values = imputer[0].inverse_transform(values)
        filled[name, len(part)] = np.asarray(values)
    error = (filled[name, len(test)] - X.iloc[test].to_numpy()) / deviation
    errors[name] = np.sqrt(np.square(error[hidden]).mean())
    print(f"{name:16} {errors[name]:.2f}")

# %%
# Imputed values of the area over the true ones. On the diagonal there is
# no error; on a horizontal line the mean was imputed.

column = X.columns.get_loc("mean area")
at = hidden[:, column]
fig, axes = plt.subplots(
    1, 4, figsize=(10, 3), sharex=True, sharey=True, layout="constrained"
)
truth = X.iloc[test].to_numpy()[at, column]
for ax, name in zip(axes, imputers, strict=True):
    imputed = filled[name, len(test)][at, column]
    ax.plot([0, 2500], [0, 2500], color="0.8", zorder=0)
    ax.scatter(truth, imputed, s=14, color="#0072B2")
    ax.set(title=f"{name}: {errors[name]:.2f}", xlabel="true area")
axes[0].set_ylabel("imputed area")

# %%
# The model after it
# ------------------
#
# A logistic regression on each imputed table, and gradient boosting, which
# accepts missing values, on the table as it is. Test rows; lower log losses
# are better.

print("                      AUROC  log loss")
downstream = {}
for name in imputers:
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    model.fit(filled[name, len(train)], y.iloc[train])
    probability = model.predict_proba(filled[name, len(test)])[:, 1]
    downstream[name] = log_loss(y.iloc[test], probability)
    auroc = roc_auc_score(y.iloc[test], probability)
    print(f"{name:20} {auroc:6.3f} {downstream[name]:9.3f}")
boosting = HistGradientBoostingClassifier(random_state=0)
boosting.fit(table.iloc[train], y.iloc[train])
probability = boosting.predict_proba(table.iloc[test])[:, 1]
auroc = roc_auc_score(y.iloc[test], probability)
loss = log_loss(y.iloc[test], probability)
print(f"no imputer, boosting {auroc:6.3f} {loss:9.3f}")

# %%
# How sure is the mean?
# ---------------------
#
# A table that is imputed once looks more certain than it is. ``sample``
# returns several tables, and the spread of a result over them is the
# uncertainty that is due to the missing values.

tables = imputers["AEImputer"].sample(table, n_draws=5, random_state=0)
means = [drawn["mean area"].mean() for drawn in tables]
print(f"mean area {np.mean(means):.1f} +- {np.std(means, ddof=1):.1f}")
print(f"of the complete table: {X['mean area'].mean():.1f}")

# sphinx_gallery_start_ignore
assert errors["AEImputer"] < errors["IterativeImputer"]
assert errors["AEImputer"] < errors["KNNImputer"] - 0.02
# sphinx_gallery_end_ignore
