"""Small helpers that know neither autoencoders nor Keras."""
