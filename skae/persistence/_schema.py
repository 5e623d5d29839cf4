"""The classes whose objects a file may hold, their fields, and the defaults of these.

They are skae's dataclasses, named tuples, estimators and classes with annotated attributes. A
field that a file lacks takes its default; one that this version lacks is refused.
"""

import sys
from collections.abc import Callable, Iterator
from dataclasses import MISSING, fields, is_dataclass
from importlib import import_module
from inspect import get_annotations, isabstract, signature
from typing import Any

from sklearn.base import BaseEstimator

from skae.corruption._corruptions import CORRUPTIONS
from skae.losses._likelihood import LIKELIHOODS
from skae.losses._penalties import PENALTIES
from skae.losses._reconstruction import LOSSES
from skae.persistence._container import check
from skae.utils._sklearn import SKLEARN_ATTRIBUTES

_REGISTRIES: tuple[dict[str, Any], ...] = (CORRUPTIONS, LIKELIHOODS, LOSSES, PENALTIES)

# Folders and modules whose objects no estimator holds.
_OUTSIDE = ("models", "persistence", "plotting", "training", "utils._sklearn")

# Classes of scikit-learn: the prior of latent codes, and values of the parameter `cv`.
_SKLEARN = {
    "sklearn.mixture": ("GaussianMixture",),
    "sklearn.model_selection": (
        "GroupKFold", "GroupShuffleSplit", "KFold", "LeaveOneGroupOut", "ShuffleSplit",
        "StratifiedKFold", "TimeSeriesSplit",
    ),
}  # fmt: skip

# The default of a field that may be absent: a class attribute, or nothing.
_OPTIONAL = object()


def savable_classes() -> dict[str, type]:
    """Classes whose objects a file may hold, by name; those of skae first."""
    classes = {kind.__name__: kind for kind in _own_classes()}
    for registry in _REGISTRIES:
        for entry in registry.values():
            kind = entry if isinstance(entry, type) else type(entry)
            classes[kind.__name__] = kind
    for module, names in _SKLEARN.items():
        classes |= {name: getattr(import_module(module), name) for name in names}
    return classes


def _own_classes() -> Iterator[type]:
    """Classes of skae that declare fields and are not abstract."""
    for name, module in sorted(sys.modules.items()):
        package, _, rest = name.partition(".")
        if package != "skae" or rest.startswith(_OUTSIDE):
            continue
        for kind in vars(module).values():
            if not isinstance(kind, type) or kind.__module__ != name or isabstract(kind):
                continue
            if getattr(vars(kind).get("__init__"), "__isabstractmethod__", False):
                continue
            if is_dataclass(kind) or issubclass(kind, BaseEstimator) or _annotated(kind):
                yield kind


def savable_functions() -> dict[str, Callable[..., Any]]:
    """Functions that entries of the registries are made of, by the name of the entry."""
    return {
        name: value
        for registry in _REGISTRIES
        for name, entry in registry.items()
        if is_dataclass(entry) and not isinstance(entry, type)
        for value in (getattr(entry, field.name) for field in fields(entry))
        if callable(value)
    }


def is_estimator(kind: type) -> bool:
    """True for the estimators of skae, one of which a file holds."""
    is_own = kind.__module__.startswith("skae.") and issubclass(kind, BaseEstimator)
    return is_own and hasattr(kind, "fit")


def _annotated(kind: type) -> dict[str, Any]:
    """Attributes that a class of skae annotates, with their defaults."""
    return {
        name: _OPTIONAL if hasattr(kind, name) else MISSING
        for base in reversed(kind.__mro__)
        if base.__module__.startswith("skae.")
        for name, annotation in get_annotations(base).items()
        if "ClassVar" not in str(annotation) and name != "_parameter_constraints"
    }


def _parameters(kind: type) -> dict[str, Any]:
    """Parameters of a class, with their defaults."""
    parameters = signature(kind).parameters.values()
    return {p.name: MISSING if p.default is p.empty else p.default for p in parameters}


def _fields(kind: Any) -> dict[str, Any]:
    """Fields of a class with their defaults: `MISSING`, `_OPTIONAL`, or a value."""
    if issubclass(kind, tuple):
        return {name: kind._field_defaults.get(name, MISSING) for name in kind._fields}
    if is_dataclass(kind):
        # Those that are computed from others are computed again.
        return {
            f.name: f.default if f.default_factory is MISSING else f.default_factory()
            for f in fields(kind)
            if f.init
        }
    if not kind.__module__.startswith("skae."):
        return _parameters(kind)
    if issubclass(kind, BaseEstimator):
        # Which of the public attributes there are depends on the parameters.
        fitted = {n: _OPTIONAL if n[-1] == "_" else d for n, d in _annotated(kind).items()}
        return dict.fromkeys(SKLEARN_ATTRIBUTES, _OPTIONAL) | fitted | _parameters(kind)
    return _annotated(kind)


def state_of(value: Any) -> dict[str, Any]:
    """The fields of an object, all of which its class must declare."""
    kind = type(value)
    if isinstance(value, tuple) or is_dataclass(kind):
        return {name: getattr(value, name) for name in _fields(kind)}
    # Classes that are no estimators leave out what belongs to a running process.
    state = dict(
        vars(value) if isinstance(value, BaseEstimator) else value.__getstate__() or {}
    )
    undeclared = sorted(set(state) - set(_fields(kind)))
    if undeclared and kind.__module__.startswith("skae."):
        raise TypeError(
            f"an object with attributes that the class {kind.__name__} does not declare, "
            f"{', '.join(undeclared)}"
        )
    return state


def object_of(kind: Any, state: dict[str, Any]) -> Any:
    """An object with these fields, made without calling its class."""
    known = _fields(kind)
    computed = [f for f in fields(kind) if not f.init] if is_dataclass(kind) else []
    for each in computed:
        # Files of earlier versions have some of them.
        state.pop(each.name, None)
    required = {name for name, default in known.items() if default is MISSING}
    if is_estimator(kind):
        parameters = set(_parameters(kind))
        if not state:
            required = parameters
        elif (required - parameters).isdisjoint(state):
            # Without any of its private attributes it is not fitted; its parameters are there.
            required &= parameters
    if kind.__module__.startswith("skae."):
        unknown = sorted(set(state) - set(known))
    else:
        unknown = [n for n in state if n.startswith("__") or callable(getattr(kind, n, None))]
    if unknown:
        # One of them may be another name of a field that is missing.
        required = {name for name, default in known.items() if default is not _OPTIONAL}
    missing = sorted(required - set(state))
    check(
        not missing and not unknown,
        f"An object {kind.__name__} has other fields than in this version of skae: without "
        f"{missing}, and with {unknown}.",
    )
    for name, default in known.items():
        if default is not MISSING and default is not _OPTIONAL:
            state.setdefault(name, default)
    if issubclass(kind, tuple):
        return tuple.__new__(kind, [state[name] for name in kind._fields])
    made = object.__new__(kind)
    is_plain = is_dataclass(kind) or issubclass(kind, BaseEstimator)
    if hasattr(kind, "__setstate__") and not is_plain:
        made.__setstate__(state)
    else:
        for name, value in state.items():
            object.__setattr__(made, name, value)
    for each in computed:
        if each.default_factory is not MISSING:
            object.__setattr__(made, each.name, each.default_factory())
    if hasattr(kind, "__post_init__"):
        made.__post_init__()
    return made


def trusted_types() -> list[str]:
    """Names of the types that `skops.io.load` needs to trust to load estimators of skae.

    These are all types of skae that its estimators hold: making one takes the attributes that
    it had, and runs nothing else.

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
    found: list[Any] = [*savable_classes().values(), *savable_functions().values()]
    names = {f"{value.__module__}.{value.__qualname__}" for value in found}
    return sorted({*(name for name in names if name.startswith("skae.")), "numpy.dtype"})
