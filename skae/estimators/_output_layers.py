"""Last layers of an ordered code, by least squares on what the layers before them say."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

# Penalties that are tried, over the mean square of what is read: from one that leaves next to
# nothing of the change to one that is there for the sake of the inverse.
_PENALTIES = 10.0 ** np.arange(1, -7, -1)


class LatentDataset(NamedTuple):
    """Rows and their codes.

    Attributes
    ----------
    code : ndarray of shape (n_samples, n_components)
        The first columns of the code.

    target : ndarray of shape (n_samples, n_outputs)
        What should be said, in the units in which the network speaks.

    weight : ndarray of shape (n_samples,)
        How much each row counts, one in the mean.
    """

    code: NDArray[np.floating]
    target: NDArray[np.floating]
    weight: NDArray[np.floating]

    def first(self, size):
        """The same rows with fewer columns."""
        return self._replace(code=self.code[:, :size])


def refitted(decoder, train, held_out):
    """The last layer of a decoder as it says the rows best, the layers before as they are.

    While an ordered code is trained, a last layer serves several sizes and sees a part of
    the rows, and the layers before it never stand still. Once they do, the best one for a
    size is a matter of linear regression. The penalty is on the distance from what training
    found; how strong it is, held-out rows tell.

    Parameters
    ----------
    decoder : DenseForward
        With a linear output, trained for the squared error.

    train, held_out : LatentDataset
        Rows to learn from, and rows to judge by.

    Returns
    -------
    list of ndarray
        Kernel, bias and, if there is one, linear path.
    """
    kernel, bias, *path = decoder.coder.named(decoder.weights).output_arrays
    head = np.vstack([kernel, *path, bias]).astype(np.float64)
    read, judged = (_read(decoder, rows.code) for rows in (train, held_out))
    root = np.sqrt(train.weight)[:, None]
    weighted, left = root * read, root * (train.target - read @ head)
    gram, cross = weighted.T @ weighted, weighted.T @ left
    unit = np.trace(gram) / len(gram)

    def loss(head):
        squares = np.square(held_out.target - judged @ head)
        return np.average(squares.mean(axis=1), weights=held_out.weight)

    best, least = head, loss(head)
    for penalty in unit * _PENALTIES:
        change = linalg.solve(gram + penalty * np.eye(len(gram)), cross, assume_a="pos")
        now = loss(head + change)
        if not now < least:
            break
        best, least = head + change, now
    rows = np.split(best.astype(np.float32), np.cumsum([len(kernel), *map(len, path)]))
    return [rows[0], rows[-1][0], *rows[1:-1]]


def _read(decoder, code):
    """What a last layer reads: hidden units, the code by the linear path, ones for the bias."""
    code = code.astype(np.float32, copy=False)
    path = [code] if decoder.coder.has_linear_path else []
    read = [decoder.hidden(code), *path, np.ones((len(code), 1))]
    return np.hstack(read).astype(np.float64, copy=False)
