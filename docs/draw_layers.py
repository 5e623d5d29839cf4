"""Draw the import layers of the package, as the contracts in `pyproject.toml` have them."""

import tomllib
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.patches import FancyBboxPatch

# Figures of the documentation are drawn in its folder.
CONTRACTS = Path("../pyproject.toml")
WHAT = ("figures and files", "one folder for each use", "the autoencoders", "scikit-learn",
        "Keras, NumPy", "the objective", "helpers")  # fmt: skip


def layers():
    """Names of the packages in each layer, the uppermost first."""
    contracts = tomllib.loads(CONTRACTS.read_text("utf-8"))["tool"]
    (first, *_) = contracts["importlinter"]["contracts"]
    return [
        [name.strip().removeprefix("skae.") for name in layer.split("|")]
        for layer in first["layers"]
    ]


def main():
    """Draw one row of boxes for each layer."""
    rows = layers()
    _, ax = plt.subplots(figsize=(9, 0.75 * len(rows)))
    for i, names in enumerate(rows):
        width = 1 / len(names)
        for j, name in enumerate(names):
            at = (j * width + 0.005, -i + 0.12)
            box = FancyBboxPatch(
                at, width - 0.01, 0.72, boxstyle="round,pad=0,rounding_size=0.01",
                fc="#e8eef7", ec="#44546a", mutation_aspect=8,
            )  # fmt: skip
            ax.add_patch(box)
            ax.text(j * width + width / 2, -i + 0.48, name, ha="center", va="center")
        ax.text(1.02, -i + 0.48, WHAT[i], va="center", color="#44546a", style="italic")
    ax.annotate("", (-0.03, -len(rows) + 1.1), (-0.03, 0.9), arrowprops={"arrowstyle": "->"})
    ax.text(-0.05, -len(rows) / 2 + 1, "imports", rotation=90, va="center", ha="right")
    ax.set(xlim=(-0.1, 1.3), ylim=(-len(rows) + 1, 1))
    ax.axis("off")


if __name__ == "__main__":
    main()
