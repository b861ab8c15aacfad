"""Which models there are, found by name."""

import sys
from collections.abc import Callable
from copy import deepcopy
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Any

_entrypoints: dict[str, Callable] = {}
_cfgs: dict[str, dict] = {}


def register_model(fn: Callable) -> Callable:
    """Make the function `fn(pretrained, num_classes, in_channels, **kwargs) -> model` known by its own name.

    What its module's `default_cfgs` says of that name becomes its pretrained configuration.
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
    """Names of models, sorted.

    Args:
        filter: A pattern or several ("*tiny*"); a model stays if any matches.
        module: The module a model comes from, such as "convit".
        pretrained: Only models that published weights exist for.
        exclude_filters: A pattern or several; a model goes if any matches.
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
    return any(fnmatchcase(name, p) for p in ([patterns] if isinstance(patterns, str) else patterns))


def _module_of(name: str) -> str:
    return _entrypoints[name].__module__.rpartition(".")[2]


def is_model(model_name: str) -> bool:
    """Whether a model of this name is registered."""
    return model_name in _entrypoints


def model_entrypoint(model_name: str) -> Callable:
    """The function that builds `model_name`.

    Raises:
        ValueError: no such model; the message offers the nearest names.
    """
    if model_name not in _entrypoints:
        nearest = get_close_matches(str(model_name), _entrypoints, n=3) or sorted(_entrypoints)
        raise ValueError(f"no model is called {model_name!r}; there is {', '.join(nearest)}")
    return _entrypoints[model_name]


def list_modules() -> list[str]:
    """Names of the modules that models come from, sorted."""
    return sorted({_module_of(name) for name in _entrypoints})


def is_model_in_modules(model_name: str, module_names: tuple[str, ...] | list[str] | set[str]) -> bool:
    """Whether `model_name` comes from one of these modules."""
    return is_model(model_name) and _module_of(model_name) in module_names


def is_model_pretrained(model_name: str) -> bool:
    """Whether published weights exist for `model_name`."""
    return bool(_cfgs.get(model_name, {}).get("url"))


def get_pretrained_cfg(model_name: str) -> dict[str, Any]:
    """What is known of the published weights of `model_name`: a copy, empty where there are none."""
    model_entrypoint(model_name)
    return deepcopy(_cfgs[model_name])


def has_pretrained_cfg_key(model_name: str, cfg_key: str) -> bool:
    """Whether the pretrained configuration of `model_name` has `cfg_key`."""
    return cfg_key in _cfgs.get(model_name, {})


def get_pretrained_cfg_value(model_name: str, cfg_key: str) -> Any:
    """The value of `cfg_key` in the pretrained configuration of `model_name`, None where there is none."""
    return get_pretrained_cfg(model_name).get(cfg_key)
