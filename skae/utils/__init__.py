"""Helpers without autoencoders or Keras."""
