"""The trained networks as Keras models in the units of the data."""

from typing import Any

import keras

from skae.networks._layers import layer, rows_of


def keras_models_in_data_units(
    encoder: Any,
    decoder: Any,
    before: tuple[Any, float],
    after: tuple[Any, float] | None,
    input_shape: tuple[int, ...],
    output_shape: tuple[int, ...],
) -> tuple[Any, Any]:
    """Encoder and decoder in the units and the shapes of the data.

    Parameters
    ----------
    encoder, decoder : keras.Model
        Networks of flat, standardised rows.

    before, after : tuple of (ndarray of shape (n_columns,), float)
        Centre and scale of the inputs and of the outputs; None: outputs are not scaled.

    input_shape, output_shape : tuple of int
        Shapes of one row.
    """
    rows = rows_of(input_shape)
    # Not Normalization, whose moments become inputs of the graph when it is exported. Two
    # layers: a centre far from zero is subtracted first.
    centred = layer("Rescaling", 1.0, offset=-before[0])(_shaped(rows, (-1,)))
    code = rows_of(decoder.input_shape[1:])
    output = decoder(code)
    if after is not None:
        output = layer("Rescaling", after[1], offset=after[0])(output)
    models = (
        keras.Model(rows, encoder(layer("Rescaling", 1 / before[1])(centred)), name="encoder"),
        keras.Model(code, _shaped(output, output_shape), name="decoder"),
    )
    for model in models:
        # Keras exports no model that was never called.
        model(model.input)
    return models


def _shaped(rows: Any, shape: tuple[int, ...]) -> Any:
    """Rows in another shape, unless they have it already."""
    if len(shape) == len(rows.shape) - 1 == 1:
        return rows
    return layer("Reshape", shape)(rows)
