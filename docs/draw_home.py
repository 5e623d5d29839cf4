"""Draw what skae explains, finds and imputes, by the figures in `benchmarks/results`.

From the root of the repository, `python docs/draw_home.py docs/comparison.png` draws the
picture of the README.
"""

import sys

import matplotlib.pyplot as plt

from results import table

PANELS = [
    (
        ("reconstruction", "90 cells of 29 tables", "mean"),
        "Variance of new rows explained", "share of the variance",
        {"skae": "AutoencoderTransformer", "random": "the same network, random start",
         "PCA": "PCA"},
    ),
    (
        ("anomaly", "one-class", "mean"), "Anomalies ranked above normal rows",
        "AUROC in percent",
        {"skae: AUROC": "AEAnomalyDetector", "knn: AUROC": "5th neighbour",
         "lof: AUROC": "LocalOutlierFactor", "pyod_ae: AUROC": "AutoEncoder (PyOD)",
         "iforest: AUROC": "IsolationForest"},
    ),
    (
        ("imputation", "Normalised RMSE of numbers, 285 tasks", "mean"),
        "Error of imputed values (lower is better)", "normalised root mean square error",
        {"AEImputer": "AEImputer", "ExtraTrees": "IterativeImputer, trees",
         "BayesianRidge": "IterativeImputer, linear", "KNNImputer": "KNNImputer",
         "SimpleImputer": "the mean"},
    ),
]  # fmt: skip


def main(path=None):
    """Draw a panel for each task, the estimator of skae in blue, and save it at a path."""
    heights = [len(names) + 1 for *_, names in PANELS]
    fig, axes = plt.subplots(
        3, 1, figsize=(6.4, 5.6), layout="constrained", height_ratios=heights
    )
    for ax, ((script, part, row), title, label, names) in zip(axes, PANELS, strict=True):
        found = table(script, part)[row]
        texts = [found[name] for name in names]
        values = [float(text) for text in texts]
        colors = ["#0072b2"] + ["#c4c4c4"] * (len(names) - 1)
        bars = ax.barh(range(len(names)), values, color=colors, height=0.7)
        ax.bar_label(bars, texts, padding=3)
        ax.set_yticks(range(len(names)), names.values())
        ax.get_yticklabels()[0].set_fontweight("bold")
        ax.set_title(title, loc="left", fontsize=11)
        ax.set_xlabel(label, fontsize=9)
        ax.set(xticks=[], xlim=(0, 1.15 * max(values)))
        ax.invert_yaxis()
        ax.spines[["top", "right", "bottom"]].set_visible(False)
    if path:
        fig.savefig(path, dpi=90)


if __name__ == "__main__":
    main(*sys.argv[1:])
