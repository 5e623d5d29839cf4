"""LatentPathDisplay."""

from dataclasses import KW_ONLY, dataclass

import numpy as np
from numpy.typing import ArrayLike

from skae.estimators._latent_paths import (
    check_components,
    decode,
    encode,
    interpolate,
    numbers,
    traversal_codes,
)
from skae.plotting._drawing import (
    COLORS,
    Band,
    add_grid,
    as_images,
    draw_mosaic,
    limits_of,
    numeric,
    panels_for,
)


@dataclass(eq=False, repr=False)
class LatentPathDisplay:
    """Decoded rows along paths through the code: strips, or a grid.

    Make it by `from_estimator` (interpolation), `from_traversal` (one number of the code
    varies), `from_grid` (two vary) or `from_arrays`.

    Parameters
    ----------
    rows : array-like of shape (n_strips, n_steps, n_features) or \
            (n_strips, n_steps, height, width[, channels])
        Decoded rows.

    image_shape : tuple of int, default=None
        (height, width) or (height, width, channels) of the image in each row. Without
        it rows of one axis are drawn as lines.

    strip_labels : list of str, default=None
        Labels of the strips.

    step_labels : list of str, default=None
        Labels of the steps.

    value_range : tuple of (float, float), default=None
        Least and largest value on the scale of grey or colour. None: those of `rows`.

    xlabel, ylabel, title : str, default=""
        What the steps are, what the strips are, and what all of it is.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes given, or those made; divided where rows are drawn as lines.

    axes_ : ndarray of matplotlib Axes
        Those drawn in.

    figure_ : matplotlib Figure
        The figure.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import AutoencoderTransformer
    >>> from skae.plotting import LatentPathDisplay
    >>> X = load_digits().data
    >>> ae = AutoencoderTransformer(8, max_iter=5, tol=None, random_state=0).fit(X)
    >>> zero, one = X[[0]], X[[1]]
    >>> display = LatentPathDisplay.from_estimator(ae, zero, one, image_shape=(8, 8))
    >>> display.rows.shape
    (1, 10, 64)
    """

    rows: ArrayLike
    _: KW_ONLY
    image_shape: tuple[int, ...] | None = None
    strip_labels: list[str] | None = None
    step_labels: list[str] | None = None
    value_range: tuple[float, float] | None = None
    xlabel: str = ""
    ylabel: str = ""
    title: str = ""

    @classmethod
    def from_estimator(
        cls, estimator, X_start, X_end, *, n_steps=10, weights=None, method="auto", **params
    ):
        """Draw the paths from rows to other rows, and return the display.

        Parameters
        ----------
        estimator : fitted transformer
            With `inverse_transform`: an autoencoder, PCA, a Pipeline.

        X_start, X_end, n_steps, weights, method
            As in :meth:`skae.AutoencoderTransformer.interpolate`.

        **params : dict
            `image_shape` and `ax`, as in the class and in `plot`.
        """
        rows = interpolate(estimator, X_start, X_end, n_steps, weights, method)
        shares = np.linspace(0, 1, n_steps) if weights is None else numbers("weights", weights)
        return cls.from_arrays(
            rows,
            step_labels=[f"{share:.0%}" for share in shares],
            strip_labels=[f"Pair {i}" for i in range(len(rows))] if len(rows) > 1 else None,
            # Of the rows behind the path: grey means the same in both.
            value_range=limits_of(numeric("X", X_start), numeric("X", X_end)),
            xlabel="Share of the way through the code",
            title="From row to row through the code",
            **params,
        )

    @classmethod
    def from_traversal(
        cls, estimator, X, *, start=None, components=None, n_values=7, values=None, **params
    ):
        """Draw what each number of the code does, a strip for each, and return the display.

        Parameters
        ----------
        estimator : fitted transformer
            With `inverse_transform`: an autoencoder, PCA, a Pipeline.

        X, start, components, n_values, values
            As in :meth:`skae.AutoencoderTransformer.latent_traversal`.

        **params : dict
            `image_shape` and `ax`, as in the class and in `plot`.
        """
        codes, used = traversal_codes(estimator, X, start, components, n_values, values)
        chosen = check_components(components, codes.shape[-1])
        if values is None:
            steps = [f"{step:+.2g}" if step else "0" for step in np.linspace(-2, 2, n_values)]
            xlabel = "Standard deviations from the mean of each component"
        else:
            steps, xlabel = [f"{value:.3g}" for value in used[0]], "Value of the component"
        return cls.from_arrays(
            decode(estimator, codes),
            strip_labels=[str(component) for component in chosen],
            step_labels=steps,
            value_range=limits_of(numeric("X", X)),
            xlabel=xlabel,
            ylabel="Component of the code",
            title="One number of the code varies",
            **params,
        )

    @classmethod
    def from_grid(
        cls, estimator, X, *, start=None, components=(0, 1), n_values=9, values=None, **params
    ):
        """Draw rows decoded from a plane of the code, and return the display.

        Parameters
        ----------
        estimator : fitted transformer
            With `inverse_transform`: an autoencoder, PCA, a Pipeline.

        X, start, n_values, values
            As in :meth:`skae.AutoencoderTransformer.latent_traversal`.

        components : (int, int), default=(0, 1)
            The columns of the code that vary: along the strips, and from bottom to top.

        **params : dict
            `image_shape` and `ax`, as in the class and in `plot`.
        """
        across, up = check_components(components, encode(estimator, X, "X").shape[1], 2)
        codes, used = traversal_codes(
            estimator, X, start, components, n_values, values, together=True
        )
        return cls.from_arrays(
            # Upwards, as in a scatter plot of the codes.
            decode(estimator, codes)[::-1],
            strip_labels=[f"{value:.2g}" for value in used[1, ::-1]],
            step_labels=[f"{value:.2g}" for value in used[0]],
            value_range=limits_of(numeric("X", X)),
            xlabel=f"Component {across} of the code",
            ylabel=f"Component {up} of the code",
            title="A plane of the code, decoded",
            **params,
        )

    @classmethod
    def from_arrays(cls, rows, *, ax=None, **params):
        """Draw decoded rows that came from anywhere, and return the display.

        Parameters are those of the class and of `plot`.
        """
        return cls(rows, **params).plot(ax)

    def plot(self, ax=None, *, cmap="gray"):
        """Draw, and return the display.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw. None: in a new figure.

        cmap : str, default="gray"
            Colour map of images of one channel.
        """
        rows = numeric("rows", self.rows)
        if rows.ndim < 3:
            raise ValueError(
                f"rows must be (n_strips, n_steps, n_features, ...); got shape {rows.shape}."
            )
        n_strips, n_steps = rows.shape[:2]
        strip_labels = self.strip_labels or [""] * n_strips
        if self.image_shape is not None or rows.ndim > 3:
            strips = [as_images(strip, self.image_shape) for strip in rows]
            bands = [Band(*each) for each in zip(strip_labels, strips, strict=True)]
            limits = self.value_range or limits_of(rows)
            draw_mosaic(self, ax, bands, limits, self.title, cmap, self.step_labels)
            self.ax_.set(xlabel=self.xlabel, ylabel=self.ylabel)
        else:
            size = (max(1.2 * n_steps + 1.2, 6.4), 1.2 * n_strips + 1.4)
            shared = {"sharex": True, "sharey": True}
            axes = panels_for(self, ax, size, self.title, n_strips, n_steps, **shared)
            for panel, line in zip(axes.flat, rows.reshape(-1, rows.shape[2]), strict=True):
                panel.plot(line, color=COLORS[0])
                add_grid(panel, alpha=0.25)
            for panel, label in zip(axes[-1], self.step_labels or [""] * n_steps, strict=True):
                panel.set(xlabel=label, xticks=[])
            for panel, label in zip(axes[:, 0], strip_labels, strict=True):
                panel.set_ylabel(f"{label}\nunits of X".strip())
            middle, left = axes[-1, n_steps // 2], axes[n_strips // 2, 0]
            middle.set_xlabel(f"{middle.get_xlabel()}\n{self.xlabel}")
            if self.ylabel:
                left.set_ylabel(f"{self.ylabel}\n{left.get_ylabel()}")
        return self
