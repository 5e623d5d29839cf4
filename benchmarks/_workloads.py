"""The workloads: data and the network that every package trains on them."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Workload:
    """Data by name, and an architecture with its training, the same for all packages."""

    name: str
    n_features: int
    hidden: tuple[int, ...]
    n_components: int
    batch_size: int
    epochs: int

    @property
    def inner(self):
        """Widths between input and output."""
        return (*self.hidden, self.n_components, *self.hidden[::-1])

    @property
    def widths(self):
        """All widths, input and output included."""
        return (self.n_features, *self.inner, self.n_features)

    @property
    def is_linear(self):
        """True for each layer without ReLU: the code and the output."""
        return [i in (len(self.hidden), len(self.inner)) for i in range(len(self.widths) - 1)]

    def data(self, quick=False):
        """Rows, float32."""
        return _DATA[self.name](quick)

    def __str__(self):
        widths = "-".join(map(str, self.widths))
        return f"{self.name}: network {widths}, batch {self.batch_size}, {self.epochs} epochs"


def workload(name, quick=False):
    """A workload by its letter."""
    full, short = _WORKLOADS[name]
    return Workload(name, *full[:-1], short if quick else full[-1])


# Features, hidden sizes, code, batch, epochs; epochs of a quick run.
_WORKLOADS = {
    "S": ((64, (32,), 10, 32, 50), 3),
    "T": ((30, (64, 32), 8, 256, 10), 2),
    "M": ((784, (100,), 20, 64, 3), 1),
}


def _digits(quick):
    from sklearn.datasets import load_digits
    from sklearn.preprocessing import StandardScaler

    X = StandardScaler().fit_transform(load_digits().data).astype(np.float32)
    return X[:600] if quick else X


def _low_rank(quick):
    """Rank 6 through a tanh, and noise."""
    n = 4000 if quick else 50_000
    rng = np.random.default_rng(0)
    code = rng.standard_normal((n, 6), np.float32)
    bent = np.tanh(code @ rng.standard_normal((6, 30), np.float32))
    X = bent + 0.1 * rng.standard_normal((n, 30), np.float32)
    return (X - X.mean(axis=0)) / X.std(axis=0)


def _images(quick):
    """28 x 28 pixels in [0, 1], about half of them dark: sums of ten soft spots."""
    n = 2000 if quick else 60_000
    rng = np.random.default_rng(0)
    grid = np.stack(np.meshgrid(np.arange(28), np.arange(28)), axis=-1).reshape(784, 1, 2)
    centres = rng.uniform(4, 24, (1, 60, 2))
    spots = np.exp(-np.square(grid - centres).sum(axis=2) / 18).astype(np.float32)
    shares = rng.exponential(0.5, (n, 60)).astype(np.float32)
    shares *= rng.random((n, 60), np.float32) < 1 / 6
    X = shares @ spots.T
    X += 0.02 * rng.standard_normal(X.shape, np.float32)
    X -= 0.1
    return np.clip(X, 0, 1, out=X)


_DATA = {"S": _digits, "T": _low_rank, "M": _images}
