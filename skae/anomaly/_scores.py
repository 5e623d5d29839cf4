"""Anomaly scores of rows, and their parts by column.

A score has one fold model for each fold, which has not been trained on the rows of that fold.
New rows are scored by all of them.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from skae.anomaly._calibration import lower_quantile
from skae.anomaly._components import MOST_ROWS, TINY, TrainingData
from skae.anomaly._explanation import Reasons, above_fair_share, explanation_of
from skae.anomaly._views import omit_looser_logs, typical_residual
from skae.estimators._fit_callbacks import fit_network
from skae.utils._calls import draw_seed

# Entries of arrays that are held at a time.
_CHUNK_ENTRIES = 2**20

# The unit of the components and of a view beside them is the distance from its median to a
# quantile, by `novelty`, on a log scale, and at least the least one. Anomalies in training lie
# above the lower quantile.
_UPPER_QUANTILE = {True: 0.99, False: 0.8}
_LEAST_UNIT = 0.2

# A distance in other units counts by its logarithm above the median, in units of the distance
# to this quantile: less the first number, and up to the second. The mean of these is added to
# the logarithm of the components, in their unit. Rows that are nearer than the last number, in
# mean distances, count as this near.
_QUANTILE_OF_DISTANCES = 0.95
_LEAST_VIEW, _MOST_VIEW, NEAR = 0.5, 5.0, 0.01

# Largest logarithm of a score by a relation, which float32 holds.
LARGEST_LOG = 80.0


def geometric_mean(xp: Any, scores: Any) -> Any:
    """Geometric mean over components and fold models, (n_samples,).

    Of `scores` of shape (n_components, n_models, n_samples), by the functions of `xp`: NumPy,
    or those of ONNX tensors.
    """
    logarithms = [
        sum(xp.log(score + TINY) for score in by_component) / len(by_component)
        for by_component in zip(*scores, strict=True)
    ]
    return xp.exp(sum(logarithms) / len(logarithms))


class CombinedScore:
    """Geometric mean of components, such as the error of denoisers and a distance.

    A row that is far from the others in other units of the columns has a larger one. Where
    columns determine each other, a relation that is broken raises it, and in a table a
    rare value: the larger counts, each by its logarithm over the median, in a unit of its own.

    Parameters
    ----------
    encoding : NumberEncoding or TableEncoding
        Encoding of the rows of the detector's matrix.

    components : list of Component
        Fitted by `fit`, in this order.

    relations : list of ConditionalResiduals or RareValues
        Views beside the components, fitted by `fit`, which keeps those that apply to the
        training rows.

    distances : list of NeighborDistance
        In other units, fitted by `fit`.
    """

    encoding: Any
    components: list
    n_models: int
    relations: Any = ()
    distances: Any = ()
    # Median and unit of the logarithms of the components' mean and of each distance,
    # (2, 1 + n_distances); None without distances.
    distance_units: Any = None
    # Origin and unit of the logarithms of the components' mean and of each relation,
    # (2, 1 + n_relations): the median, or one unit above it; None without relations.
    units: Any = None
    # Of each number in standard deviations, (n_numbers,), or None.
    typical_residual: Any = None

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
        for view in (*self.relations, *self.distances):
            view.fit(data)
        omit_looser_logs(self.relations)
        self.typical_residual = typical_residual(self.relations)
        self.relations = [relation for relation in self.relations if relation.applies]
        return self

    def held_out_scores(self, rows, folds, novelty):
        """Set the units, and return scores of rows by models that have not seen them."""
        parts = folds.held_out_values(lambda j, i: self._parts_of_rows(rows.inputs[i], [j]))
        held_out = ~np.isnan(parts[:, 0])
        weight = None if rows.weight is None else rows.weight[held_out]
        n_distances = len(self.distances)
        if n_distances:
            logs = _logs(parts[held_out])[:, : 1 + n_distances]
            median, unit = _units(logs, _QUANTILE_OF_DISTANCES, weight)
            self.distance_units = np.stack([median, np.maximum(unit, _LEAST_UNIT)])
        parts = self._raised(parts)
        if self.relations:
            logs = _logs(parts[held_out])
            median, unit = _units(logs, _UPPER_QUANTILE[bool(novelty)], weight)
            origins = [-np.inf, *(relation.least_origin for relation in self.relations)]
            upper, median = median + unit, np.maximum(median, origins)
            least = [_LEAST_UNIT, *(relation.least_unit for relation in self.relations)]
            unit = np.maximum(upper - median, least)
            median[1:] += unit[1:] * [relation.above_unit for relation in self.relations]
            self.units = np.stack([median, unit])
        return self._with_relations(parts)

    @property
    def loss_curves(self):
        """Mean training loss of each epoch, of each fold model."""
        return [curve for component in self.components for curve in component.loss_curves]

    def score(self, X, models=None):
        """Score of each row of X, (n_samples, n_features), by these fold models or by all."""
        models = range(self.n_models) if models is None else models
        return self._with_relations(self._raised(self._parts_of_rows(X, models)))

    def views(self, rows):
        """Logarithms of encoded rows in their units, (n_samples, 1 + n_relations).

        Of the score without relations, and of each of these.
        """
        parts = self._parts(rows, range(self.n_models))
        return self._in_units(self._raised(parts))

    def terms(self, rows):
        """Terms of the components' mean and of distances, (n_samples, 1 + n_distances).

        In the logarithm of the score of encoded rows, above the median, in its unit.
        """
        logs = _logs(self._parts(rows, range(self.n_models), relations=()))
        (median, *_), (unit, *_) = self.distance_units
        added = added_by_distances(np, logs.T, self.distance_units)
        return np.column_stack([(logs[:, 0] - median) / unit, *added])

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

    def _parts_of_rows(self, X, models):
        """As `_parts`, of rows X (n_samples, n_features) of the detector's matrix."""
        every = (*self.components, *self.distances)
        row_entries = sum(component.row_entries for component in every)
        chunks = self._chunks(X, row_entries + X.shape[1])
        return np.concatenate([self._parts(rows, models) for rows in chunks])

    def _parts(self, rows, models, relations=None):
        """Geometric mean of the components, and logarithms of distances and of relations.

        By these fold models, (n_samples, 1 + n_distances + n_relations); of all relations, or
        of these.
        """
        parts = [geometric_mean(np, [c.scores(rows, models) for c in self.components])]
        for distance in self.distances:
            logs = [np.log(score + NEAR) for score in distance.scores(rows, models)]
            parts.append(np.mean(logs, axis=0))
        for relation in self.relations if relations is None else relations:
            logs = [np.log(score + TINY) for score in relation.scores(rows, models)]
            parts.append(np.mean(logs, axis=0))
        return np.stack(parts, axis=1)

    def _raised(self, parts):
        """Score without relations, and logarithms of these, (n_samples, 1 + n_relations).

        From the results of `_parts`.
        """
        of_relations = parts[:, 1 + len(self.distances) :]
        return np.column_stack([self._with_distances(parts), of_relations])

    def _with_distances(self, parts):
        """Mean of the components, raised by distances, (n_samples,), from `_parts`."""
        mean = parts[:, 0]
        if self.distance_units is None:
            return mean
        unit = self.distance_units[1, 0]
        return mean * np.exp(
            unit * sum(added_by_distances(np, _logs(parts).T, self.distance_units))
        )

    def _in_units(self, parts):
        """Logarithms in their units, (n_samples, 1 + n_relations).

        Of `parts`, of this shape: the score without relations, and logarithms of these.
        """
        return (_logs(parts) - self.units[0]) / self.units[1]

    def _with_relations(self, parts):
        """Scores, (n_samples,), from `parts` as those of `_in_units`.

        In the unit of the components, so that their mean is the score of most rows.
        """
        if self.units is None:
            return parts[:, 0]
        (median, *_), (unit, *_) = self.units
        log = median + unit * self._in_units(parts)[:, 1:].max(axis=1)
        return np.maximum(parts[:, 0], np.exp(np.minimum(log, LARGEST_LOG)))

    def shares(self, X):
        """Shares of the columns in the score of each row, (n_samples, n_columns)."""
        return self._explained(lambda explanation, rows: explanation.shares(rows), X)

    def expected(self, X):
        """Expected values, in the units of X or as numbers of the encoder of a table."""
        return self._explained(lambda explanation, rows: explanation.reasons(rows).expected, X)

    def reasons(self, X):
        """Columns that explain the score of each row, their shares and expected values."""
        parts = self._explained(
            lambda explanation, rows: np.hstack(explanation.reasons(rows)), X
        )
        n_columns = self.encoding.layout.n_columns
        blamed, shares, expected = np.split(parts, [n_columns, 2 * n_columns], axis=1)
        return Reasons(blamed > 0, shares, expected)

    def _explained(self, function, X):
        """Results of a function of an explanation and of rows X (n_samples, n_features)."""
        explanation = explanation_of(self)
        chunks = self._chunks(X, explanation.row_entries(X.shape[1]))
        return np.concatenate([function(explanation, rows) for rows in chunks])

    def _chunks(self, X, row_entries):
        """Encoded rows of X, (n_samples, n_features), as many at a time as memory allows."""
        n_rows = max(_CHUNK_ENTRIES // row_entries, 1)
        return (self.encoding.encode(X[i : i + n_rows]) for i in range(0, len(X), n_rows))


def added_by_distances(xp: Any, logs: Any, units: Any) -> list:
    """Terms of distances in the logarithm of a score, (n_samples,) each, in its unit.

    From logarithms, (n_samples,) each, of the components' mean and of each distance, and their
    medians and units, (2, 1 + n_distances), by the functions of `xp`.
    """
    n_distances = units.shape[1] - 1
    pairs = zip(logs[1 : 1 + n_distances], *units[:, 1:], strict=True)
    views = (xp.minimum((log - median) / unit, _MOST_VIEW) for log, median, unit in pairs)
    return [xp.maximum(view - _LEAST_VIEW, 0.0) / n_distances for view in views]


def _units(logs, quantile, weight):
    """Medians of columns, (n_samples, n_columns), and the distances to a quantile."""
    median, upper = (
        np.array([lower_quantile(log, share, weight) for log in logs.T])
        for share in (0.5, quantile)
    )
    return median, upper - median


def _logs(parts):
    """Parts with the logarithm of the first column, (n_samples, n_parts)."""
    return np.column_stack([np.log(parts[:, 0] + TINY), parts[:, 1:]])


class ReconstructionScore:
    """Loss of autoencoders, in units of its mean over training rows, averaged over the folds.

    Parameters
    ----------
    encoding : NumberEncoding or TableEncoding
        Encoding of the rows of the detector's matrix.

    autoencoders : list of autoencoder
        Fitted, one for each fold.

    shape : tuple of int
        Of one row, as autoencoders accept it.

    unit : list of float
        Mean loss of each autoencoder over the rows that it was trained on.
    """

    encoding: Any
    autoencoders: list
    shape: tuple
    unit: list

    spread = None

    def __init__(self, encoding, autoencoders, shape, unit=None):
        self.encoding = encoding
        self.autoencoders = autoencoders
        self.shape = shape
        self.unit = [1.0] * len(autoencoders) if unit is None else unit

    @classmethod
    def from_data(cls, rows, folds, rng, make, shape, encoding, monitor):
        """Score with an autoencoder for each fold, which `make` returns to be fitted."""
        parts = [rng.permutation(np.flatnonzero(mask)) for mask in folds.train_mask]
        autoencoders = []
        for part in map(rows.take, parts):
            X = encoding.to_network(part.inputs).reshape(-1, *shape)
            autoencoder = make().set_params(random_state=draw_seed(rng))
            autoencoders.append(fit_network(autoencoder, X, part.weight, monitor))
        score = cls(encoding, autoencoders, shape)
        score.unit = [
            score.score(rows.inputs[part[:MOST_ROWS]], [j]).mean() or 1.0
            for j, part in enumerate(parts)
        ]
        return score

    @property
    def loss_curves(self):
        """Mean training loss of each epoch, of each autoencoder."""
        return [autoencoder.loss_curve_ for autoencoder in self.autoencoders]

    def score(self, X, models=None):
        """Score of each row of X, (n_samples, n_features), by these fold models or by all."""
        rows = self.encoding.encode(X)
        inputs = self.encoding.to_network(X).reshape(-1, *self.shape)
        return self._mean(lambda j: self._score_of_model(j, rows, inputs), models)

    def held_out_scores(self, rows, folds, novelty):
        """Scores of rows by models that have not seen them, (n_samples,)."""
        return folds.held_out_values(lambda j, i: self.score(rows.inputs[i], [j]))

    def _score_of_model(self, model, rows, inputs):
        """Score of each row, (n_samples,), by one autoencoder, from its inputs."""
        autoencoder = self.autoencoders[model]
        losses = -autoencoder.score_samples(inputs).astype(np.float64, copy=False)
        if losses.min() < 0:
            raise ValueError(
                "estimator must be an autoencoder whose score_samples is minus an error, "
                f"so never positive; that of {type(autoencoder).__name__} reaches "
                f"{-losses.min():.6g}."
            )
        scores = losses / self.unit[model] + rows.missing.sum(axis=1)
        return scores if rows.unseen is None else scores + np.square(rows.unseen).mean(axis=1)

    def shares(self, X):
        """Shares of the columns in the score of each row, (n_samples, n_columns)."""
        rows, layout = self.encoding.encode(X), self.encoding.layout
        if self.encoding.is_table:
            squared = np.square(rows.values - self.expected(X)) * rows.observed
            squared = layout.sum_by_column(squared) + np.square(rows.unseen)
        else:
            Z = self.encoding.to_network(X)
            squared = self._mean(lambda j: np.square(Z - self._reconstructed(j, Z)))
            missing = rows.missing * X.shape[1] * np.mean(self.unit)
            squared = np.nan_to_num(np.where(np.isnan(Z), missing, squared))
        squared = squared + TINY
        return squared / squared.sum(axis=1, keepdims=True)

    def expected(self, X):
        """Reconstruction, in the units of X or as numbers of the encoder of a table."""
        Z = self.encoding.to_network(X)
        return self.encoding.to_data(self._mean(lambda j: self._reconstructed(j, Z)))

    def reasons(self, X):
        """Columns that explain the score of each row, their shares and expected values."""
        shares = self.shares(X)
        return Reasons(above_fair_share(shares), shares, self.expected(X))

    def _mean(self, of_model, models=None):
        """Mean of arrays ``of_model(j)`` of one shape over these autoencoders or all."""
        models = range(len(self.autoencoders)) if models is None else models
        values = [of_model(j).astype(np.float64) for j in models]
        mean = sum(values) / len(values)
        if np.isnan(mean).any():
            # A column without a value in a fold is NaN where its autoencoder reconstructs.
            n_known = sum(~np.isnan(each) for each in values)
            total = sum(np.nan_to_num(each) for each in values)
            mean = np.where(n_known > 0, total / np.maximum(n_known, 1), np.nan)
        return mean

    def _reconstructed(self, model, Z):
        """Reconstruction of rows Z, (n_samples, n_numbers), by one autoencoder."""
        rows = self.autoencoders[model].reconstruct(Z.reshape(-1, *self.shape))
        return rows.reshape(len(Z), -1)
