"""AEImputer."""

from dataclasses import replace
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import TransformerMixin
from sklearn.utils import gen_batches
from sklearn.utils.validation import check_is_fitted

from skae.estimators._fit_callbacks import fit_monitor
from skae.estimators._parameters import CONSTRAINTS
from skae.imputation._predictors import Layout
from skae.imputation._stacking import Imputation, ImputationTraining
from skae.networks._base import KERAS_NAMES
from skae.tables import TabularEncoder
from skae.tables._category_column import limits_in_fit
from skae.tables._frames import checked_table, is_frame
from skae.tables._missing_values import (
    given_back,
    marked_values,
    missing_mask,
    only_columns,
    with_flags,
    with_values,
    with_zeros,
    without_sparse,
    without_values,
)
from skae.utils._arrays import unique_names, whole_numbers
from skae.utils._calls import draw_seed, generator, restores_state_on_error, warn_user
from skae.utils._process import prepare_backend
from skae.utils._sklearn import (
    BaseEstimator,
    CallbackSupportMixin,
    Interval,
    MissingValues,
    StrOptions,
    check_feature_names_in,
    fit_context,
    output_library,
)

# Kinds of columns that are squashed: flags are not.
_NUMBERS = ("numeric", "integer", "date", "constant")

# Values of the rows that are filled at a time, and the least number of rows.
_PART_VALUES, _LEAST_PART = 2**18, 1000


class AEImputer(TransformerMixin, CallbackSupportMixin, BaseEstimator):
    """Imputer for tables of any columns: a denoising autoencoder with a memory.

    It is trained to fill values that are hidden in the rows it is fitted on, as a denoising
    autoencoder is [1]_. Four predictions are stacked in each column: the conditional mean by
    a normal distribution of the columns [2]_, and by one of their ranks; a mean over the
    nearest rows, by distances in which the weights of the columns are trained; and the
    correction of that mean by a network. Their weights are set on rows that were left out,
    so that where nothing else helps the linear prediction remains. Where numbers are missing
    by their own size, near rows are weighted by the odds of theirs to be missing [3]_.

    Parameters
    ----------
    missing_values : int, float, str, numpy.nan, None or pandas.NA, default=numpy.nan
        What stands for a missing value. NaN, None and NA are all missing with any of the
        three. A number is missing where a column of any dtype has it, categories and objects
        too, but not as a string, boolean or date; and a string where it is a string.

    categorical_features : "from_dtype" or array-like of {bool, int, str}, default="from_dtype"
        Columns that are categories: a mask, positions, or names. Booleans, categorical
        dtypes and strings that are no dates are categories in any case.

    hidden_layer_sizes : int or array-like of shape (n_layers,), default=(256,)
        Widths of the hidden layers of the networks.

    activation : str, default="relu"
        Activation of the hidden layers, by its name in Keras.

    n_estimators : int, default=2
        Number of networks, each trained on other rows; their predictions are averaged.

    n_steps : int, default=300
        Steps of training of each network, about: whole epochs are trained.

    batch_size : int, default=64
        Rows in a step.

    learning_rate : float, default=0.003
        Of Adam, at the first step; it falls linearly to zero.

    add_indicator : bool, default=False
        Whether flags of missing values are appended, for each column in which values were
        missing in fit: ``missingindicator_`` and its name, with "_2" at the end, or a higher
        number, where another column has that name.

    keep_empty_features : bool, default=False
        Whether columns that were empty in fit are kept: numbers are then zero, and
        categories stay missing. Otherwise they are left out.

    random_state : int, RandomState instance or None, default=None
        Seeds the hidden values, the weights and the order of the rows.

    verbose : bool or int, default=False
        Whether progress is printed: network, epoch, seconds left at most and loss. True or
        1: a line that is updated in a terminal or notebook, and a few lines elsewhere; 2: a
        line for every epoch. The last line is about the whole fit.

    Attributes
    ----------
    loss_curve_ : list of float
        Mean loss of the networks in each epoch, with that of the nearest rows: squared
        errors of hidden values, in variances of the columns. Empty where no network is
        trained: of fewer than ten rows, or of one column.

    encoder_ : TabularEncoder
        Encodes the table.

    stacking_weights_ : ndarray of shape (n_features, 4)
        Weights of the four predictions of each column, which add up to one: by the normal
        distribution of values, by that of ranks, by near rows, and by the network. NaN in
        columns that are empty or identifiers.

    n_features_in_ : int
        Number of columns seen during fit.

    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns, where X had any.

    See Also
    --------
    sklearn.impute.IterativeImputer : Each column by a regression on the others.
    sklearn.impute.KNNImputer : The mean over rows that are near in all columns alike.
    skae.tables.TabularEncoder : Tables as numbers.

    References
    ----------
    .. [1] P. Vincent, H. Larochelle, Y. Bengio and P.-A. Manzagol, "Extracting and
       Composing Robust Features with Denoising Autoencoders", ICML 2008.

    .. [2] R. J. A. Little and D. B. Rubin, "Statistical Analysis with Missing Data",
       Wiley, 2019, chapter 11.

    .. [3] J. K. Kim and C. L. Yu, "A Semiparametric Estimation of Mean Functionals with
       Nonignorable Missing Data", Journal of the American Statistical Association, 2011.

    Examples
    --------
    >>> import numpy as np
    >>> from skae import AEImputer
    >>> rng = np.random.RandomState(0)
    >>> angle = rng.uniform(0, 6, 300)
    >>> X = np.column_stack([np.sin(angle), np.cos(angle), angle])
    >>> holed = np.where(rng.uniform(size=X.shape) < 0.2, np.nan, X)
    >>> filled = AEImputer(random_state=0).fit_transform(holed)
    >>> bool(np.abs(filled - X)[np.isnan(holed)].mean() < 0.3)
    True
    """

    encoder_: TabularEncoder
    loss_curve_: list
    _of_numbers: bool
    _had_missing: np.ndarray
    _imputation: Imputation

    _parameter_constraints: dict = {
        "missing_values": [MissingValues()],
        "categorical_features": [StrOptions({"from_dtype"}), "array-like"],
        "hidden_layer_sizes": CONSTRAINTS["hidden_layer_sizes"],
        "activation": CONSTRAINTS["activation"],
        "n_estimators": [Interval(Integral, 1, None, closed="left")],
        "n_steps": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "add_indicator": ["boolean"],
        "keep_empty_features": ["boolean"],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        *,
        missing_values: Any = np.nan,
        categorical_features: ArrayLike = "from_dtype",
        hidden_layer_sizes: ArrayLike = (256,),
        activation: str = "relu",
        n_estimators: int = 2,
        n_steps: int = 300,
        batch_size: int = 64,
        learning_rate: float = 0.003,
        add_indicator: bool = False,
        keep_empty_features: bool = False,
        random_state: int | np.random.RandomState | None = None,
        verbose: int | bool = False,
    ) -> None:
        self.missing_values = missing_values
        self.categorical_features = categorical_features
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.n_estimators = n_estimators
        self.n_steps = n_steps
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.add_indicator = add_indicator
        self.keep_empty_features = keep_empty_features
        self.random_state = random_state
        self.verbose = verbose

    @restores_state_on_error
    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None) -> Self:
        """Fit the encoder, the distributions and the networks.

        Parameters
        ----------
        X : data frame or array-like of shape (n_samples, n_features)
            A table, with or without missing values.

        y : Ignored
            Not used, present for API consistency by convention.

        Returns
        -------
        self : object
            The fitted imputer. When `fit` fails, what was fitted before is kept.
        """
        monitor = fit_monitor(self, given=(X, y, None, None))
        _, X = self._checked(X, reset=True)
        prepare_backend()
        rng = np.random.RandomState(draw_seed(self.random_state))
        self.encoder_ = TabularEncoder(categorical_features=self.categorical_features)
        config = ImputationTraining(
            whole_numbers("hidden_layer_sizes", self.hidden_layer_sizes, 0),
            KERAS_NAMES[self.activation],
            n_models=int(self.n_estimators),
            n_steps=int(self.n_steps),
            batch_size=int(self.batch_size),
            learning_rate=float(self.learning_rate),
        )
        # Of a long table only the rows that are used are encoded.
        rows = None
        if X.shape[0] > config.most_rows:
            rows = rng.permutation(X.shape[0])[: config.most_rows]
        Z, observed = self.encoder_._fit_encode(X, rows=rows)
        given = self.categorical_features
        has_categories = not isinstance(given, str) and len(np.atleast_1d(given)) > 0
        self._of_numbers = not is_frame(X) and X.dtype.kind in "fiu" and not has_categories
        self._had_missing = np.flatnonzero(self.encoder_._missing_share)
        self._imputation, self.loss_curve_ = None, []  # type: ignore[assignment]
        monitor.open_networks(int(self.n_estimators))
        if any(block.stop > block.start for block in self.encoder_.blocks_):
            full, columns, layout = self._layout()
            Z, observed = Z[:, columns], observed[:, full]
            limits = limits_in_fit(self.encoder_)[:, columns]
            self._imputation, curves = Imputation.from_data(
                layout, limits, Z, observed, config, rng, monitor
            )
            self.loss_curve_ = [float(np.mean(losses)) for losses in zip(*curves, strict=False)]
        monitor.finish()
        return self

    @property
    def stacking_weights_(self) -> np.ndarray:
        check_is_fitted(self)
        weights = np.full((len(self.encoder_.blocks_), 4), np.nan)
        if self._imputation is not None:
            full, _, layout = self._layout()
            first = np.searchsorted(layout.column_of, np.arange(len(full)))
            weights[full] = self._imputation.stacking_weights()[:, first].T
        return weights

    def _layout(self):
        """Columns of the table that have values, their columns of the matrix, and a Layout."""
        blocks = self.encoder_.blocks_
        full = np.flatnonzero([block.stop > block.start for block in blocks])
        blocks = [blocks[j] for j in full]
        column_of = np.repeat(np.arange(len(full)), [b.stop - b.start for b in blocks])
        is_number = np.array([block.kind in _NUMBERS for block in blocks])[column_of]
        columns = np.concatenate([np.arange(b.start, b.stop) for b in blocks])
        return full, columns, Layout(column_of, is_number)

    def transform(self, X: Any) -> Any:
        """Fill missing values, and keep all others as they are.

        Parameters
        ----------
        X : data frame or array-like of shape (n_samples, n_features)
            A table with the columns that were seen in fit.

        Returns
        -------
        data frame or ndarray of shape (n_samples, n_features_out)
            A new table in the library and with the dtypes of X, without columns that were
            empty in fit. `fit` may have seen another library. Integers become floats where
            values that are not whole belong among them; sparse columns of pandas are
            sparse, with the same fill value; arrays that are marked by a number
            or a string are float64 or objects, and arrays of StringDType are objects.
            Columns that are identifiers stay as they are, with their missing values.
        """
        return self._filled(X, library=output_library(self))

    def sample(
        self, X: Any, n_draws: int = 5, random_state: int | np.random.RandomState | None = None
    ) -> Any:
        """Fill missing values with draws and not with their prediction.

        For multiple imputation: the results of an analysis of each of the tables vary as much
        as the missing values leave open.

        Parameters
        ----------
        X : data frame or array-like of shape (n_samples, n_features)
            A table with the columns that were seen in fit.

        n_draws : int, default=5
            Number of tables.

        random_state : int, RandomState instance or None, default=None
            Seeds the draws.

        Returns
        -------
        list of data frames or ndarrays
            Each as `transform` gives it.
        """
        (n_draws,) = whole_numbers("n_draws", n_draws, 1)
        rng = generator(random_state)
        return [self._filled(X, rng) for _ in range(n_draws)]

    def _filled(self, X, rng=None, library="default"):
        """X, (n_samples, n_features), filled by predictions, or with a generator by draws."""
        check_is_fitted(self)
        given, X = self._checked(X, reset=False)
        filled, values = X, list(self.encoder_._read(X))
        missing = np.column_stack([~data.observed for data, _ in values])
        target_mask = missing & (self._imputation is not None)
        target_mask[:, [block.stop == block.start for block in self.encoder_.blocks_]] = False
        if target_mask.any():
            # Arrays of numbers are filled with the prediction, which need not be whole.
            rounded = not self._of_numbers or is_frame(X) or X.dtype.kind != "f"
            columns = self._imputed(values, target_mask, rounded, rng)
            filled = with_values(X, columns, target_mask, self.encoder_._form)
        names, is_empty = self.get_feature_names_out(), self._is_empty()
        if is_empty.any() and self.keep_empty_features:
            filled = with_zeros(filled, np.flatnonzero(is_empty), missing)
        elif is_empty.any():
            skipped = list(check_feature_names_in(self, None)[is_empty])
            warn_user(
                f"Skipping features without any observed values: {skipped}. "
                "keep_empty_features=True keeps them.",
            )
            filled = only_columns(filled, np.flatnonzero(~is_empty))
        if self.add_indicator:
            flags = missing[:, self._had_missing]
            filled = with_flags(filled, flags, names[len(names) - flags.shape[1] :])
        return given_back(filled, given, names, library)

    def _imputed(self, values, target_mask, rounded, rng):
        """Predictions or draws of each column where `target_mask`, (n_samples, n_features).

        values : of all rows, as the encoder reads them.
        """
        encoder, imputation = self.encoder_, self._imputation
        full, columns, _ = self._layout()
        index, parts = np.flatnonzero(target_mask.any(axis=1)), []
        size = max(_PART_VALUES // max(encoder.n_numbers, 1), _LEAST_PART)
        # A part at a time: predictions take many times the memory of the rows.
        for part in gen_batches(len(index), size):
            rows = index[part]
            some = ([each.take(rows) for each in both] for both in values)
            Z, observed = encoder._encoded(len(rows), some)
            known = Z[:, columns], observed[:, full]
            Z[:, columns] = imputation(*known) if rng is None else imputation.draw(*known, rng)
            decoded = zip(encoder.decoded_cells(Z, rounded), target_mask[rows].T, strict=True)
            parts.append([data.take(mask) for data, mask in decoded])
        joined = []
        for first, *others in zip(*parts, strict=True):
            filling = np.concatenate([first.values, *(each.values for each in others)])
            joined.append(replace(first, values=filling, observed=np.ones(len(filling), bool)))
        return joined

    def _is_empty(self):
        """Mask (n_features,) of the columns in which no value was observed in fit."""
        return np.array([block.kind == "empty" for block in self.encoder_.blocks_])

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Names of the columns that `transform` returns.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Checked against the names seen in fit, and used where there were none.

        Returns
        -------
        ndarray of str of shape (n_features_out,)
        """
        check_is_fitted(self)
        names = check_feature_names_in(self, input_features)
        kept = names if self.keep_empty_features else names[~self._is_empty()]
        if not self.add_indicator:
            return np.array(kept, dtype=object)
        flags = [f"missingindicator_{name}" for name in names[self._had_missing]]
        is_flag = np.arange(len(names) + len(flags)) >= len(names)
        flags = unique_names([*names, *flags], is_flag)[len(names) :]
        return np.array([*kept, *flags], dtype=object)

    def _missing_is_nan(self):
        """Return True if NaN, None and NA are missing, and not a value of the user's."""
        value = self.missing_values
        return not (isinstance(value, str | Real) and value == value)

    def _checked(self, X, reset):
        """X, (n_samples, n_features), as given, and with NaN, None or NA for missing values."""
        given = checked_table(X, self, reset)
        X = without_sparse(given)  # nothing can be assigned to sparse columns
        if self._missing_is_nan():
            return given, X
        value = self.missing_values
        marked = marked_values(X, value)
        X = without_values(X, marked, value)
        if (missing_mask(X) & ~marked).any():
            raise ValueError(
                f"Input X contains NaN, but missing_values={value!r} stands for missing "
                "values: replace one by the other."
            )
        return given, X

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self._missing_is_nan()
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
