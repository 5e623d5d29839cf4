"""min: the training of Keras models on arrays."""

__all__: list[str] = []
