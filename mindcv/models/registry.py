"""The registry of models by name."""

import sys
from collections.abc import Callable
from copy import deepcopy
from fnmatch import fnmatchcase
from typing import Any

from mindcv.errors import did_you_mean

_entrypoints: dict[str, Callable] = {}
_cfgs: dict[str, dict] = {}


def register_model(fn: Callable) -> Callable:
    """Register a function that builds a model, under its own name, replacing an earlier one; use it as a decorator.

    Args:
        fn: Called as `fn(pretrained, num_classes, in_channels, **kwargs)`, returns the model. If its module has a dict
            `default_cfgs`, the entry under the function's name becomes the model's pretrained configuration; else
            it is {}.

    Returns:
        `fn`, unchanged.
    """
    _entrypoints[fn.__name__] = fn
    _cfgs[fn.__name__] = getattr(sys.modules[fn.__module__], "default_cfgs", {}).get(fn.__name__, {})
    return fn


def list_models(
    filter: str | list[str] = "",
    module: str = "",
    pretrained: bool = False,
    exclude_filters: str | list[str] = "",
) -> list[str]:
    """Return the names of registered models, sorted.

    Args:
        filter: Shell pattern, such as "*tiny*", or a list of them; names that match any are returned. "" for all.
        module: Return only models that are defined in the module of this name, such as "convit". "" for all.
        pretrained: Return only models that have published weights.
        exclude_filters: Shell pattern or a list of them; names that match any are left out.
    """
    return sorted(
        name
        for name in _entrypoints
        if (not filter or _matches(name, filter))
        and not (exclude_filters and _matches(name, exclude_filters))
        and (not module or _module_of(name) == module)
        and (not pretrained or is_model_pretrained(name))
    )


def _matches(name: str, patterns: str | list[str]) -> bool:
    """Return whether `name` matches any of the shell patterns, case-sensitively."""
    return any(fnmatchcase(name, p) for p in ([patterns] if isinstance(patterns, str) else patterns))


def _module_of(name: str) -> str:
    """Return the last part of the name of the module that defines the registered model `name`, such as "convit"."""
    return _entrypoints[name].__module__.rpartition(".")[2]


def is_model(model_name: str) -> bool:
    """Return whether a model of this name is registered."""
    return model_name in _entrypoints


def model_entrypoint(model_name: str) -> Callable:
    """Return the registered function that builds the model `model_name`.

    It is called as `fn(pretrained, num_classes, in_channels, **kwargs)`.

    Raises:
        ValueError: No such model is registered; the message suggests a similar name.
    """
    if model_name not in _entrypoints:
        raise ValueError(f"no model is called {model_name!r}{did_you_mean(model_name, sorted(_entrypoints))}")
    return _entrypoints[model_name]


def list_modules() -> list[str]:
    """Return the names of the modules that define models, such as "convit", sorted."""
    return sorted({_module_of(name) for name in _entrypoints})


def is_model_in_modules(model_name: str, module_names: tuple[str, ...] | list[str] | set[str]) -> bool:
    """Return whether `model_name` is registered and defined in one of these modules, such as "convit"."""
    return is_model(model_name) and _module_of(model_name) in module_names


def is_model_pretrained(model_name: str) -> bool:
    """Return whether `model_name` has published weights; False if no such model is registered."""
    return bool(_cfgs.get(model_name, {}).get("url"))


def get_pretrained_cfg(model_name: str) -> dict[str, Any]:
    """Return a copy of the configuration of a model's published weights, {} if it has none.

    For ConViT the keys are "publisher", "licence", "file", "url", "sha256", "act", "norm_eps", "num_classes",
    "input_size", "grid", "crop_pct", "interpolation", "mean", "std", "first_conv", "classifier", "top_1", "top_5", and
    "sources": a dict of the configurations of all published weights by source, such as "mindcv" and "fb".

    Raises:
        ValueError: No such model is registered.
    """
    model_entrypoint(model_name)
    return deepcopy(_cfgs[model_name])


def has_pretrained_cfg_key(model_name: str, cfg_key: str) -> bool:
    """Return whether the pretrained configuration of `model_name` has `cfg_key`; False if there is no such model."""
    return cfg_key in _cfgs.get(model_name, {})


def get_pretrained_cfg_value(model_name: str, cfg_key: str) -> Any:
    """Return the value of `cfg_key` in the pretrained configuration of `model_name`, None if it has no such key.

    Raises:
        ValueError: No such model is registered.
    """
    return get_pretrained_cfg(model_name).get(cfg_key)
