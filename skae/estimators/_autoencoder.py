"""AutoencoderTransformer."""

from collections.abc import Callable
from copy import copy
from numbers import Integral
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_scalar
from sklearn.utils.validation import check_is_fitted

from skae.estimators._base import BaseAutoencoder
from skae.estimators._latent_paths import LatentPathsMixin
from skae.estimators._ordered import MOST_ROWS, OrderedModel
from skae.estimators._parameters import (
    CONSTRAINTS,
    ReconstructionLossMixin,
    TableTagsMixin,
    network_parameters,
)
from skae.losses._penalties import Penalty
from skae.networks._base import Network


class AutoencoderTransformer(
    TableTagsMixin, LatentPathsMixin, ReconstructionLossMixin, BaseAutoencoder
):
    """Dimensionality reduction by an autoencoder.

    A network encodes each row in `n_components` numbers and decodes them again; it is
    trained to make the reconstruction like the row [1]_. Used as
    :class:`~sklearn.decomposition.PCA` is, and, like PCA, it centres the data and takes
    the columns as they come: scale them in a Pipeline where their units differ.

    A missing value is at the mean of its column where the encoder needs it, and does not
    count in the loss. Tables with strings, categories, booleans or dates come as data frames,
    unprepared: their columns are brought to comparable size by a
    :class:`~skae.tables.TabularEncoder`, each is compared by the loss of its kind (the
    cross-entropy for categories) over the values that are observed, and what is decoded is a
    data frame again.

    Training starts at the PCA solution: encoder and decoder have a linear path beside
    their hidden layers, set to the principal axes, and the hidden layers add nothing
    yet. Rows are held out, the epoch that reconstructs them best is kept, and where it
    is not better than the principal components by more than chance explains, these are
    kept.

    Parameters
    ----------
    n_components : int or float, default=2
        Number of columns of the code. A float between 0 and 1 is a share of variance:
        the code has as many columns as PCA needs to explain it.

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

    ordered : bool, default=False
        Whether the columns of the code are ordered, as those of PCA are: the first k are a code
        of k numbers, for every k up to `n_components` [3]_. See `truncated` and
        `variance_explained_`. Columns are dropped from the end at random in training, in which
        sizes share a last layer of the decoder by ranges (1, 2, 3 to 4, 5 to 8, ...). After it
        each size is given its own, by least squares, if the loss is the squared error of
        numbers, rows are held out, and these layers have no more than four million weights.
        There is one start. With a share as `n_components`, the code has as many columns as this
        network needs to explain that share of the held-out rows, or as PCA needs if that is
        fewer. Not with `network`, `tied_weights`, another `penalty` or `code_activation`.

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

    variance_explained_ : ndarray of shape (n_components_,)
        Only with ``ordered=True``: share of the variance of the held-out rows that the first
        column of the code explains, the first two, and so on; of the training rows, where
        none are held out. Of a table, one minus the loss, which is a share of what its
        columns have to lose. Of 2,000 rows at most.

    pca_variance_explained_ : ndarray of shape (n_components_,) or None
        The same of the principal components of the training rows, on the same rows; None for
        tables and after `partial_fit`.

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
    sklearn.decomposition.PCA : The linear counterpart.
    skae.metrics.reconstruction_score : Compares this with any transformer.

    Notes
    -----
    Training runs in Keras on the backend named by ``KERAS_BACKEND``, on a GPU where
    there is one. What is fitted is held as NumPy arrays, and prediction with dense layers
    needs neither Keras nor a backend.

    When training reaches `max_iter` before it has converged, the best epoch is kept, with a
    :class:`~sklearn.exceptions.ConvergenceWarning`, as in
    :class:`~sklearn.neural_network.MLPRegressor`. A larger `max_iter` may then explain more.

    References
    ----------
    .. [1] G. E. Hinton and R. R. Salakhutdinov, "Reducing the Dimensionality of Data
       with Neural Networks", Science 313, 2006.

    .. [2] A. Haegele et al., "Scaling Laws and Compute-Optimal Training Beyond Fixed
       Training Durations", NeurIPS 2024.

    .. [3] O. Rippel, M. Gelbart and R. Adams, "Learning Ordered Representations with
       Nested Dropout", ICML 2014.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.decomposition import PCA
    >>> from skae import AutoencoderTransformer
    >>> from skae.metrics import reconstruction_score
    >>> X, _ = load_digits(return_X_y=True)
    >>> train, test = X[:1400], X[1400:]
    >>> pca = PCA(n_components=8).fit(train)
    >>> ae = AutoencoderTransformer(n_components=8, random_state=0).fit(train)
    >>> ae.transform(test).shape
    (397, 8)
    >>> reconstruction_score(ae, test) > reconstruction_score(pca, test) + 0.1
    True
    """

    pca_variance_explained_: object
    variance_explained_: object

    _parameter_constraints: dict = {**CONSTRAINTS, "ordered": ["boolean"]}

    def __init__(
        self,
        n_components: float = 2,
        *,
        hidden_layer_sizes: ArrayLike = (256, 128),
        network: Network | None = None,
        activation: str = "relu",
        code_activation: str = "identity",
        output_activation: str = "auto",
        normalization: str | None = None,
        dropout: float = 0.0,
        tied_weights: bool = False,
        ordered: bool = False,
        loss: str | Callable[..., Any] = "squared_error",
        penalty: str | Penalty | None = "linear",
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
        self.ordered = ordered
        self.loss = loss
        self.penalty = penalty
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

    def truncated(self, n_components: int) -> Self:
        """The fitted transformer of the first columns of an ordered code.

        Nothing is trained: the encoder keeps its first columns, and the decoder is the one
        that was trained for this size.

        Parameters
        ----------
        n_components : int
            How many columns, at most `n_components_`.

        Returns
        -------
        AutoencoderTransformer
            With ``n_components=n_components``, fitted; `loss_curve_` and the like are those of
            the training of all sizes.

        Raises
        ------
        ValueError
            If the transformer was not fitted with ``ordered=True``, or has fewer columns.
        """
        check_is_fitted(self)
        if not isinstance(self._model, OrderedModel):
            raise ValueError(
                "truncated needs a code whose columns are ordered: fit with ordered=True."
            )
        size = check_scalar(
            n_components, "n_components", Integral, min_val=1, max_val=self.n_components_
        )
        small = copy(self)
        small.n_components = int(size)
        small._built_with = network_parameters(small)
        small._truncate(int(size))
        return small

    def _truncate(self, size):
        """Keep the first columns of the code."""
        self._model = self._model.truncated(size)
        self._optimizer_state = None
        self.n_components_ = size
        self.variance_explained_ = self.variance_explained_[:size]
        if self.pca_variance_explained_ is not None:
            self.pca_variance_explained_ = self.pca_variance_explained_[:size]

    # What is trained

    def _after_training(self, start, one_epoch):
        """Refit the output layers of an ordered code, and report what each size explains."""
        if not self.ordered:
            for name in ("variance_explained_", "pca_variance_explained_"):
                vars(self).pop(name, None)
            return
        train, validation = start.train, start.validation
        complete = validation is not None and train.observed is None and not one_epoch
        if complete and self.best_iter_ > 0:
            self._model = self._model.with_refitted_outputs(train, validation)
        rows = (train if validation is None else validation).sample(MOST_ROWS)
        self.variance_explained_ = self._model.explained_by_size(rows)
        self.pca_variance_explained_ = None
        if self.table_ is None and not one_epoch:
            pca = self._model.explained_by_pca(train, rows, start.rng)
            self.pca_variance_explained_ = pca
        is_first = not start.history.n_iter and not one_epoch
        if is_first and not isinstance(self.n_components, Integral):
            enough = np.flatnonzero(self.variance_explained_ >= self.n_components)
            self._truncate(int(enough[0]) + 1 if len(enough) else self.n_components_)
