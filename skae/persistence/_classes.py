"""Whatever a saved file may name: classes and functions, by the names they have in files.

A name in a file is that of the folder and of the class, wherever in the folder it stands. A
class that moves to another folder or is renamed keeps its name in files by an entry of its own.
Entries of the registries of corruptions, losses, likelihoods and penalties need none here.
"""

from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any

from skae.corruption._corruptions import CORRUPTIONS
from skae.losses._likelihood import LIKELIHOODS
from skae.losses._penalties import PENALTIES
from skae.losses._reconstruction import EntrywiseLoss
from skae.losses._registry import LOSSES
from skae.persistence._errors import SavedFileError

# Which classes each module has whose objects an estimator may hold.
_CLASSES = {
    "skae.anomaly._robust_calibration": ("ContaminatedCalibration",),
    "skae.anomaly._conformal": ("Calibration",),
    "skae.anomaly._detector": ("AEAnomalyDetector",),
    "skae.anomaly._layout": ("TableLayout",),
    "skae.anomaly._binary_effects": ("BinaryEffects",),
    "skae.anomaly._neighbors": ("NearestRows",),
    "skae.anomaly._residuals": ("DenoisingResiduals",),
    "skae.anomaly._scores": ("DenoisingScore", "ReconstructionScore"),
    "skae.anomaly._table_residuals": ("TableResiduals",),
    "skae.anomaly._table_scores": ("TableReconstructionScore", "TableScore"),
    "skae.callbacks": ("TimeLimit",),
    "skae.corruption._corruptions": ("Spread",),
    "skae.estimators._autoencoder": ("AutoencoderTransformer",),
    "skae.classifier._classifier": ("AEClassifier",),
    "skae.estimators._preprocessing": ("NumericPreprocessor",),
    "skae.estimators._denoising": ("DenoisingAutoencoder",),
    "skae.imputation._stacking": ("Imputation",),
    "skae.imputation._training": ("Layout", "Member"),
    "skae.imputation._imputer": ("AEImputer",),
    "skae.estimators._table_preprocessing": ("TablePreprocessor",),
    "skae.variational._transformer": ("VAETransformer",),
    "skae.inference._forward": ("CompiledForward",),
    "skae.inference._dense": ("Affine", "DenseForward"),
    "skae.variational._posterior": ("LatentForward",),
    "skae.imputation._soft_knn": ("KernelRegression",),
    "skae.losses._registry": ("KerasLoss",),
    "skae.losses._mixed": ("MixedLikelihood", "MixedLoss", "Outputs"),
    "skae.networks._conv": ("ConvNetwork", "ConvStack"),
    "skae.networks._dense": ("DenseCoder", "DenseNetwork"),
    "skae.networks._keras": ("KerasModels", "KerasNetwork", "Source"),
    "skae.variational._network": ("LatentNetwork",),
    "skae.networks._ordered": ("OrderedNetwork",),
    "skae.networks._recurrent": ("RecurrentNetwork", "RecurrentStack"),
    "skae.networks._base": ("LayerOptions",),
    "skae.networks._stacked": ("StackedNetwork",),
    "skae.tables._cells": ("ObjectFormat",),
    "skae.tables._columns": ("Block", "EmptyColumn", "LevelsColumn", "NumberColumn"),
    "skae.tables._encoder": ("TabularEncoder",),
    "skae.tables._frames": ("FrameSchema",),
    "skae.imputation._gaussian": ("Gaussian",),
    "skae.tables._iso": ("IsoFormat",),
    "skae.tables._binary_columns": ("BinaryColumns",),
    "skae.imputation._normal_scores": ("NormalScores",),
    "skae.tables._squashing_scaler": ("SquashingScaler",),
    # The prior of codes, and what the parameter `cv` may be.
    "sklearn.mixture": ("GaussianMixture",),
    "sklearn.model_selection": (
        "GroupKFold",
        "GroupShuffleSplit",
        "KFold",
        "LeaveOneGroupOut",
        "ShuffleSplit",
        "StratifiedKFold",
        "TimeSeriesSplit",
    ),
}

_REGISTRIES: dict[str, tuple[dict[str, Any], ...]] = {
    "corruption": (CORRUPTIONS,),
    "losses": (LIKELIHOODS, LOSSES, PENALTIES),
}

#: What :func:`skae.load` gives back.
ESTIMATORS = (
    "estimators.AutoencoderTransformer",
    "estimators.DenoisingAutoencoder",
    "variational.VAETransformer",
    "classifier.AEClassifier",
    "imputation.AEImputer",
    "anomaly.AEAnomalyDetector",
    "tables.TabularEncoder",
)


_CLASS_OF = {
    f"{module.split('.')[1]}.{name}": (module, name)
    for module, names in _CLASSES.items()
    for name in names
}


def _registered_classes() -> dict[str, type]:
    """Classes of the entries of the registries, by their names in files."""
    return {
        f"{folder}.{kind.__name__}": kind
        for folder, registries in _REGISTRIES.items()
        for registry in registries
        for entry in registry.values()
        for kind in (entry if isinstance(entry, type) else type(entry),)
    }


def _registered_functions() -> dict[str, Callable[..., Any]]:
    """Functions of the entries of the losses, by their names in files."""
    return {
        f"losses.{name}": loss.entry
        for name, loss in LOSSES.items()
        if isinstance(loss, EntrywiseLoss)
    }


def class_named(name: Any) -> type:
    """A class that files may name."""
    if isinstance(name, str) and name in _CLASS_OF:
        module, attribute = _CLASS_OF[name]
        found: type = getattr(import_module(module), attribute)
        return found
    return _found(_registered_classes(), name, "class")


def function_named(name: Any) -> Callable[..., Any]:
    """A function that files may name."""
    return _found(_registered_functions(), name, "function")


def _found(known: dict[str, Any], name: Any, kind: str) -> Any:
    if not isinstance(name, str) or name not in known:
        raise SavedFileError(f"The file names a {kind} that it may not: {name!r:.80}.")
    return known[name]


@cache
def _names_of_listed_classes() -> dict[type, str]:
    return {class_named(name): name for name in _CLASS_OF}


def names_of_classes() -> dict[type, str]:
    """The name in files of each class."""
    registered = {kind: name for name, kind in _registered_classes().items()}
    return _names_of_listed_classes() | registered


def names_of_functions() -> dict[Callable[..., Any], str]:
    """The name in files of each function."""
    return {function: name for name, function in _registered_functions().items()}


def trusted_types() -> list[str]:
    """What skops must be told to trust before it loads estimators of skae.

    `skops.io.load` builds only types that it knows or is told to trust. These are all types
    of skae that its estimators hold: what they do when they are built is to take the
    attributes they had.

    Returns
    -------
    list of str
        For the parameter `trusted` of `skops.io.load`.

    See Also
    --------
    skae.save : One estimator in one file, without skops.

    Notes
    -----
    An optimizer object and the models of a :class:`~skae.networks.KerasNetwork` are saved as
    text and arrays and need no other type. A Keras loss, or a schedule as `learning_rate`, is
    a type of Keras that `skops.io.get_untrusted_types` names; functions of yours are named
    there too.

    Examples
    --------
    >>> from skae.persistence import trusted_types
    >>> "skae.estimators._autoencoder.AutoencoderTransformer" in trusted_types()
    True
    """
    known: tuple[Any, ...] = (*names_of_classes(), *names_of_functions())
    names = [f"{entry.__module__}.{entry.__qualname__}" for entry in known]
    return sorted({*(name for name in names if name.startswith("skae.")), "numpy.dtype"})
