"""Draw what skae explains, finds and imputes, by the figures in `benchmarks/README.md`.

From the root of the repository, `python docs/draw_home.py docs/comparison.png` draws the
picture of the README.
"""

import sys
from pathlib import Path

import matplotlib.pyplot as plt

FIGURES = Path("benchmarks/README.md")
if not FIGURES.exists():
    # Figures of the documentation are drawn in its folder.
    FIGURES = Path("..") / FIGURES
PANELS = [
    (
        "| 90 cells of 29 tables", "Variance of new rows explained", "share of the variance",
        {"skae": "AutoencoderTransformer", "random": "the same network, random start",
         "PCA": "PCA"},
    ),
    (
        "#### One-class", "Anomalies ranked above normal rows", "AUROC in percent",
        {"skae": "AEAnomalyDetector", "knn": "5th neighbour", "lof": "LocalOutlierFactor",
         "iforest": "IsolationForest"},
    ),
    (
        "#### Normalised RMSE of numbers", "Error of imputed values (lower is better)",
        "normalised root mean square error",
        {"AEImputer": "AEImputer", "ExtraTrees": "IterativeImputer, trees",
         "BayesianRidge": "IterativeImputer, linear", "KNNImputer": "KNNImputer",
         "SimpleImputer": "the mean"},
    ),
]  # fmt: skip


def means(text, heading):
    """The row "mean" of the table at or below a heading, by the names of its columns."""
    table = text[text.index(heading) :]
    lines = [line.split("|")[1:-1] for line in table.splitlines() if line[:1] == "|"]
    row = next(line for line in lines if line[0].strip(" *") == "mean")
    # Of pairs the first: the AUROC of AUROC / average precision.
    pairs = zip(lines[0][1:], row[1:], strict=True)
    return {name.strip(): cell.split("/")[0].strip() for name, cell in pairs}


def main(path=None):
    """Draw a panel for each task, the estimator of skae in blue, and save it at a path."""
    source = FIGURES.read_text("utf-8")
    heights = [len(names) + 1 for *_, names in PANELS]
    fig, axes = plt.subplots(
        3, 1, figsize=(6.4, 5.6), layout="constrained", height_ratios=heights
    )
    for ax, (heading, title, label, names) in zip(axes, PANELS, strict=True):
        found = means(source, heading)
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
