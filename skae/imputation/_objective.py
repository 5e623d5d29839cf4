"""A network that puts back what was taken from rows: the Keras model that is trained."""

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from skae.corruption._draws import PooledDraws
from skae.models._objective import Settings
from skae.networks._layers import SINGLE

# What keeps a reference row out.
_NEVER = -1e9

# Of rows, the share that loses cells as another row does; and the most that is taken.
_AS_OTHERS = 0.5
_MOST_MORE, _MOST_TAKEN = 0.3, 0.7


class ImputationObjective(keras.Model):
    """Squared error of cells that were taken out, by nearest rows and by a network.

    For each column, the nearest rows are told by distances over the cells that are left,
    in which every column has a weight of its own; the network reads their mean, the cells
    that are left and which these are, and corrects the mean.

    Parameters
    ----------
    corrector : keras.Model
        Reads means, cells and mask, and says the correction, which begins at zero.

    n_columns : int
        Columns of the table.

    n_values : int
        Columns of the matrix, of which a category has several.

    settings : mapping of str to tuple of int
        Shapes of "rate", how much faster than the network nearness is learnt; of
        "uniform_pool"; of "table", 1 where a column of the matrix is of a column
        of the table; of the reference rows, "reference", with the "values" they tell, and
        "barred", 1 where a reference row misses a column of the table.
    """

    n_parts = 2

    def __init__(
        self,
        corrector: Any,
        n_columns: int,
        n_values: int,
        settings: Mapping[str, tuple[int, ...]],
    ) -> None:
        super().__init__(dtype=SINGLE)
        self.settings = Settings(settings)
        self.nearness = Nearness(n_columns, n_values)
        self.corrector = corrector
        self.seed_generator = keras.random.SeedGenerator(0)
        self.built = True

    def call(self, inputs: tuple[Any, Any], training: bool = False) -> Any:
        """Squared error of each row, over the cells taken out.

        Parameters
        ----------
        inputs : tuple of tensors, (x, target)
            Cells for distances (zero where missing), which are there, and the number of
            the reference row that the row itself is, or -1; cells as they should be told.

        training : bool
            Not used: cells are always taken out.

        Returns
        -------
        tensor of shape (n_rows, 2)
            Of the nearest rows, and of the network.
        """
        x, target = inputs
        settings = self.settings.values()
        n_values = target.shape[1]
        there, own = x[:, n_values:-1], x[:, -1:]
        kept = there * self._kept(there, settings)
        cells = x[:, :n_values] * kept
        means = self.nearness(cells, kept, own, settings)
        # The network takes the means as they are: only their own part teaches them.
        means = ops.where(kept > 0, target, means)
        known = ops.stop_gradient(means)
        said = known + self.corrector(
            ops.concatenate([known, cells, kept], axis=1), training=training
        )
        taken = there - kept
        n_columns = settings["table"].shape[0]
        lost = [ops.sum(taken * ops.square(e - target), axis=1) for e in (means, said)]
        return ops.stack(lost, axis=1) / n_columns

    def _kept(self, there: Any, settings: dict[str, Any]) -> Any:
        """Which cells are left: as in another row and some less, or at a rate of its own."""
        table = settings["table"]
        like = ops.matmul(there, ops.transpose(table))
        draws = PooledDraws(self.seed_generator, settings)
        rate, kind = draws.uniform(like[:, :1]), draws.uniform(like[:, :1])
        as_others = kind < _AS_OTHERS
        rate = rate * ops.where(as_others, _MOST_MORE, _MOST_TAKEN)
        kept = ops.cast(draws.uniform(like) >= rate, SINGLE)
        kept = ops.matmul(kept, table)
        return ops.where(as_others, kept * ops.roll(there, 1, axis=0), kept)


class Nearness(keras.layers.Layer):
    """Means over the nearest reference rows, nearness told for each column by itself.

    Parameters
    ----------
    n_columns : int
        Columns of the table.

    n_values : int
        Columns of the matrix.
    """

    def __init__(self, n_columns: int, n_values: int) -> None:
        super().__init__(dtype=SINGLE)
        self.log_weight = self.add_weight(
            name="log_weight", shape=(n_columns, n_values), initializer="zeros"
        )
        self.built = True

    def __call__(self, cells: Any, kept: Any, own: Any, settings: dict[str, Any]) -> Any:
        """Means of shape (n_rows, n_values)."""
        weight = ops.exp(settings["rate"] * self.log_weight)
        reference = settings["reference"]
        features = ops.concatenate(
            [2 * cells[:, None] * weight[None], -kept[:, None] * weight[None]], axis=2
        )
        rows = ops.concatenate([reference, ops.square(reference)], axis=1)
        near = ops.matmul(features, ops.transpose(rows)) + _NEVER * settings["barred"][None]
        number = ops.arange(reference.shape[0], dtype=SINGLE)
        near += _NEVER * ops.cast(own == number[None], SINGLE)[:, None]
        share = ops.softmax(near, axis=2)
        means = ops.matmul(share, settings["values"])
        return ops.sum(means * settings["table"][None], axis=1)
