"""Training runs: the schedule, the optimizer, and what an autoencoder is after training."""

from dataclasses import dataclass, replace
from functools import partial
from numbers import Real
from typing import Any, NamedTuple

import numpy as np

from skae.estimators._fit_callbacks import warn_or_raise
from skae.estimators._model import FittedAutoencoder
from skae.networks._dense import AffineChange, is_rescalable, rescale_weights, resize
from skae.utils._rows import Rows, significantly_lower

# Rows in a training step where the user leaves the choice to us: few for small tables,
# which want many steps an epoch, and more for large ones, which want quick steps.
_BATCH_SIZES = (32, 128)
_STEPS_AN_EPOCH = 256

# Where the rate is ours, too, the steps of an epoch become fewer between these numbers of rows.
_MOST_IN_BATCH = 1024
_SOME_AND_MANY, _FEWER_STEPS = (10_000, 64_000), (256, 64)

# And at least so many rows are in a step where columns outnumber rows: such networks have many
# weights, whose update takes most of a step, and learn little from more steps.
_LEAST_OF_WIDE = 128

# An epoch of more rows is several rounds: the schedule and the end of training follow the
# number of steps and not that of passes.
_ROWS_A_ROUND = 2**17

# Random weights may at first be behind the components by so many times the progress that counts
# where rows are few, and must lead where they are many: there each epoch costs much.
_TOLERANCES = (2.5, -1.0)

# Steps of an epoch where convolutions or recurrent layers stand beside dense ones: a step with
# more rows takes hardly longer. Chosen with `benchmarks/shaped.py`.
_FEW_STEPS = 10

# Latent sizes are rounded up to a multiple of this and masked, to share a compilation: in
# small batches, where a step costs the same with a wider code, and in large ones.
_CODE_BLOCKS = (32, 8)
_LARGE_BATCH = 128

# Learning rates of batches of so many rows where the choice is ours: of networks with dense
# hidden layers, which on few rows learn them by heart when they learn fast, and of any others.
# They grow with the root of the batch, up to some size. Chosen with `benchmarks/patience.py`,
# the largest with `benchmarks/growth.py`.
_ROWS_IN_BATCH = (32, 128)
_FEW_AND_MANY, _DENSE_RATES = (1000, 4000), (0.002, 0.003)
_RATE = 0.001

# The share of the loss that then counts as progress.
_SHARE = 0.02

# The norm to which longer gradients are then cut: a few rows far from all others would throw
# the weights about. The loss of the mean is one.
_CLIP_NORM = 1.0

# Where the scale grows by more than this with the second batch, the first had next to nothing
# of the variance: a sixteenth at most.
_TOO_NARROW = 4


class History(NamedTuple):
    """Attributes of earlier fits of a network whose training continues."""

    init: str = ""
    n_iter: int = 0
    loss_curve: list = []
    validation_loss_curve: list | None = None
    loss_parts: Any = None
    validation_loss_parts: Any = None
    optimizer_state: Any = None


NO_HISTORY = History()


class TrainingRun(NamedTuple):
    """An autoencoder trained from one initialization, or after `earlier` fits."""

    model: FittedAutoencoder  # of the best epoch
    training: Any  # what `skae.training._train.train` returned
    earlier: History
    attributes: dict  # fitted ones of an estimator that keeps this run

    @classmethod
    def from_training(cls, model, init, earlier, training):
        """The run of an autoencoder that has been trained from `init`."""
        weights, statistics = training.unpack(training.best)
        weights = resize(weights, model.network.shapes)
        losses = [float(p[: model.n_reported].sum()) * model.unit for p in training.parts]
        validation = [loss * model.unit for loss in training.validation_curve]
        is_validated = bool(np.isfinite(validation[0]))
        monitored = validation if is_validated else [np.nan, *losses]
        before = earlier.validation_loss_curve or []
        attributes = {
            "init_": init,
            "n_iter_": earlier.n_iter + len(losses),
            "best_iter_": earlier.n_iter + training.best_iter,
            "best_loss_": monitored[training.best_iter],
            "start_loss_": monitored[0],
            "loss_curve_": earlier.loss_curve + losses,
            "validation_loss_curve_": before + validation[1:] if is_validated else None,
        }
        model = replace(model, weights=weights, statistics=statistics)
        return cls(model, training, earlier, attributes)


@dataclass(frozen=True)
class Start:
    """The initialization of a fit, or the fitted model that it continues, and its rows."""

    model: FittedAutoencoder
    rows: Rows  # all of them
    train: Rows
    validation: Rows | None
    rng: np.random.RandomState
    init: str  # as the user chose
    is_linear: bool = False  # whether `model` is a linear model of the data
    is_solution: bool = False  # whether it is kept where training does not improve on it
    # Of another start, from random weights, if it is tried.
    random_rng: np.random.RandomState | None = None
    history: History = NO_HISTORY


@dataclass(frozen=True)
class TrainingPlan:
    """Rows and options that all training runs of a fit share."""

    start: Start
    batch_size: int
    stopping: Any
    options: dict  # arguments of `skae.training._train.train`: of the optimizer
    monitor: Any  # see `fit_monitor`
    attributes: Any  # function that returns the fitted attributes of a run

    def run(self, model, rng, init, earlier=NO_HISTORY, first=()):
        """Train an autoencoder with weights of an initialization, or of `earlier` fits.

        `first` are validation losses of the run from another initialization.
        """
        from skae.training._train import train

        network, mask = model.network, np.ones(model.network.n_components)
        if network.resizable:
            block = _CODE_BLOCKS[self.batch_size > _LARGE_BATCH]
            network = network.resized(-(-len(mask) // block) * block)
            mask = np.arange(network.n_components) < len(mask)
        rows, validation = self.start.train, self.start.validation
        build, key, settings = model.objective(network, mask, rows, self.batch_size, rng)
        run_of = partial(TrainingRun.from_training, model, init, earlier)
        self.monitor.attributes_of = lambda training: self.attributes(run_of(training))
        training = train(
            build,
            key=key,
            weights=resize(model.weights, network.shapes),
            settings=[np.asarray(value, np.float32) for value in settings.values()],
            statistics=model.statistics,
            training=model.as_trained(rows),
            validation=None if validation is None else model.as_trained(validation),
            **self.options,
            optimizer_state=earlier.optimizer_state,
            batch_size=self.batch_size,
            stopping=self.stopping,
            rng=rng,
            monitor=self.monitor,
            allow_xla=network.gains_from_xla,
            first=first,
        )
        return run_of(training)


def training_plan(params, start, monitor, attributes, one_epoch):
    """The plan for these parameters of an estimator; `one_epoch`: that of `partial_fit`."""
    from skae.training._optimizers import Stopping

    n_samples, batch_size = len(start.train), params["batch_size"]
    network = start.model.network
    has_dense_path = getattr(network, "has_dense_path", False)
    # Where the rate is ours to choose, gradients are clipped and the rate is held and falls;
    # an optimizer object brings its own.
    rate, optimizer, held_rate = params["learning_rate"], params["optimizer"], None
    is_auto = isinstance(rate, str) and isinstance(optimizer, str)
    if is_auto:
        rate = _RATE
    is_held = is_auto and not one_epoch
    if batch_size == "auto":
        n_steps, (least, most) = _STEPS_AN_EPOCH, _BATCH_SIZES
        if has_dense_path and not network.gains_from_xla:
            n_steps = _FEW_STEPS
        elif is_held:
            n_steps, most = np.interp(n_samples, _SOME_AND_MANY, _FEWER_STEPS), _MOST_IN_BATCH
            if has_dense_path and start.train.inputs.shape[1] > n_samples > _LEAST_OF_WIDE:
                least = _LEAST_OF_WIDE
        batch_size = int(np.clip(n_samples // n_steps, least, most))
    else:
        # A batch may have room to spare: tables of a few rows then share a compilation.
        batch_size = min(int(batch_size), max(n_samples, _BATCH_SIZES[0]))
    if is_held:
        held_rate = _RATE
        if has_dense_path:
            held_rate = float(np.interp(n_samples, _FEW_AND_MANY, _DENSE_RATES))
        held_rate *= np.sqrt(np.clip(batch_size, *_ROWS_IN_BATCH) / _ROWS_IN_BATCH[0])
    stopping = Stopping(
        max_iter=1 if one_epoch else int(params["max_iter"]),
        n_iter_no_change=int(params["n_iter_no_change"]),
        tol=None if params["tol"] is None else float(params["tol"]),
        keep_best=start.validation is not None,
        rate=held_rate,
        share=_SHARE,
        tolerance=float(np.interp(n_samples, _SOME_AND_MANY, _TOLERANCES)),
        n_rounds=1 if held_rate is None else max(n_samples // _ROWS_A_ROUND, 1),
    )
    options = {
        "optimizer": optimizer,
        "learning_rate": float(rate) if isinstance(rate, Real) else rate,
        "weight_decay": float(params["weight_decay"]),
        "clip_norm": _CLIP_NORM if is_auto else None,
        "keeps_state": one_epoch or params["warm_start"],
    }
    return TrainingPlan(start, batch_size, stopping, options, monitor, attributes)


def best_run(plan):
    """Train from one initialization or two: the best run, and the list of all of them."""
    start = plan.start
    first = plan.run(start.model, start.rng, start.history.init or start.init, start.history)
    ending, validation = first.training.ending, start.validation
    if ending in ("diverged", "interrupted"):
        warn_or_raise(first.training, start.is_linear or start.history.n_iter)
    if not start.is_solution:
        return first, [first]
    initial = start.model.validation_losses(validation)
    losses = first.model.validation_losses(validation)
    best = first
    if not significantly_lower(initial, losses, validation.weight):
        # The principal components, now of all rows.
        model, _ = start.model.initialized(start.rows, start.rng, start.init)
        loss = first.attributes["start_loss_"]
        kept = {"init_": "pca", "best_iter_": 0, "best_loss_": loss}
        best = first._replace(model=model, attributes=first.attributes | kept)
    if start.random_rng is None or ending not in ("max_iter", "converged"):
        return best, [first]
    model, _ = start.model.initialized(start.train, start.random_rng, "random")
    held = first.training.held_curve
    second = plan.run(model, start.random_rng, "random", first=held)
    is_better = second.attributes["best_loss_"] < best.attributes["best_loss_"]
    if is_better:
        losses = second.model.validation_losses(validation)
        is_better = significantly_lower(initial, losses, validation.weight)
    if second.training.ending == "interrupted":
        result = None if is_better else "the network of the first start"
        warn_or_raise(second.training, has_start=True, result=result)
    return (second if is_better else best), [first, second]


def update_scaling(model, rows, weight):
    """Take centre and scale of the rows so far; the network computes what it did before.

    They stay those of the first batch where the network's weights cannot be rewritten for other
    units, and for tables, which keep the encoder of the first batch.

    Returns the model, the rows of this batch, with missing values at the mean of all so far,
    and True if the batches before, no more than half of all rows, had next to nothing of the
    variance.
    """
    before = model.preprocessing
    if (
        before.is_table
        or before.weight_seen is None
        or np.ndim(before.units.scale)
        or not is_rescalable(model.network)
    ):
        return model, before.with_targets(rows), False
    after = before.with_more(rows, weight)
    rows = after.with_targets(rows)

    def change(old, new):
        return AffineChange(new.scale / old.scale, (new.centre - old.centre) / old.scale)

    inputs = change(before.units, after.units)
    outputs = change(before.target_units, after.target_units) if model.scales_output else None
    weights = rescale_weights(model.network, model.weights, inputs, outputs)
    spread = model.spread
    if spread is not None:
        spread = spread.widened(rows.inputs, after.deviation)
    scale = before.units.scale if before.deviation.any() else 0.0
    is_larger = after.weight_seen >= 2 * before.weight_seen
    was_narrow = is_larger and after.units.scale > _TOO_NARROW * scale
    model = replace(model, preprocessing=after, weights=weights, spread=spread)
    return model, rows, was_narrow
