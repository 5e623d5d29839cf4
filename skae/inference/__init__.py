"""The forward pass of trained networks."""

__all__: list[str] = []
