"""Draw how well detectors rank anomalies, by the figures in `benchmarks/results`."""

import matplotlib.pyplot as plt

from results import table

NAMES = {
    "skae": "AEAnomalyDetector", "knn": "5th neighbour", "iforest": "IsolationForest",
    "lof": "LocalOutlierFactor", "mahalanobis": "Mahalanobis distance", "pca": "PCA",
    "ecod": "ECOD (PyOD)", "ocsvm": "OneClassSVM", "pyod_ae": "AutoEncoder (PyOD)",
    "pyod_vae": "VAE (PyOD)", "deep_svdd": "DeepSVDD (PyOD)",
}  # fmt: skip


def means(part, row):
    """AUROC and average precision by detector."""
    found = table("anomaly", part)[row]
    return {
        name: [float(found[f"{name}: {metric}"]) for metric in ("AUROC", "average precision")]
        for name in NAMES
        if f"{name}: AUROC" in found
    }


def main():
    """Draw a panel for each collection of tables, the best average precision on top."""
    panels = {
        "ADBench, 22 tables": means("one-class", "mean"),
        "OddBench, 110 tables": means("OddBench, 110 tables", "AUROC / AP"),
    }
    heights = [len(figures) for figures in panels.values()]
    _, axes = plt.subplots(
        2, 1, figsize=(8, 0.32 * sum(heights) + 1.8), sharex=True, height_ratios=heights,
        layout="constrained",
    )  # fmt: skip
    for ax, (title, figures) in zip(axes, panels.items(), strict=True):
        names = sorted(figures, key=lambda name: figures[name][1])
        ax.hlines(range(len(names)), 0, [figures[name][0] for name in names], color="#dddddd")
        for i, (label, color) in enumerate(
            (("AUROC", "#0072b2"), ("average precision", "#d55e00"))
        ):
            values = [figures[name][i] for name in names]
            ax.scatter(values, range(len(names)), color=color, label=label, zorder=2)
            for y, value in enumerate(values):
                ax.annotate(
                    f"{value:.1f}", (value, y), (0, 5), textcoords="offset points",
                    ha="center", fontsize=7, color=color,
                )  # fmt: skip
        ax.set_yticks(range(len(names)), [NAMES[name] for name in names])
        ax.get_yticklabels()[names.index("skae")].set_fontweight("bold")
        ax.set(title=title, xlim=(0, 100), ylim=(-0.6, len(names) - 0.2))
        ax.spines[["top", "right"]].set_visible(False)
    axes[0].legend(loc="lower left", framealpha=1, edgecolor="none")
    axes[1].set_xlabel("percent, mean of the tables; fitted on normal rows")


if __name__ == "__main__":
    main()
