"""The user's own Keras models as encoder and decoder."""

import math
import random
import re
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from skae.networks._base import LayerOptions, Network, Shape
from skae.networks._keras_spec import BuiltNetwork
from skae.networks._layers import Weights, drawn, kept_variables, layer, rows_of, values
from skae.utils._sklearn import HasMethods, validate_parameters


class KerasNetwork(Network):
    """Encoder and decoder of one's own, as Keras models or functions that build them.

    The encoder reads rows and gives codes of shape (n_components,); the decoder reads
    codes and gives rows. Shapes of images may differ from those of X by axes of length
    one, or where X comes flat.

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
    Models are copied: a fit starts from the weights they have and leaves them as they
    are. What functions build starts at weights that each layer's initializer draws from
    `random_state`. There is no linear path, so that ``init="pca"`` has no effect and
    training may end worse than PCA. Layers that are not trainable stay as they are.

    Where the decoder's last layer has an activation, it speaks in the units of X; where
    it has none, the estimator's `output_activation` is added, and with the identity the
    decoder speaks in centred and scaled data as other networks do. `hidden_layer_sizes`,
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
    ...     layers = keras.layers
    ...     return keras.Sequential(
    ...         [keras.Input(input_shape), layers.Dense(16, "relu"), layers.Dense(n_components)]
    ...     )
    >>> def decoder(n_components, output_shape):
    ...     layers = keras.layers
    ...     return keras.Sequential(
    ...         [keras.Input((n_components,)), layers.Dense(16, "relu"), layers.Dense(64)]
    ...     )
    >>> ae = AutoencoderTransformer(
    ...     4, network=KerasNetwork(encoder, decoder), max_iter=2, tol=None, random_state=0
    ... )
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
        return type(self)(
            *(_restored(_stored(given)) for given in (self.encoder, self.decoder))
        )

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        return {**state, "encoder": _stored(self.encoder), "decoder": _stored(self.decoder)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        models = {name: _restored(state[name]) for name in ("encoder", "decoder")}
        super().__setstate__({**state, **models})

    def row_shapes(self, input_shape: Shape, output_shape: Shape) -> tuple[Shape, Shape]:
        """Shapes of a row and of its reconstruction, as they come."""
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
        network.check()
        return network


@dataclass(frozen=True)
class Source:
    """A model, or a function that builds one; equal where the models would be.

    Parameters
    ----------
    name : str
        "encoder" or "decoder".

    given : keras.Model or callable
        What the user gave; of a model, a copy.

    arguments : tuple
        For a function.
    """

    name: str
    given: Any = field(compare=False)
    arguments: tuple[Any, ...]
    key: Hashable = field(init=False, repr=False)

    def __post_init__(self) -> None:
        key = _uncounted(self.given.to_json()) if self.is_model else self.given
        object.__setattr__(self, "key", key)

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "given": _stored(self.given)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update({**state, "given": _restored(state["given"])})

    @property
    def is_model(self) -> bool:
        """Whether a model was given, whose weights count."""
        return _is_model(self.given)

    def make(self) -> Any:
        """A model of its own; its weights are not those to start from."""
        import keras

        with _generator_untouched():
            if self.is_model:
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
    """Two models of the user's as a value.

    Parameters
    ----------
    encoder, decoder : Source
        Where the models come from.

    n_components : int
        Columns of the code.

    input_shape, output_shape : tuple of int
        Shapes of a row and of its reconstruction.

    code_width : int
        How many numbers the encoder says for each column of the code, side by side.

    wanted_activation : str
        What the output passes where the decoder's last layer has no activation.
    """

    encoder: Source
    decoder: Source
    n_components: int
    input_shape: Shape
    output_shape: Shape
    code_width: int
    wanted_activation: str
    output_activation: str = field(init=False, default="linear", compare=False)

    # Nobody knows what lies beside the code, nor a linear path.
    resizable = False
    starts_linear = False

    def check(self) -> None:
        """Whether shapes match; learns what activation the decoder ends with."""
        _, decoder = self._models()
        own = last_activation(decoder)
        activation = self.wanted_activation if own == "linear" else own
        object.__setattr__(self, "output_activation", activation)
        self.build()

    def build(self) -> tuple[Any, Any]:
        """Keras models of encoder and decoder, from flat rows to codes and back."""
        import keras

        encoder, decoder = self._models()
        width = self.n_components * self.code_width
        rows = rows_of((math.prod(self.input_shape),))
        code = called(encoder, rows, self.input_shape, "rows of X have shape")
        check_output_shape(
            encoder, "encoder", code, (width,), f"n_components={self.n_components}"
        )

        codes = rows_of((self.n_components,))
        output = called(decoder, codes, (self.n_components,), "the code has shape")
        where = f"rows to reconstruct have shape {self.output_shape}"
        check_output_shape(decoder, "decoder", output, self.output_shape, where)
        output = layer("Reshape", (math.prod(self.output_shape),))(output)
        if last_activation(decoder) == "linear" != self.wanted_activation:
            output = layer("Activation", self.wanted_activation)(output)
        return (
            keras.Model(rows, code, name="encoder"),
            keras.Model(codes, output, name="decoder"),
        )

    def _models(self) -> tuple[Any, Any]:
        return self.encoder.make(), self.decoder.make()

    def random_start(self, rng: np.random.RandomState) -> Weights:
        """The models' own weights; of those that functions built, freshly drawn ones."""
        weights: Weights = []
        for source, model in zip((self.encoder, self.decoder), self.build(), strict=True):
            if source.is_model:
                weights += values(source.given.trainable_variables)
            else:
                weights += drawn(model, rng)
        return weights

    def fresh_statistics(self) -> Weights:
        """What is not trained, as the models have it."""
        kept = list(self.split_statistics(super().fresh_statistics()))
        for i, source in enumerate((self.encoder, self.decoder)):
            if source.is_model:
                kept[i] = values(kept_variables(source.given))
        return kept[0] + kept[1]


def _is_model(given: Any) -> bool:
    return hasattr(given, "stateless_call")


def _is_whole(given: Any) -> bool:
    """Whether a model says of itself what it is made of."""
    import keras

    return isinstance(given, keras.Model) and given.built and bool(given.inputs)


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
    with _generator_untouched():
        copy = keras.models.clone_model(given)
    copy.set_weights(values(given.weights))
    return copy


def _uncounted(config: str) -> str:
    """A configuration in which inputs have the same names in a model and in a copy of it.

    Keras counts those that have none, and counts on where it copies or reads a model.
    """
    names: dict[str, str] = {}
    return re.sub(
        r'"(keras_tensor|input_layer)(_\d+)?"',
        lambda found: names.setdefault(found[0], f'"input {len(names)}"'),
        config,
    )


def _stored(given: Any) -> Any:
    """A model as text and arrays, which any format can hold; anything else as it is."""
    if not (_is_model(given) and _is_whole(given)):
        return given
    return {"config": given.to_json(), "weights": values(given.weights)}


def _restored(stored: Any) -> Any:
    """What `_stored` was given."""
    if not isinstance(stored, dict):
        return stored
    import keras

    with _generator_untouched():
        model = keras.models.model_from_json(stored["config"])
    model.set_weights(stored["weights"])
    return model


@contextmanager
def _generator_untouched() -> Iterator[None]:
    """Python's global generator, from which Keras takes seeds, is left as it was."""
    state = random.getstate()
    try:
        yield
    finally:
        random.setstate(state)


def called(model: Any, rows: Any, shape: Shape, which: str) -> Any:
    """A model on flat rows that stand for rows of this shape."""
    wanted = getattr(model, "input_shape", None) or (None, *shape)
    if isinstance(wanted, list | dict) or not isinstance(wanted[0], int | None):
        raise ValueError(f"network: {model.name!r} must have one input; it has {wanted}.")
    wanted = wanted[1:]
    if None in wanted:
        wanted = shape + (1,) * (len(wanted) - len(shape))
    if not _alike(shape, wanted):
        first = model.layers[0].name if model.layers else model.name
        raise ValueError(
            f"network: layer {first!r} of {model.name!r} reads rows of shape {wanted}, but "
            f"{which} {shape}."
        )
    return model(layer("Reshape", wanted)(rows))


def check_output_shape(model: Any, name: str, output: Any, shape: Shape, where: str) -> None:
    """Whether a model gives what is asked for; a code comes in its own shape."""
    given = tuple(output.shape[1:])
    enough = given == shape if name == "encoder" else _alike(shape, given)
    if enough:
        return
    last = model.layers[-1].name if model.layers else model.name
    raise ValueError(
        f"network: the {name}'s last layer {last!r} gives an array of shape {given} for each "
        f"row, but {where} asks for {shape}."
    )


def _alike(rows: Shape, model: Shape) -> bool:
    """Whether shapes are the same, one of them flat, or but for axes of length one."""
    if math.prod(rows) != math.prod(model):
        return False
    squeezed = [[n for n in shape if n != 1] for shape in (rows, model)]
    return 1 in (len(rows), len(model)) or squeezed[0] == squeezed[1]


def last_activation(model: Any) -> str:
    """What the output passes last, as far as it can be seen; "linear" if nothing."""
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
