"""AEImputer."""

import warnings
from numbers import Integral, Real

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from skae.estimators._fit_callbacks import FitMonitor
from skae.estimators._parameters import CONSTRAINTS
from skae.imputation._stacking import Imputation
from skae.imputation._training import ImputationTraining, Layout
from skae.networks._activations import keras_name
from skae.networks._base import whole_numbers
from skae.tables import (
    TabularEncoder,
    checked_table,
    given_back,
    in_library,
    is_frame,
    marked_values,
    missing_mask,
    only_columns,
    stretched,
    with_flags,
    with_string_names,
    with_values,
    with_zeros,
    without_sparse,
    without_values,
)
from skae.utils._frames import unique_names
from skae.utils._process import refuse_forked_process
from skae.utils._random import draw_seed, generator
from skae.utils._rollback import restores_state_on_error
from skae.utils._sklearn import (
    Interval,
    MissingValues,
    StrOptions,
    check_feature_names_in,
    fit_context,
    output_library,
)

# Kinds of columns that are drawn in: flags are not.
_NUMBERS = ("numeric", "integer", "date", "constant")


class AEImputer(TransformerMixin, BaseEstimator):
    """Imputer for tables of any columns: a denoising autoencoder with a memory.

    It learns to put back cells that are taken from the rows it is fitted on, as a
    denoising autoencoder does [1]_. Four answers are joined for each column: what a normal
    distribution of the columns makes expect [2]_, and one of their ranks; the mean over the
    nearest rows, where each column has learnt which others make rows near; and what a
    network makes of that mean and the cells that are there. How far a column trusts each
    is learnt on rows that were left out, so that where nothing else helps the linear
    answer is what is left.

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
        How many networks are trained, each on other rows; their answers are averaged.

    n_steps : int, default=300
        Steps of training of each network, about: whole epochs are trained.

    batch_size : int, default=64
        Rows in a step.

    learning_rate : float, default=0.003
        Of Adam, at the first step; it falls linearly to zero.

    add_indicator : bool, default=False
        Whether columns that tell which cells were missing are appended, for each column
        in which cells were missing in fit: ``missingindicator_`` and its name, with "_2" at
        the end, or a higher number, where another column has that name.

    keep_empty_features : bool, default=False
        Whether columns that were empty in fit are kept: numbers are then zero, and
        categories stay missing. Otherwise they are left out.

    random_state : int, RandomState instance or None, default=None
        Seeds what is taken out, the weights and the order of the rows.

    verbose : bool or int, default=False
        Whether progress is printed: network, epoch, seconds left at most and loss. True or
        1: a line that is updated in a terminal, and a few lines elsewhere; 2: a line for
        every epoch.

    Attributes
    ----------
    loss_curve_ : list of float
        Mean loss of the networks in each epoch, with that of the nearest rows: squared
        errors of cells taken out, in variances of the columns. Empty where no network is
        trained: of fewer than ten rows, or of one column.

    encoder_ : TabularEncoder
        How the table is read.

    n_features_in_ : int
        Number of columns seen during fit.

    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns, where X had any.

    See Also
    --------
    sklearn.impute.IterativeImputer : Each column by a regression on the others.
    sklearn.impute.KNNImputer : The mean over rows that are near in all columns alike.
    skae.tables.TabularEncoder : How tables are read.

    References
    ----------
    .. [1] P. Vincent, H. Larochelle, Y. Bengio and P.-A. Manzagol, "Extracting and
       Composing Robust Features with Denoising Autoencoders", ICML 2008.

    .. [2] R. J. A. Little and D. B. Rubin, "Statistical Analysis with Missing Data",
       Wiley, 2019, chapter 11.

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

    # Losses are reported as they are.
    _unit = 1.0

    def __init__(
        self,
        *,
        missing_values=np.nan,
        categorical_features="from_dtype",
        hidden_layer_sizes=(256,),
        activation="relu",
        n_estimators=2,
        n_steps=300,
        batch_size=64,
        learning_rate=0.003,
        add_indicator=False,
        keep_empty_features=False,
        random_state=None,
        verbose=False,
    ):
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

    # Fitting

    @restores_state_on_error
    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Learn how the columns go together.

        Parameters
        ----------
        X : data frame or array-like of shape (n_samples, n_features)
            A table, with missing cells or without.

        y : Ignored
            Not used, present for API consistency by convention.

        Returns
        -------
        self : object
            The fitted imputer. When `fit` fails, what was fitted before is kept.
        """
        X = self._without_marks(self._checked(X, reset=True))
        refuse_forked_process()
        rng = np.random.RandomState(draw_seed(self.random_state))
        encoder = TabularEncoder(categorical_features=self.categorical_features)
        Z, there = encoder.fit(X).encode(X)
        self.encoder_ = encoder
        missing = missing_mask(X)
        self._had_missing = np.flatnonzero(missing.any(axis=0))
        self._full = np.flatnonzero([b.stop > b.start for b in encoder.blocks_])
        self._off = Z.min(axis=0, initial=np.inf)
        self._remember_units(X, Z, missing)
        self.loss_curve_ = []
        self._imputation = None
        if len(self._full):
            layout, values, there = self._laid_out(Z, there)
            self._imputation = Imputation(layout, values, there, rng)
            self._train(layout, values, there, rng)
        return self

    def _train(self, layout, values, there, rng):
        how = ImputationTraining(
            whole_numbers("hidden_layer_sizes", self.hidden_layer_sizes, 0),
            keras_name(self.activation),
            n_steps=int(self.n_steps),
            batch_size=int(self.batch_size),
            learning_rate=float(self.learning_rate),
        )
        monitor = FitMonitor(self, n_networks=int(self.n_estimators))
        self._imputation.train(values, there, int(self.n_estimators), how, rng, monitor)
        curves = zip(*self._imputation.loss_curves, strict=False)
        self.loss_curve_ = [float(np.mean(losses)) for losses in curves]

    def _remember_units(self, X, Z, missing):
        """Of an array of numbers: ends of each column, in its units and as it is read.

        Its cells are filled with what is expected, which needs no rounding.
        """
        self._ends = None
        if is_frame(X) or X.dtype.kind not in "fiu":
            return
        blocks = [self.encoder_.blocks_[j] for j in self._full]
        if any(block.kind == "categorical" for block in blocks) or self._declares():
            return
        self._ends = np.zeros((X.shape[1], 4))
        for j in self._full:
            block = self.encoder_.blocks_[j]
            cells = ~missing[:, j]
            own = X[cells, j].astype(np.float64)
            read = self._plain(Z[cells, block.start], block.kind)
            self._ends[j] = own.min(), own.max(), read.min(), read.max()

    def _declares(self):
        given = self.categorical_features
        return not isinstance(given, str) and len(np.atleast_1d(given)) > 0

    @staticmethod
    def _plain(values, kind):
        return values if kind == "binary" else stretched(values)

    def _laid_out(self, Z, there):
        """Columns of the matrix that stand for values, and whose they are."""
        blocks = [self.encoder_.blocks_[j] for j in self._full]
        column_of = np.repeat(np.arange(len(blocks)), [b.stop - b.start for b in blocks])
        is_number = np.array([b.kind in _NUMBERS for b in blocks])[column_of]
        values = Z[:, np.concatenate([np.arange(b.start, b.stop) for b in blocks])]
        return Layout(column_of, is_number), values, there[:, self._full]

    # Imputing

    def transform(self, X):
        """Fill missing cells, and keep all others as they are.

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
        filled = self._filled(X, lambda imputation, values, there: imputation(values, there))
        return in_library(filled, output_library(self))

    def sample(self, X, n_draws=5, random_state=None):
        """Fill missing cells with draws and not with what is expected of them.

        For multiple imputation: an analysis of each of the tables tells by how much its
        result varies with what is not known.

        Parameters
        ----------
        X : data frame or array-like of shape (n_samples, n_features)
            A table with the columns that were seen in fit.

        n_draws : int, default=5
            How many tables.

        random_state : int, RandomState instance or None, default=None
            Seeds the draws.

        Returns
        -------
        list of data frames or ndarrays
            Each as `transform` gives it.
        """
        (n_draws,) = whole_numbers("n_draws", n_draws, 1)
        rng = generator(random_state)
        return [
            self._filled(X, lambda imputation, *cells: imputation.draw(*cells, rng))
            for _ in range(n_draws)
        ]

    def _filled(self, X, fill):
        check_is_fitted(self)
        given = self._checked(X, reset=False)
        X = self._without_marks(given)
        with warnings.catch_warnings():
            # What is to be said of names has been said.
            warnings.filterwarnings("ignore", "X (has|does not have valid) feature names")
            Z, there = self.encoder_.encode(X)
        missing = missing_mask(X)
        filled = X
        if missing.any() and self._imputation is not None:
            layout, values, there = self._laid_out(Z, there)
            values = fill(self._imputation, values, there)
            missing_here = missing & np.isin(np.arange(missing.shape[1]), self._full)
            if self._ends is not None and not is_frame(X) and X.dtype.kind == "f":
                filled = np.where(missing_here, self._in_units(X, values, layout), X)
            else:
                cells = self._decoded(Z, values)
                filled = with_values(X, cells, missing_here, self.encoder_._form)
        filled = given_back(self._finished(filled, missing), given)
        return with_string_names(filled, self.get_feature_names_out())

    def _in_units(self, X, values, layout):
        """Filled values (n_samples, n_values) in the units and the dtype of an array X."""
        table = np.full(X.shape, np.nan)
        plain = np.where(layout.is_number, stretched(values), values)
        for j, column in zip(self._full, plain.T, strict=True):
            low, high, read_low, read_high = self._ends[j]
            unit = (high - low) / (read_high - read_low) if high > low else 0.0
            table[:, j] = np.clip(low + (column - read_low) * unit, low, high)
        return table.astype(X.dtype)

    def _decoded(self, Z, values):
        """Cells of the table for filled values (n_samples, n_values) in its matrix Z."""
        blocks = [self.encoder_.blocks_[j] for j in self._full]
        Z = Z.copy()
        Z[:, np.concatenate([np.arange(b.start, b.stop) for b in blocks])] = values
        for block in blocks:
            if block.indicator is not None:
                Z[:, block.indicator] = self._off[block.indicator]
        return self.encoder_.decoded_cells(Z)

    def _finished(self, filled, missing):
        """Without empty columns, or with zeros in them, and with indicators."""
        empty = np.flatnonzero(self._is_empty())
        if len(empty) and self.keep_empty_features:
            filled = with_zeros(filled, empty, missing)
        elif len(empty):
            names = check_feature_names_in(self, None)[empty]
            warnings.warn(
                f"Skipping features without any observed values: {list(names)}. "
                "keep_empty_features=True keeps them.",
                UserWarning,
                stacklevel=3,
            )
            filled = only_columns(filled, np.flatnonzero(~self._is_empty()))
        if self.add_indicator:
            filled = with_flags(
                filled, missing[:, self._had_missing], self._indicator_names(None)
            )
        return filled

    def _is_empty(self):
        """Columns in which no cell was observed in fit, as a mask of shape (n_features,)."""
        return np.array([block.kind == "empty" for block in self.encoder_.blocks_])

    def _indicator_names(self, input_features):
        names = check_feature_names_in(self, input_features)
        derived = [f"missingindicator_{name}" for name in names[self._had_missing]]
        is_derived = np.arange(len(names) + len(derived)) >= len(names)
        return unique_names([*names, *derived], is_derived)[len(names) :]

    def get_feature_names_out(self, input_features=None):
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
        if self.add_indicator:
            kept = [*kept, *self._indicator_names(input_features)]
        return np.array(kept, dtype=object)

    def _missing_is_nan(self):
        """Whether missing values are NaN, None and NA, and not a value of the user's."""
        value = self.missing_values
        return not isinstance(value, str | Real) or (
            not isinstance(value, str) and value != value
        )

    def _checked(self, X, reset):
        """A table as it was given, with the columns that were seen in fit."""
        X = checked_table(X)
        validate_data(self, X, reset=reset, skip_check_array=True)
        return X

    def _without_marks(self, X):
        """A table in which missing cells are NaN, None or NA."""
        value = self.missing_values
        X = without_sparse(X)  # nothing can be assigned to sparse columns
        if self._missing_is_nan():
            return X
        marked = marked_values(X, value)
        X = without_values(X, marked, value)
        if (missing_mask(X) & ~marked).any():
            raise ValueError(
                f"Input X contains NaN, but missing_values={value!r} says what is missing: "
                "replace one by the other."
            )
        return X

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self._missing_is_nan()
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
