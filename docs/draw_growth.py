"""Draw how fits grow with rows and columns: the figures of `benchmarks/results/growth.csv`."""

import csv
from collections import defaultdict
from pathlib import Path

import matplotlib.pyplot as plt

FIGURES = Path("benchmarks/results/growth.csv")
if not FIGURES.exists():
    # Figures of the documentation are drawn in its folder.
    FIGURES = Path("..") / FIGURES
PARTS = {"rows": "rows, of 30 columns", "columns": "columns, of 2,000 rows"}
METRICS = {"processor seconds": "processor seconds", "MB": "MB"}
COLORS = {
    "AutoencoderTransformer": "#0072b2", "DenoisingAutoencoder": "#56b4e9",
    "VAETransformer": "#009e73", "AEAnomalyDetector": "#d55e00", "AEImputer": "#cc79a7",
}  # fmt: skip


def curves(path):
    """Sizes and values of each estimator, by part and metric."""
    found = defaultdict(lambda: defaultdict(list))
    with open(path, newline="") as file:
        for row in csv.DictReader(file):
            name, size = row["name"].split(", ")
            found[row["part"], row["metric"]][name].append((int(size), float(row["value"])))
    return found


def main():
    """Draw a panel for each part and metric, estimators of skae in color."""
    found = curves(FIGURES)
    parts = {part: label for part, label in PARTS.items() if (part, "MB") in found}
    _, axes = plt.subplots(
        len(METRICS), len(parts), figsize=(8, 6), sharex="col", squeeze=False,
        layout="constrained",
    )  # fmt: skip
    for row, (metric, title) in zip(axes, METRICS.items(), strict=True):
        for ax, (part, label) in zip(row, parts.items(), strict=True):
            for name, points in found[part, metric].items():
                sizes, values = zip(*sorted(points), strict=True)
                color, own = COLORS.get(name, "#999999"), name in COLORS
                # Memory of small fits is below a megabyte.
                ax.plot(sizes, [max(value, 0.01) for value in values], ".-", color=color,
                        label=name if own else None, lw=2 if own else 1)  # fmt: skip
                if not own:
                    ax.annotate(name, (sizes[-1], max(values[-1], 0.01)), fontsize=6,
                                color="#777777", ha="right", va="bottom")  # fmt: skip
            ax.set(xscale="log", yscale="log", ylabel=title)
            ax.spines[["top", "right"]].set_visible(False)
            if metric == "MB":
                ax.set_xlabel(label)
    axes[0, 0].legend(fontsize=7, frameon=False)


if __name__ == "__main__":
    main()
