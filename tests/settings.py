"""Parameters that many tests share."""

# One architecture, batch shape and optimizer for most tests: they share a compilation.
QUICK = {
    "n_components": 3,
    "hidden_layer_sizes": (8,),
    # Every epoch improves on the one before, on held-out rows of the digits too.
    "max_iter": 3,
    "batch_size": 32,
    "learning_rate": 0.005,
    "random_state": 0,
}

# An imputer repeats a small table to two thousand rows: an epoch of two steps, and not of 32.
LARGE_BATCHES = {"batch_size": 1024, "n_steps": 2}
