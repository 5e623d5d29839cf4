"""LatentPathDisplay."""

from dataclasses import KW_ONLY, dataclass
from typing import Any, Self

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
    MISSING,
    MOST_NAMES,
    Array,
    Band,
    Display,
    FromArrays,
    add_grid,
    as_images,
    draw_cells,
    draw_mosaic,
    labels_of_columns,
    limits_of,
    means_of,
    numeric,
    panels_for,
    spreads_of,
)
from skae.tables._frames import is_frame
from skae.utils._arrays import column_names

# Width and height of a cell of a table, and width of all panels, in inches; panels where each
# column has one.
_CELL = 0.62, 0.26
_WIDTH = 17
_MOST_COLUMNS = 9


@dataclass(eq=False, repr=False)
class LatentPathDisplay(Display):
    """Decoded rows along paths through the code: strips, or a grid.

    Make it by `from_estimator` (interpolation), `from_traversal` (one number of the code
    varies), `from_grid` (two vary) or `from_arrays`.

    Parameters
    ----------
    rows : array-like of shape (n_strips, n_steps, n_features) or \
            (n_strips, n_steps, height, width[, channels])
        Decoded rows; objects, where those of a table have categories or dates.

    image_shape : tuple of int, default=None
        (height, width) or (height, width, channels) of the image in each row. Without
        it rows of one axis are drawn as lines, or as a table.

    strip_labels : list of str, default=None
        Labels of the strips.

    step_labels : list of str, default=None
        Labels of the steps.

    value_range : tuple of (float, float), default=None
        Least and largest value on the scale of grey or colour. None: those of `rows`.

    xlabel, ylabel, title : str, default=""
        What the steps are, what the strips are, and what all of it is.

    feature_names : list of str, default=None
        Names of the columns of a table, of which values are drawn in cells. At most 30 columns
        are drawn: those that change most. None: rows are images or lines, unless they are
        objects.

    deviations : array-like of shape (n_features,), default=None
        Standard deviations of the columns of a table, in which its colours show differences
        from the mean of what is drawn. None: those of `rows`.

    by_column : bool, default=False
        Whether a table has a panel for each column, with strips and steps, and not one for
        each strip, with columns and steps.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes given, or those made; divided where rows are drawn as lines or tables.

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
    >>> ends = X[[0]], X[[1]]
    >>> display = LatentPathDisplay.from_estimator(ae, *ends, image_shape=(8, 8))
    >>> display.rows.shape
    (1, 10, 64)
    """

    rows: Any
    _: KW_ONLY
    image_shape: tuple[int, ...] | None = None
    strip_labels: list[str] | None = None
    step_labels: list[str] | None = None
    value_range: tuple[float, float] | None = None
    xlabel: str = ""
    ylabel: str = ""
    title: str = ""
    feature_names: list[str] | None = None
    deviations: ArrayLike | None = None
    by_column: bool = False

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X_start: Any,
        X_end: Any,
        *,
        n_steps: int = 10,
        weights: Any = None,
        method: str = "auto",
        image_shape: tuple[int, ...] | None = None,
        feature_names: list[str] | None = None,
        cmap: str = "gray",
        ax: Any = None,
    ) -> Self:
        """Draw the paths from rows to other rows, and return the display.

        Parameters
        ----------
        estimator : fitted transformer
            With `inverse_transform`: an autoencoder, PCA, a Pipeline.

        X_start, X_end, n_steps, weights, method
            As in :meth:`skae.AutoencoderTransformer.interpolate`.

        image_shape, feature_names, cmap, ax
            As in the class and in `plot`. Data frames have the names of their columns.
        """
        rows = interpolate(estimator, X_start, X_end, n_steps, weights, method)
        shares = np.linspace(0, 1, n_steps) if weights is None else numbers("weights", weights)
        # On the scales of the rows behind the path: grey means the same in both.
        return cls._of_data(
            (X_start, X_end),
            rows,
            image_shape=image_shape,
            step_labels=[f"{share:.0%}" for share in shares],
            strip_labels=[f"Pair {i}" for i in range(len(rows))] if len(rows) > 1 else None,
            xlabel="Share of the way through the code",
            title="From row to row through the code",
            feature_names=feature_names,
            cmap=cmap,
            ax=ax,
        )

    @classmethod
    def from_traversal(
        cls,
        estimator: Any,
        X: Any,
        *,
        start: Any = None,
        components: Any = None,
        n_values: int = 7,
        values: Any = None,
        image_shape: tuple[int, ...] | None = None,
        feature_names: list[str] | None = None,
        cmap: str = "gray",
        ax: Any = None,
    ) -> Self:
        """Draw what each number of the code does, a strip for each, and return the display.

        Parameters
        ----------
        estimator : fitted transformer
            With `inverse_transform`: an autoencoder, PCA, a Pipeline.

        X, start, components, n_values, values
            As in :meth:`skae.AutoencoderTransformer.latent_traversal`.

        image_shape, feature_names, cmap, ax
            As in the class and in `plot`. Data frames have the names of their columns.
        """
        codes, used = traversal_codes(estimator, X, start, components, n_values, values)
        chosen = check_components(components, codes.shape[-1])
        if values is None:
            steps = [f"{step:+.2g}" if step else "0" for step in np.linspace(-2, 2, n_values)]
            xlabel = "Standard deviations from the mean of each component"
        else:
            steps, xlabel = _short(used[0]), "Value of the component"
        return cls._of_data(
            (X,),
            decode(estimator, codes),
            image_shape=image_shape,
            strip_labels=[str(component) for component in chosen],
            step_labels=steps,
            xlabel=xlabel,
            ylabel="Component of the code",
            title="One number of the code varies",
            feature_names=feature_names,
            cmap=cmap,
            ax=ax,
        )

    @classmethod
    def from_grid(
        cls,
        estimator: Any,
        X: Any,
        *,
        start: Any = None,
        components: Any = (0, 1),
        n_values: int = 9,
        values: Any = None,
        image_shape: tuple[int, ...] | None = None,
        feature_names: list[str] | None = None,
        cmap: str = "gray",
        ax: Any = None,
    ) -> Self:
        """Draw rows decoded from a plane of the code, and return the display.

        Parameters
        ----------
        estimator : fitted transformer
            With `inverse_transform`: an autoencoder, PCA, a Pipeline.

        X, start, n_values, values
            As in :meth:`skae.AutoencoderTransformer.latent_traversal`.

        components : (int, int), default=(0, 1)
            The columns of the code that vary: along the strips, and from bottom to top.

        image_shape, feature_names, cmap, ax
            As in the class and in `plot`. Data frames have the names of their columns.
        """
        across, up = check_components(components, encode(estimator, X, "X").shape[1], 2)
        codes, used = traversal_codes(
            estimator, X, start, components, n_values, values, together=True
        )
        return cls._of_data(
            (X,),
            # Upwards, as in a scatter plot of the codes.
            decode(estimator, codes)[::-1],
            image_shape=image_shape,
            strip_labels=_short(used[1, ::-1]),
            step_labels=_short(used[0]),
            xlabel=f"Component {across} of the code",
            ylabel=f"Component {up} of the code",
            title="A plane of the code, decoded",
            feature_names=feature_names,
            by_column=True,
            cmap=cmap,
            ax=ax,
        )

    @classmethod
    def _of_data(cls, given: tuple[Any, ...], rows: Array, **params: Any) -> Self:
        """Draw decoded rows on the scales of given ones, with the names of their columns."""
        values = np.concatenate([numeric("X", X, takes_texts=True).values for X in given])
        if params["feature_names"] is None and is_frame(given[0]):
            params["feature_names"] = column_names(given[0], 0)
        deviations = spreads_of(values) if values.ndim == 2 else None
        scales: Any = {"value_range": limits_of(values), "deviations": deviations}
        return cls.from_arrays(rows, **scales, **params)

    from_arrays = FromArrays("Draw decoded rows from anywhere, and return the display.")

    def plot(self, ax: Any = None, *, cmap: str = "gray") -> Self:
        """Draw, and return the display.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw. None: in a new figure.

        cmap : str, default="gray"
            Colour map of images of one channel.
        """
        rows = np.asarray(self.rows)
        are_named = self.feature_names is not None or rows.dtype.kind == "O"
        if are_named and rows.ndim == 3 and self.image_shape is None:
            self._draw_table(ax, rows)
            return self
        rows = numeric("rows", self.rows).values
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
                panel.plot(line, color="C0")
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

    def _draw_table(self, ax: Any, rows: Array) -> None:
        """Draw values of a table, (n_strips, n_steps, n_features)."""
        n_strips, n_steps, n_features = rows.shape
        names = labels_of_columns(self.feature_names, None, n_features)
        n_panels = min(n_features, _MOST_COLUMNS) if self.by_column else n_strips
        across = min(n_panels, max(int(_WIDTH / (_CELL[0] * n_steps)), 1))
        down = -(-n_panels // across)
        n_shown = n_panels if self.by_column else max(MOST_NAMES // down, 6)
        table = numeric("rows", rows.reshape(-1, n_features), takes_texts=True)
        values = table.values - means_of(table.values)
        given = self.deviations
        values /= spreads_of(table.values) if given is None else np.asarray(given)
        change = np.ptp(np.nan_to_num(values), axis=0)
        for j in table.categories:
            change[j] = np.inf if len(set(table.texts[j][0])) > 1 else 0
        shown = np.sort(np.argsort(-change, kind="stable")[:n_shown])
        title = self.title
        if len(shown) < n_features:
            title += f"\nthe {len(shown)} of {n_features} columns that change most"
        order = (2, 0, 1) if self.by_column else (0, 2, 1)
        blocks, written = (
            each[:, shown].reshape(n_strips, n_steps, -1).transpose(order)
            for each in (values, table.written(MISSING))
        )
        strips, steps = self.strip_labels or [""] * n_strips, self.step_labels or []
        labels = [names[j] for j in shown]
        titles = [f"{self.ylabel} {strip}".strip() for strip in strips]
        if self.by_column:
            labels, titles = strips, labels
        size = (
            _CELL[0] * n_steps * across + 2.6,
            max((_CELL[1] * blocks.shape[1] + 0.5) * down + 1.2, 3),
        )
        shared = {"sharex": True, "sharey": True}
        axes = panels_for(self, ax, size, title, down, across, **shared)
        most = max(np.abs(limits_of(blocks))) or 1
        for panel, block, text, of_panel in zip(
            axes.flat, blocks, written, titles, strict=False
        ):
            picture = draw_cells(panel, block, most, text)
            panel.set_xticks(range(len(steps)), steps)
            panel.set_yticks(range(len(labels)), labels)
            if axes.size > 1:
                panel.set_title("\n".join(filter(None, (panel.get_title(), of_panel))))
        for spare in axes.flat[len(blocks) :]:
            spare.set_axis_off()
        for panel in axes[-1]:
            panel.set_xlabel(self.xlabel)
        for panel in axes[:, 0] if self.by_column else ():
            panel.set_ylabel(self.ylabel)
        label = "Difference from the mean\n(standard deviations of the column)"
        self.figure_.colorbar(picture, ax=list(axes.flat), label=label, pad=0.02)


def _short(values: Array) -> list[str]:
    """Numbers as short texts; one that is zero but for rounding is 0."""
    most = np.abs(values).max()
    return [f"{0 if abs(v) < 1e-9 * most else v:.{2 if most < 100 else 4}g}" for v in values]
