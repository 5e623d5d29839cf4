"""Convolutional and recurrent networks, for images and series."""

from abc import abstractmethod
from dataclasses import dataclass
from math import prod
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
from skae.utils._arrays import whole_numbers
from skae.utils._sklearn import Interval, StrOptions, validate_parameters


class ShapedNetwork(Network):
    """Parameters of a stack for rows of a shape, which one of them gives where X is flat."""

    @property
    @abstractmethod
    def _row(self) -> tuple[str, int]:
        """Name of the parameter for the shape of a row, and its number of axes."""

    @abstractmethod
    def _stack(self, shapes: tuple[Shape, Shape]) -> Stack:
        """The stack for rows and reconstructions of these shapes, with channels."""

    @property
    def takes_flat_rows(self) -> bool:
        """True if the shape of a row is given."""
        return getattr(self, self._row[0]) is not None

    def row_shapes(self, input_shape: Shape, output_shape: Shape) -> tuple[Shape, Shape]:
        """Shapes of a row and of its reconstruction, with channels."""
        validate_parameters(self)
        name, n_axes = self._row
        inputs = with_channels(name, getattr(self, name), input_shape, n_axes)
        return inputs, output_with_channels(inputs, input_shape, output_shape)

    def describe(
        self, input_shape: Shape, output_shape: Shape, n_components: int, options: LayerOptions
    ) -> StackedNetwork:
        """The network for such rows, as a value."""
        stack = self._stack(self.row_shapes(input_shape, output_shape))
        return StackedNetwork(stack, n_components, options)


class ConvNetwork(ShapedNetwork):
    """Convolutions for images and signals.

    The encoder halves height and width once for each entry of `filters` and ends in a
    dense layer, so the code is a flat vector; the decoder mirrors it [1]_. Rows of any height
    and width are reconstructed at their size.

    Rows of ``n_dims=2`` are images of shape (height, width) or (height, width,
    channels), those of ``n_dims=1`` signals of shape (steps, features). X is an n-D array or,
    with `image_shape`, flat, as in a Pipeline.

    Parameters
    ----------
    filters : int or array-like of shape (n_layers,), default=(8, 8)
        Filters of each convolution of the encoder; the decoder has them in reverse.

    kernel_size : int, default=3
        Height and width of a kernel, or its steps.

    downsampling : {"strides", "max_pooling", "average_pooling"}, default="strides"
        How the encoder halves height and width.

    upsampling : {"nearest", "transposed"}, default="nearest"
        How the decoder doubles them: each pixel is repeated after a convolution, or the
        convolution is transposed, with strides.

    n_dims : {1, 2}, default=2
        Axes along which a kernel moves: 2 for images, 1 for signals.

    image_shape : tuple of int or None, default=None
        Shape of one row, with or without channels, where X is flat: (height, width),
        (height, width, channels), (steps,) or (steps, features). None: as in X.

    See Also
    --------
    RecurrentNetwork : For series.
    KerasNetwork : Any layers.

    Notes
    -----
    Dense layers of the sizes `hidden_layer_sizes` of the estimator stand beside the
    convolutions, in the encoder and in the decoder, and the results are added: training starts
    where that of a dense network does, and the convolutions only add to it. With
    ``hidden_layer_sizes=()`` there is only a linear path beside them. The estimator's other
    parameters of layers apply to both.

    References
    ----------
    .. [1] J. Masci, U. Meier, D. Ciresan and J. Schmidhuber, "Stacked Convolutional
       Auto-Encoders for Hierarchical Feature Extraction", ICANN 2011.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import AutoencoderTransformer
    >>> from skae.networks import ConvNetwork
    >>> images = load_digits().images[:300]
    >>> network = ConvNetwork(filters=(8, 4))
    >>> ae = AutoencoderTransformer(4, network=network, max_iter=2, tol=None)
    >>> ae.fit_transform(images).shape
    (300, 4)
    >>> ae.reconstruct(images).shape
    (300, 8, 8)
    """

    _parameter_constraints = {
        "filters": ["array-like", Interval(Integral, 1, None, closed="left")],
        "kernel_size": [Interval(Integral, 1, None, closed="left")],
        "downsampling": [StrOptions({"strides", "max_pooling", "average_pooling"})],
        "upsampling": [StrOptions({"nearest", "transposed"})],
        "n_dims": [Interval(Integral, 1, 2, closed="both")],
        "image_shape": ["array-like", None],
    }

    def __init__(
        self,
        filters: Any = (8, 8),
        *,
        kernel_size: int = 3,
        downsampling: str = "strides",
        upsampling: str = "nearest",
        n_dims: int = 2,
        image_shape: Any = None,
    ) -> None:
        self.filters = filters
        self.kernel_size = kernel_size
        self.downsampling = downsampling
        self.upsampling = upsampling
        self.n_dims = n_dims
        self.image_shape = image_shape

    @property
    def _row(self) -> tuple[str, int]:
        return "image_shape", self.n_dims

    def _stack(self, shapes: tuple[Shape, Shape]) -> Stack:
        return ConvStack(
            *shapes,
            filters=whole_numbers("filters", self.filters, 1),
            kernel_size=int(self.kernel_size),
            downsampling=self.downsampling,
            upsampling=self.upsampling,
        )


@dataclass(frozen=True)
class ConvStack(Stack):
    """Convolutions as a value: shapes with channels, and parameters of :class:`ConvNetwork`."""

    input_shape: Shape
    output_shape: Shape
    filters: tuple[int, ...]
    kernel_size: int
    downsampling: str
    upsampling: str

    def encode(self, rows: Any, options: LayerOptions) -> Any:
        """Convolve and halve, once for each entry of `filters`."""
        pooling = {"max_pooling": "MaxPooling", "average_pooling": "AveragePooling"}
        kind = pooling.get(self.downsampling)
        for filters in self.filters:
            rows = self._convolved(rows, filters, strides=1 if kind else 2)
            rows = after_hidden_layer(rows, options, options.activation)
            if kind:
                rows = self._layer(kind, 2, padding="same")(rows)
        return rows

    def decode(self, code: Any, options: LayerOptions) -> Any:
        """Convolve and double as often, cut to size where a half was rounded up."""
        sizes = [self.output_shape[:-1]]
        for _ in self.filters:
            sizes.append(tuple(-(-n // 2) for n in sizes[-1]))
        smallest = (*sizes.pop(), self.filters[-1])
        rows = layer("Reshape", smallest)(dense(prod(smallest))(code))
        rows = after_hidden_layer(rows, options, options.activation)
        is_transposed = self.upsampling == "transposed"
        doubling = {"kind": "Transpose", "strides": 2} if is_transposed else {}
        for filters, size in zip(self.filters[::-1], sizes[::-1], strict=True):
            rows = self._convolved(rows, filters, **doubling)
            rows = after_hidden_layer(rows, options, options.activation)
            if not is_transposed:
                rows = self._layer("UpSampling", 2)(rows)
            excess = [(0, n - m) for n, m in zip(rows.shape[1:-1], size, strict=True)]
            if any(end for _, end in excess):
                rows = self._layer("Cropping", excess if len(excess) > 1 else excess[0])(rows)
        return self._convolved(rows, self.output_shape[-1], name="output")

    def _convolved(self, rows: Any, filters: int, **config: Any) -> Any:
        config |= {"padding": "same", "kernel_initializer": "zeros"}
        return self._layer("Conv", filters, self.kernel_size, **config)(rows)

    def _layer(self, name: str, /, *args: Any, kind: str = "", **config: Any) -> Any:
        """A Keras layer for as many axes as there are, channels last."""
        if name not in ("UpSampling", "Cropping") or len(self.input_shape) == 3:
            config["data_format"] = "channels_last"
        return layer(f"{name}{len(self.input_shape) - 1}D{kind}", *args, **config)


class RecurrentNetwork(ShapedNetwork):
    """Recurrent layers that encode a series step by step, and decode it step by step.

    A dense layer maps the encoder's last state to the code. The code is the decoder's input
    at each step, and a dense layer, the same at all steps, outputs the features [1]_.

    Parameters
    ----------
    cell : {"lstm", "gru"}, default="gru"
        The recurrent layers.

    units : int, default=16
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
    Dense layers of the sizes `hidden_layer_sizes` of the estimator stand beside the recurrent
    ones, in the encoder and in the decoder, and the results are added: training starts where
    that of a dense network does, and the recurrent layers only add to it. With
    ``hidden_layer_sizes=()`` there is only a linear path beside them. The cells keep their own
    activations, tanh and sigmoid; the estimator's other parameters of layers apply to both.

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
    >>> network = RecurrentNetwork("gru", units=8)
    >>> ae = AutoencoderTransformer(4, network=network, max_iter=2, tol=None)
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
        cell: str = "gru",
        *,
        units: int = 16,
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
    def _row(self) -> tuple[str, int]:
        return "series_shape", 1

    def _stack(self, shapes: tuple[Shape, Shape]) -> Stack:
        return RecurrentStack(
            *shapes,
            cell=self.cell,
            units=int(self.units),
            n_layers=int(self.n_layers),
            bidirectional=bool(self.bidirectional),
        )


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
            rows = self._recurrent(rows, i < self.n_layers - 1, options)
        return rows

    def decode(self, code: Any, options: LayerOptions) -> Any:
        """Decode the code at each step."""
        rows = layer("RepeatVector", self.output_shape[0])(code)
        for _ in range(self.n_layers):
            rows = self._recurrent(rows, True, options)
        return dense(self.output_shape[1], name="output")(rows)

    def _recurrent(self, rows: Any, return_sequences: bool, options: LayerOptions) -> Any:
        recurrent = layer(
            self.cell.upper(),
            self.units,
            return_sequences=return_sequences,
            kernel_initializer="zeros",
            recurrent_initializer="zeros",
            seed=0,
        )
        if self.bidirectional:
            recurrent = layer("Bidirectional", recurrent)
        return after_hidden_layer(recurrent(rows), options, "linear")
