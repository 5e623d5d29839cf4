"""VAETransformer."""

from dataclasses import replace
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.exceptions import ConvergenceWarning

from skae.estimators._base import BaseAutoencoder
from skae.estimators._latent_paths import LatentPathsMixin
from skae.estimators._parameters import TableTagsMixin
from skae.estimators._validation import check_bounded
from skae.losses._likelihood import LIKELIHOODS
from skae.networks import KerasNetwork
from skae.networks._base import KERAS_NAMES, LayerOptions, Network
from skae.utils._calls import warn_user
from skae.utils._sklearn import Interval, StrOptions
from skae.variational._generative import LikelihoodMixin, fit_prior
from skae.variational._model import ACTIVE, LatentNetwork, VariationalModel
from skae.variational._sampling import Residuals

# The parts of the loss, in the order of the objective.
_PARTS = ("reconstruction", "kl")

# Parameters of other autoencoders that a likelihood determines.
_GIVEN = {"code_activation", "output_activation", "tied_weights", "loss", "penalty"}


class VAETransformer(
    TableTagsMixin,
    LikelihoodMixin,
    LatentPathsMixin,
    BaseAutoencoder,
):
    """Dimensionality reduction by a variational autoencoder.

    The code of a row is a normal distribution with a mean, which is the code that `transform`
    gives, and a standard deviation for each column. Rows are held to come from codes drawn
    from a standard normal distribution, the decoder and noise, and what is trained is a lower
    bound on their log-likelihood [1]_. So rows can be drawn from the model (`sample`) and their
    density be computed (`score_samples`). Codes of real rows are not quite normal: after
    training a mixture takes the place of the standard normal in both, where that is better
    (`prior`).

    Tables with categories, and missing values, come as they are, as in
    :class:`AutoencoderTransformer`; the likelihood is then that of the observed values, a
    normal one for numbers, and for categories their probability, and rows that are drawn are
    rows of the table.

    Training starts at probabilistic PCA [2]_, turned so that its posterior has a normal
    distribution for each column: there the bound *is* the log-likelihood. Hidden layers add
    nothing yet, columns without support in the data start at the prior, and where training
    brings nothing that rows held out confirm, the start is kept.

    Parameters
    ----------
    n_components : int or float, default=2
        Number of columns of the code. A float between 0 and 1 is a share of variance:
        the code has as many columns as PCA needs to explain it.

    hidden_layer_sizes : int or array-like of shape (n_layers,), default=(256, 128)
        Widths of the encoder's hidden layers; the decoder has them in reverse. An empty
        tuple makes the network linear.

    network : ConvNetwork, RecurrentNetwork or None, default=None
        Networks for images and series, from :mod:`skae.networks`, beside dense layers of the
        sizes `hidden_layer_sizes`. None: dense layers only.

    activation : str, default="relu"
        Activation of the hidden layers, as in :class:`AutoencoderTransformer`.

    normalization : {"batch", "layer"} or None, default=None
        Layer between a hidden layer and its activation.

    dropout : float, default=0.0
        Share of the hidden units that are dropped in each training step.

    likelihood : {"gaussian", "bernoulli"}, default="gaussian"
        Distribution of a row given its code. "gaussian": the output of the decoder and
        normal noise, with a standard deviation for each column that is learned.
        "bernoulli": the decoder outputs probabilities of ones; X must lie in [0, 1].

    noise_floor : float, default=0.1
        Least standard deviation of the noise, in units of `scale_`. A column that is
        nearly determined by others would else be given hardly any noise, and the one new
        row that breaks the rule a likelihood of nearly nothing.

    beta : float, default=1.0
        Factor of the divergence of codes from the prior in training [3]_.
        Above 1: fewer and more independent columns, worse reconstructions. With any
        other value than 1 the loss is no bound on the likelihood; `score` estimates it still.

    warm_up : int, default=0
        Epochs in which `beta` grows from zero to its value. From probabilistic PCA none
        are needed; random weights may want some.

    free_bits : float, default=0.0
        Divergence of each column, in nats on the mean over a batch, that costs nothing
        [4]_: against columns that collapse.

    prior : {"mixture", "normal"}, default="mixture"
        Where codes come from in `sample`, `score` and `score_samples`; it has no part in
        training. "mixture": a mixture of normal distributions is fitted to codes drawn
        from the posteriors of the training rows, the best prior for what was trained
        [5]_, and used if it raises the lower bound of the rows held out by more than
        chance explains. "normal": the standard normal of training.

    sampling : {"residuals", "likelihood"}, default="residuals"
        What `sample` adds to the decoder's output. "residuals": those of a training row with a
        near code, which have dependencies between columns and their ties; up to 5,000
        training rows are kept, and saved with the estimator. "likelihood": independent noise
        in each column, exactly the model of `score_samples`; no row is kept.

    n_draws : int, default=48
        Codes drawn for each row by `score` and `score_samples`, in three rounds [6]_.

    init : {"pca", "random"}, default="pca"
        Initialization. "random": the plain network, without the linear path,
        at Glorot's uniform weights.

    optimizer : str or keras.optimizers.Optimizer, default="adam"
        A Keras optimizer by name or an object, whose configuration is copied.

    learning_rate : float or keras.optimizers.schedules.LearningRateSchedule, \
            default=0.001
        For an optimizer given by name; an object brings its own.

    weight_decay : float, default=0.0
        Share of the learning rate by which all weights shrink in a step, for an optimizer
        given by name.

    batch_size : int or "auto", default="auto"
        Rows in a training step. "auto": 32 for up to 8,000 rows, growing to 128.

    max_iter : int, default=200
        Epochs at most.

    early_stopping : bool, default=True
        Whether rows are held out to choose the best epoch and to stop. With fewer than ten rows
        the training rows themselves are used. If False, all rows are trained on, training stops
        when its own loss makes no progress, and the last epoch is kept.

    validation_fraction : float, default=0.1
        Share of the rows that are held out; of more than 64 MiB of rows, at most 32 MiB and
        20,000 rows.

    n_iter_no_change : int, default=20
        Epochs without progress after which training stops.

    tol : float or None, default=0.01
        Least progress, in nats per row. None: train for `max_iter` epochs.

    warm_start : bool, default=False
        Whether `fit` continues training where the last one ended: centre, scale, latent size,
        network and the steps of the warm-up stay as they are.

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
        Seeds the split, the weights, the order of the rows and the codes drawn in
        training. An int gives the same result in every call on the same machine.

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

    n_active_ : int
        Columns of the code with information about the training rows: their mean
        divergence from the prior is more than 0.01 nats.

    divergence_ : ndarray of shape (n_components_,)
        Mean divergence of the posterior from the standard normal on the training rows,
        by column, in nats.

    prior_ : GaussianMixture or None
        Distribution of codes; None: the standard normal, as `prior` asks for, because no
        mixture is better, with fewer than ten rows, and after `partial_fit`, whose rows are
        too few. The last component is a standard normal with a share of
        5 %, so that no row loses more than three nats by the mixture.

    noise_ : ndarray of shape (n_features,) or None
        Standard deviation of the noise of each column, in the units of the data; NaN for
        categories of a table. None with ``likelihood="bernoulli"``.

    mean_ : ndarray of shape (n_features,)
        Mean of each column, in the units of the data; zeros for a table, which `table_`
        centres.

    scale_ : float or ndarray of shape (n_features,)
        Divisor of X: the root of the mean variance of the columns, or with
        ``standardize=True`` their standard deviations; 1 for a table, which `table_` scales.

    loss_curve_ : list of float
        Mean training loss in each epoch: minus the evidence lower bound, in nats per row
        in the units of the data, with `beta`, warm-up and free bits.

    loss_parts_ : dict of str to list of float
        Parts whose sum is `loss_curve_`: "reconstruction", minus the expected log-likelihood of
        the rows given their codes, and "kl", the divergence as it counts.

    validation_loss_curve_ : list of float or None
        Mean validation loss after each epoch, on the held-out rows or, of fewer than ten
        rows, on all of them; with `beta` but neither warm-up nor free bits, and with the same
        draws in every epoch. None with ``early_stopping=False`` and after `partial_fit`.

    validation_loss_parts_ : dict of str to list of float or None
        Likewise in parts.

    start_loss_ : float
        Validation loss before the first epoch; NaN without `validation_loss_curve_`.

    best_loss_ : float
        Validation loss of the epoch that was kept, or its training loss where there is none;
        `start_loss_` where the start is kept.

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
        Of the only start, "pca" or "random": "loss_curve", "validation_loss_curve",
        "best_loss" and "n_iter", as the attributes of these names; "ending", "max_iter" or
        another reason as in `stop_reason_`; "seconds", compilation included. A fit that
        continues training does not change it.

    encoder_ : keras.Model
        From rows in the units of the data, or what `table_` makes of them, to codes (the
        means); made anew each time it is asked for.

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
    AutoencoderTransformer : The plain autoencoder: a code without a distribution.
    sklearn.decomposition.FactorAnalysis : The linear counterpart.
    sklearn.mixture.GaussianMixture : Another density.

    Notes
    -----
    A column has collapsed when it was active at the start and is not after training. `fit`
    then gives a :class:`~sklearn.exceptions.ConvergenceWarning` that names it. Columns
    that probabilistic PCA found no support for are no collapse and give no warning, active
    or not; of random weights all are expected to become active.

    References
    ----------
    .. [1] D. P. Kingma and M. Welling, "Auto-Encoding Variational Bayes", ICLR 2014.

    .. [2] M. E. Tipping and C. M. Bishop, "Probabilistic Principal Component Analysis",
       Journal of the Royal Statistical Society B 61, 1999.

    .. [3] I. Higgins et al., "beta-VAE: Learning Basic Visual Concepts with a Constrained
       Variational Framework", ICLR 2017.

    .. [4] D. P. Kingma, T. Salimans, R. Jozefowicz, X. Chen, I. Sutskever and M. Welling,
       "Improved Variational Inference with Inverse Autoregressive Flow", NIPS 2016.

    .. [5] J. M. Tomczak and M. Welling, "VAE with a VampPrior", AISTATS 2018.

    .. [6] J.-M. Cornuet, J.-M. Marin, A. Mira and C. P. Robert, "Adaptive Multiple Importance
       Sampling", Scandinavian Journal of Statistics 39, 2012.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.decomposition import PCA
    >>> from skae import VAETransformer
    >>> X, _ = load_digits(return_X_y=True)
    >>> train, test = X[:1400], X[1400:]
    >>> vae = VAETransformer(n_components=8, random_state=0).fit(train)
    >>> vae.score(test) > PCA(n_components=8).fit(train).score(test) + 5
    True
    >>> vae.sample(3, random_state=0).shape
    (3, 64)
    """

    divergence_: object
    loss_parts_: dict
    n_active_: int
    noise_: object
    prior_: object
    validation_loss_parts_: dict
    _residuals: Residuals | None = None  # of `sampling`

    _parameter_constraints: dict = {
        **{k: v for k, v in BaseAutoencoder._parameter_constraints.items() if k not in _GIVEN},
        # A share of a bound, which may be negative, is no progress: nothing to be held.
        "learning_rate": BaseAutoencoder._parameter_constraints["learning_rate"][1:],
        "likelihood": [StrOptions(set(LIKELIHOODS))],
        "beta": [Interval(Real, 0, None, closed="left")],
        "warm_up": [Interval(Integral, 0, None, closed="left")],
        "free_bits": [Interval(Real, 0, None, closed="left")],
        "noise_floor": [Interval(Real, 0, None, closed="neither")],
        "prior": [StrOptions({"mixture", "normal"})],
        "sampling": [StrOptions({"residuals", "likelihood"})],
        "n_draws": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        n_components: float = 2,
        *,
        hidden_layer_sizes: ArrayLike = (256, 128),
        network: Network | None = None,
        activation: str = "relu",
        normalization: str | None = None,
        dropout: float = 0.0,
        likelihood: str = "gaussian",
        noise_floor: float = 0.1,
        beta: float = 1.0,
        warm_up: int = 0,
        free_bits: float = 0.0,
        prior: str = "mixture",
        sampling: str = "residuals",
        n_draws: int = 48,
        init: str = "pca",
        optimizer: Any = "adam",
        learning_rate: Any = 0.001,
        weight_decay: float = 0.0,
        batch_size: int | str = "auto",
        max_iter: int = 200,
        early_stopping: bool = True,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 20,
        tol: float | None = 0.01,
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
        self.normalization = normalization
        self.dropout = dropout
        self.likelihood = likelihood
        self.noise_floor = noise_floor
        self.beta = beta
        self.warm_up = warm_up
        self.free_bits = free_bits
        self.prior = prior
        self.sampling = sampling
        self.n_draws = n_draws
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

    # What is trained

    # Columns of a table have a likelihood, and no weights.
    _weights_columns = False

    def _new_model(self, preprocessing, rows, fitted):
        likelihood = LIKELIHOODS[self.likelihood]
        if preprocessing.is_table:
            likelihood = preprocessing.likelihood(likelihood)
        if likelihood.bounded:
            check_bounded("likelihood", self.likelihood, "likelihood='gaussian'", rows)
        volume = None
        if rows.observed is not None and not likelihood.bounded:
            volumes = preprocessing.log_volumes(rows)
            volume = float(np.average(volumes, weights=rows.weight))
        model = VariationalModel(preprocessing=preprocessing) if fitted is None else fitted
        return replace(
            model,
            likelihood=likelihood,
            noise_floor=float(self.noise_floor),
            beta=float(self.beta),
            warm_up=int(self.warm_up),
            free_bits=float(self.free_bits),
            mean_log_volume=volume,
        )

    def _layer_options(self, linear_path):
        return LayerOptions(
            activation=KERAS_NAMES[self.activation],
            output_activation="sigmoid" if LIKELIHOODS[self.likelihood].bounded else "linear",
            linear_path=linear_path,
            normalization=self.normalization,
            dropout=float(self.dropout),
            code_width=2,
        )

    def _network_spec(self, n_components, linear_path):
        if isinstance(self.network, KerasNetwork):
            raise ValueError(
                "network must be a ConvNetwork, a RecurrentNetwork or None: models of one's "
                f"own have no variance of the code; got {self.network!r}."
            )
        network = super()._network_spec(n_components, linear_path)
        return LatentNetwork(network, LIKELIHOODS[self.likelihood].noisy)

    def _attributes(self, run):
        model, training, earlier = run.model, run.training, run.earlier

        def by_name(parts, before):
            """Losses (n_epochs, 2) of the parts, a list for each, after those of before."""
            before = before or {name: [] for name in _PARTS}
            return {
                name: before[name] + [float(each[i]) for each in parts]
                for i, name in enumerate(_PARTS)
            }

        validation = None
        if run.attributes["validation_loss_curve_"] is not None:
            validation = by_name(training.validation_parts[1:], earlier.validation_loss_parts)
        return {
            **super()._attributes(run),
            "noise_": model.preprocessing.by_column(model.noise),
            "prior_": None,
            "_residuals": None,
            "loss_parts_": by_name(training.parts, earlier.loss_parts),
            "validation_loss_parts_": validation,
        }

    def _after_training(self, start, one_epoch):
        """Fit the prior, and count the active columns of the code."""
        model = self._model
        self.divergence_ = model.mean_divergence(start.rows)
        if self.prior == "mixture" and not one_epoch:
            self.prior_ = fit_prior(model.posterior, start.train, start.validation, start.rng)
        if self.sampling == "residuals" and not one_epoch:
            self._residuals = Residuals(start.train, start.rng)
        active = self.divergence_ > ACTIVE
        self.n_active_ = int(active.sum())
        collapsed = np.flatnonzero(model.supported & ~active)
        if len(collapsed):
            warn_user(
                f"{len(collapsed)} of {len(active)} columns of the code have collapsed to the "
                "prior and have no information about the rows: "
                f"{collapsed.tolist()}. A smaller beta, a longer warm_up, free_bits or fewer "
                "n_components may help.",
                ConvergenceWarning,
            )
