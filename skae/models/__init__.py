"""The Keras models that join c, f, g and L."""

__all__: list[str] = []
