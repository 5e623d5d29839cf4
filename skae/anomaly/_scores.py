"""Anomaly scores of rows, and their parts by column.

A score has one fold model for each fold, which has not been trained on the rows of that fold.
New rows are scored by all of them.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from skae.anomaly._calibration import lower_quantile
from skae.anomaly._components import MOST_ROWS, TINY, TrainingData
from skae.anomaly._explanation import (
    Reasons,
    above_fair_share,
    explanation_of,
    residual_quantiles,
)
from skae.anomaly._views import fit_relations
from skae.estimators._fit_callbacks import fit_network
from skae.estimators._validation import reconstruction_errors
from skae.utils._arrays import by_chunk
from skae.utils._calls import draw_seed

# Entries of arrays that are held at a time.
_CHUNK_ENTRIES = 2**20

# The unit of the components and of a view beside them is the distance from its median to a
# quantile, by `novelty`, on a log scale, and at least the least one. Anomalies in training lie
# above the lower quantile.
_UPPER_QUANTILE = {True: 0.99, False: 0.8}
_LEAST_UNIT = 0.2

# Of numbers with anomalies among them relations count from so many units, and the unit of the
# components is that of their tail: a broken relation is rarer than extremes of a column.
_UNITS_ABOVE, _TAIL_QUANTILE = 2, 0.9

# A distance in other units counts by its logarithm above the median, in units of the distance
# to this quantile: less the first number, and up to the second. The mean of these is added to
# the logarithm of the components, in their unit.
_QUANTILE_OF_DISTANCES = 0.95
_LEAST_VIEW, _MOST_VIEW = 0.5, 5.0

# Largest logarithm of a score by a relation, which float32 holds.
_LARGEST_LOG = 80.0


# The logarithm of a score, of arrays or of ONNX tensors


def log_mean(scores: Any) -> Any:
    """Logarithm of the geometric mean of scores, (n_samples,) each, of components or models."""
    logs = [np.log(score) for score in scores]
    return sum(logs) / len(logs)


def added_by_distances(logs: Any, units: Any) -> list:
    """Terms of distances in the logarithm of a score, (n_samples,) each, in its unit.

    From logarithms, (n_samples,) each, of the components' mean and of each distance, and their
    medians and units, (2, 1 + n_distances).
    """
    n_distances = units.shape[1] - 1
    pairs = zip(logs[1 : 1 + n_distances], *units[:, 1:], strict=True)
    views = (np.minimum((log - median) / unit, _MOST_VIEW) for log, median, unit in pairs)
    return [np.maximum(view - _LEAST_VIEW, 0.0) / n_distances for view in views]


def log_score(logs: Any, distance_units: Any, units: Any) -> Any:
    """Logarithm of a score, (n_samples,), from those of its parts, see `CombinedScore.logs`.

    In the unit of the components, so that their mean is the score of most rows; units are None
    without distances or relations, or where these are not to count.
    """
    log = logs[0]
    if distance_units is not None:
        log = log + distance_units[1, 0] * sum(added_by_distances(logs, distance_units))
    if units is not None:
        (of_score, *origins), (unit, *others) = units
        relations = logs[len(logs) - len(origins) :]
        for relation, origin, other in zip(relations, origins, others, strict=True):
            raised = of_score + unit * ((relation - origin) / other)
            log = np.maximum(log, np.minimum(raised, _LARGEST_LOG))
    return log


class CombinedScore:
    """Geometric mean of components, such as the error of denoisers and a distance.

    A row that is far from the others in other units of the columns has a larger one. Where
    columns determine each other, a relation that is broken raises it, and in a table a
    rare value: the larger counts, each by its logarithm over the median, in a unit of its own.
    """

    encoding: Any  # of the rows of the detector's matrix
    components: list  # `Component`, fitted in this order
    n_models: int
    relations: Any = ()  # ConditionalResiduals and RareValues that apply to the training rows
    distances: Any = ()  # `NeighborDistance` in other units
    # Median and unit of the logarithms of the components' mean and of each distance,
    # (2, 1 + n_distances); None without distances.
    distance_units: Any = None
    # Origin and unit of the logarithms of the components' mean and of each relation,
    # (2, 1 + n_relations): the median, or one or two units above it; None without relations.
    units: Any = None
    # Of each number in standard deviations, (n_numbers,), or None.
    typical_residual: Any = None
    # Of numbers of a table, see `residual_quantiles`; None of other data and in earlier files.
    residual_quantile: Any = None

    def __init__(self, encoding, components, relations=(), distances=()):
        self.encoding = encoding
        self.components = components
        self.relations = relations
        self.distances = distances

    def fit(self, rows, folds, rng, monitor):
        """Fit the components to all training rows, of the detector's matrix, by these folds."""
        self.n_models = len(folds.train_mask)
        encoded = self.encoding.encode(rows.inputs.astype(np.float64, copy=False))
        mask = folds.train_mask.any(axis=0)
        data = TrainingData(encoded, rows.weight, self.encoding, folds, mask, rng, monitor)
        for component in self.components:
            component.fit(data)
            data = replace(data, reference_mask=component.trim(data))
        self.relations, self.typical_residual = fit_relations(self.relations, data)
        if self.encoding.is_table:
            self.residual_quantile = residual_quantiles(self.components[0], data)
        for distance in self.distances:
            distance.fit(data)
        return self

    def held_out_scores(self, rows, folds, novelty):
        """Set the units, and return scores of rows by models that have not seen them."""
        logs = folds.held_out_values(lambda j, i: self._logs_of_rows(rows.inputs[i], [j]))
        held_out, n_distances = ~np.isnan(logs[:, 0]), len(self.distances)
        weight = None if rows.weight is None else rows.weight[held_out]
        if n_distances:
            some = logs[held_out, : 1 + n_distances]
            median, upper = _quantiles(some, _QUANTILE_OF_DISTANCES, weight)
            self.distance_units = np.stack([median, np.maximum(upper - median, _LEAST_UNIT)])
        if self.relations:
            some, units_above = self.views(logs[held_out]), 1
            origin, upper = _quantiles(some, _UPPER_QUANTILE[bool(novelty)], weight)
            if not (novelty or self.encoding.is_table):
                units_above = _UNITS_ABOVE
                upper[0] = lower_quantile(some[:, 0], _TAIL_QUANTILE, weight)
            least = [-np.inf, *(relation.least_origin for relation in self.relations)]
            origin = np.maximum(origin, least)
            least = [_LEAST_UNIT, *(relation.least_unit for relation in self.relations)]
            unit = np.maximum(upper - origin, least)
            above = [False, *(relation.above_unit for relation in self.relations)]
            origin += units_above * unit * above
            self.units = np.stack([origin, unit])
        return np.exp(log_score(logs.T, self.distance_units, self.units))

    @property
    def loss_curves(self):
        """Mean training loss of each epoch, of each fold model."""
        return [curve for component in self.components for curve in component.loss_curves]

    @property
    def spread(self):
        """Typical residual of each column in the units of the data, (n_columns,), or None."""
        typical, encoding = self.typical_residual, self.encoding
        if typical is None or encoding.deviation is None:
            return None
        spread = np.full(encoding.layout.n_columns, np.nan)
        is_value = ~encoding.layout.is_indicator
        spread[encoding.layout.column[is_value]] = (typical * encoding.deviation)[is_value]
        return spread

    @property
    def row_entries(self):
        """Numbers held for each row while rows are scored."""
        return sum(component.row_entries for component in (*self.components, *self.distances))

    def score(self, X, models=None):
        """Score of each row of X, (n_samples, n_features), by these fold models or by all."""

        def score(rows):
            logs = self._logs(rows, models)
            return np.exp(log_score(logs, self.distance_units, self.units))

        return self._by_chunk(score, X)

    def logs(self, rows, models=None):
        """Logarithms of the components' mean, of distances and of relations, for encoded rows.

        By these fold models or by all, (n_samples, 1 + n_distances + n_relations).
        """
        return np.stack(self._logs(rows, models), axis=1)

    def _logs(self, rows, models):
        """The columns of `logs`, (n_samples,) each."""
        models = range(self.n_models) if models is None else models

        def scores(part):
            return [score + part.least for score in part.scores(rows, models)]

        parts = [log_mean([score for c in self.components for score in scores(c)])]
        parts += [log_mean(scores(distance)) for distance in self.distances]
        parts += [np.mean(np.stack(each.logs(rows, models)), axis=0) for each in self.relations]
        return parts

    def _logs_of_rows(self, X, models):
        """As `logs`, of rows X (n_samples, n_features) of the detector's matrix."""
        return self._by_chunk(lambda rows: self.logs(rows, models), X)

    def views(self, logs):
        """Score without relations, and these, (n_samples, 1 + n_relations).

        As logarithms, in their units once these are known, from the results of `logs`.
        """
        raised = log_score(logs.T, self.distance_units, None)
        views = np.column_stack([raised, logs[:, 1 + len(self.distances) :]])
        return views if self.units is None else (views - self.units[0]) / self.units[1]

    def terms(self, logs):
        """Terms of the components' mean and of distances, (n_samples, 1 + n_distances).

        In the logarithm of the score, above the median, in its unit, by the results of `logs`.
        """
        (median, *_), (unit, *_) = self.distance_units
        added = added_by_distances(logs.T, self.distance_units)
        return np.column_stack([(logs[:, 0] - median) / unit, *added])

    def shares(self, X):
        """Shares of the columns in the score of each row, (n_samples, n_columns)."""
        explanation = explanation_of(self)
        return self._by_chunk(explanation.shares, X, explanation.row_entries(X.shape[1]))

    def reasons(self, X):
        """Columns that explain the score of each row, their shares and expected values."""
        explanation = explanation_of(self)
        row_entries = explanation.row_entries(X.shape[1])
        return Reasons(*self._by_chunk(explanation.reasons, X, row_entries))

    def _by_chunk(self, function, X, row_entries=None):
        """Results of a function of encoded rows of X, as many at a time as memory allows."""
        row_entries = row_entries or self.row_entries + X.shape[1]
        n_rows = max(_CHUNK_ENTRIES // row_entries, 1)
        return by_chunk(lambda part: function(self.encoding.encode(part)), n_rows, 0, X)


def _quantiles(logs, quantile, weight):
    """Medians of columns, (n_samples, n_columns), and another quantile, (n_columns,) each."""
    shares = 0.5, quantile
    return np.array([[lower_quantile(log, q, weight) for log in logs.T] for q in shares])


class ReconstructionScore:
    """Loss of autoencoders, in units of its mean over training rows; the mean over folds."""

    encoding: Any  # of the rows of the detector's matrix
    autoencoders: list  # one for each fold
    shape: tuple  # of one row, as autoencoders accept it
    unit: list  # mean loss of each autoencoder over the rows that it was trained on

    spread = None

    def __init__(self, encoding, autoencoders, shape, unit=None):
        self.encoding = encoding
        self.autoencoders = autoencoders
        self.shape = shape
        self.unit = [1.0] * len(autoencoders) if unit is None else unit

    def fit(self, rows, folds, rng, monitor):
        """Fit an autoencoder for each fold, to rows of the detector's matrix."""
        parts = [rng.permutation(np.flatnonzero(mask)) for mask in folds.train_mask]
        for autoencoder, part in zip(self.autoencoders, map(rows.take, parts), strict=True):
            X = self.encoding.to_network(part.inputs).reshape(-1, *self.shape)
            autoencoder.set_params(random_state=draw_seed(rng))
            fit_network(autoencoder, X, part.weight, monitor)
        self.unit = [
            self.score(rows.inputs[part[:MOST_ROWS]], [j]).mean() or 1.0
            for j, part in enumerate(parts)
        ]
        return self

    @property
    def loss_curves(self):
        """Mean training loss of each epoch, of each autoencoder."""
        return [autoencoder.loss_curve_ for autoencoder in self.autoencoders]

    def score(self, X, models=None):
        """Score of each row of X, (n_samples, n_features), by these fold models or by all."""
        rows = self.encoding.encode(X)
        inputs = self.encoding.to_network(X).reshape(-1, *self.shape)
        scores = []
        for model in range(len(self.autoencoders)) if models is None else models:
            losses = reconstruction_errors(self.autoencoders[model], inputs)
            score = losses / self.unit[model] + rows.missing.sum(axis=1)
            if rows.unseen is not None:
                score = score + np.square(rows.unseen).mean(axis=1)
            scores.append(score)
        return _mean(scores)

    def held_out_scores(self, rows, folds, novelty):
        """Scores of rows by models that have not seen them, (n_samples,)."""
        return folds.held_out_values(lambda j, i: self.score(rows.inputs[i], [j]))

    def shares(self, X):
        """Shares of the columns in the score of each row, (n_samples, n_columns)."""
        return self.reasons(X).shares

    def reasons(self, X):
        """Columns that explain the score of each row, their shares and expected values.

        Expected is the reconstruction.
        """
        rows, Z = self.encoding.encode(X), self.encoding.to_network(X)
        inputs = Z.reshape(-1, *self.shape)
        restored = [
            autoencoder.reconstruct(inputs).reshape(Z.shape)
            for autoencoder in self.autoencoders
        ]
        expected = self.encoding.to_data(_mean(restored))
        if self.encoding.is_table:
            squared = np.square(rows.values - expected) * rows.observed
            squared = self.encoding.layout.sum_by_column(squared) + np.square(rows.unseen)
        else:
            squared = _mean([np.square(Z - each) for each in restored])
            missing = rows.missing * X.shape[1] * np.mean(self.unit)
            squared = np.nan_to_num(np.where(np.isnan(Z), missing, squared))
        shares = (squared + TINY) / (squared + TINY).sum(axis=1, keepdims=True)
        return Reasons(above_fair_share(shares), shares, expected)


def _mean(values):
    """Mean of arrays of one shape by several autoencoders, of those that are not NaN.

    A column without a value in a fold is NaN where its autoencoder reconstructs.
    """
    values = np.stack(values).astype(np.float64, copy=False)
    n_known = (~np.isnan(values)).sum(axis=0)
    return np.where(n_known > 0, np.nansum(values, axis=0) / np.maximum(n_known, 1), np.nan)
