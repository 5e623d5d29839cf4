"""DenoisingAutoencoder."""

from collections.abc import Callable
from dataclasses import replace
from numbers import Real
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from skae.corruption._corruptions import CORRUPTIONS, Corruption, Spread
from skae.estimators._base import BaseAutoencoder
from skae.estimators._latent_paths import LatentPathsMixin
from skae.estimators._parameters import (
    CONSTRAINTS,
    ReconstructionLossMixin,
    TableTagsMixin,
)
from skae.losses._penalties import Penalty
from skae.metrics import variance_explained
from skae.networks._base import Network
from skae.utils._calls import restores_state_on_error
from skae.utils._sklearn import Interval, StrOptions, fit_context


class DenoisingAutoencoder(
    TableTagsMixin, LatentPathsMixin, ReconstructionLossMixin, BaseAutoencoder
):
    """Autoencoder that reconstructs clean rows from corrupted ones [1]_.

    Rows are corrupted afresh in every epoch, by a corruption chosen by name or as an object,
    or come with their targets: ``fit(X, target=X_clean)``. Tables and missing values come as
    in :class:`AutoencoderTransformer`; whole values of a table are corrupted.

    Training starts at the best linear denoiser through the principal axes; held-out rows are
    corrupted once, so that epochs are compared on the same noise.

    Parameters
    ----------
    n_components : int or float, default=0.99
        Number of columns of the code. A float between 0 and 1 is a share of variance: the
        code has as many columns as PCA needs to explain it; by default, nearly all of it.

    hidden_layer_sizes : int or array-like of shape (n_layers,), default=(256, 128)
        Widths of the encoder's hidden layers; the decoder has them in reverse. An empty
        tuple makes the network linear.

    network : ConvNetwork, RecurrentNetwork, KerasNetwork or None, default=None
        Networks for images and series, or models of one's own, from
        :mod:`skae.networks`. The first two stand beside dense layers of the sizes
        `hidden_layer_sizes`. None: dense layers only.

    activation : str, default="relu"
        Activation of the hidden layers: "elu", "gelu", "leaky_relu", "relu", "selu", "sigmoid"
        (or "logistic"), "silu", "softplus", "softsign", "tanh", "linear" (or "identity").

    code_activation : str, default="identity"
        Activation of the code.

    output_activation : str, default="auto"
        Activation of the output. "auto": "sigmoid" for the binary cross-entropy and
        "identity" otherwise. With any other than the identity the output is not scaled
        back: X must lie where the activation can reach.

    normalization : {"batch", "layer"} or None, default=None
        Layer between a hidden layer and its activation.

    dropout : float, default=0.0
        Share of the hidden units that are dropped in each training step.

    tied_weights : bool, default=False
        Whether the decoder's kernels are the encoder's, transposed.

    loss : {"squared_error", "absolute_error", "huber", "binary_crossentropy", "cosine", \
            "ssim"}, keras.losses.Loss or callable, default="squared_error"
        What is compared between a row and its reconstruction, the mean over columns. "huber"
        turns from squared to absolute at one `scale_`; "binary_crossentropy" and "ssim", the
        structural similarity of images, want X in [0, 1]; "cosine" compares directions of
        centred rows. A Keras loss, or a function of target and output, sees standardised rows.

    penalty : {"linear", "l1", "kl", "contractive"}, Penalty or None, default="linear"
        What is added to the loss: "linear" keeps the code near the principal components, which
        a linear model after `transform` can use (:class:`~skae.losses.LinearCode`); a sparse
        code by :class:`~skae.losses.L1Sparsity` or :class:`~skae.losses.KLSparsity`, a code
        that changes little with the row by :class:`~skae.losses.Contractive`; by name at their
        default weight.

    corruption : {"auto", "gaussian", "masking", "salt_and_pepper", "swap"}, Corruption or \
            None, default="auto"
        The corruption of rows before they are encoded in training: see
        :mod:`skae.corruption`. "auto": "gaussian", or None where `fit` is given a target.
        None: they are encoded as they come.

    corruption_level : float, default=0.5
        Level of a corruption given by name: for "gaussian" the standard deviation of the
        noise in standard deviations of each column, for the others the share of the values.
        An object brings its own.

    init : {"pca", "random"}, default="pca"
        Where training starts. "random": the plain network, without the linear path,
        at Glorot's uniform weights. A dense network's code that a rectifier would cut off
        ("relu", "elu" or "leaky_relu", no other penalty) is shifted to where it is positive.
        With "pca", where the principal components explain less than 80 % of the variance
        and rows are held out, random weights are tried too, and the better of the two is
        kept: see `starts_`. Not with a `penalty` but "linear".

    optimizer : str or keras.optimizers.Optimizer, default="adam"
        A Keras optimizer by name or an object, whose configuration is copied.

    learning_rate : "auto", float or keras.optimizers.schedules.LearningRateSchedule, \
            default="auto"
        For an optimizer given by name; an object brings its own. "auto": a high rate is
        held as long as the loss makes progress and then falls to zero, in three epochs for
        every seven before [2]_. It is 0.002 for networks with dense hidden layers, rising
        to 0.003 between one and four thousand training rows, and 0.001 for others, times the
        root of `batch_size` over 32, of at most 128. Gradients are cut to a norm of 1.
        `partial_fit` takes 0.001.

    weight_decay : float, default=0.0
        Share of the learning rate by which all weights shrink in a step, for an optimizer
        given by name.

    batch_size : int or "auto", default="auto"
        Rows in a training step. "auto": 32 for up to 8,000 training rows, and of more one in
        256, at most 128. With ``learning_rate="auto"`` the batch grows to 1,024 for 64,000
        rows, and is 128 or more where columns outnumber rows. With a ConvNetwork or a
        RecurrentNetwork beside dense layers one row in ten, at least 32 and at most 128.

    max_iter : int, default=100
        Epochs at most, from each start.

    early_stopping : bool, default=True
        Whether rows are held out to choose the best epoch and to stop. With fewer than ten rows
        the training rows themselves are used. If False, all rows are trained on, training stops
        when its own loss makes no progress, and the last epoch is kept.

    validation_fraction : float, default=0.1
        Share of the rows that are held out; of more than 64 MiB of rows, at most 32 MiB and
        20,000 rows.

    n_iter_no_change : int, default=10
        Epochs without progress after which training stops, or with
        ``learning_rate="auto"`` the rate begins to fall: of more than a quarter of a million
        training rows parts of an epoch, each of 131,072 rows or more.

    tol : float or None, default=5e-4
        What counts as progress: for the squared error, a share of the variance. With
        ``learning_rate="auto"`` the loss must also fall by 2 %, where that is more. None:
        train for `max_iter` epochs.

    warm_start : bool, default=False
        Whether `fit` goes on from where the last one ended: centre, scale, latent size
        and network stay as they are.

    categorical_features : "from_dtype" or array-like of {bool, int, str}, default="from_dtype"
        Of a table, the columns that are categories: a mask, positions, or names.
        "from_dtype": booleans, categorical dtypes and strings that are no dates are. What
        is declared is a table in any case, an array too.

    standardize : "auto" or bool, default="auto"
        Whether each column of numbers is divided by its own standard deviation, and not all
        by one number. "auto": in tables with a column that is no number; numbers alone are
        taken as given, as by PCA.

    clip : bool, default=True
        Of a table, whether numbers that are decoded stay in the range seen in fit.

    random_state : int, RandomState instance or None, default=None
        Seeds the split, the weights and the order of the rows. An int gives the same
        result in every call on the same machine.

    verbose : bool or int, default=False
        Whether progress is printed: the epoch, the seconds that remain at most, the loss, and
        the share of variance explained of held-out rows beside PCA's (for other losses than the
        squared error, their loss beside that of the start); in the end, what is kept and why
        training ended. True or 1: a line that is updated in a terminal or notebook, and about
        ten lines for each start elsewhere; 2: a line for every epoch.

    Attributes
    ----------
    n_components_ : int
        Number of columns of the code.

    explained_variance_ratio_ : ndarray of shape (n_components_,)
        Share of the variance of the training rows, or of 100 to 1,000 of them, that is lost
        where a column of the code is set to its mean; of a table as in `score`. PCA's code has
        the values of :class:`~sklearn.decomposition.PCA`; other columns share what they
        explain, so that the sum is not `score`. Set by `fit`.

    mean_ : ndarray of shape (n_features,)
        Mean of each column, in the units of the data; zeros for a table, which `table_`
        centres.

    scale_ : float or ndarray of shape (n_features,)
        Divisor of X: the root of the mean variance of the columns, or with
        ``standardize=True`` their standard deviations; 1 for a table, which `table_` scales.

    loss_curve_ : list of float
        Mean training loss in each epoch, in the units of the data (squared, for the
        squared error).

    validation_loss_curve_ : list of float or None
        Mean validation loss after each epoch: on the held-out rows or, of fewer than ten
        rows, on all of them; None with ``early_stopping=False`` and after `partial_fit`.

    init_ : {"pca", "random"}
        The initialization that was kept, to which the other attributes of training refer.

    start_loss_ : float
        Validation loss before the first epoch; NaN without `validation_loss_curve_`.

    best_loss_ : float
        Validation loss of the epoch that was kept, or its training loss where there is none;
        `start_loss_` where the principal components are kept.

    best_iter_ : int
        The epoch that was kept; 0 is the start.

    n_iter_ : int
        Number of epochs trained.

    stop_reason_ : str
        Why training ended: "converged"; "pca", converged to nothing better than the start,
        which is kept; "max_iter", before it converged, with a
        :class:`~sklearn.exceptions.ConvergenceWarning` unless ``tol=None`` or in
        `partial_fit`; "callback", "interrupted" or "diverged".

    starts_ : dict of str to dict
        Of each start, "pca", "random" or both: "loss_curve", "validation_loss_curve",
        "best_loss" and "n_iter", as the attributes of these names; "ending", "max_iter" or
        another reason as in `stop_reason_`, or "behind" the first start; "seconds", compilation
        included. A fit that continues training does not change it.

    encoder_ : keras.Model
        From rows in the units of the data, or what `table_` makes of them, to codes; made
        anew each time it is asked for.

    decoder_ : keras.Model
        From codes to rows in the units of the data, made anew each time. Of a table, to
        numbers as `table_` has them, and a logit for each flag of a category.

    columns_ : dict
        The kind of each column by its name, as in :class:`~skae.tables.TabularEncoder`;
        "numeric" for all, where all columns are numbers.

    table_ : TabularEncoder or None
        Encodes a table into the matrix that the networks take; None: X is taken as it is.

    n_features_in_ : int
        Number of columns seen during fit.

    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns, where X had any.

    See Also
    --------
    AutoencoderTransformer : Reads rows as they come.
    skae.corruption : What may happen to a row.

    References
    ----------
    .. [1] P. Vincent, H. Larochelle, I. Lajoie, Y. Bengio and P.-A. Manzagol, "Stacked
       Denoising Autoencoders: Learning Useful Representations in a Deep Network with a
       Local Denoising Criterion", Journal of Machine Learning Research 11, 2010.

    .. [2] A. Haegele et al., "Scaling Laws and Compute-Optimal Training Beyond Fixed
       Training Durations", NeurIPS 2024.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from skae import DenoisingAutoencoder
    >>> from skae.corruption import GaussianNoise
    >>> X = load_digits().data / 16
    >>> train, test = X[:1400], X[1400:]
    >>> noise = GaussianNoise(0.3, unit="data", clip=True)
    >>> ae = DenoisingAutoencoder(16, corruption=noise, random_state=0).fit(train)
    >>> noisy = noise(test, random_state=0)
    >>> error = np.square(noisy - test).mean()
    >>> bool(np.square(ae.denoise(noisy) - test).mean() < 0.5 * error)
    True
    """

    _parameter_constraints: dict = {
        **CONSTRAINTS,
        "corruption": [StrOptions({"auto"} | set(CORRUPTIONS)), Corruption, None],
        "corruption_level": [Interval(Real, 0, None, closed="left")],
    }

    def __init__(
        self,
        n_components: float = 0.99,
        *,
        hidden_layer_sizes: ArrayLike = (256, 128),
        network: Network | None = None,
        activation: str = "relu",
        code_activation: str = "identity",
        output_activation: str = "auto",
        normalization: str | None = None,
        dropout: float = 0.0,
        tied_weights: bool = False,
        loss: str | Callable[..., Any] = "squared_error",
        penalty: str | Penalty | None = "linear",
        corruption: str | Corruption | None = "auto",
        corruption_level: float = 0.5,
        init: str = "pca",
        optimizer: Any = "adam",
        learning_rate: Any = "auto",
        weight_decay: float = 0.0,
        batch_size: int | str = "auto",
        max_iter: int = 100,
        early_stopping: bool = True,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        tol: float | None = 5e-4,
        warm_start: bool = False,
        categorical_features: ArrayLike = "from_dtype",
        standardize: bool | str = "auto",
        clip: bool = True,
        random_state: int | np.random.RandomState | None = None,
        verbose: int | bool = False,
    ) -> None:
        self.n_components = n_components
        self.hidden_layer_sizes = hidden_layer_sizes
        self.network = network
        self.activation = activation
        self.code_activation = code_activation
        self.output_activation = output_activation
        self.normalization = normalization
        self.dropout = dropout
        self.tied_weights = tied_weights
        self.loss = loss
        self.penalty = penalty
        self.corruption = corruption
        self.corruption_level = corruption_level
        self.init = init
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.warm_start = warm_start
        self.categorical_features = categorical_features
        self.standardize = standardize
        self.clip = clip
        self.random_state = random_state
        self.verbose = verbose

    @restores_state_on_error
    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None, target: Any = None, sample_weight: Any = None) -> Self:  # type: ignore[override]
        """Train the autoencoder on X.

        Parameters
        ----------
        X : data frame or array-like of shape (n_samples, n_features) or (n_samples, ...)
            Training rows, at least two, as in :class:`AutoencoderTransformer`.

        y : Ignored
            Not used, present for API consistency by convention.

        target : array-like of shape (n_samples, n_outputs) or (n_samples, ...), default=None
            What each row should become, in any shape. None: X itself.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.

        Returns
        -------
        self : object
            The fitted estimator. When `fit` fails, or is interrupted before there is
            anything to keep, what was fitted before is kept.
        """
        return self._fit(X, y, target, sample_weight)

    @restores_state_on_error
    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(  # type: ignore[override]
        self, X: Any, y: Any = None, target: Any = None, sample_weight: Any = None
    ) -> Self:
        """Train for one epoch on X, going on from where training stands.

        As `AutoencoderTransformer.partial_fit`; `early_stopping` has no effect.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Training rows.

        y : Ignored
            Not used, present for API consistency by convention.

        target : array-like of shape (n_samples, n_outputs) or (n_samples, ...), default=None
            What each row should become.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.

        Returns
        -------
        self : object
            The fitted estimator.
        """
        return self._fit(X, y, target, sample_weight, one_epoch=True)

    def denoise(self, X: Any) -> Any:
        """Encode corrupted rows as they come and decode them.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Corrupted rows.

        Returns
        -------
        ndarray of shape (n_samples, n_features) or (n_samples, ...)
            What the rows should have been, in the shape of the target.
        """
        return self.reconstruct(X)

    def score_samples(self, X: Any, target: Any = None) -> np.ndarray:
        """Minus the loss of each row, which is encoded as it comes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Rows.

        target : array-like of shape (n_samples, n_outputs) or (n_samples, ...), default=None
            What they should become. None: X itself.

        Returns
        -------
        ndarray of shape (n_samples,)
            Minus the mean over columns of the loss that was trained, in the units of
            the target (squared, for the squared error).
        """
        check_is_fitted(self)
        return -self._model.unit * self._model.losses(self._rows(X, target))

    def score(  # type: ignore[override]
        self, X: Any, y: Any = None, target: Any = None, sample_weight: Any = None
    ) -> float:
        """Share of the variance of the target that the reconstruction of X explains.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Rows, as they come.

        y : Ignored
            Not used, present for API consistency by convention.

        target : array-like of shape (n_samples, n_outputs) or (n_samples, ...), default=None
            What they should become. None: X itself.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.

        Returns
        -------
        float
            At most 1; 0 is what the mean of the target would reach.
        """
        check_is_fitted(self)
        if target is None:
            return super().score(X, sample_weight=sample_weight)
        rows = self._rows(X, target).dense()
        output = self._model.reconstruct(rows.inputs)
        return variance_explained(rows.outputs, output, sample_weight)

    # What is trained

    def _new_model(self, preprocessing, rows, fitted):
        model = super()._new_model(preprocessing, rows, fitted)
        spread, corruption = model.spread, self.corruption
        if spread is None:
            groups = preprocessing.value_groups if preprocessing.is_table else None
            spread = Spread.from_data(rows.inputs, rows.weight, groups)
        if corruption == "auto":
            corruption = "gaussian" if rows.has_own_targets else None
        if isinstance(corruption, str):
            corruption = CORRUPTIONS[corruption](self.corruption_level)
        return replace(model, spread=spread, corruption=corruption)
