"""Rows to inputs and targets of the networks, and outputs to rows: of numbers, of tables."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from skae.estimators._validation import check_scale
from skae.inference._dense import Affine
from skae.losses._likelihood import (
    Likelihood,
    MixedLikelihood,
    MixedLoss,
    ObservedLikelihood,
    Outputs,
    probabilities,
)
from skae.losses._reconstruction import LOSSES, EntrywiseLoss, ObservedLoss
from skae.tables import TabularEncoder
from skae.tables._category_column import flag_units
from skae.tables._layout import ColumnLayout
from skae.utils._arrays import index_of
from skae.utils._lazy import LazyRows, dense
from skae.utils._rows import Rows, has_missing, joined_moments, moments, scale_of

# Lower bounds of the entropy or variance by which the loss of a column is divided: rarer
# categories have no larger weight.
_LEAST_ENTROPY = 0.1
_LEAST_VARIANCE = 0.1

# Factors of the logits at initialization: the one with the least cross-entropy is taken.
_SHARPNESS = np.geomspace(1, 64, 13)
_MOST_COMPARED = 4096


class Preprocessor:
    """Base class: conversion of rows to inputs and targets, and of outputs to rows."""

    output_shape: tuple
    units: Affine
    target_units: Affine

    is_table = False

    def filled(self, X):
        """Rows with missing values at the mean of their column, (n_samples, n_features)."""
        return X

    def loss_of(self, loss, rows):
        """A loss or likelihood of these rows, over the values that were observed."""
        return loss


@dataclass(eq=False)
class NumericPreprocessor(Preprocessor):
    """Rows of numbers: centred, and divided by one scale or by one for each column.

    A missing value is at the mean of its column where it is an input; as a target it is NaN.
    """

    output_shape: tuple
    units: Affine
    target_units: Affine  # the units themselves where the targets are the inputs
    _moments: tuple
    _target_moments: tuple
    # Share of the values of each column that were observed, (n_features,); None: all.
    _observed_share: Any = None
    _standardize: bool = False
    weight_seen: float | None = None  # total weight of the rows so far; None: unknown

    # Standard deviation of each input column, (n_features,).
    deviation: np.ndarray = field(init=False)
    # Positions of the columns without an observed value.
    empty: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.deviation = self._moments[1]
        self.empty = np.flatnonzero(self._observed_share == 0)

    @classmethod
    def from_rows(cls, rows, output_shape, standardize, weight):
        """The preprocessing of training rows of this total weight; None: unknown."""
        share = rows.observed_share
        found = target_found = moments(rows.inputs, rows.weight)
        units = target_units = _units_of("X", found, rows.inputs.dtype, standardize, share)
        if rows.targets is not None:
            target_found = moments(rows.targets, rows.weight)
            target_units = _units_of("target", target_found, rows.targets.dtype, standardize)
        return cls(
            output_shape, units, target_units, found, target_found, share, standardize, weight
        )

    def with_more(self, rows, weight):
        """The preprocessing of these rows, in the units of the data, and of those before."""
        weight_seen = self.weight_seen + weight
        # Of these rows, in the weight of all of them, and in each column.
        share = shares = weight / weight_seen
        before, more, seen = self._observed_share, rows.observed_share, None
        if before is not None or more is not None:
            before, more = (1.0 if part is None else part for part in (before, more))
            seen = (1 - share) * before + share * more
            shares = np.where(seen > 0, share * more / np.where(seen > 0, seen, 1.0), share)

        def joined(before, name, X, share=None):
            joint = joined_moments(before, moments(X, rows.weight), shares)
            return _units_of(name, joint, X.dtype, self._standardize, share), joint

        inputs = rows.outputs if rows.has_own_targets else rows.inputs
        units, found = target_units, target_found = joined(
            self._moments, "X", inputs, self._observed_share
        )
        if not rows.has_own_targets or self.target_units is not self.units:
            target_units, target_found = joined(self._target_moments, "target", rows.outputs)
        return replace(
            self,
            units=units,
            target_units=target_units,
            _moments=found,
            _target_moments=target_found,
            _observed_share=seen,
            weight_seen=weight_seen,
        )

    def filled(self, X):
        """Rows with missing values at the mean of their column, (n_samples, n_features)."""
        X = self._without_empty(X)
        if isinstance(X, LazyRows) or not has_missing(X):
            return X
        return np.where(np.isnan(X), self.units.centre.astype(X.dtype), X)

    def _without_empty(self, X):
        """Rows, (n_samples, n_features), whose columns without a value in fit are missing."""
        if self._observed_share is None or not len(self.empty):
            return X
        return np.where(self._observed_share == 0, X.dtype.type(np.nan), dense(X))

    def with_targets(self, rows):
        """Rows without missing values among the inputs, and their targets."""
        if not rows.has_own_targets:
            return replace(rows, inputs=self.filled(rows.inputs))
        if rows.observed is None and not len(self.empty):
            return rows
        X = self._without_empty(rows.outputs)
        return replace(rows, inputs=self.filled(X), targets=X, observed=~np.isnan(X))

    def loss_of(self, loss, rows):
        """A loss or likelihood of these rows, over the values that were observed."""
        if rows.observed is None:
            return loss
        return (ObservedLikelihood if isinstance(loss, Likelihood) else ObservedLoss)(loss)

    def linear_rows(self, rows):
        """Rows and targets that a linear model can compare: in the units of the network."""
        targets = None
        if not rows.has_own_targets:
            targets = self.target_units.transform(rows.targets)
        elif self.target_units is not self.units:
            targets = self.target_units.transform(rows.inputs)
        return Rows(self.units.transform(rows.inputs), targets, rows.weight)

    def before_output(self, rows, linear, activation):
        """Scale and offset from the output of a linear map to the logits of the activation.

        `linear` maps rows, in the units of the network, to codes, (n_inputs, k), and codes to
        outputs, (k, n_outputs).
        """
        centre, scale = self.target_units
        if activation == "linear":
            return 1.0, 0.0
        if activation == "sigmoid":
            # The tangent of the logit at one half.
            return 4 * scale, 4 * (centre - 0.5)
        return scale, centre

    def shaped(self, output, like=None):
        """The output in the shape of the targets; a column without an observed value is NaN."""
        if len(self.empty):
            output = output.copy()
            output[:, self.empty] = np.nan
        return output.reshape(len(output), *self.output_shape)

    inputs_of = filled

    def of_values(self, values, observed=None, index=None):
        """The data of numbers, (n_samples, n_outputs), NaN where they are not `observed`."""
        return self.shaped(values if observed is None else np.where(observed, values, np.nan))

    def parts(self, noise):
        """Slices of the output, and the numbers of flags of a category in them.

        None for numbers, whose noise is known, one for a probability.
        """
        return [(slice(None), int(noise is None))]

    def targets(self, rows):
        """Targets of the outputs of rows, and a mask of those that were observed."""
        return rows.outputs, ~np.isnan(rows.outputs)

    def expected(self, output):
        """Numbers and probabilities of the decoder's output, (n_samples, n_outputs)."""
        return output

    def by_column(self, noise):
        """The noise of each column, in the units of the data."""
        return None if noise is None else noise.reshape(self.output_shape)

    def log_volumes(self, rows):
        """Logarithm of the scale of each row's observed values, summed, (n_samples,)."""
        log_scale = np.log(self.target_units.scale)
        observed = np.ones(rows.outputs.shape) if rows.observed is None else rows.observed
        return (observed * log_scale).sum(axis=1)


def _units_of(name, moments, dtype, standardize, observed_share=None):
    """Centre and scale of columns, (n_features,); those without a value do not count."""
    mean, deviation = moments
    if standardize:
        scale = np.where(deviation > 0, deviation, 1.0)
    else:
        scale = scale_of(np.delete(deviation, np.flatnonzero(observed_share == 0)))
    check_scale(name, scale, dtype)
    return Affine(mean, scale)


class TablePreprocessor(Preprocessor):
    """Rows of tables, by a fitted encoder.

    Inputs are the whole matrix of the encoder. Outputs are the part without the indicators of
    missing values: numbers as they are there, and a logit for each flag of a category. With
    `weights_columns` the loss of each column is divided by its variance or entropy, and that of
    each row by its number of observed values; otherwise every value has weight one.
    """

    encoder: TabularEncoder
    outputs: Outputs
    values: np.ndarray
    weights_columns: bool
    _columns: list
    _flag_share: np.ndarray
    _flag_unit: np.ndarray
    _sizes: np.ndarray
    _column_weight: np.ndarray

    is_table = True

    def __init__(self, encoder: TabularEncoder, rows, weights_columns):
        self.encoder = encoder
        self.weights_columns = weights_columns
        positions = enumerate(encoder.blocks_)
        self._columns = [j for j, block in positions if block.stop > block.start]
        blocks = [encoder.blocks_[j] for j in self._columns]
        self.values = np.array([i for b in blocks for i in range(b.start, b.stop)], np.intp)
        is_flag, share, unit = flag_units(encoder)
        self._flag_share, self._flag_unit = share[self.values], unit[self.values]
        self.outputs = Outputs(
            tuple((b.stop - b.start) * bool(is_flag[b.start]) for b in blocks)
        )
        self.output_shape = (self.outputs.n_outputs,)
        # The encoder has centred and scaled already.
        self.units = Affine(np.zeros(len(unit)), 1.0)
        self.target_units = Affine(np.zeros(self.output_shape), 1.0)
        self._sizes = np.maximum(self.outputs.widths, 1)
        # One over what a column has to lose: variance of numbers, entropy of categories.
        self._column_weight = np.zeros(len(blocks))
        values = self._target_values(rows.inputs)
        for j, (part, width) in enumerate(self.outputs.parts):
            observed = rows.observed[:, self._columns[j]]
            if not observed.any():
                continue
            weight = None if rows.weight is None else rows.weight[observed]
            mean, deviation = moments(values[observed, part], weight)
            loss = 1.0
            if width:
                share = np.r_[1 - mean[0], mean] if width == 1 else mean
                share = share[share > 0]
                loss = max(float(-share @ np.log(share)), _LEAST_ENTROPY)
            elif encoder.standardize:
                loss = max(deviation[0] ** 2, _LEAST_VARIANCE)
            self._column_weight[j] = 1 / loss

    @property
    def value_groups(self):
        """First of the matrix columns that encode the same value, (n_inputs,)."""
        layout = ColumnLayout.from_encoder(self.encoder)
        return layout.starts[layout.column]

    def with_targets(self, rows):
        """Rows and targets: values, and the weight of each."""
        observed = rows.observed[:, self._columns]
        weight = observed
        if self.weights_columns:
            n_observed = np.maximum(observed.sum(axis=1, keepdims=True), 1)
            weight = observed * self._column_weight / n_observed
        weight = np.repeat(weight, self._sizes, axis=1)
        return replace(rows, targets=np.hstack([self._target_values(rows.inputs), weight]))

    def _target_values(self, Z):
        """Numbers in the units of the matrix, and flags as 0 or 1, (n_samples, n_outputs)."""
        values = Z[:, self.values] * self._flag_unit + self._flag_share
        return np.where(self.outputs.is_flag, np.round(values), values)

    def loss(self, loss):
        """The loss of a table: that of numbers, and the cross-entropy of categories."""
        allowed = [
            name
            for name, known in LOSSES.items()
            if isinstance(known, EntrywiseLoss) and not known.bounded
        ]
        if not (isinstance(loss, str) and loss in allowed):
            raise ValueError(
                f"loss must be one of {', '.join(map(repr, allowed))} for tables with "
                f"a column that is no number; got {loss!r}."
            )
        return MixedLoss(self.outputs, LOSSES[loss].entry)

    def likelihood(self, likelihood):
        """The likelihood of a table: a density for numbers, a probability for categories."""
        if likelihood.bounded:
            raise ValueError(
                "likelihood must be 'gaussian' for tables with a column that is no number: "
                "numbers have a normal distribution there, and categories a probability."
            )
        return MixedLikelihood(self.outputs)

    def linear_rows(self, rows):
        """Rows and targets that a linear model can compare: in the units of the matrix."""
        is_all = len(self.values) == rows.inputs.shape[1]
        return replace(rows, targets=None if is_all else rows.inputs[:, self.values])

    def before_output(self, rows, linear, activation):
        """Scale and offset from the output of a linear map to numbers and logits.

        The largest flag stays the largest: the linear model's categories are decoded.
        """
        unit, share = self._flag_unit, self._flag_share
        scale, offset = np.ones(len(unit)), np.zeros(len(unit))
        some = slice(_MOST_COMPARED)
        values = self._target_values(rows.inputs[some])
        encoder, decoder = linear
        flags = rows.inputs[some] @ (encoder @ decoder) * unit + share
        for column, (part, width) in zip(self._columns, self.outputs.parts, strict=True):
            if width:
                observed = rows.observed[some, column]
                middle = 0.5 if width == 1 else 0.0
                sharpness = _sharpness(flags[observed, part] - middle, values[observed, part])
                scale[part] = sharpness * unit[part]
                offset[part] = sharpness * (share[part] - middle)
        return scale, offset

    def shaped(self, output, like=None):
        """The table for numbers and logits, (n_samples, n_outputs), without missing values.

        A data frame of pandas as `like` gives its index to the result.
        """
        return self.of_values(self.expected(output), index=index_of(like))

    def parts(self, noise):
        """Outputs and number of flags of each column with outputs, as of numbers."""
        return list(self.outputs.parts)

    def targets(self, rows):
        """Targets of the outputs of rows, and a mask, as of numbers."""
        observed = np.repeat(rows.observed[:, self._columns], self._sizes, axis=1)
        return self._target_values(rows.inputs), observed

    def expected(self, output):
        """Numbers and probabilities of the decoder's output, (n_samples, n_outputs)."""
        return probabilities(self.outputs, output)

    def inputs_of(self, values, observed=None):
        """The matrix of numbers and shares of categories, (n_samples, n_outputs).

        With flags of missing values where `observed`, a mask of the same shape, is False.
        """
        _, share, unit = flag_units(self.encoder)
        Z = np.tile(-share / unit, (len(values), 1))
        Z[:, self.values] = (values - self._flag_share) / self._flag_unit
        for column, (part, _) in zip(self._columns, self.outputs.parts, strict=True):
            flag = self.encoder.blocks_[column].indicator
            if observed is not None and flag is not None:
                Z[:, flag] = (~observed[:, part.start] - share[flag]) / unit[flag]
        return Z

    def of_values(self, values, observed=None, index=None):
        """The table of numbers and shares of categories, (n_samples, n_outputs), and a mask."""
        return self.encoder.decode(self.inputs_of(values, observed), index=index)

    def log_volumes(self, rows):
        """Logarithm of a unit of the matrix in the units of the data, of each row.

        Of the numbers that are there; values that are drawn in have larger units.
        """
        volumes = np.zeros(len(rows))
        for column, (part, width) in zip(self._columns, self.outputs.parts, strict=True):
            if not width:
                z = rows.inputs[:, self.values[part.start]]
                volumes += rows.observed[:, column] * self.encoder.log_unit(column, z)
        return volumes

    def by_column(self, noise):
        """Of each column of the table, the noise in its units; NaN for categories."""
        values = np.full(len(self.encoder.blocks_), np.nan)
        for column, (part, width) in zip(self._columns, self.outputs.parts, strict=True):
            if not width:
                (log_unit,) = self.encoder.log_unit(column, np.zeros(1))
                values[column] = noise[part.start] * np.exp(log_unit)
        return values


def _sharpness(values, flags):
    """Factor that makes values, (n_samples, width), the best logits of these flags."""
    if not len(values):
        return 1.0
    costs = []
    for factor in _SHARPNESS:
        logits = factor * values
        is_single = values.shape[1] == 1
        total = np.logaddexp(0, logits) if is_single else np.logaddexp.reduce(logits, axis=1)
        costs.append(total.mean() - (flags * logits).sum(axis=1).mean())
    return float(_SHARPNESS[np.argmin(costs)])
