"""Choose the latent size of an autoencoder, compared with PCA, by one grid search.

Run it with ``make demo``, or ``python examples/demo.py [FOLDER]``. It prints a table and
saves three pictures in FOLDER (default: demo).
"""

import sys
import time
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderTransformer
from skae.metrics import reconstruction_score

SIZES = [2, 4, 8, 16, 32]
REDUCERS = {
    "PCA": PCA(random_state=0),
    "autoencoder": AutoencoderTransformer(random_state=0),
}
NEXT_STEPS = {
    "linear": make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000)),
    "neighbours": KNeighborsClassifier(),
}
COLORS = {"PCA": "#D55E00", "autoencoder": "#0072B2"}
N_SHOWN = 12
SHOWN_SIZE = 8


def search_latent_size(X):
    """Search both models, all latent sizes, with and without scaling of the columns."""
    pipeline = Pipeline([("scale", StandardScaler()), ("reduce", PCA())])
    grid = [
        {
            "scale": [StandardScaler(), "passthrough"],
            "reduce": [reducer],
            "reduce__n_components": SIZES,
        }
        for reducer in REDUCERS.values()
    ]
    search = GridSearchCV(
        pipeline, grid, scoring=reconstruction_score, cv=3, error_score="raise"
    )
    show_progress(search)
    return search.fit(X)


def show_progress(search):
    """Progress bars, where scikit-learn (1.9) and rich offer them."""
    try:
        from sklearn.callback import ProgressBar

        search.set_callbacks(ProgressBar(max_propagation_depth=0))
    except ImportError:
        print("(pip install rich for a progress bar)")


def refit_best(search, X):
    """The best pipeline of each model and latent size, fitted on all training rows."""
    names = {type(reducer): name for name, reducer in REDUCERS.items()}
    fitted = {}
    for candidate in np.argsort(search.cv_results_["rank_test_score"]):
        params = search.cv_results_["params"][candidate]
        key = names[type(params["reduce"])], params["reduce__n_components"]
        if key not in fitted:
            pipeline = clone(search.estimator).set_params(**clone(params, safe=False))
            fitted[key] = pipeline.fit(X)
    return fitted


def accuracy(step, pipeline, X_train, X_test, y_train, y_test):
    """Accuracy of a classifier of codes."""
    classifier = clone(step).fit(pipeline.transform(X_train), y_train)
    return classifier.score(pipeline.transform(X_test), y_test)


def compare(fitted, X_train, X_test, y_train, y_test):
    """Share of variance and accuracies of each model by latent size, from the test rows."""
    variance, accuracies = {}, {}
    for key, pipeline in fitted.items():
        variance[key] = reconstruction_score(pipeline, X_test)
        for name, step in NEXT_STEPS.items():
            score = accuracy(step, pipeline, X_train, X_test, y_train, y_test)
            accuracies[name, *key] = score
    return variance, accuracies


def print_table(variance, accuracies):
    """One line for each latent size."""
    print("                                           accuracy of a classifier of the code")
    print("latent   variance explained            logistic regression   5 neighbours")
    print("  size      PCA  autoencoder    gain      PCA  autoencoder      PCA  autoencoder")
    for size in SIZES:
        pca, autoencoder = (variance[name, size] for name in REDUCERS)
        line = f"{size:6} {pca:8.3f} {autoencoder:12.3f} {autoencoder - pca:+7.3f}"
        for step in NEXT_STEPS:
            for name, width in zip(REDUCERS, (8, 12), strict=True):
                line += f" {accuracies[step, name, size]:{width}.3f}"
        print(line)


def plot_variance(variance, path):
    """Share of variance against latent size."""
    fig, ax = plt.subplots(figsize=(6.4, 4.2), layout="constrained")
    for name in REDUCERS:
        shares = [100 * variance[name, size] for size in SIZES]
        ax.plot(SIZES, shares, "o-", color=COLORS[name], label=name)
        for size, share in zip(SIZES, shares, strict=True):
            offset, place = ((0, 7), "bottom") if name == "autoencoder" else ((0, -7), "top")
            ax.annotate(
                f"{share:.0f}", (size, share), offset, textcoords="offset points",
                ha="center", va=place, color=COLORS[name], fontsize=9,
            )  # fmt: skip
    ax.set_xscale("log", base=2)
    ax.set_xticks(SIZES, [str(size) for size in SIZES])
    ax.set(
        ylim=(0, 109),
        yticks=range(0, 101, 20),
        xlabel="latent size (numbers per image)",
        ylabel="variance explained on test rows (%)",
        title="Handwritten digits, 64 pixels: variance explained by the code",
    )
    ax.grid(alpha=0.3)
    ax.legend(loc="lower right")
    fig.savefig(path, dpi=150)


def plot_reconstructions(fitted, X_test, variance, path):
    """Test digits and their reconstructions from a small code."""
    rows = {"original\n64 pixels": X_test[:N_SHOWN]}
    for name in REDUCERS:
        pipeline = fitted[name, SHOWN_SIZE]
        label = f"{name}\n{100 * variance[name, SHOWN_SIZE]:.0f} % of variance"
        rows[label] = pipeline.inverse_transform(pipeline.transform(X_test[:N_SHOWN]))
    fig, axes = plt.subplots(
        len(rows), N_SHOWN, figsize=(0.75 * N_SHOWN + 1.5, 3.1), layout="constrained"
    )
    for line, (label, images) in zip(axes, rows.items(), strict=True):
        line[0].set_ylabel(label, rotation=0, ha="right", va="center", labelpad=8)
        for ax, image in zip(line, images, strict=True):
            ax.imshow(image.reshape(8, 8), cmap="gray_r", vmin=0, vmax=16)
            ax.set(xticks=[], yticks=[])
            ax.spines[:].set_color("0.8")
    fig.suptitle(f"Test digits through a code of {SHOWN_SIZE} numbers")
    fig.savefig(path, dpi=150)


def plot_codes(fitted, X_test, y_test, variance, path):
    """The two-dimensional code of test rows, coloured by digit."""
    fig, axes = plt.subplots(1, 2, figsize=(9.6, 4.6), layout="constrained")
    for ax, name in zip(axes, REDUCERS, strict=True):
        code = fitted[name, 2].transform(X_test)
        for digit, color in enumerate(mpl.color_sequences["tab10"]):
            at = code[y_test == digit]
            ax.scatter(*at.T, s=16, color=color, alpha=0.45, linewidth=0, label=str(digit))
        for digit, color in enumerate(mpl.color_sequences["tab10"]):
            # The digit itself, for colour-blind readers.
            x, y = np.median(code[y_test == digit], axis=0)
            ax.text(
                x, y, str(digit), ha="center", va="center", weight="bold", color=color,
                bbox={"boxstyle": "circle,pad=0.2", "fc": "white", "ec": color, "alpha": 0.9},
            )  # fmt: skip
        ax.set(
            title=f"{name}: {100 * variance[name, 2]:.0f} % of variance",
            xlabel="first component (arbitrary unit)",
            ylabel="second component (arbitrary unit)",
        )
        ax.grid(alpha=0.2)
    legend = axes[1].legend(title="digit", bbox_to_anchor=(1.01, 1), loc="upper left")
    for handle in legend.legend_handles:
        handle.set(alpha=1, sizes=[40])
    fig.suptitle("Two numbers per digit: the code of the test rows")
    fig.savefig(path, dpi=150)


def main(folder="demo"):
    """Search, compare, draw."""
    mpl.use("agg")
    X, y = load_digits(return_X_y=True)
    split = train_test_split(X, y, test_size=0.25, stratify=y, random_state=0)
    X_train, X_test, _, y_test = split
    print(f"{len(X_train)} digits of 8 x 8 pixels to train on, {len(X_test)} to test on.\n")

    start = time.perf_counter()
    search = search_latent_size(X_train)
    n_fits = len(search.cv_results_["params"]) * search.n_splits_ + 1
    print(f"\n{n_fits} fits in {time.perf_counter() - start:.0f} s. Best pipeline:")
    print(f"{search.best_estimator_}\n")

    fitted = refit_best(search, X_train)
    variance, accuracies = compare(fitted, *split)
    print("Test rows; columns scaled or not as cross-validation chose for each line:\n")
    print_table(variance, accuracies)

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    plot_variance(variance, folder / "variance_explained.png")
    plot_reconstructions(fitted, X_test, variance, folder / "reconstructions.png")
    plot_codes(fitted, X_test, y_test, variance, folder / "code.png")
    print(f"\nPictures: {', '.join(str(path) for path in sorted(folder.glob('*.png')))}")


if __name__ == "__main__":
    main(*sys.argv[1:])
