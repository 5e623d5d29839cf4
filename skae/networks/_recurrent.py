"""Recurrent networks for series."""

from dataclasses import dataclass
from numbers import Integral
from typing import Any

from skae.networks._base import (
    LayerOptions,
    Network,
    Shape,
    output_with_channels,
    with_channels,
)
from skae.networks._layers import after_hidden_layer, dense, layer
from skae.networks._stacked import Stack, StackedNetwork
from skae.utils._sklearn import Interval, StrOptions, validate_parameters


class RecurrentNetwork(Network):
    """Recurrent layers that encode a series step by step, and decode it step by step.

    A dense layer maps the encoder's last state to the code. The code is the decoder's input
    at each step, and a dense layer, the same at all steps, outputs the features [1]_.

    Parameters
    ----------
    cell : {"lstm", "gru"}, default="lstm"
        The recurrent layers.

    units : int, default=64
        Size of the state of each layer.

    n_layers : int, default=1
        How many recurrent layers the encoder has, and the decoder as well.

    bidirectional : bool, default=False
        Whether layers also process the series backwards, with further states.

    series_shape : tuple of int or None, default=None
        Shape of one row where X is flat: (steps, features), or (steps,) for one
        feature. None: as in X, of shape (n_samples, steps, features).

    See Also
    --------
    ConvNetwork : With ``n_dims=1``, quicker on long series.
    KerasNetwork : Any layers.

    Notes
    -----
    The cells keep their own activations, tanh and sigmoid. `code_activation`,
    `output_activation`, `normalization`, `dropout` and `init` of the estimator apply;
    `activation` and `hidden_layer_sizes` do not.

    References
    ----------
    .. [1] N. Srivastava, E. Mansimov and R. Salakhutdinov, "Unsupervised Learning of
       Video Representations using LSTMs", ICML 2015.

    Examples
    --------
    >>> import numpy as np
    >>> from skae import AutoencoderTransformer
    >>> from skae.networks import RecurrentNetwork
    >>> phase = np.random.RandomState(0).uniform(0, 6, (100, 1, 2))
    >>> series = np.sin(phase + np.linspace(0, 6, 12)[:, None])
    >>> ae = AutoencoderTransformer(
    ...     4, network=RecurrentNetwork("gru", units=8), max_iter=2, tol=None, random_state=0
    ... )
    >>> ae.fit_transform(series).shape
    (100, 4)
    >>> ae.reconstruct(series).shape
    (100, 12, 2)
    """

    _parameter_constraints = {
        "cell": [StrOptions({"lstm", "gru"})],
        "units": [Interval(Integral, 1, None, closed="left")],
        "n_layers": [Interval(Integral, 1, None, closed="left")],
        "bidirectional": ["boolean"],
        "series_shape": ["array-like", None],
    }

    def __init__(
        self,
        cell: str = "lstm",
        *,
        units: int = 64,
        n_layers: int = 1,
        bidirectional: bool = False,
        series_shape: Any = None,
    ) -> None:
        self.cell = cell
        self.units = units
        self.n_layers = n_layers
        self.bidirectional = bidirectional
        self.series_shape = series_shape

    @property
    def takes_flat_rows(self) -> bool:
        """True if `series_shape` is given."""
        return self.series_shape is not None

    def row_shapes(self, input_shape: Shape, output_shape: Shape) -> tuple[Shape, Shape]:
        """Shapes of a row and of its reconstruction, as (steps, features)."""
        validate_parameters(self)
        inputs = with_channels("series_shape", self.series_shape, input_shape, 1)
        return inputs, output_with_channels(inputs, input_shape, output_shape)

    def describe(
        self, input_shape: Shape, output_shape: Shape, n_components: int, options: LayerOptions
    ) -> StackedNetwork:
        """The network for such rows, as a value."""
        stack = RecurrentStack(
            *self.row_shapes(input_shape, output_shape),
            cell=self.cell,
            units=int(self.units),
            n_layers=int(self.n_layers),
            bidirectional=bool(self.bidirectional),
        )
        return StackedNetwork(stack, n_components, options)


@dataclass(frozen=True)
class RecurrentStack(Stack):
    """Layers as a value: shapes (steps, features), parameters of :class:`RecurrentNetwork`."""

    input_shape: Shape
    output_shape: Shape
    cell: str
    units: int
    n_layers: int
    bidirectional: bool

    def encode(self, rows: Any, options: LayerOptions) -> Any:
        """Return the last hidden state of the last layer."""
        for i in range(self.n_layers):
            rows = self._recurrent(rows, i < self.n_layers - 1)
            rows = after_hidden_layer(rows, options, "linear")
        return rows

    def decode(self, code: Any, options: LayerOptions) -> Any:
        """Decode the code at each step."""
        rows = layer("RepeatVector", self.output_shape[0])(code)
        for _ in range(self.n_layers):
            rows = self._recurrent(rows, True)
            rows = after_hidden_layer(rows, options, "linear")
        return dense(self.output_shape[1], name="output")(rows)

    def _recurrent(self, rows: Any, return_sequences: bool) -> Any:
        recurrent = layer(
            self.cell.upper(),
            self.units,
            return_sequences=return_sequences,
            kernel_initializer="zeros",
            recurrent_initializer="zeros",
            seed=0,
        )
        return (layer("Bidirectional", recurrent) if self.bidirectional else recurrent)(rows)
