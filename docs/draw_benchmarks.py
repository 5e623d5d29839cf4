"""Draw the figures of `benchmarks/results`, a function for each chart."""

import matplotlib.pyplot as plt

from results import table

BLUE, GREY, ORANGE, GREEN = "#0072b2", "#c4c4c4", "#d55e00", "#009e73"


def finish(ax, title, label, xlim=None):
    """Titles and spines as in all of these charts."""
    ax.set_title(title, loc="left", fontsize=10)
    ax.set_xlabel(label, fontsize=9)
    ax.spines[["top", "right"]].set_visible(False)
    ax.tick_params(labelsize=8)
    if xlim:
        ax.set_xlim(xlim)


def bars(ax, texts, title, label):
    """Horizontal bars with the numbers as they were printed; what is of skae in blue."""
    values = [float(text) for text in texts.values()]
    ours = ("skae", "AEAnomalyDetector", "AutoencoderTransformer", "VAETransformer")
    colors = [BLUE if name.startswith(ours) else GREY for name in texts]
    ax.bar_label(ax.barh(range(len(texts)), values, color=colors), texts.values(), padding=3,
                 fontsize=8)  # fmt: skip
    ax.set_yticks(range(len(texts)), texts)
    ax.invert_yaxis()
    finish(ax, title, label, (min(0, *values), 1.2 * max(values)))
    ax.set_xticks([])
    ax.spines["bottom"].set_visible(False)


def dots(ax, names, sides, title, label):
    """One line for each name, with a dot for each side: label, color, values."""
    for y, values in enumerate(zip(*(side[2] for side in sides), strict=True)):
        ax.hlines(y, min(values), max(values), color="#dddddd", zorder=1)
    for side, color, values in sides:
        ax.scatter(values, range(len(names)), color=color, label=side, zorder=2, s=22)
    ax.set_yticks(range(len(names)), names)
    ax.set_ylim(len(names) - 0.4, -0.6)
    finish(ax, title, label)
    if not ax.figure.legends:
        ax.figure.legend(
            *ax.get_legend_handles_labels(), loc="outside lower center", ncols=len(sides),
            frameon=False, fontsize=8,
        )  # fmt: skip


def speed():
    """Seconds of first fits and refits."""
    fig, axes = plt.subplots(3, 2, figsize=(8, 8), layout="constrained")
    for pair, part in zip(
        axes,
        (
            "S: network 64-32-10-32-64, batch 32, 50 epochs",
            "T: network 30-64-32-8-32-64-30, batch 256, 10 epochs",
            "M: network 784-100-20-100-784, batch 64, 3 epochs",
        ),
        strict=True,
    ):
        found = table("speed", part)
        for ax, metric in zip(pair, ("first fit, s", "refit, s"), strict=True):
            bars(ax, {name: row[metric] for name, row in found.items()}, part[0], metric)
        pair[1].set_yticklabels([])
    fig.suptitle("Seconds of a fit, the same network everywhere", fontsize=11)


def reconstruction():
    """Share of the variance by table, at sizes 2 and 8."""
    found = table("reconstruction", "share of the variance, by table")
    _, axes = plt.subplots(1, 2, figsize=(8, 6.4), layout="constrained")
    for ax, size in zip(axes, (2, 8), strict=True):
        cells = {
            name.rpartition(", ")[0]: row
            for name, row in found.items()
            if name.endswith(f", {size}")
        }
        names = sorted(cells, key=lambda name: -float(cells[name]["gain over PCA"]))
        sides = [
            (label, color, [float(cells[name][key]) for name in names])
            for label, color, key in (("PCA", GREY, "PCA"), ("skae", BLUE, "skae"))
        ]
        dots(ax, names, sides, f"codes of {size} numbers", "share of held-out variance")


def detectors():
    """Average precision by detector where anomalies are among the training rows."""
    found = table("anomaly", "unsupervised")["mean"]
    names = {
        "skae": "AEAnomalyDetector", "iforest": "IsolationForest", "ocsvm": "OneClassSVM",
        "mahalanobis": "Mahalanobis distance", "ecod": "ECOD (PyOD)",
        "pyod_vae": "VAE (PyOD)", "pyod_ae": "AutoEncoder (PyOD)", "knn": "5th neighbour",
        "pca": "PCA", "deep_svdd": "DeepSVDD (PyOD)", "lof": "LocalOutlierFactor",
    }  # fmt: skip
    _, axes = plt.subplots(1, 2, figsize=(8, 3.4), layout="constrained")
    for ax, metric in zip(axes, ("AUROC", "average precision"), strict=True):
        texts = {label: found[f"{name}: {metric}"] for name, label in names.items()}
        bars(ax, texts, "anomalies among the training rows", f"{metric}, percent")
    axes[1].set_yticklabels([])


def entry_errors():
    """Share of errors of data entry that are found, by kind."""
    found = table("entry_errors", "found by kind")
    sides = [
        (label, color, [float(row[f"{key}: among the first"]) for row in found.values()])
        for label, color, key in (
            ("isolation forest", GREY, "forest"), ("LOF", ORANGE, "LOF"),
            ("AEAnomalyDetector", BLUE, "skae"),
        )
    ]  # fmt: skip
    _, ax = plt.subplots(figsize=(7, 3.6), layout="constrained")
    title = "Errors of data entry among as many of the first rows, by kind (number of errors)"
    dots(ax, list(found), sides, title, "percent found")


def imputation():
    """Error of imputed numbers by table."""
    found = table("imputation", "Normalised RMSE of numbers, by table")
    names = sorted(found, key=lambda name: float(found[name]["AEImputer"]))
    sides = [
        (label, color, [float(found[name][key]) for name in names])
        for label, color, key in (
            ("the mean", GREY, "SimpleImputer"),
            ("IterativeImputer, linear", GREEN, "BayesianRidge"),
            ("IterativeImputer, trees", ORANGE, "ExtraTrees"), ("AEImputer", BLUE, "AEImputer"),
        )
    ]  # fmt: skip
    _, ax = plt.subplots(figsize=(7, 5), layout="constrained")
    dots(ax, names, sides, "Error of imputed numbers", "normalised root mean squared error")


def downstream():
    """Points of the next step beside PCA of the same size."""
    found = table("downstream", "beside PCA")
    steps = {
        "linear": "linear model", "neighbours": "nearest neighbours",
        "kernel": "kernel machine", "boosting": "gradient boosting", "clusters": "k-means",
    }  # fmt: skip
    _, ax = plt.subplots(figsize=(7, 2.8), layout="constrained")
    for shift, reduction, color in ((-0.14, "skae", BLUE), (0.14, "KernelPCA", GREY)):
        cells = [found[f"{step}: {reduction}"] for step in steps]
        ax.errorbar(
            [float(cell["beside PCA"]) for cell in cells],
            [y + shift for y in range(len(steps))],
            xerr=[float(cell["standard error"]) for cell in cells],
            fmt="o", color=color, label=reduction,
        )  # fmt: skip
    ax.axvline(0, color="black", linewidth=0.8)
    ax.set_yticks(range(len(steps)), steps.values())
    ax.invert_yaxis()
    ax.legend(frameon=False, fontsize=8)
    finish(
        ax,
        "The next step on the code",
        "points beside PCA, with the standard error over tables",
    )


def calibration():
    """Share of clean rows that are marked, and the share that is reported."""
    found = table("detector_promises", "Clean rows, novelty=False: % of new rows marked")
    sides = [
        (label, color, [float(row[key]) for row in found.values()])
        for label, color, key in (("reported", GREY, "reported"), ("marked", BLUE, "marked"))
    ]
    _, ax = plt.subplots(figsize=(7, 4.6), layout="constrained")
    dots(
        ax, list(found), sides, "Clean rows that are marked, and the share reported", "percent"
    )
    ax.set_xlim(left=0)


def tables():
    """Error of reconstructed tables with categories."""
    found = table("mixed_codes", "error by table")
    sides = [
        (label, color, [float(row[key]) for row in found.values()])
        for label, color, key in (
            ("PCA of TabularEncoder", ORANGE, "PCA of `TabularEncoder`"),
            ("PCA by hand", GREY, "PCA by hand"), ("AutoencoderTransformer", BLUE, "skae"),
        )
    ]  # fmt: skip
    _, ax = plt.subplots(figsize=(7, 3.6), layout="constrained")
    dots(ax, list(found), sides, "Table, numbers in the code", "mean error over the columns")
    ax.set_xlim(left=0)


def serving():
    """What a loaded model costs."""
    found = table("latency", "a loaded model")
    found = {name.removesuffix(", `score_samples`"): row for name, row in found.items()}
    _, axes = plt.subplots(1, 2, figsize=(8, 2.6), layout="constrained")
    for ax, metric in zip(axes, ("one row, ms", "memory, MB"), strict=True):
        texts = {name: row[metric] for name, row in found.items()}
        bars(ax, texts, "a loaded model", metric)
    axes[1].set_yticklabels([])
