"""Rows that are sampled: residuals of training rows, rows given some of their values."""

import warnings
from collections.abc import Mapping
from dataclasses import replace

import narwhals.stable.v2 as nw
import numpy as np
from scipy import sparse
from sklearn.utils import gen_batches

from skae.estimators._validation import read_rows
from skae.tables._columns import MOST_NAMED
from skae.tables._frame_schema import FrameSchema
from skae.tables._frames import checked_table, is_frame, read_columns
from skae.tables._missing_values import missing_mask, with_values
from skae.utils._arrays import index_of
from skae.utils._rows import Rows

# Training rows whose residuals are drawn, and numbers of these, at most (but a few hundred
# rows); and rows at random of which the one with the nearest code and the same categories is
# drawn, chosen by `benchmarks/samples.py`.
_MOST_RESIDUALS, _MOST_NUMBERS, _FEWEST_RESIDUALS = 5_000, 2**21, 500
_CANDIDATES = 6

# Rounds in which rows with the same missing values get their share of the candidates, and a
# number that is added to theirs: of few rows the share is left to chance.
_PATTERN_ROUNDS, _LEAST_COUNT = 3, 20

# Rows that are drawn to find some near given values, and numbers of these, at most; and so many
# of the nearest as there are draws of a row, within these bounds. By `benchmarks/samples.py`.
_MOST_DRAWN, _MOST_DRAWN_NUMBERS = 20_000, 2**23
_NEAREST = (10, 100)

# Distances that are computed at a time, and the farthest value, in standard deviations.
_CHUNK_ENTRIES, _FARTHEST = 2**22, 1e6

# Relative rounding of distances that are equal.
_ROUNDING = 1e-9


class Residuals:
    """Training rows whose residuals are drawn with rows that are sampled.

    The noise of a likelihood is normal, and independent in each column; real rows deviate from
    what is decoded in several columns together, and their values have ties. So a row is the
    decoder's output for a code from the prior, and the residuals of a training row with a near
    code, the nearest of a few at random [1]_. Of categories the value of that row is drawn as
    often as its probabilities and those of the new code have it in common (the maximal
    coupling [2]_), in all columns by one uniform number; a row whose categories are all drawn
    comes before nearer ones, whose residuals would belong to other categories. Then the numbers
    of a column are mapped by their ranks among such rows to the quantiles of the training rows,
    with linear interpolation between values that occur once: ties, whole numbers and bounds
    come back.

    References
    ----------
    .. [1] B. Efron, "Bootstrap Methods: Another Look at the Jackknife", Annals of Statistics 7,
       1979.

    .. [2] H. Thorisson, "Coupling, Stationarity, and Regeneration", Springer, 2000.
    """

    rows: Rows  # as the encoder accepts them, (n_reference, n_inputs)
    seed: int  # of what is drawn for these rows

    # Codes and outputs of the rows, and the quantiles, for one model: never saved.
    _reference = None

    def __init__(self, rows, rng):
        n_rows = max(min(_MOST_RESIDUALS, _MOST_NUMBERS // rows.inputs.shape[1]), 1)
        n_rows = min(max(n_rows, _FEWEST_RESIDUALS), len(rows))
        if rows.weight is None:
            index = rng.permutation(len(rows))[:n_rows]
        else:
            index = rng.choice(len(rows), n_rows, p=rows.weight / rows.weight.sum())
        self.rows = replace(rows.take(np.sort(index)), weight=None).dense()
        self.seed = int(rng.randint(2**31))

    def __getstate__(self):
        return {"rows": self.rows, "seed": self.seed}

    def draw(self, model, prior, codes, values, rng):
        """Rows around outputs, (n_samples, n_outputs), of codes, (n_samples, n_components).

        And a mask of the values that the near training row has, of the same shape.
        """
        known = self._reference
        if known is None or known.model is not model or known.prior is not prior:
            known = self._reference = _Reference(model, prior, self.rows, self.seed)
        return known.draw(codes, values, rng)


class _Reference:
    """Codes, outputs, targets and quantiles of :class:`Residuals` for a model and a prior."""

    def __init__(self, model, prior, rows, seed):
        rng, preprocessing = np.random.RandomState(seed), model.preprocessing
        self.model, self.prior = model, prior
        mean, log_variance = model.posterior(rows.inputs)
        codes = mean + np.exp(0.5 * log_variance) * rng.standard_normal(mean.shape)
        self.codes = codes
        self.outputs = preprocessing.expected(model.decoder(codes))
        self.parts = preprocessing.parts(model.noise)
        self.targets, self.observed = preprocessing.targets(rows)
        n_draws, size = max(_MOST_NUMBERS // self.outputs.shape[1], len(codes)), codes.shape[1]
        n_draws = min(n_draws, _MOST_RESIDUALS)
        drawn = draw_codes(prior, n_draws, size, rng)
        values = preprocessing.expected(model.decoder(drawn))
        self.share = np.full(len(codes), 1 / len(codes))  # of the candidates
        if not self.observed.all():
            # The same values are missing as often in chosen rows as in all.
            _, pattern = np.unique(self.observed, axis=0, return_inverse=True)
            pattern = pattern.reshape(-1)
            expected = np.bincount(pattern) * n_draws / len(pattern) + _LEAST_COUNT
            for _ in range(_PATTERN_ROUNDS):
                chosen = pattern[
                    self._chosen(drawn, values, rng.uniform(size=(n_draws, 1)), rng)
                ]
                found = np.bincount(chosen, minlength=len(expected)) + _LEAST_COUNT
                self.share *= (expected / found)[pattern]
                self.share /= self.share.sum()
        drawn, _ = self._around(drawn, values, rng)
        self.quantiles = {
            j: (np.sort(drawn[:, j]), np.sort(self.targets[self.observed[:, j], j]))
            for part, width in self.parts
            for j in np.arange(drawn.shape[1])[part]
            if not width
        }

    def draw(self, codes, values, rng):
        """Rows around outputs, (n_samples, n_outputs), with the quantiles of training rows."""
        drawn, observed = self._around(codes, values, rng)
        for j, (model_values, targets) in self.quantiles.items():
            rank = np.searchsorted(model_values, drawn[:, j]) + rng.uniform(size=len(drawn))
            drawn[:, j] = _quantile(targets, rank / (len(model_values) + 1))
        return drawn, observed

    def _around(self, codes, values, rng):
        """Rows with the residuals of training rows, before their numbers are mapped."""
        shared = rng.uniform(size=(len(codes), 1))
        row = self._chosen(codes, values, shared, rng)
        observed, target, output = (a[row] for a in (self.observed, self.targets, self.outputs))
        drawn = values + target - output
        for part, width in self.parts:
            if width:
                before, after = output[:, part], values[:, part]
                flags = _coupled(target[:, part], before, after, shared, rng, width == 1)
                drawn[:, part] = flags
        if not observed.all():
            # Values that the training row does not have.
            noisy = _draw(values, self.parts, self.model.noise, rng)
            drawn = np.where(observed, drawn, noisy)
        return drawn, observed

    def _chosen(self, codes, values, shared, rng):
        """Positions of training rows, (n_samples,), with near codes and the same categories."""
        row = rng.choice(len(self.codes), (len(codes), _CANDIDATES), p=self.share)
        distance = np.square(self.codes[row] - codes[:, np.newaxis]).sum(axis=2)
        for part, width in self.parts:
            for i, index in enumerate(row.T if width else ()):
                observed, flags, before = (
                    a[index, part] for a in (self.observed, self.targets, self.outputs)
                )
                remain = _remain(flags, before, values[:, part], shared, width == 1)
                changed = observed[:, : remain.shape[1]] & ~remain
                # No distance of codes outweighs a category that changes.
                distance[:, i] += _FARTHEST * changed.sum(axis=1)
        return row[np.arange(len(row)), distance.argmin(axis=1)]


class RowSampler:
    """Rows of a :class:`VariationalModel`, drawn from its prior, or given some of their values.

    Given some values, rows are drawn from the prior, and some of those nearest to the values
    are taken, as in approximate Bayesian computation [1]_. With the given values in their place
    they are encoded, and the others are drawn once more around the output for a code from the
    posterior: one step of Gibbs sampling [2]_.

    References
    ----------
    .. [1] G. Biau, F. Cerou and A. Guyader, "New Insights into Approximate Bayesian
       Computation", Annales de l'IHP 51, 2015.

    .. [2] D. J. Rezende, S. Mohamed and D. Wierstra, "Stochastic Backpropagation and
       Approximate Inference in Deep Generative Models", ICML 2014.
    """

    def __init__(self, model, prior, residuals, noise):
        self.model, self.prior, self.residuals, self.noise = model, prior, residuals, noise
        self.parts = model.preprocessing.parts(model.noise)

    def from_prior(self, n_samples, rng):
        """Values, (n_samples, n_outputs), and a mask of those that a near row has, or None."""
        codes = draw_codes(self.prior, n_samples, self.model.network.n_components, rng)
        return self._around(codes, rng)

    def given(self, targets, observed, n_draws, rng):
        """As `from_prior`, draws of each row with such values, (n_rows, n_outputs), in turn."""
        near = self._near(targets, observed, n_draws, rng)
        targets, observed = (np.repeat(a, n_draws, axis=0) for a in (targets, observed))
        mean, log_variance = self.model.posterior(self.model.preprocessing.inputs_of(near))
        codes = mean + np.exp(0.5 * log_variance) * rng.standard_normal(mean.shape)
        values, seen = self._around(codes, rng)
        seen = None if seen is None else seen | observed
        return np.where(observed, targets, values), seen

    def _around(self, codes, rng):
        """Rows around the outputs for codes, (n_samples, n_components), as in `from_prior`."""
        values = self.model.preprocessing.expected(self.model.decoder(codes))
        if not self.noise:
            return values, None
        if self.residuals is None:
            return _draw(values, self.parts, self.model.noise, rng), None
        return self.residuals.draw(self.model, self.prior, codes, values, rng)

    def _near(self, targets, observed, n_draws, rng):
        """Drawn rows near to given ones, (n_rows * n_draws, n_outputs), with their values."""
        n_drawn = np.clip(_MOST_DRAWN_NUMBERS // targets.shape[1], _NEAREST[1], _MOST_DRAWN)
        drawn, _ = self.from_prior(int(n_drawn), rng)
        drawn[np.isnan(drawn)] = 0.0  # columns that were empty in fit
        mean, spread = drawn.mean(axis=0), drawn.std(axis=0)
        for part, width in self.parts:
            if width > 1:
                spread[part] = np.sqrt(np.square(spread[part]).sum())
        spread[spread == 0] = 1.0
        targets = targets.clip(mean - _FARTHEST * spread, mean + _FARTHEST * spread)
        scaled = (drawn - mean) / spread
        values = np.where(observed, (targets - mean) / spread, 0.0)
        n_near, chosen = int(np.clip(n_draws, *_NEAREST)), []
        for some in gen_batches(len(values), max(_CHUNK_ENTRIES // len(drawn), 1)):
            # Squared distances less the squares of the given values.
            squares = observed[some] @ np.square(scaled).T - 2 * values[some] @ scaled.T
            limit = np.partition(squares, n_near - 1, axis=1)[:, n_near - 1, np.newaxis]
            for is_near in squares <= limit + _ROUNDING * (1 + np.abs(limit)):
                index = np.flatnonzero(is_near)
                chosen.append(rng.choice(index, n_draws, replace=len(index) < n_draws))
        targets, observed = (np.repeat(a, n_draws, axis=0) for a in (targets, observed))
        return np.where(observed, targets, drawn[np.concatenate(chosen)])


def _draw(values, parts, noise, rng):
    """Rows around outputs, (n_samples, n_outputs), with the noise of the likelihood."""
    drawn = values.copy()
    for part, width in parts:
        share = values[:, part]
        if not width:
            drawn[:, part] += noise[part] * rng.standard_normal(share.shape)
        elif width == 1:
            drawn[:, part] = rng.uniform(size=share.shape) < share
        else:
            drawn[:, part] = _one_of(share, rng)
    return drawn


def _coupled(flags, before, after, shared, rng, binary):
    """Flags whose probabilities are `after`, as often as possible those given, of `before`.

    All of shape (n_samples, width), of one column of several categories, or `binary` ones.
    `shared` : (n_samples, 1), uniform numbers that decide which are the same.
    """
    other = 1 - flags if binary else _one_of((after - before).clip(0), rng)
    return np.where(_remain(flags, before, after, shared, binary), flags, other)


def _remain(flags, before, after, shared, binary):
    """Mask of the flags that remain, (n_samples, width) if binary and (n_samples, 1) if not."""
    if binary:
        old, new = (np.where(flags == 1, share, 1 - share) for share in (before, after))
    else:
        old, new = ((flags * p).sum(axis=1, keepdims=True) for p in (before, after))
    return shared * old < new


def _one_of(weight, rng):
    """Flags of one column for each row, drawn in proportion to weights (n_samples, width)."""
    below = np.cumsum(weight, axis=1)
    index = (rng.uniform(size=(len(weight), 1)) * below[:, -1:] >= below).sum(axis=1)
    return index.clip(max=weight.shape[1] - 1)[:, np.newaxis] == np.arange(weight.shape[1])


def _quantile(values, share):
    """Quantiles of sorted values, (n_values,), for shares in [0, 1), (n_samples,)."""
    if not len(values):
        return np.full(len(share), np.nan)
    place = share * len(values)
    low = place.astype(int).clip(max=len(values) - 1)
    high = (low + 1).clip(max=len(values) - 1)
    repeated = np.r_[False, values[1:] == values[:-1]]
    repeated |= np.r_[repeated[1:], False]
    between = np.where(repeated[low] | repeated[high], 0.0, place - low)
    return values[low] + between * (values[high] - values[low])


def draw_codes(prior, n_samples, n_components, rng):
    """Codes from the prior, (n_samples, n_components); None: the standard normal."""
    codes = rng.standard_normal((n_samples, n_components))
    if prior is not None:
        component = rng.choice(prior.n_components, n_samples, p=prior.weights_)
        for i in np.unique(component):
            factor, chosen = np.linalg.cholesky(prior.covariances_[i]), component == i
            codes[chosen] = prior.means_[i] + codes[chosen] @ factor.T
    return codes


# Given rows


class GivenRows:
    """Rows with missing values, as the user gave them, for an estimator that draws these.

    A row by the names of its columns, as a dict or a Series of pandas, or rows; what is not
    there by name is missing.
    """

    def __init__(self, estimator, given):
        self.table, is_named = _all_columns(estimator, given)
        with warnings.catch_warnings():
            if is_named:
                # The names are those of the columns.
                warnings.filterwarnings("ignore", "X does not have valid feature names")
            rows = read_rows(estimator, self.table).dense()
        preprocessing = estimator._model.preprocessing
        self.encoder = estimator.table_
        if self.encoder is not None:
            self.table = checked_table(self.table)
            _refuse_unknown(self.table, rows.observed, self.encoder.blocks_)
        self.rows = rows.outputs
        self.targets, self.observed = preprocessing.targets(preprocessing.with_targets(rows))

    def index(self, n_draws):
        """Index of pandas for draws of each row; None: there is none."""
        index = index_of(self.table)
        return None if index is None else index.repeat(n_draws)

    def put_into(self, drawn, n_draws):
        """Drawn rows, (n_rows * n_draws, ...), with the values as they were given."""
        if self.encoder is None:
            rows = np.repeat(self.rows, n_draws, axis=0).reshape(drawn.shape)
            return np.where(np.isnan(rows), drawn, rows)
        mask = np.repeat(~missing_mask(self.table), n_draws, axis=0)
        if not is_frame(drawn):
            given = np.repeat(np.asarray(self.table, dtype=object), n_draws, axis=0)
            fits = given.dtype == drawn.dtype or not mask.any()
            drawn = drawn if fits else drawn.astype(object)
            return np.where(mask, given, drawn)
        cells = self.encoder.cells(self.table)
        rows = np.arange(len(mask)) // n_draws
        columns = [data.take(rows[mask[:, j]]) for j, data in enumerate(cells)]
        return with_values(drawn, columns, mask, FrameSchema(self.table, cells))


def _all_columns(estimator, given):
    """Rows as a table of all columns, (n_rows, n_features), and True if they were named."""
    n_columns, name = estimator.n_features_in_, type(estimator).__name__
    labels = estimator._labels or getattr(estimator, "feature_names_in_", None)
    if sparse.issparse(given):
        raise TypeError("given must be dense: zeros of a sparse matrix are not missing.")
    if isinstance(given, Mapping) or (hasattr(given, "iloc") and not is_frame(given)):
        labels = list(range(n_columns) if labels is None else labels)
        _check_labels(given.keys(), labels, name)
        row = np.full((1, n_columns), np.nan, object)
        for label, value in given.items():
            row[0, labels.index(label)] = value
        return row, True
    if is_frame(given):
        if labels is None:
            return given, False
        frame, labels = nw.from_native(given, eager_only=True), list(labels)
        names = list(given.columns) if hasattr(given, "iloc") else frame.columns
        _check_labels(names, labels, name)
        if names == labels:
            return given, False
        if hasattr(given, "iloc"):
            return given.reindex(columns=labels), False
        missing = [nw.lit(None).alias(label) for label in labels if label not in names]
        return frame.with_columns(*missing).select(labels).to_native(), False
    shape = (n_columns,) if estimator.table_ is not None else estimator._input_shape
    found = np.shape(given)
    if found == shape:
        return np.asarray(given)[np.newaxis], False
    if found[1:] not in (shape, (int(np.prod(shape)),)):
        raise ValueError(
            f"given must be one row or rows of shape {shape}, missing values included, as "
            f"{name} was fitted on; got an array of shape {found}."
        )
    return given, False


def _check_labels(found, labels, name):
    """Raise if names of columns are not among the labels of those seen in fit."""
    unknown = [repr(label) for label in found if label not in labels]
    if unknown:
        shown = ", ".join(map(repr, labels[:MOST_NAMED]))
        raise ValueError(
            f"given has columns that {name} was not fitted on: {', '.join(unknown)}. It was "
            f"fitted on {shown}{' and others' if len(labels) > MOST_NAMED else ''}."
        )


def _refuse_unknown(X, known, blocks):
    """Raise if a table has observed values that are not known, (n_rows, n_columns)."""
    for data, is_known, block in zip(read_columns(X), known.T, blocks, strict=True):
        unknown = data.values[data.observed & ~is_known]
        if len(unknown) and block.stop > block.start:
            shown = ", ".join(sorted(set(map(repr, unknown.tolist())))[:MOST_NAMED])
            raise ValueError(
                f"given has values in column {block.name!r} that were not seen in fit: "
                f"{shown}. Nothing is known about such rows: leave the value missing."
            )
