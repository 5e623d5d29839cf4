"""Four predictions of missing values, and their weights in each column (stacking)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from skae.imputation._gaussian import Gaussian, NormalScores
from skae.imputation._masking import hide_values
from skae.imputation._training import (
    FoldModel,
    ImputationTraining,
    Layout,
    TrainingRows,
    initial_weight,
    train_fold_model,
)

Array = NDArray[Any]

# With fewer rows than this nothing but normal distributions is fitted.
_LEAST_ROWS = 10

# Folds, of which each model leaves one out, and rows of it that set the stacking weights.
_FOLDS = 5
_STACKING_ROWS = 1500

# With fewer rows than this for each column, normal distributions are fitted once more
# without the fold that is left out.
_ROWS_A_COLUMN = 30

# Strength of the prior of equal weights: as a share of the hidden values, and in values.
_PRIOR_SHARE, _PRIOR_VALUES = 0.005, 1.25
_N_PREDICTIONS = 4


class Imputation:
    """Imputer of the rows of a matrix.

    Four predictions are stacked: the conditional means by a normal distribution of the
    columns and by one of their normal scores; the weighted mean over near rows; and its
    correction by a network. Their weights in each column are set on rows that were left out
    in training, of which values are hidden.

    Parameters
    ----------
    layout : Layout
        Columns of the matrix and of the table.

    X : ndarray of shape (n_samples, n_values)
        Rows; entries at missing values are not used.

    observed : ndarray of bool of shape (n_samples, n_columns)
        Mask of the values of the table that are not missing.

    rng : RandomState
        Source of all random numbers.
    """

    layout: Layout
    low: Array
    high: Array
    scores: NormalScores
    gaussians: tuple[Gaussian, Gaussian]
    fold_models: list[FoldModel]

    def __init__(
        self, layout: Layout, X: Array, observed: Array, rng: np.random.RandomState
    ) -> None:
        self.layout = layout
        mask = layout.spread(observed)
        self.low = np.where(mask, X, np.inf).min(axis=0)
        self.high = np.where(mask, X, -np.inf).max(axis=0)
        X = np.where(mask, X, 0.0)
        self.scores = NormalScores.from_data(X, mask)
        self.gaussians = _gaussians(X, self.scores.transform(X), mask, rng)
        self.fold_models: list[FoldModel] = []

    def train(
        self,
        X: Array,
        observed: Array,
        n_models: int,
        config: ImputationTraining,
        rng: np.random.RandomState,
        monitor: Any,
    ) -> list[list[float]]:
        """Train networks on the rows the object was made from, and set the stacking weights.

        X : (n_samples, n_values); observed : (n_samples, n_columns). Returns the loss curve
        of each network.
        """
        if len(X) < _LEAST_ROWS or self.layout.n_columns < 2:
            return []
        mask = self.layout.spread(observed)
        X = np.where(mask, X, 0.0)
        scores = np.where(mask, self.scores.transform(X), 0.0)
        filled = self.gaussians[1].fill(scores, mask)
        rows = TrainingRows(X, self.layout.stretched(X), scores, filled, observed)
        fold = rng.permutation(len(X)) % _FOLDS
        weight = initial_weight(self.layout, rows, rng)
        loss_curves = []
        for k in range(n_models):
            out = fold == k % _FOLDS
            model, self_index, loss_curve = train_fold_model(
                self.layout, rows, ~out, weight, config, rng, monitor
            )
            out = rng.permutation(np.flatnonzero(out))[:_STACKING_ROWS]
            model.stacking_weights = self._weights(model, rows, out, self_index[out], rng)
            self.fold_models.append(model)
            loss_curves.append(loss_curve)
        return loss_curves

    def __call__(self, X: Array, observed: Array) -> Array:
        """Rows with every missing value filled, shape (n_samples, n_values).

        X : (n_samples, n_values), of which entries at missing values are not used;
        observed : (n_samples, n_columns).
        """
        filled = np.array(X, dtype=np.float64)
        index = np.flatnonzero(~observed.all(axis=1))
        if len(index):
            rows, mask = X[index], observed[index]
            prediction = self.layout.squashed(self._predict(rows, mask, ~mask))
            filled[index] = np.where(self.layout.spread(mask), rows, prediction)
        return filled

    def draw(self, X: Array, observed: Array, rng: np.random.RandomState) -> Array:
        """Rows with every missing value drawn, shape (n_samples, n_values).

        One column is drawn after the other, given those before, so that the values of a row
        belong together. X, observed : as above.
        """
        if not self.fold_models:
            return self(X, observed)
        layout, visible = self.layout, observed.copy()
        filled = np.where(layout.spread(observed), X, 0.0)
        for j in rng.permutation(layout.n_columns):
            index = np.flatnonzero(~observed[:, j])
            if len(index):
                columns = layout.column_of == j
                values = self._draw_column(filled[index], visible[index], j, rng)
                filled[np.ix_(index, columns)] = values
                visible[index, j] = True
        return filled

    def _draw_column(
        self, X: Array, visible: Array, j: int, rng: np.random.RandomState
    ) -> Array:
        """Values of column j, (n_samples, its columns of the matrix).

        A category is that of a near row; a number is the prediction and the residual of a
        near row. X : (n_samples, n_values); visible : (n_samples, n_columns).
        """
        layout, columns = self.layout, self.layout.column_of == j
        width = np.count_nonzero(columns)
        model = self.fold_models[rng.randint(len(self.fold_models))]
        mask = layout.spread(visible)
        scores = np.where(mask, self.scores.transform(X), 0.0)
        values, mean = model.neighbors.draw(scores, mask, j, rng)
        if not layout.is_number[columns].all():
            return values[:, :width]
        target_mask = np.zeros_like(visible)
        target_mask[:, j] = True
        prediction = self._predict(X, visible, target_mask)
        prediction[:, columns] = prediction[:, columns] + values[:, width:] - mean[:, width:]
        squashed = layout.squashed(prediction)[:, columns]
        return squashed.clip(self.low[columns], self.high[columns])

    def _predict(self, X: Array, visible: Array, target_mask: Array) -> Array:
        """Stacked predictions, the mean over the fold models, not squashed.

        X, and the result where the mask is true : (n_samples, n_values); both masks :
        (n_samples, n_columns).
        """
        linear = self._linear_predictions(X, visible, self.gaussians)
        if not self.fold_models:
            return np.mean(linear, axis=0)
        scores = np.where(self.layout.spread(visible), self.scores.transform(X), 0.0)
        total = np.zeros(X.shape)
        for model in self.fold_models:
            predictions = [
                *linear,
                *self._model_predictions(model, X, scores, visible, target_mask),
            ]
            total += (model.stacking_weights[:, np.newaxis] * predictions).sum(axis=0)
        return total / len(self.fold_models)

    def _linear_predictions(
        self, X: Array, visible: Array, gaussians: tuple[Gaussian, Gaussian]
    ) -> list[Array]:
        """Conditional means by both normal distributions, (n_samples, n_values) each."""
        of_values, of_scores = gaussians
        mask = self.layout.spread(visible)
        X = np.where(mask, X, 0.0)
        by_scores = of_scores.fill(self.scores.transform(X), mask)
        return [
            self._in_range(prediction)
            for prediction in (
                of_values.fill(X, mask),
                self.scores.inverse_transform(by_scores),
            )
        ]

    def _model_predictions(
        self,
        model: FoldModel,
        X: Array,
        scores: Array,
        visible: Array,
        target_mask: Array,
        self_index: Array | None = None,
    ) -> list[Array]:
        """Means over near rows, and their correction, (n_samples, n_values) each.

        X, scores : (n_samples, n_values); masks : (n_samples, n_columns); self_index :
        (n_samples,).
        """
        mask, n_values = self.layout.spread(visible), X.shape[1]
        means = model.neighbors(scores, mask, target_mask, self_index)
        known = np.where(mask, X, means[:, :n_values])
        inputs = np.hstack([known, np.where(mask, scores, 0.0), mask]).astype(np.float32)
        return [means[:, n_values:], self._in_range(known + model.corrector(inputs))]

    def _in_range(self, X: Array) -> Array:
        """Values within the range of the column, not squashed; both (n_samples, n_values)."""
        return self.layout.stretched(X.clip(self.low, self.high))

    def _weights(
        self,
        model: FoldModel,
        rows: TrainingRows,
        out: Array,
        self_index: Array,
        rng: np.random.RandomState,
    ) -> Array:
        """Stacking weights (n_predictions, n_values), from hidden values of rows left out.

        out, self_index : (n_out,), positions of the rows, and among the reference rows.
        """
        gaussians = self.gaussians
        if len(rows.X) < _ROWS_A_COLUMN * rows.X.shape[1]:
            # Few rows: a distribution fitted to the hidden values would get too much weight.
            used = np.setdiff1d(np.arange(len(rows.X)), out)
            mask = self.layout.spread(rows.observed[used])
            gaussians = _gaussians(rows.X[used], rows.scores[used], mask, rng)
        X, scores, parts = rows.X[out], rows.scores[out], []
        for _ in range(int(np.clip(_STACKING_ROWS // len(out), 1, 20))):
            visible = hide_values(rows.observed, rng)[out]
            hidden = rows.observed[out] & ~visible
            predictions = self._linear_predictions(X, visible, gaussians)
            predictions += self._model_predictions(
                model, X, scores, visible, hidden, self_index
            )
            parts.append((np.array(predictions), self.layout.spread(hidden)))
        stacked, hidden = (np.concatenate(part, axis=-2) for part in zip(*parts, strict=True))
        target = np.tile(rows.stretched[out], (len(parts), 1))
        weights = np.empty((_N_PREDICTIONS, X.shape[1]))
        for j in range(self.layout.n_columns):
            columns = np.flatnonzero(self.layout.column_of == j)
            mask = hidden[:, columns]
            of_column = np.stack([each[:, columns][mask] for each in stacked], axis=1)
            column_weights = stacking_weights(of_column, target[:, columns][mask])
            weights[:, columns] = column_weights[:, np.newaxis]
        return weights


def _gaussians(
    X: Array, scores: Array, observed: Array, rng: np.random.RandomState
) -> tuple[Gaussian, Gaussian]:
    """Normal distributions of values and of scores; all arrays (n_samples, n_values)."""
    of_values = Gaussian.from_data(X, observed, rng)
    return of_values, Gaussian.from_data(scores, observed, rng)


def stacking_weights(predictions: Array, target: Array) -> Array:
    """Weights of predictions with the least squared error, shrunk a little to equal ones.

    They are not negative and add up to one. predictions : (n_values, n_predictions);
    target : (n_values,); result : (n_predictions,).
    """
    n = predictions.shape[1]
    equal = np.full(n, 1 / n)
    if len(target) < n + 1:
        return equal
    variance = max(float(target.var()), 1e-6)
    prior = np.sqrt(variance * (_PRIOR_SHARE * len(target) + _PRIOR_VALUES))
    # They add up to one: an equation that counts more than all others.
    whole = 1e3 * np.sqrt(variance)
    rows = np.vstack([predictions, prior * np.eye(n), np.full((1, n), whole)])
    weights, _ = nnls(rows, np.concatenate([target, prior * equal, [whole]]))
    return np.asarray(weights / weights.sum()) if weights.sum() else equal
