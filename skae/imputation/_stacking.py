"""Four predictions of missing values: their training, and their weights in each column."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from skae.corruption._corruptions import draw_pool
from skae.imputation._predictors import (
    MOST_TOGETHER,
    BlockGaussian,
    Gaussian,
    KernelRegression,
    Layout,
    NormalScores,
    TrainingRows,
    hide_values,
    like_columns,
)
from skae.inference._dense import DenseForward
from skae.networks._dense import DenseCoder
from skae.tables._squashing_scaler import squash
from skae.utils._rows import Rows

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

# Reference rows in training, where their values and the entries of rows, kernels and reference
# rows allow it, and in imputation.
_MOST_REFERENCES, _MOST_ENTRIES, _MOST_VALUES = 500, 2**23, 2**14
_MOST_FINAL_REFERENCES = 3000

# With more columns than this they share kernels, about this many over the number of columns.
_OWN_KERNELS, _SHARED_KERNELS, _LEAST_KERNELS = 32, 512, 4

# Initial weights of the columns in distances that are tried, times the root of the number of
# columns; and the rows that choose.
_INITIAL_WEIGHTS = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
_ROWS_TO_TRY = 300

# Small tables are repeated to about this many rows.
_ROWS_AN_EPOCH = 2048

# Distributions and networks are fitted to this many rows at most, or to as many as make twice
# the steps of training.
_MOST_ROWS = 2**15

# Rows that show if values are missing by their own size, the least number of missing and of
# observed values of a column, the least slope that changes a mean, and the odds beforehand of
# missing at random, by their size, by another column, by all: `multiple_imputation.py`.
_SELECTION_ROWS, _LEAST_MISSING, _LEAST_SLOPE, _PRIOR = 2000, 10, 0.05, (1, 0.05, 1, 1)

# How much faster than the network the logarithms of the weights of columns are trained.
_RATE = 30.0


@dataclass(frozen=True)
class ImputationTraining:
    """Parameters of training, as in :class:`AEImputer`."""

    hidden: tuple[int, ...]
    activation: str
    n_models: int
    n_steps: int
    batch_size: int
    learning_rate: float

    @property
    def most_rows(self) -> int:
        """Rows that are used at most: more than the steps of a network take."""
        return max(_MOST_ROWS, 2 * self.n_steps * self.batch_size)


@dataclass(frozen=True, eq=False)
class FoldModel:
    """Kernel regression and corrector, trained together on all folds but one.

    `neighbors` gives means of values squashed and not squashed, side by side, and the output
    of `corrector` is added to them. `stacking_weights` : (n_predictions, n_values), set on
    the fold that was left out.
    """

    neighbors: KernelRegression
    corrector: DenseForward
    stacking_weights: Any = None


@dataclass(frozen=True, eq=False)
class Imputation:
    """Imputer of the rows of a matrix.

    Four predictions are stacked: the conditional means by a normal distribution of the
    columns and by one of their normal scores; the weighted mean over near rows; and its
    correction by a network. Their weights in each column are set on rows that were left out
    in training, of which values are hidden.

    `low` and `high`, (n_values,), are the range of each column; `gaussians` those of values and
    of normal scores; there are no fold models for few rows or a single column.
    """

    layout: Layout
    low: Array
    high: Array
    scores: NormalScores
    gaussians: tuple[Gaussian | BlockGaussian, ...]
    fold_models: list[FoldModel]

    @classmethod
    def from_data(
        cls,
        layout: Layout,
        limits: Array,
        X: Array,
        observed: Array,
        config: ImputationTraining,
        rng: np.random.RandomState,
        monitor: Any,
    ) -> tuple["Imputation", list[list[float]]]:
        """Fit the distributions, train networks and set the stacking weights.

        limits : (2, n_values), the least and the largest value of each column; X : (n_samples,
        n_values), of which entries at missing values are not used; observed : (n_samples,
        n_columns). Returns also the loss curve of each network.
        """
        mask, (low, high) = observed[:, layout.column_of], limits
        X = np.where(mask, X, 0.0)
        normal_scores = NormalScores.from_data(X, mask)
        scores = np.where(mask, normal_scores.transform(X), 0.0)
        gaussians = tuple(normal_distribution(each, mask, rng) for each in (X, scores))
        imputation = cls(layout, low, high, normal_scores, gaussians, [])
        if len(X) < _LEAST_ROWS or observed.shape[1] < 2:
            return imputation, []
        filled, targets = gaussians[1].fill(scores, mask), X
        layout = replace(layout, shared_kernels=shared_kernels(layout, filled))
        if layout.shared_kernels is not None:
            values = normal_scores.inverse_transform(filled).clip(low, high)
            targets = np.where(mask, X, values)
        imputation = replace(imputation, layout=layout)
        rows = TrainingRows(X, layout.stretched(X), scores, filled, observed, targets)
        fold = rng.permutation(len(X)) % _FOLDS
        weight = initial_weight(layout, rows, rng)
        slopes = selection_slopes(layout, gaussians[1], scores, observed, rng)
        loss_curves = []
        for k in range(config.n_models):
            out = fold == k % _FOLDS
            model, self_index, loss_curve = _train_fold_model(
                layout, rows, ~out, weight, slopes, config, rng, monitor
            )
            out = rng.permutation(np.flatnonzero(out))[:_STACKING_ROWS]
            stacking = imputation._weights(model, rows, out, self_index[out], rng)
            imputation.fold_models.append(replace(model, stacking_weights=stacking))
            loss_curves.append(loss_curve)
        return imputation, loss_curves

    def __call__(self, X: Array, observed: Array) -> Array:
        """X (n_samples, n_values), filled where `observed` (n_samples, n_columns) is False."""
        filled = np.array(X, dtype=np.float64)
        index = np.flatnonzero(~observed.all(axis=1))
        if len(index):
            rows, visible = X[index], observed[index]
            prediction = self._predict(rows, visible, ~visible)
            prediction = np.where(self.layout.is_number, squash(prediction), prediction)
            filled[index] = np.where(visible[:, self.layout.column_of], rows, prediction)
        return filled

    def stacking_weights(self) -> Array:
        """Weights of the predictions, the mean over the fold models, (4, n_values)."""
        if not self.fold_models:
            return np.repeat([[0.5], [0.5], [0.0], [0.0]], len(self.low), axis=1)
        return np.mean([model.stacking_weights for model in self.fold_models], axis=0)

    def draw(self, X: Array, observed: Array, rng: np.random.RandomState) -> Array:
        """X (n_samples, n_values), drawn where `observed` (n_samples, n_columns) is False.

        One column is drawn after the other, given those before, so that the values of a row
        belong together: a category is that of a near row, a number the prediction and the
        residual of a near row. Columns that share a kernel are drawn at once, by the same row.
        """
        if not self.fold_models:
            return self(X, observed)
        layout, visible = self.layout, observed.copy()
        filled = np.where(observed[:, layout.column_of], X, 0.0)
        for k in rng.permutation(layout.kernel_of.max() + 1):
            target_mask = ~observed & (layout.kernel_of == k)
            index = np.flatnonzero(target_mask.any(axis=1))
            if not len(index):
                continue
            target_mask = target_mask[index]
            columns = np.flatnonzero(layout.kernel_of[layout.column_of] == k)
            n, is_number = len(columns), layout.is_number[columns]
            rows, mask = filled[index], visible[index][:, layout.column_of]
            neighbors = self.fold_models[rng.randint(len(self.fold_models))].neighbors
            drawn, mean = neighbors.draw(self.scores.transform(rows), mask, k, rng)
            values = drawn[:, :n]
            if is_number.any():
                prediction = self._predict(rows, visible[index], target_mask)[:, columns]
                numbers = squash(prediction + drawn[:, n:] - mean[:, n:])
                numbers = numbers.clip(self.low[columns], self.high[columns])
                values = np.where(is_number, numbers, values)
            is_drawn = target_mask[:, layout.column_of[columns]]
            filled[np.ix_(index, columns)] = np.where(is_drawn, values, rows[:, columns])
            visible[index] |= target_mask
        return filled

    def _predict(self, X: Array, visible: Array, target_mask: Array) -> Array:
        """Stacked predictions, the mean over the fold models, not squashed.

        X, and the result where `target_mask` is True : (n_samples, n_values); both masks :
        (n_samples, n_columns).
        """
        scores, mask = self.scores.transform(X), visible[:, self.layout.column_of]
        linear = self._linear_predictions(X, scores, mask, self.gaussians)
        if not self.fold_models:
            return np.mean(linear, axis=0)
        total = np.zeros(X.shape)
        for model in self.fold_models:
            others = self._model_predictions(model, X, scores, mask, target_mask)
            weights = model.stacking_weights[:, np.newaxis]
            total += (weights * [*linear, *others]).sum(axis=0)
            log_odds = model.neighbors.log_odds
            if log_odds is not None:
                is_tilted = target_mask & log_odds.any(axis=0)
                tilted = model.neighbors(scores, mask, is_tilted, tilted=True)[:, X.shape[1] :]
                total += np.where(is_tilted[:, self.layout.column_of], tilted - others[0], 0)
        limits = self.layout.stretched(self.low), self.layout.stretched(self.high)
        return (total / len(self.fold_models)).clip(*limits)

    def _linear_predictions(
        self,
        X: Array,
        scores: Array,
        mask: Array,
        gaussians: tuple[Gaussian | BlockGaussian, ...],
    ) -> list[Array]:
        """Conditional means by both normal distributions; all arrays (n_samples, n_values)."""
        by_values = gaussians[0].fill(X, mask)
        by_scores = self.scores.inverse_transform(gaussians[1].fill(scores, mask))
        limits = self.low, self.high
        return [self.layout.stretched(each.clip(*limits)) for each in (by_values, by_scores)]

    def _model_predictions(
        self,
        model: FoldModel,
        X: Array,
        scores: Array,
        mask: Array,
        target_mask: Array,
        self_index: Array | None = None,
    ) -> list[Array]:
        """Means over near rows, and their correction, (n_samples, n_values) each.

        X, scores, mask : (n_samples, n_values); target_mask : (n_samples, n_columns);
        self_index : (n_samples,).
        """
        target_mask = self.layout.of_kernels(target_mask)
        means, n_values = model.neighbors(scores, mask, target_mask, self_index), X.shape[1]
        known = np.where(mask, X, means[:, :n_values])
        inputs = np.hstack([known, np.where(mask, scores, 0.0), mask]).astype(np.float32)
        corrected = (known + model.corrector(inputs)).clip(self.low, self.high)
        return [means[:, n_values:], self.layout.stretched(corrected)]

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
        gaussians, column_of = self.gaussians, self.layout.column_of
        if len(rows.X) < _ROWS_A_COLUMN * rows.X.shape[1]:
            # Few rows: a distribution fitted to the hidden values would get too much weight.
            used = np.setdiff1d(np.arange(len(rows.X)), out)
            mask = rows.observed[used][:, column_of]
            gaussians = tuple(
                normal_distribution(each[used], mask, rng) for each in (rows.X, rows.scores)
            )
        X, scores, parts = rows.X[out], rows.scores[out], []
        for _ in range(int(np.clip(_STACKING_ROWS // len(out), 1, 20))):
            visible = hide_values(rows.observed, rng)[out]
            hidden = rows.observed[out] & ~visible
            mask = visible[:, column_of]
            predictions = self._linear_predictions(X, scores, mask, gaussians)
            predictions += self._model_predictions(model, X, scores, mask, hidden, self_index)
            parts.append((np.array(predictions), hidden[:, column_of]))
        stacked, hidden = (np.concatenate(part, axis=-2) for part in zip(*parts, strict=True))
        target = np.tile(rows.stretched[out], (len(parts), 1))
        weights = np.empty((len(stacked), X.shape[1]))
        for j in range(rows.observed.shape[1]):
            columns = np.flatnonzero(column_of == j)
            mask = hidden[:, columns]
            of_column = stacked[:, :, columns][:, mask].T
            column_weights = stacking_weights(of_column, target[:, columns][mask])
            weights[:, columns] = column_weights[:, np.newaxis]
        return weights


def normal_distribution(
    X: Array, observed: Array, rng: np.random.RandomState
) -> Gaussian | BlockGaussian:
    """Normal distribution of all columns, or of blocks of them; X : (n_samples, n_features)."""
    kind = Gaussian if X.shape[1] <= MOST_TOGETHER else BlockGaussian
    return kind.from_data(X, observed, rng)


def selection_slopes(
    layout: Layout,
    gaussian: Gaussian | BlockGaussian,
    scores: Array,
    observed: Array,
    rng: np.random.RandomState,
) -> Array | None:
    """Slopes (n_columns,) of the log-odds of values to be missing in their own normal scores.

    The slope of log-odds in the value itself is that in its conditional mean, where values are
    normal, and weights rows by exponential tilting (Kim and Yu, 2011). It is multiplied by the
    probability, by the Bayesian information criterion, that which values are missing depends
    on their conditional mean, and not on the value or the mask of another column, on all of
    these, or on nothing. scores : (n_samples, n_values); observed : (n_samples, n_columns).
    None: all are near zero, or there are many columns.
    """
    if layout.shared_kernels is not None or isinstance(gaussian, BlockGaussian):
        return None
    index = rng.permutation(len(scores))[:_SELECTION_ROWS]
    scores, observed = scores[index], observed[index]
    means = gaussian.by_others(scores, observed[:, layout.column_of])
    n, slopes = len(observed), np.zeros(observed.shape[1])
    for j in range(len(slopes)):
        columns, missing = np.flatnonzero(layout.column_of == j), ~observed[:, j]
        few = not _LEAST_MISSING <= missing.sum() <= n - _LEAST_MISSING
        if few or not layout.is_number[columns[0]]:
            continue
        others = np.hstack([np.delete(scores, columns, axis=1), np.delete(observed, j, axis=1)])
        others = (others - others.mean(axis=0)) / np.maximum(others.std(axis=0), 1e-6)
        nearest = np.abs(others.T @ (missing - missing.mean())).argmax()
        criteria = [2 * log_loss(missing, np.full(n, missing.mean()), normalize=False)]
        models: list[LogisticRegression] = []
        for features in (means[:, columns], others[:, [nearest]], others):
            models.append(LogisticRegression(solver="newton-cholesky").fit(features, missing))
            loss = log_loss(missing, models[-1].predict_proba(features), normalize=False)
            criteria.append(2 * loss + features.shape[1] * np.log(n))
        slopes[j] = softmax(np.log(_PRIOR) - np.array(criteria) / 2)[1] * models[0].coef_[0, 0]
    slopes[np.abs(slopes) < _LEAST_SLOPE] = 0
    return slopes if slopes.any() else None


def shared_kernels(layout: Layout, filled: Array) -> Array | None:
    """The kernel of each column of the table, (n_columns,), by rows without missing values.

    Like columns share one; None: there are few, and each has its own. Their number falls with
    that of the columns: the time of a step does not grow with its square.
    """
    n_columns = int(layout.column_of.max()) + 1
    if n_columns <= _OWN_KERNELS:
        return None
    deviations = filled - filled.mean(axis=0)
    deviations /= np.sqrt(np.square(deviations).sum(axis=0) + 1e-6)
    table = (layout.column_of == np.arange(n_columns)[:, np.newaxis]).astype(np.float64)
    similarity = table @ np.abs(deviations.T @ deviations) @ table.T
    similarity /= np.outer(table.sum(axis=1), table.sum(axis=1))
    n_kernels = max(_SHARED_KERNELS // n_columns, _LEAST_KERNELS)
    return like_columns(similarity, -(-n_columns // n_kernels))


def initial_weight(layout: Layout, rows: TrainingRows, rng: np.random.RandomState) -> Array:
    """The best of a few weights for each kernel, shape (n_kernels, n_values).

    In the distances of a kernel all columns have the same weight.
    """
    n, p = rows.X.shape
    kernel_of = layout.kernel_of[layout.column_of]
    n_kernels = kernel_of.max() + 1
    order = rng.permutation(n)
    # The first of the reference rows are the rows themselves.
    index, reference = order[:_ROWS_TO_TRY], order[: 2 * _ROWS_TO_TRY]
    visible = hide_values(rows.observed, rng)[index]
    hidden = rows.observed[index] & ~visible
    visible_values, hidden_values = visible[:, layout.column_of], hidden[:, layout.column_of]
    targets = layout.of_kernels(hidden)
    errors: list[Array] = []
    tried = np.array(_INITIAL_WEIGHTS) / np.sqrt(p)
    for weight in tried:
        weights = np.full((n_kernels, p), weight)
        neighbors = KernelRegression.from_rows(layout, rows, reference, weights)
        means = neighbors(rows.scores[index], visible_values, targets, np.arange(len(index)))
        squares = np.square(means[:, :p] - rows.X[index]) * hidden_values
        errors.append(np.bincount(kernel_of, squares.sum(axis=0), n_kernels))
    best = tried[np.argmin(errors, axis=0)]
    return np.repeat(best[:, np.newaxis], p, axis=1)


def _train_fold_model(
    layout: Layout,
    rows: TrainingRows,
    train_mask: Array,
    initial_weight: Array,
    slopes: Array | None,
    config: ImputationTraining,
    rng: np.random.RandomState,
    monitor: Any,
) -> tuple[FoldModel, Array, list[float]]:
    """Train a kernel regression and its corrector on the rows of `train_mask`, (n_samples,).

    Any row may be a reference row. `initial_weight` : (n_kernels, n_values), weights of the
    columns in distances; `slopes` : (n_columns,), of log-odds to be missing. Returns the model
    without stacking weights, the reference row that each row is itself, (n_samples,), or a
    larger number, and the loss of each epoch.
    """
    from skae.training._train import train_for

    (n, p), c = rows.X.shape, rows.observed.shape[1]
    kernel_of = layout.kernel_of[layout.column_of]
    n_kernels = kernel_of.max() + 1
    most = min(_MOST_ENTRIES // (n_kernels * config.batch_size), _MOST_VALUES // p)
    order = rng.permutation(n)
    reference = order[: int(np.clip(most, 64, _MOST_REFERENCES))]
    numbers: dict[str, Any] = {
        "rate": _RATE,
        "uniform_pool": draw_pool("uniform", rng, (config.batch_size, c)),
        "table": layout.column_of == np.arange(c)[:, np.newaxis],
        "kernels": kernel_of == np.arange(n_kernels)[:, np.newaxis],
        "reference": rows.filled[reference],
        "targets": rows.targets[reference],
        "masked": rows.masked(layout)[:, reference],
    }
    settings = {name: np.asarray(value, np.float32) for name, value in numbers.items()}
    shapes = {name: value.shape for name, value in settings.items()}
    coder = DenseCoder(3 * p, p, config.hidden, config.activation, "linear", linear_path=False)

    def build() -> Any:
        from skae.imputation._objective import ImputationObjective

        return ImputationObjective(coder.build("corrector"), shapes)

    weights = coder.random_weights(rng)
    coder.layers(weights)[-1].kernel[:] = 0
    index = np.flatnonzero(train_mask)
    index = np.tile(index, max(-(-_ROWS_AN_EPOCH // len(index)), 1))
    self_index = np.argsort(order)[index, np.newaxis]
    inputs = np.hstack([rows.scores[index], rows.observed[index], self_index])
    done = train_for(
        config.n_steps,
        config.learning_rate,
        Rows(inputs.astype(np.float32), rows.X[index].astype(np.float32)),
        build=build,
        key=("imputation", coder, *shapes.values()),
        weights=[np.log(initial_weight) / _RATE, *weights],
        settings=list(settings.values()),
        batch_size=config.batch_size,
        rng=rng,
        monitor=monitor,
    )
    order = rng.permutation(n)
    reference = order[:_MOST_FINAL_REFERENCES]  # more than training can afford
    weight = np.exp(_RATE * done.weights[0])
    neighbors = KernelRegression.from_rows(layout, rows, reference, weight, slopes)
    model = FoldModel(neighbors, DenseForward(coder, done.weights[1:]))
    return model, np.argsort(order), done.loss_curve


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
