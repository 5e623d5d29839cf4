"""The packages compared: each function imports its package and returns a `fit`.

``SIDES[name](work)`` returns ``fit(X, seed)``, which trains a fresh network on X and
returns a function that reconstructs rows (None for the bare products). What
happens before `fit` is returned is not timed: only imports.
"""

import warnings

import numpy as np


def _skae(work, init):
    import keras  # noqa: F401

    import skae.training._train  # noqa: F401
    from skae import AutoencoderTransformer

    def fit(X, seed):
        model = AutoencoderTransformer(
            work.n_components,
            hidden_layer_sizes=work.hidden,
            init=init,
            learning_rate=0.001,
            batch_size=work.batch_size,
            max_iter=work.epochs,
            early_stopping=False,
            tol=None,
            random_state=seed,
        )
        return model.fit(X).reconstruct

    return fit


def skae_random(work):
    """The estimator without the linear path, randomly initialized."""
    return _skae(work, "random")


def skae_pca(work):
    """The estimator's default: with a linear path, initialized with PCA."""
    return _skae(work, "pca")


def keras_fit(work):
    """`keras.Model.fit`, on the backend of Keras."""
    import keras

    def fit(X, seed):
        layers = [keras.Input((X.shape[1],))]
        for width, linear in zip(work.widths[1:], work.is_linear, strict=True):
            layers.append(keras.layers.Dense(width, activation=None if linear else "relu"))
        model = keras.Sequential(layers)
        model.compile(optimizer=keras.optimizers.Adam(1e-3), loss="mse")
        model.fit(X, X, batch_size=work.batch_size, epochs=work.epochs, verbose=0)
        return lambda rows: model.predict(rows, batch_size=4096, verbose=0)

    return fit


def _torch(work, fused):
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    # The first optimizer imports much of PyTorch, which is not part of the fit.
    torch.optim.Adam([torch.zeros(1, requires_grad=True)])

    def fit(X, seed):
        layers = []
        for n_in, n_out, linear in zip(
            work.widths, work.widths[1:], work.is_linear, strict=False
        ):
            layers.append(torch.nn.Linear(n_in, n_out))
            if not linear:
                layers.append(torch.nn.ReLU())
        model = torch.nn.Sequential(*layers).to(device)
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=fused)
        data = torch.from_numpy(X).to(device)
        for _ in range(work.epochs):
            for index in torch.randperm(len(data), device=device).split(work.batch_size):
                rows = data[index]
                optimizer.zero_grad()
                torch.nn.functional.mse_loss(model(rows), rows).backward()
                optimizer.step()
        if device == "cuda":
            torch.cuda.synchronize()

        def reconstruct(rows):
            with torch.no_grad():
                return model(torch.from_numpy(rows).to(device)).cpu().numpy()

        return reconstruct

    return fit


def torch_plain(work):
    """A hand-written PyTorch loop, plain `Adam`."""
    return _torch(work, None)


def torch_fused(work):
    """A hand-written PyTorch loop, `Adam(fused=True)`."""
    return _torch(work, True)


def jax_training(work):
    """Training in plain JAX: initial weights by a seed, an epoch, reconstruction."""
    import jax
    import jax.numpy as jnp

    def forward(params, x):
        for (kernel, bias), linear in zip(params, work.is_linear, strict=True):
            x = x @ kernel + bias
            x = x if linear else jax.nn.relu(x)
        return x

    def loss(params, x):
        return jnp.mean(jnp.square(forward(params, x) - x))

    def step(state, x):
        params, first, second, t = state
        gradients = jax.grad(loss)(params, x)
        t = t + 1
        rate = 1e-3 * jnp.sqrt(1 - 0.999**t) / (1 - 0.9**t)
        first = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, first, gradients)
        second = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, second, gradients)
        params = jax.tree.map(
            lambda p, m, v: p - rate * m / (jnp.sqrt(v) + 1e-7), params, first, second
        )
        return (params, first, second, t), None

    def epoch(state, data, key):
        size = min(work.batch_size, len(data))
        n_steps = len(data) // size
        order = jax.random.permutation(key, len(data))[: n_steps * size]
        return jax.lax.scan(lambda s, i: step(s, data[i]), state, order.reshape(n_steps, -1))[0]

    def start(seed):
        rng = np.random.default_rng(seed)
        params = []
        for n_in, n_out in zip(work.widths, work.widths[1:], strict=False):
            limit = np.sqrt(6 / (n_in + n_out))
            kernel = rng.uniform(-limit, limit, (n_in, n_out)).astype(np.float32)
            params.append((jnp.asarray(kernel), jnp.zeros(n_out)))
        zeros = jax.tree.map(jnp.zeros_like, params)
        return params, zeros, zeros, jnp.float32(0)

    return start, epoch, forward


def jax_scan(work):
    """A hand-written JAX loop: one jitted `lax.scan` over the batches of an epoch.

    The compiled epoch is cached between fits. The rows of an incomplete last batch are
    omitted, which saves the loop up to one step.
    """
    import jax
    import jax.numpy as jnp

    start, epoch, forward = jax_training(work)
    epoch, reconstruct = jax.jit(epoch), jax.jit(forward)

    def fit(X, seed):
        state, data = start(seed), jnp.asarray(X)
        for key in jax.random.split(jax.random.key(seed), work.epochs):
            state = epoch(state, data, key)
        trained = jax.block_until_ready(state[0])
        return lambda rows: np.asarray(reconstruct(trained, rows))

    return fit


def pyod(work):
    """PyOD's AutoEncoder, its extras switched off.

    Differences: a ReLU after the code, the last incomplete batch dropped, and a
    fit that also scores the training rows for its threshold.
    """
    import torch
    from pyod.models.auto_encoder import AutoEncoder

    torch.optim.Adam([torch.zeros(1, requires_grad=True)])

    def fit(X, seed):
        model = AutoEncoder(
            preprocessing=False,
            lr=1e-3,
            epoch_num=work.epochs,
            batch_size=work.batch_size,
            random_state=seed,
            verbose=0,
            optimizer_params={"weight_decay": 0.0},
            hidden_neuron_list=[*work.hidden, work.n_components],
            batch_norm=False,
            dropout_rate=0.0,
        )
        model.fit(X)

        def reconstruct(rows):
            with torch.no_grad():
                return model.model(torch.from_numpy(rows).to(model.device)).cpu().numpy()

        return reconstruct

    return fit


def mlp(work):
    """scikit-learn's ``MLPRegressor().fit(X, X)``: a ReLU after the code too."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPRegressor

    def fit(X, seed):
        model = MLPRegressor(
            hidden_layer_sizes=work.inner,
            solver="adam",
            alpha=0.0,
            batch_size=work.batch_size,
            learning_rate_init=1e-3,
            max_iter=work.epochs,
            tol=0.0,
            n_iter_no_change=work.epochs,
            early_stopping=False,
            random_state=seed,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            return model.fit(X, X).predict

    return fit


def products(work):
    """Lower limit: only the matrix products of forward and backward passes, in NumPy.

    For each batch one product a layer forward, one for the gradient of its weights and,
    but for the first layer, one for the gradient of its input. No shuffling, bias,
    activation, loss or optimizer.
    """

    def fit(X, seed):
        rng = np.random.default_rng(seed)
        size = work.batch_size
        shapes = list(zip(work.widths, work.widths[1:], strict=False))
        kernels = [0.1 * rng.standard_normal(shape, np.float32) for shape in shapes]
        outputs = [np.empty((size, n_out), np.float32) for _, n_out in shapes]
        weight_gradients = [np.empty(shape, np.float32) for shape in shapes]
        gradients = [np.empty((size, n_in), np.float32) for n_in, _ in shapes]
        last = len(shapes) - 1
        for _ in range(work.epochs):
            for start in range(0, len(X), size):
                x = X[start : start + size]
                n = len(x)
                for i, kernel in enumerate(kernels):
                    before = x if i == 0 else outputs[i - 1][:n]
                    np.matmul(before, kernel, out=outputs[i][:n])
                for i in range(last, -1, -1):
                    before = x if i == 0 else outputs[i - 1][:n]
                    above = outputs[last][:n] if i == last else gradients[i + 1][:n]
                    np.matmul(before.T, above, out=weight_gradients[i])
                    if i:
                        np.matmul(above, kernels[i].T, out=gradients[i][:n])

    return fit


SIDES = {
    "skae, init='random'": skae_random,
    "skae, init='pca'": skae_pca,
    "keras.Model.fit": keras_fit,
    "PyTorch loop, fused Adam": torch_fused,
    "PyTorch loop, plain Adam": torch_plain,
    "JAX loop, lax.scan": jax_scan,
    "PyOD AutoEncoder": pyod,
    "MLPRegressor(X, X)": mlp,
    "bare products (NumPy)": products,
}
REFERENCE = "skae, init='random'"
FLOOR = "bare products (NumPy)"
