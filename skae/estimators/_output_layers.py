"""Output layers of an ordered code, by least squares on the hidden units before them."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

# Penalties that are tried, over the mean square of the inputs: from one that leaves next to
# nothing of the change to one that only keeps the matrix invertible.
_PENALTIES = 10.0 ** np.arange(1, -7, -1)


class LatentDataset(NamedTuple):
    """Rows and their codes.

    Attributes
    ----------
    code : ndarray of shape (n_samples, n_components)
        The first columns of the code.

    target : ndarray of shape (n_samples, n_outputs)
        Targets, in the units of the network.

    weight : ndarray of shape (n_samples,)
        How much each row counts, one in the mean.
    """

    code: NDArray[np.floating]
    target: NDArray[np.floating]
    weight: NDArray[np.floating]

    def first(self, size):
        """The same rows with fewer columns."""
        return self._replace(code=self.code[:, :size])


def refitted(decoder, train, validation):
    """Best output layer of a decoder for given hidden layers, by ridge regression.

    While an ordered code is trained, an output layer serves several sizes and receives a part
    of the rows, and the layers before it change. Afterwards the best one for a size is a
    linear regression. The penalty is on the distance from the trained weights; its strength
    is chosen on validation rows.

    Parameters
    ----------
    decoder : DenseForward
        With a linear output, trained for the squared error.

    train, validation : LatentDataset
        Training and validation rows.

    Returns
    -------
    list of ndarray
        Kernel, bias and, if there is one, linear path.
    """
    kernel, bias, *path = decoder.coder.named(decoder.weights).output_arrays
    head = np.vstack([kernel, *path, bias]).astype(np.float64)
    inputs, held_out = (_inputs(decoder, rows.code) for rows in (train, validation))
    root = np.sqrt(train.weight)[:, None]
    weighted, residual = root * inputs, root * (train.target - inputs @ head)
    gram, cross = weighted.T @ weighted, weighted.T @ residual
    unit = np.trace(gram) / len(gram)

    def loss(head):
        squares = np.square(validation.target - held_out @ head)
        return np.average(squares.mean(axis=1), weights=validation.weight)

    best, least = head, loss(head)
    for penalty in unit * _PENALTIES:
        change = linalg.solve(gram + penalty * np.eye(len(gram)), cross, assume_a="pos")
        now = loss(head + change)
        if not now < least:
            break
        best, least = head + change, now
    rows = np.split(best.astype(np.float32), np.cumsum([len(kernel), *map(len, path)]))
    return [rows[0], rows[-1][0], *rows[1:-1]]


def _inputs(decoder, code):
    """Inputs of the output layer, (n_samples, n_inputs): hidden units, code, ones."""
    code = code.astype(np.float32, copy=False)
    path = [code] if decoder.coder.has_linear_path else []
    inputs = [decoder.hidden(code), *path, np.ones((len(code), 1))]
    return np.hstack(inputs).astype(np.float64, copy=False)
