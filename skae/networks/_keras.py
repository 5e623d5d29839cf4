"""Keras models of the user as encoder and decoder."""

import math
import random
import re
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from skae.networks._base import LayerOptions, Network, Shape
from skae.networks._layers import (
    Weights,
    constant_variables,
    initial_weights,
    layer,
    rows_of,
    values,
)
from skae.networks._stacked import BuiltNetwork, weight_spec
from skae.utils._process import choose_backend
from skae.utils._sklearn import HasMethods, validate_parameters


class KerasNetwork(Network):
    """Encoder and decoder of one's own, as Keras models or functions that build them.

    The encoder maps rows to codes of shape (n_components,), the decoder maps codes to rows.
    Shapes of images may differ from those of X by axes of length one, or where X is flat.

    Parameters
    ----------
    encoder : keras.Model or callable
        A Sequential or functional model, or a function
        ``encoder(input_shape, n_components)`` that builds any Keras model;
        `input_shape` is that of one row of X.

    decoder : keras.Model or callable
        Likewise; the function is ``decoder(n_components, output_shape)``.

    See Also
    --------
    ConvNetwork : Convolutions, which also start at PCA.
    RecurrentNetwork : Recurrent layers, which also start at PCA.

    Notes
    -----
    Models are copied: a fit starts at their weights and does not change them. Models that
    functions build start at weights that each layer's initializer draws from
    `random_state`. There is no linear path, so that ``init="pca"`` has no effect and
    training may end worse than PCA. Layers that are not trainable stay as they are.

    A decoder whose last layer has an activation outputs the units of X. To any other the
    estimator's `output_activation` is added, and with the identity its output is centred
    and scaled as that of other networks. `hidden_layer_sizes`,
    `activation`, `code_activation`, `normalization` and `dropout` of the estimator do
    not apply. Layers that encoder and decoder share become two.

    Functions share a compiled epoch between fits when they are the same object: a
    ``def`` at the top of a module rather than a lambda, which could not be pickled
    either.

    Examples
    --------
    >>> import keras
    >>> from sklearn.datasets import load_digits
    >>> from skae import AutoencoderTransformer
    >>> from skae.networks import KerasNetwork
    >>> X = load_digits().data[:300]
    >>> def encoder(input_shape, n_components):
    ...     hidden = keras.layers.Dense(16, "relu")
    ...     code = keras.layers.Dense(n_components)
    ...     return keras.Sequential([keras.Input(input_shape), hidden, code])
    >>> def decoder(n_components, output_shape):
    ...     hidden = keras.layers.Dense(16, "relu")
    ...     rows = keras.layers.Dense(*output_shape)
    ...     return keras.Sequential([keras.Input((n_components,)), hidden, rows])
    >>> network = KerasNetwork(encoder, decoder)
    >>> ae = AutoencoderTransformer(4, network=network, max_iter=2, tol=None)
    >>> ae.fit_transform(X).shape
    (300, 4)
    """

    _parameter_constraints = {
        "encoder": [HasMethods(["get_weights", "stateless_call"]), callable],
        "decoder": [HasMethods(["get_weights", "stateless_call"]), callable],
    }

    def __init__(self, encoder: Any, decoder: Any) -> None:
        self.encoder = encoder
        self.decoder = decoder

    def __sklearn_clone__(self) -> "KerasNetwork":
        return type(self)(_restored(_stored(self.encoder)), _restored(_stored(self.decoder)))

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        return {**state, "encoder": _stored(self.encoder), "decoder": _stored(self.decoder)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        models = {name: _restored(state[name]) for name in ("encoder", "decoder")}
        super().__setstate__({**state, **models})

    def row_shapes(self, input_shape: Shape, output_shape: Shape) -> tuple[Shape, Shape]:
        """The same shapes."""
        return input_shape, output_shape

    def describe(
        self, input_shape: Shape, output_shape: Shape, n_components: int, options: LayerOptions
    ) -> "KerasModels":
        """The network for such rows, as a value."""
        validate_parameters(self)
        width = n_components * options.code_width
        network = KerasModels(
            Source("encoder", _copied("encoder", self.encoder), (input_shape, width)),
            Source("decoder", _copied("decoder", self.decoder), (n_components, output_shape)),
            n_components=n_components,
            input_shape=input_shape,
            output_shape=output_shape,
            code_width=options.code_width,
            wanted_activation=options.output_activation,
        )
        network.build()  # which checks the shapes
        return network


@dataclass(frozen=True)
class Source:
    """A model, or a function that builds one; equal where the models would be."""

    name: str  # "encoder" or "decoder"
    given: Any = field(compare=False)  # a function, or a copy of the user's model
    arguments: tuple[Any, ...]  # of a function
    key: Hashable = field(init=False, repr=False)

    def __post_init__(self) -> None:
        key = self.given
        if _is_model(key):
            # Keras numbers inputs without a name, and numbers them again in a copy.
            names: dict[str, str] = {}
            key = re.sub(
                r'"(keras_tensor|input_layer)(_\d+)?"',
                lambda found: names.setdefault(found[0], f'"input {len(names)}"'),
                self.given.to_json(),
            )
        object.__setattr__(self, "key", key)

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "given": _stored(self.given)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update({**state, "given": _restored(state["given"])})

    def make(self) -> Any:
        """A new model; its weights are not the initial ones."""
        import keras

        with generator_untouched():
            if _is_model(self.given):
                return keras.models.clone_model(self.given)
            model = self.given(*self.arguments)
        if not isinstance(model, keras.Model):
            raise TypeError(
                f"network: {self.name}{self.arguments} must return a keras.Model; it "
                f"returned {type(model).__name__}."
            )
        return model


@dataclass(frozen=True)
class KerasModels(BuiltNetwork):
    """Two models of the user as a value, `wanted_activation` after a last layer without one.

    `code_width` is the number of encoder outputs for each column of the code, side by side.
    """

    encoder: Source
    decoder: Source
    n_components: int
    input_shape: Shape
    output_shape: Shape
    code_width: int
    wanted_activation: str

    # Other models may have neither masked columns nor a linear path.
    resizable = False
    starts_linear = False

    @cached_property
    def output_activation(self) -> str:
        """Keras' name of the output activation."""
        activation = last_activation(self.decoder.make())
        return self.wanted_activation if activation == "linear" else activation

    def build(self) -> tuple[Any, Any]:
        """Keras models of encoder and decoder, from flat rows to codes and back.

        Raises where shapes do not match.
        """
        import keras

        encoder, decoder = self.encoder.make(), self.decoder.make()
        rows = rows_of((math.prod(self.input_shape),))
        code = apply_to_rows(encoder, rows, self.input_shape, "rows of X have shape")
        shape = (self.n_components * self.code_width,)
        # A code has exactly one axis.
        if tuple(code.shape[1:]) != shape:
            where = f"n_components={self.n_components}"
            raise _wrong_output("encoder", encoder, code, shape, where)

        codes = rows_of((self.n_components,))
        output = apply_to_rows(decoder, codes, (self.n_components,), "the code has shape")
        if not _alike(self.output_shape, tuple(output.shape[1:])):
            where = f"rows to reconstruct have shape {self.output_shape}"
            raise _wrong_output("decoder", decoder, output, self.output_shape, where)
        output = layer("Reshape", (math.prod(self.output_shape),))(output)
        if last_activation(decoder) == "linear" != self.wanted_activation:
            output = layer("Activation", self.wanted_activation)(output)
        return (
            keras.Model(rows, code, name="encoder"),
            keras.Model(codes, output, name="decoder"),
        )

    def initial_values(self, rng: np.random.RandomState) -> tuple[Weights, Weights]:
        """Weights of the user's models, and values of the variables that are not trained.

        Weights of models that functions build are initialized.
        """
        weights: Weights = []
        statistics: Weights = []
        constants = [part for _, part in self.split((), weight_spec(self).statistics)]
        sources = self.encoder, self.decoder
        for source, model, constant in zip(sources, self.build(), constants, strict=True):
            if _is_model(source.given):
                weights += values(source.given.trainable_variables)
                statistics += values(constant_variables(source.given))
            else:
                weights += initial_weights(model, rng)
                statistics += [value.copy() for value in constant]
        return weights, statistics


def _is_model(given: Any) -> bool:
    """True for a model, whose weights are the initial ones; False for a function."""
    return hasattr(given, "stateless_call")


def _is_whole(model: Any) -> bool:
    """True for a model that can be rebuilt from its configuration."""
    return model.built and bool(getattr(model, "inputs", None))


def _copied(name: str, given: Any) -> Any:
    """A model that the user can no longer change; functions as they are."""
    import keras

    if not _is_model(given):
        return given
    if not _is_whole(given):
        raise ValueError(
            f"network: {name} must be a Sequential or functional keras.Model that begins with "
            f"keras.Input, or a function that builds a model; got {type(given).__name__} "
            f"{given.name!r}."
        )
    with generator_untouched():
        copy = keras.models.clone_model(given)
    copy.set_weights(values(given.weights))
    return copy


def _stored(given: Any) -> Any:
    """A model as text and arrays, which any format can hold; anything else unchanged."""
    if not (_is_model(given) and _is_whole(given)):
        return given
    return {"config": given.to_json(), "weights": values(given.weights)}


def _restored(stored: Any) -> Any:
    """The inverse of `_stored`."""
    if not isinstance(stored, dict):
        return stored
    choose_backend()
    import keras

    with generator_untouched():
        model = keras.models.model_from_json(stored["config"])
    model.set_weights(stored["weights"])
    return model


@contextmanager
def generator_untouched() -> Iterator[None]:
    """Restore Python's global generator, from which Keras takes seeds."""
    state = random.getstate()
    try:
        yield
    finally:
        random.setstate(state)


def apply_to_rows(model: Any, rows: Any, shape: Shape, which: str) -> Any:
    """Output of a model for flat rows, which stand for rows of this shape."""
    expected = getattr(model, "input_shape", None) or (None, *shape)
    if isinstance(expected, list | dict) or not isinstance(expected[0], int | None):
        raise ValueError(f"network: {model.name!r} must have one input; it has {expected}.")
    expected = expected[1:]
    if None in expected:
        expected = shape + (1,) * (len(expected) - len(shape))
    if not _alike(shape, expected):
        first = model.layers[0].name if model.layers else model.name
        raise ValueError(
            f"network: layer {first!r} of {model.name!r} expects rows of shape {expected}, but "
            f"{which} {shape}."
        )
    return model(layer("Reshape", expected)(rows))


def _wrong_output(name: str, model: Any, output: Any, shape: Shape, where: str) -> ValueError:
    """The error for a model with an output of another shape than is required."""
    last = model.layers[-1].name if model.layers else model.name
    return ValueError(
        f"network: the {name}'s last layer {last!r} outputs an array of shape "
        f"{tuple(output.shape[1:])} for each row, but {where} requires {shape}."
    )


def _alike(rows: Shape, model: Shape) -> bool:
    """True if shapes are the same but for axes of length one, or if one of them is flat."""
    if math.prod(rows) != math.prod(model):
        return False
    squeezed = [[n for n in shape if n != 1] for shape in (rows, model)]
    return 1 in (len(rows), len(model)) or squeezed[0] == squeezed[1]


def last_activation(model: Any) -> str:
    """The activation of the last layer as far as it can be found, else "linear"."""
    for last in reversed(model.layers):
        last = getattr(last, "layer", last)  # inside a TimeDistributed
        if hasattr(last, "layers"):
            return last_activation(last)
        if hasattr(last, "activation"):
            return getattr(last.activation, "__name__", "custom")
        if ".activations." in type(last).__module__:
            return str(type(last).__name__).lower()
        if last.weights:
            break
    return "linear"
