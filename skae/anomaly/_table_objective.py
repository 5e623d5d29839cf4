"""A denoiser of tables, some columns of which are blank: the Keras model that is trained."""

from typing import Any

from keras import ops

from skae.anomaly._noise_conditional import DenoiserObjective
from skae.corruption._draws import PooledDraws


class TableDenoisingObjective(DenoiserObjective):
    """Squared error of each row, denoised, with some of its columns left blank.

    Several numbers may stand for a column of the table: flags of levels, and one that
    tells that the cell is missing. Blank are all of them or none, and the denoiser is told
    which columns are.

    Parameters
    ----------
    denoiser : keras.Model
        Reads a row, a flag for each column that is blank, and the noise level as its last
        column, and says the clean row.

    settings : mapping of str to tuple of int
        Shapes of "noise_level", the highest level; of "blank_rate", the highest share of
        columns that are blank; of "columns", of shape (n_columns, n_numbers), one where a
        number stands for a column; and of the pools of random numbers, "normal_pool" and
        "uniform_pool".
    """

    def call(self, inputs: tuple[Any, Any], training: bool = False) -> Any:
        """Squared error of each row, a mean over the columns of the table.

        Parameters
        ----------
        inputs : tuple of tensors, (x, seen)
            Rows, and one where a number counts: not where the cell is missing.

        training : bool
            Whether rows are noisy and columns blank.

        Returns
        -------
        tensor of shape (n_rows, 1)
        """
        x, seen = inputs
        settings = self.settings.values()
        columns = settings["columns"]
        level, noisy = ops.zeros_like(x[:, :1]), x
        blank = ops.zeros_like(ops.matmul(x, ops.transpose(columns)))
        if training:
            draws = PooledDraws(self.seed_generator, settings)
            level = settings["noise_level"] * draws.uniform(level)
            rate = settings["blank_rate"] * draws.uniform(level)
            blank = ops.cast(draws.uniform(blank) < rate, x.dtype)
            noisy = x + level * draws.normal(x)
        read = noisy * seen * (1 - ops.matmul(blank, columns))
        output = self.denoiser(ops.concatenate([read, blank, level], axis=1), training=training)
        error = ops.sum(ops.square(output - x) * seen, axis=1, keepdims=True)
        return error / columns.shape[0]
