"""ReconstructionDisplay."""

from skae.plotting import _kinds
from skae.plotting._axes import axes_for, set_title
from skae.plotting._rows import choose_kind, numeric, reconstruct
from skae.tables._frames import is_frame
from skae.utils._arrays import column_names


class ReconstructionDisplay:
    """Rows, their reconstructions, and what lies between the two.

    Make it by `from_estimator` or `from_arrays`.

    Parameters
    ----------
    originals : array-like of shape (n_samples, n_features), (n_samples, height, width), \
            (n_samples, height, width, channels) or (n_samples, n_steps, n_features)
        The rows.

    reconstructions : dict of str to array-like of the shape of `originals`
        Reconstructions by the name of what made them.

    kind : {"auto", "image", "series", "table"}, default="auto"
        "image": originals over reconstructions over the absolute error of each pixel.
        "series": one panel for each row (and channel), reconstruction over original.
        "table": differences by row and column in standard deviations of the column over
        all originals. "auto": images where `image_shape` is given or the rows have
        more than one axis, and a table otherwise.

    image_shape : tuple of int, default=None
        (height, width) or (height, width, channels) of the image in each row.

    feature_names : list of str, default=None
        Names of the columns of a table. None: those of a data frame, else x0, x1 and so on.

    n_samples : int, default=10
        How many rows are drawn: the first.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes given, or those made; divided where several panels are needed.

    axes_ : ndarray of matplotlib Axes
        Those drawn in.

    figure_ : matplotlib Figure
        The figure.

    colorbar_ : matplotlib Colorbar or None
        Scale of the errors or differences; None for series.

    See Also
    --------
    skae.metrics.reconstruction_score : The same in one figure.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.decomposition import PCA
    >>> from skae.plotting import ReconstructionDisplay
    >>> X = load_digits().data
    >>> pca = PCA(8).fit(X)
    >>> display = ReconstructionDisplay.from_estimator(pca, X, image_shape=(8, 8))
    >>> [label.get_text() for label in display.ax_.get_yticklabels()]
    ['Original', 'PCA', 'Error']
    """

    def __init__(
        self,
        originals,
        reconstructions,
        *,
        kind="auto",
        image_shape=None,
        feature_names=None,
        n_samples=10,
    ):
        self.originals = originals
        self.reconstructions = reconstructions
        self.kind = kind
        self.image_shape = image_shape
        self.feature_names = feature_names
        self.n_samples = n_samples

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        *,
        n_samples=10,
        kind="auto",
        image_shape=None,
        feature_names=None,
        name=None,
        errors=True,
        ax=None,
    ):
        """Reconstruct X and draw.

        Parameters
        ----------
        estimator : fitted estimator
            With `reconstruct`, or with `transform` and `inverse_transform`: an
            autoencoder, PCA, a Pipeline.

        X : array-like
            Rows, as the estimator takes them. All of them are reconstructed.

        n_samples, kind, image_shape, feature_names
            As in the class.

        name : str, default=None
            What to call the reconstructions. None: by the class of the estimator.

        errors : bool, default=True
            Whether images have error maps.

        ax : matplotlib Axes, default=None
            Where to draw. None: in a new figure.

        Returns
        -------
        ReconstructionDisplay
            The display.
        """
        return cls.from_arrays(
            X,
            {name or _name_of(estimator): reconstruct(estimator, X)},
            n_samples=n_samples,
            kind=kind,
            image_shape=image_shape,
            feature_names=feature_names,
            errors=errors,
            ax=ax,
        )

    @classmethod
    def from_arrays(
        cls,
        originals,
        reconstructions,
        *,
        n_samples=10,
        kind="auto",
        image_shape=None,
        feature_names=None,
        errors=True,
        ax=None,
    ):
        """Draw reconstructions that came from anywhere, of several methods at once.

        Parameters
        ----------
        originals : array-like
            As in the class.

        reconstructions : array-like, or dict of str to array-like
            As in the class; an array is one reconstruction without a name.

        n_samples, kind, image_shape, feature_names
            As in the class.

        errors : bool, default=True
            Whether images have error maps.

        ax : matplotlib Axes, default=None
            Where to draw. None: in a new figure.

        Returns
        -------
        ReconstructionDisplay
            The display.
        """
        if not isinstance(reconstructions, dict):
            reconstructions = {"Reconstruction": reconstructions}
        display = cls(
            originals,
            reconstructions,
            n_samples=n_samples,
            kind=kind,
            image_shape=image_shape,
            feature_names=feature_names,
        )
        return display.plot(ax, errors=errors)

    def plot(self, ax=None, *, errors=True):
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw. None: in a new figure.

        errors : bool, default=True
            Whether images have error maps.

        Returns
        -------
        ReconstructionDisplay
            The display, with its attributes ending in an underscore.
        """
        originals, others = self._arrays()
        names = self.feature_names
        if names is None and is_frame(self.originals):
            names = column_names(self.originals, originals.shape[1])
        kind = choose_kind(self.kind, originals, self.image_shape)
        prepare = _kinds.KINDS[kind]
        size, draw, title = prepare(
            originals,
            others,
            n_shown=min(self.n_samples, len(originals)),
            image_shape=self.image_shape,
            feature_names=names,
            errors=errors,
        )
        ax = axes_for(type(self).__name__, ax, size)
        self.ax_, self.figure_ = ax, ax.figure
        self.axes_, self.colorbar_ = draw(ax)
        set_title(ax, title, self.axes_)
        return self

    def _arrays(self):
        if self.n_samples < 1:
            raise ValueError(f"n_samples must be at least 1; got {self.n_samples!r}.")
        originals = numeric("originals", self.originals)
        if not self.reconstructions:
            raise ValueError("reconstructions must hold at least one; got none.")
        others = {
            str(name): numeric(f"reconstructions[{name!r}]", rows)
            for name, rows in self.reconstructions.items()
        }
        for name, rows in others.items():
            if rows.shape != originals.shape:
                raise ValueError(
                    f"reconstructions must have the shape of the originals, "
                    f"{originals.shape}; {name!r} has {rows.shape}."
                )
        return originals, others


def _name_of(estimator):
    """The class, or that of the last step of a Pipeline."""
    steps = getattr(estimator, "steps", None)
    return type(steps[-1][1] if steps else estimator).__name__
