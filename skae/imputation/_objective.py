"""The objective of the imputer as a Keras model: squared errors of hidden values."""

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from skae.corruption._corruptions import PooledDraws
from skae.imputation._predictors import MASKED, visible_mask
from skae.models._objective import Settings
from skae.networks._layers import SINGLE


class ImputationObjective(keras.Model):
    """Squared error of hidden values, filled by a kernel regression and by a network.

    For each kernel, reference rows are weighted by their distance over the visible values, in
    which every column has a weight; the corrector takes the weighted means, the visible values
    and their mask, and corrects the means, at first by zero.

    `settings` gives the shapes of "rate", how much faster than the network the kernels are
    trained; "uniform_pool"; "table", 1 where a column of the matrix belongs to a column of the
    table, and "kernels", 1 where it belongs to a kernel; and of the reference rows,
    "reference", their "targets", of which means are taken, and "masked", 1 where a reference
    row is not used by a kernel.
    """

    n_parts = 2

    def __init__(
        self,
        corrector: Any,
        settings: Mapping[str, tuple[int, ...]],
    ) -> None:
        super().__init__(dtype=SINGLE)
        self.settings = Settings(settings)
        # Weights of all columns in the distances of each kernel.
        self.log_weight = self.add_weight(
            name="log_weight", shape=settings["kernels"], initializer="zeros"
        )
        self.corrector = corrector
        self.seed_generator = keras.random.SeedGenerator(0)
        self.built = True

    def call(self, inputs: tuple[Any, Any], training: bool = False) -> Any:
        """Squared error of each row, of the kernel regression and of the network, (n_rows, 2).

        `inputs` are x, (n_rows, n_values + n_columns + 1), and target, the values, (n_rows,
        n_values). x has the normal scores, zero where missing, the mask of observed values, and
        the number of the reference row that the row itself is, or any other. Values are always
        hidden.
        """
        x, target = inputs
        settings = self.settings.values()
        table, n_values = settings["table"], target.shape[1]
        observed, self_index = x[:, n_values:-1], x[:, -1:]
        draws = PooledDraws(self.seed_generator, settings)
        visible = visible_mask(ops, draws, observed, lambda mask: ops.roll(mask, 1, axis=0))
        hidden = ops.matmul(observed - visible, table)
        visible = ops.matmul(visible, table)
        scores = x[:, :n_values] * visible
        # Weighted means over the reference rows, of each kernel.
        weight = ops.exp(settings["rate"] * self.log_weight)
        reference = settings["reference"]
        features = ops.concatenate(
            [2 * scores[:, None] * weight[None], -visible[:, None] * weight[None]], axis=2
        )
        rows = ops.concatenate([reference, ops.square(reference)], axis=1)
        logit = ops.matmul(features, ops.transpose(rows)) + MASKED * settings["masked"][None]
        number = ops.arange(reference.shape[0], dtype=SINGLE)
        logit += MASKED * ops.cast(self_index == number[None], SINGLE)[:, None]
        means = ops.matmul(ops.softmax(logit, axis=2), settings["targets"])
        means = ops.sum(means * settings["kernels"][None], axis=1)
        means = ops.where(visible > 0, target, means)
        # The network does not train the kernels: only their own error does.
        fixed = ops.stop_gradient(means)
        inputs = ops.concatenate([fixed, scores, visible], axis=1)
        corrected = fixed + self.corrector(inputs, training=training)
        errors = [
            ops.sum(hidden * ops.square(filled - target), axis=1)
            for filled in (means, corrected)
        ]
        return ops.stack(errors, axis=1) / table.shape[0]
