"""Draw the pictures of the user guide, a function for each."""

import warnings

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.datasets import load_digits, make_moons
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.impute import KNNImputer, SimpleImputer

from results import table
from skae import (
    AEAnomalyDetector,
    AEImputer,
    AutoencoderTransformer,
    DenoisingAutoencoder,
    VAETransformer,
)  # fmt: skip
from skae.corruption import GaussianNoise
from skae.plotting import LossCurveDisplay

BLUE, ORANGE, GREEN, GREY = "#0072b2", "#d55e00", "#009e73", "#b0b0b0"


def row_of(panels, width=9, height=3.2, **params):
    """Axes beside each other, without the upper and the right spine."""
    _, axes = plt.subplots(1, panels, figsize=(width, height), layout="constrained", **params)
    for ax in np.ravel(axes):
        ax.spines[["top", "right"]].set_visible(False)
    return axes


def moons(n_anomalies=0, seed=0):
    """Two half moons of 500 rows, the first of them anomalies between and around."""
    rng = np.random.RandomState(seed)
    X, _ = make_moons(500, noise=0.07, random_state=seed)
    X[:n_anomalies] = rng.uniform((-1.6, -1.1), (2.6, 1.6), (n_anomalies, 2))
    return X


def thresholds():
    """Scores, and the threshold with and without anomalies among the training rows."""
    axes = row_of(2, sharex=True)
    for ax, (title, params, anomalies) in zip(
        axes,
        (
            ("novelty=True, normal rows only", {"novelty": True}, 0),
            ("novelty=False, 5 % anomalies", {}, 25),
        ),
        strict=True,
    ):
        X = moons(anomalies)
        detector = AEAnomalyDetector(random_state=0, **params).fit(X)
        scores = -(
            detector.score_samples(X) if not params else detector.score_samples(moons(0, 1))
        )
        bins = np.geomspace(scores.min(), max(scores.max(), 30), 50)
        ax.hist(scores[anomalies:], bins, color=GREY, label="normal rows")
        if anomalies:
            ax.hist(scores[:anomalies], bins, color=ORANGE, label="anomalies")
        rate = 100 * detector.false_alarm_rate_
        ax.axvline(
            -detector.offset_, color=BLUE, label=f"threshold; of normal rows {rate:.1f} % above"
        )
        ax.set(xscale="log", xlabel="anomaly score", title=title, ylabel="rows")
        ax.legend(fontsize=8, loc="upper right")


def contamination():
    """The region of normal rows, by contamination."""
    X = moons(25)
    grid = np.stack(
        np.meshgrid(np.linspace(-1.7, 2.7, 90), np.linspace(-1.2, 1.7, 60)), axis=-1
    )
    detector = AEAnomalyDetector(random_state=0).fit(X)
    scores = detector.score_samples(grid.reshape(-1, 2)).reshape(grid.shape[:2])
    own = detector.score_samples(X)
    axes = row_of(3, sharex=True, sharey=True)
    for ax, share in zip(axes, (0.01, "auto", 0.15), strict=True):
        offset = detector.offset_ if share == "auto" else np.quantile(own, share)
        marked = own < offset
        levels = [scores.min() - 1, offset, scores.max() + 1]
        ax.contourf(*np.moveaxis(grid, -1, 0), scores, levels, colors=["white", "#dcebf5"])
        ax.scatter(*X[~marked].T, s=5, color=GREY)
        ax.scatter(*X[marked].T, s=12, color=ORANGE)
        ax.set(
            title=f"contamination={share!r}: {marked.sum()} of {len(X)}", xticks=[], yticks=[]
        )
        ax.title.set_fontsize(10)


def p_values():
    """Sorted p-values, a fixed significance level, and the line of `select`."""
    train, new = moons(0), moons(15, seed=1)
    detector = AEAnomalyDetector(novelty=True, random_state=0).fit(train)
    values, chosen = detector.p_values(new), detector.select(new, fdr=0.2)
    order = np.argsort(values)[:60]
    ax = row_of(1, width=6.4, height=3.4)
    colors = np.where(order < 15, ORANGE, GREY)
    ranks = np.arange(1, len(order) + 1)
    ax.scatter(ranks, values[order], c=colors, s=18, zorder=2)
    for color, label in ((ORANGE, "anomalies"), (GREY, "normal rows")):
        ax.scatter([], [], color=color, s=18, label=label)
    ax.axhline(0.05, color="black", lw=1, ls=":", label="p = 0.05")
    ax.plot(ranks, 0.2 * ranks / len(new), color=BLUE, label="select(fdr=0.2): up to the line")
    count = int(chosen.sum())
    ax.axvline(count + 0.5, color=BLUE, lw=0.8, ls="--", label=f"{count} rows are selected")
    ax.set(xlabel="rank of the p-value", ylabel="p-value", yscale="log")
    ax.legend(fontsize=8, loc="lower right")


def posterior():
    """Codes of two numbers with their uncertainty, and images sampled from both priors."""
    X, y = load_digits(return_X_y=True)
    vae = VAETransformer(2, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        vae.fit(X)
    mean, std = vae.posterior(X)
    ax = row_of(1, width=6.4, height=4.6)
    points = ax.scatter(*mean.T, c=y, cmap="tab10", vmin=-0.5, vmax=9.5, s=5)
    for center, radius in zip(mean[::40], 2 * std[::40], strict=True):
        ax.add_patch(
            plt.matplotlib.patches.Ellipse(
                center, *(2 * radius), fill=False, lw=0.7, color="black"
            )
        )
    plt.colorbar(points, ax=ax, ticks=range(10), label="digit")
    ax.set(xlabel="first number of the code", ylabel="second", aspect="equal")


def samples():
    """New images from the mixture and from the standard normal, beside real ones."""
    X = load_digits().data
    _, axes = plt.subplots(3, 1, figsize=(7, 1.7), layout="constrained")
    rows = {"real": X[:14]}
    for prior in ("mixture", "normal"):
        vae = VAETransformer(8, prior=prior, random_state=0).fit(X)
        rows[f'prior="{prior}"'] = vae.sample(14, random_state=0, noise=False)
    for ax, (name, images) in zip(axes, rows.items(), strict=True):
        picture = np.pad(images.reshape(-1, 8, 8), ((0, 0), (1, 1), (1, 1)))
        ax.imshow(np.concatenate(list(picture), axis=1), cmap="gray_r", vmin=0, vmax=16)
        ax.set(xticks=[], yticks=[])
        ax.set_ylabel(name, rotation=0, ha="right", va="center", fontsize=9)


def denoising():
    """Noisy images, PCA and the denoiser."""
    X = load_digits().data / 16
    train, test = X[:1400], X[1400:1414]
    noise = GaussianNoise(0.4, unit="data", clip=True)
    noisy = noise(test, random_state=0)
    pca = PCA(16).fit(train)
    denoiser = DenoisingAutoencoder(16, corruption=noise, random_state=0).fit(train)
    rows = {
        "clean": test, "with noise": noisy,
        "PCA": pca.inverse_transform(pca.transform(noisy)), "denoised": denoiser.denoise(noisy),
    }  # fmt: skip
    _, axes = plt.subplots(4, 1, figsize=(7, 2.2), layout="constrained")
    for ax, (name, images) in zip(axes, rows.items(), strict=True):
        picture = np.pad(images.reshape(-1, 8, 8), ((0, 0), (1, 1), (1, 1)))
        ax.imshow(np.concatenate(list(picture), axis=1), cmap="gray_r", vmin=0, vmax=1)
        ax.set(xticks=[], yticks=[])
        ax.set_ylabel(name, rotation=0, ha="right", va="center", fontsize=9)


def missing_values():
    """Imputed values of a curved relation, by three imputers."""
    rng = np.random.RandomState(0)
    length = rng.uniform(1, 10, 400)
    full = pd.DataFrame({"length": length, "area": length**2 + rng.normal(0, 3, 400)})
    lost = np.zeros((400, 2), bool)
    lost[:120, 1] = True
    lost[120:180, 0] = True
    incomplete = full.mask(lost)
    imputers = {
        "SimpleImputer": SimpleImputer(), "KNNImputer": KNNImputer(),
        "AEImputer": AEImputer(random_state=0),
    }  # fmt: skip
    axes = row_of(3, sharex=True, sharey=True)
    for ax, (name, imputer) in zip(axes, imputers.items(), strict=True):
        filled = np.asarray(imputer.fit_transform(incomplete))
        known = ~lost.any(axis=1)
        ax.scatter(*filled[known].T, s=6, color=GREY, label="complete rows")
        ax.scatter(*filled[lost[:, 1]].T, s=8, color=BLUE, label="imputed area")
        ax.scatter(*filled[lost[:, 0]].T, s=8, color=ORANGE, label="imputed length")
        ax.set(title=name, xlabel="length")
    axes[0].set_ylabel("area")
    axes[0].legend(fontsize=8)


def draws():
    """Values of one column in several tables of multiple imputation."""
    rng = np.random.RandomState(0)
    size = rng.uniform(1, 10, 400)
    full = pd.DataFrame({"length": size, "price": 3 * size + rng.normal(0, 6, 400)})
    incomplete = full.copy()
    incomplete.loc[:149, "price"] = np.nan
    imputer = AEImputer(random_state=0).fit(incomplete)
    once = imputer.transform(incomplete)
    several = imputer.sample(incomplete, n_draws=5, random_state=0)
    axes = row_of(2, sharex=True, sharey=True)
    for ax, title, tables in zip(
        axes, ("transform", "sample, five tables"), ([once], several), strict=True
    ):
        ax.scatter(full["length"][150:], full["price"][150:], s=6, color=GREY, label="observed")
        for one in tables:
            ax.scatter(one["length"][:150], one["price"][:150], s=6, color=BLUE, alpha=0.5)
        ax.scatter([], [], s=6, color=BLUE, label="imputed")
        ax.set(title=title, xlabel="length")
    axes[0].set_ylabel("price")
    axes[0].legend(fontsize=8)


def waits():
    """Seconds of fits at the defaults, by size of the table."""
    found = table("wait", "seconds of a fit")
    ax = row_of(1, width=6.4, height=3)
    for metric, color in (("PCA", GREY), ("one run, first", GREEN), ("default, first", BLUE)):
        ax.plot(
            list(found), [float(row[metric]) for row in found.values()], "o-", color=color,
            label=metric,
        )  # fmt: skip
    ax.set(yscale="log", ylabel="seconds", xlabel="rows x columns")
    ax.legend(fontsize=8)


def curves():
    """Converged, ended by `max_iter`, and back to PCA."""
    X = load_digits().data
    rng = np.random.RandomState(0)
    plane = (
        rng.normal(size=(400, 2)) @ rng.normal(size=(2, 10)) + rng.normal(size=(400, 10)) / 5
    )
    fits = {
        "converged": (AutoencoderTransformer(8, random_state=0), X),
        "max_iter": (AutoencoderTransformer(8, max_iter=6, random_state=0), X),
        "pca": (AutoencoderTransformer(2, random_state=0), plane),
    }
    axes = row_of(3, height=3.4)
    for ax, (reason, (ae, rows)) in zip(axes, fits.items(), strict=True):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            ae.fit(rows)
        assert ae.stop_reason_ == reason
        LossCurveDisplay.from_estimator(ae, ax=ax)
        ax.set_title(f'stop_reason_ = "{reason}"', fontsize=10)
        ax.set_ylabel("")
        ax.legend(fontsize=8)
    axes[0].set_ylabel("loss")


def starts():
    """Validation loss from the PCA solution, and from random weights."""
    ae = AutoencoderTransformer(4, random_state=0).fit(load_digits().data)
    ax = row_of(1, width=6.4, height=3.4)
    for name, start in ae.starts_.items():
        curve = start["validation_loss_curve"]
        ax.plot(range(1, len(curve) + 1), curve, label=f"{name}: {start['ending']}")
    ax.axhline(ae.best_loss_, color="grey", ls=":", label=f"kept: {ae.init_}")
    ax.set(xlabel="epoch", ylabel="validation loss")
    ax.legend()
