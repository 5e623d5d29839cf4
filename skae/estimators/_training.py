"""Training runs: the schedule, the optimizer, and what an autoencoder is after training."""

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from skae.corruption._draws import draw_pool
from skae.estimators._fit_callbacks import FitMonitor, warn_or_raise
from skae.estimators._initialization import (
    improves_on_initialization,
    shift_latent_positive,
)
from skae.estimators._latent_dim import pad_latent, rows_in_batch
from skae.estimators._model import FittedAutoencoder
from skae.estimators._parameters import plain
from skae.networks._dense import DenseNetwork, resize
from skae.networks._ordered import OrderedNetwork
from skae.utils._rows import Rows

# Learning rates of batches of so many rows where the choice is ours: of dense networks, which
# on few rows learn them by heart when they learn fast, and of any others. They grow with the
# root of the batch. Chosen with `benchmarks/patience.py`.
_ROWS_IN_BATCH = 32
_FEW_AND_MANY, _DENSE_RATES = (1000, 4000), (0.002, 0.003)
_RATE = 0.001

# Below this share of variance explained, the principal components may lead training into
# a poor optimum: random weights are tried as well.
_SUFFICIENT_SHARE = 0.8

# The share of the loss that then counts as progress.
_SHARE = 0.02

# The norm to which longer gradients are then cut: a few rows far from all others would throw
# the weights about. The loss of the mean is one.
_CLIP_NORM = 1.0


class History(NamedTuple):
    """Earlier fits of a network whose training continues."""

    init: str = ""
    n_iter: int = 0
    loss_curve: list = []
    validation_loss_curve: list | None = None
    loss_parts: Any = None
    validation_loss_parts: Any = None

    @classmethod
    def of(cls, estimator):
        """The history of a fitted estimator."""
        parts = (getattr(estimator, f"{of}loss_parts_", None) for of in ("", "validation_"))
        return cls(
            estimator.init_,
            estimator.n_iter_,
            estimator.loss_curve_,
            estimator.validation_loss_curve_,
            *parts,
        )


NO_HISTORY = History()


@dataclass(frozen=True)
class TrainingRun:
    """An autoencoder trained from one initialization.

    Attributes
    ----------
    init : str
        "pca" or "random".

    model : FittedAutoencoder
        Of the best epoch.

    training : Training
        What :func:`skae.training._train.train` returned.

    earlier : History
        Of earlier fits, which this one continued.
    """

    init: str
    model: FittedAutoencoder
    training: Any
    earlier: History
    best_iter: int
    best_loss: float
    start_loss: float
    losses: list
    validation_losses: list | None

    @classmethod
    def of(cls, model, training, init, earlier):
        """The run of an autoencoder, which has been trained from `init`."""
        weights = resize(training.weights, model.network.shapes)
        losses = [loss * model.unit for loss in training.loss_curve]
        validation = [loss * model.unit for loss in training.validation_curve]
        is_validated = bool(np.isfinite(validation[0]))
        monitored = validation if is_validated else [np.nan, *losses]
        return cls(
            init,
            model.with_weights(weights, training.statistics),
            training,
            earlier,
            earlier.n_iter + training.best_iter,
            monitored[training.best_iter],
            monitored[0],
            losses,
            validation[1:] if is_validated else None,
        )

    @property
    def attributes(self):
        """Fitted attributes of an estimator that keeps this run."""
        validation = self.validation_losses
        if validation is not None:
            validation = (self.earlier.validation_loss_curve or []) + validation
        return {
            "init_": self.init,
            "n_iter_": self.earlier.n_iter + len(self.losses),
            "best_iter_": self.best_iter,
            "best_loss_": self.best_loss,
            "start_loss_": self.start_loss,
            "loss_curve_": self.earlier.loss_curve + self.losses,
            "validation_loss_curve_": validation,
        }

    @property
    def summary(self):
        """Entry of `starts_`."""
        attributes = self.attributes
        names = ("loss_curve", "validation_loss_curve", "best_loss", "n_iter")
        return {
            **{name: attributes[f"{name}_"] for name in names},
            "ending": self.training.ending,
            "seconds": self.training.seconds,
        }

    def at_initialization(self, model):
        """The run without its epochs: the principal components, now of all rows."""
        return replace(self, model=model, init="pca", best_iter=0, best_loss=self.start_loss)


@dataclass(frozen=True)
class Start:
    """The initialization of a fit, and its rows.

    Attributes
    ----------
    model : FittedAutoencoder
        With its weights.

    rows, train, validation : Rows
        All rows, training rows and validation rows, if any.

    rng, random_rng : RandomState
        Of this start, and of that from random weights.

    init : {"pca", "random"}
        As the user chose.

    share : float
        Share of variance that the initialization explains.

    history : History
        Of earlier fits, if training continues.

    optimizer_state : list of ndarray or None
        Of earlier fits.
    """

    model: FittedAutoencoder
    rows: Rows
    train: Rows
    validation: Rows | None
    rng: np.random.RandomState
    init: str
    random_rng: np.random.RandomState | None = None
    share: float = 1.0
    history: History = NO_HISTORY
    optimizer_state: Any = None

    @property
    def is_validated_start(self):
        """True if the initialization is kept where training does not improve on it."""
        validates = self.validation is not None and not self.history.n_iter
        return validates and self.model.is_solution_at(self.init)

    @property
    def tries_random(self):
        """True if random weights are tried as well."""
        return self.is_validated_start and self.share < _SUFFICIENT_SHARE


@dataclass(frozen=True)
class TrainingPlan:
    """Rows and options that all training runs of a fit share.

    Attributes
    ----------
    train, validation : Rows
        Training rows and validation rows, if any.

    batch_size : int
        Rows in a step.

    stopping : Stopping
        When training ends.

    optimizer : dict
        Arguments of :func:`skae.training._train.train`.

    monitor : FitMonitor
        Is called at each epoch.

    attributes : callable
        Returns the fitted attributes of a run.
    """

    train: Rows
    validation: Rows | None
    batch_size: int
    stopping: Any
    optimizer: dict
    monitor: FitMonitor
    attributes: Any

    def run(self, model, rng, init, earlier=NO_HISTORY, optimizer_state=None, first=()):
        """Train an autoencoder.

        Parameters
        ----------
        model : FittedAutoencoder
            With initial weights.

        rng : RandomState
            The only source of randomness.

        init : str
            Where its weights are from.

        earlier : History
            Of a network whose training continues.

        optimizer_state : list of ndarray or None
            Of that network.

        first : sequence of float
            Validation losses of the run from another initialization.

        Returns
        -------
        TrainingRun
        """
        from skae.training._train import train

        network, mask = pad_latent(model.network, self.batch_size)

        def pools(kinds):
            shape = (self.batch_size, *self.train.inputs.shape[1:])
            kinds = sorted(kinds - {None})
            return {f"{kind}_pool": draw_pool(kind, rng, shape) for kind in kinds}

        build, key, settings = model.objective(
            network, mask, pools, self.train, self.batch_size
        )

        def run_of(result):
            return TrainingRun.of(model, result, init, earlier)

        validation = self.validation
        self.monitor.attributes_of = lambda result: self.attributes(run_of(result))
        return run_of(
            train(
                build,
                key=key,
                weights=resize(model.weights, network.shapes),
                settings=[np.asarray(value, np.float32) for value in settings.values()],
                statistics=model.statistics,
                training=model.as_trained(self.train),
                validation=None if validation is None else model.as_trained(validation),
                **self.optimizer,
                optimizer_state=optimizer_state,
                batch_size=self.batch_size,
                stopping=self.stopping,
                rng=rng,
                monitor=self.monitor,
                allow_xla=network.gains_from_xla,
                first=first,
            )
        )


def training_plan(params, start, monitor, attributes, one_epoch):
    """The plan that follows from the parameters.

    Parameters
    ----------
    params : dict
        Parameters of the estimator.

    start : Start
        Where training starts.

    monitor : FitMonitor
        Is called at each epoch.

    attributes : callable
        Returns the fitted attributes of a run.

    one_epoch : bool
        True for `partial_fit`.
    """
    from skae.training._optimizers import Stopping

    train, validation = start.train, start.validation
    batch_size = rows_in_batch(params["batch_size"], len(train))
    rate = None
    if _has_auto_rate(params) and not one_epoch:
        rate = _RATE
        if isinstance(start.model.network, DenseNetwork | OrderedNetwork):
            rate = float(np.interp(len(train), _FEW_AND_MANY, _DENSE_RATES))
        rate *= np.sqrt(max(batch_size / _ROWS_IN_BATCH, 1))
    stopping = Stopping(
        max_iter=1 if one_epoch else int(params["max_iter"]),
        n_iter_no_change=int(params["n_iter_no_change"]),
        tol=plain(params["tol"]),
        keep_best=validation is not None,
        rate=rate,
        share=_SHARE,
    )
    return TrainingPlan(
        train, validation, batch_size, stopping, optimizer_options(params), monitor, attributes
    )


def optimizer_options(params):
    """Arguments of :func:`skae.training._train.train` about the optimizer."""
    is_auto = _has_auto_rate(params)
    return {
        "optimizer": params["optimizer"],
        "learning_rate": _RATE if is_auto else plain(params["learning_rate"]),
        "weight_decay": float(params["weight_decay"]),
        "clip_norm": _CLIP_NORM if is_auto else None,
    }


def _has_auto_rate(params):
    """True if the learning rate is ours to choose; an optimizer object brings its own."""
    return isinstance(params["learning_rate"], str) and isinstance(params["optimizer"], str)


def best_run(start, plan):
    """Train from one initialization or two.

    Parameters
    ----------
    start : Start
        Where training starts.

    plan : TrainingPlan
        What the runs share.

    Returns
    -------
    best : TrainingRun
        That which is kept.
    runs : list of TrainingRun
        All of them.
    """
    first = plan.run(
        start.model, start.rng, start.history.init or start.init, start.history,
        start.optimizer_state,
    )  # fmt: skip
    is_linear = start.model.is_linear_at(start.init)
    warn_or_raise(first.training, is_linear or start.history.n_iter)
    if not start.is_validated_start:
        return first, [first]
    initial, best = start.model.validation_losses(start.validation), first
    if not improves_on_initialization(first.model, initial, start.validation):
        model, _ = start.model.initialized(start.rows, start.rng, start.init)
        best = first.at_initialization(model)
    if not start.tries_random or first.training.ending not in ("max_iter", "converged"):
        return best, [first]
    weights = start.model.network.random_start(start.random_rng)
    model = start.model.with_weights(shift_latent_positive(start.model, weights, start.train))
    held = first.training.validation_curve[1 : first.training.n_held + 1]
    second = plan.run(model, start.random_rng, "random", first=held)
    is_better = second.best_loss < best.best_loss and improves_on_initialization(
        second.model, initial, start.validation
    )
    if second.training.ending == "interrupted":
        result = None if is_better else "the network of the first start"
        warn_or_raise(second.training, has_start=True, result=result)
    return (second if is_better else best), [first, second]
