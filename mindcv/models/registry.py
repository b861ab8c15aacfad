"""The registry of models by name."""

import inspect
import sys
import warnings
from collections.abc import Callable
from copy import deepcopy
from fnmatch import fnmatchcase
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

from mindcv.errors import did_you_mean
from mindcv.models.family import families, family_of_function

_entrypoints: dict[str, Callable] = {}
_cfgs: dict[str, dict] = {}
_model_pretrained_cfgs = _cfgs  # its name in MindCV, whose guides read it


def register_model(fn: Callable) -> Callable:
    """Register a function that builds a model, under its own name; use it as a decorator.

    A model of the same name is replaced, with a warning, unless it comes from the same file, imported under another
    name: then the earlier one stays.

    Args:
        fn: Called as `fn(pretrained, num_classes, in_channels, **kwargs)`, returns the model. If its module has a dict
            `default_cfgs`, the entry under the function's name becomes the model's pretrained configuration; else
            it is {}.

    Returns:
        `fn`, unchanged.
    """
    earlier = _entrypoints.get(fn.__name__)
    if earlier and _is_imported_again(earlier, fn):
        return fn
    if earlier and not (earlier.__module__ == fn.__module__ == "__main__"):  # there, a cell of a notebook runs twice
        warnings.warn(
            f"the model {fn.__name__} of {earlier.__module__} is replaced by that of {fn.__module__}", stacklevel=2
        )
    _entrypoints[fn.__name__] = fn
    _cfgs[fn.__name__] = getattr(sys.modules[fn.__module__], "default_cfgs", {}).get(fn.__name__, {})
    return fn


def _is_imported_again(earlier: Callable, fn: Callable) -> bool:
    """Return whether `fn` comes from the file of `earlier`, imported under another name, as MindSpore's O1 does."""
    codes: list[Any] = [getattr(inspect.unwrap(function), "__code__", None) for function in (earlier, fn)]
    return earlier.__module__ != fn.__module__ and all(codes) and codes[0].co_filename == codes[1].co_filename


def load_model_module(path: str | Path) -> None:
    """Run a user's Python file, whose functions register models by `register_model`; once for each file.

    Its folder is added to the end of `sys.path`, so that it can import files beside it.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is not Python, raises an error, or registers no model.
    """
    path = Path(path).resolve()
    if not path.is_file():
        raise FileNotFoundError(f"model_module: no file {str(path)!r}: give the path of a Python file")
    name = f"mindcv_model_module.{path.stem}"
    if getattr(sys.modules.get(name), "__file__", None) == str(path):
        return
    before = dict(_registered())  # before the file, whose models may replace the package's
    spec = spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ValueError(f"model_module: got {str(path)!r}, wanted a Python file, which ends in .py")
    sys.modules[name] = module = module_from_spec(spec)
    module.__package__ = ""  # it is in no package, as the error of a relative import says
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise ValueError(f"model_module: {path} cannot be run: {reason}") from error
    if _entrypoints == before:
        del sys.modules[name]
        raise ValueError(f"model_module: {path} registers no model: put @register_model before a function in it")


def takes_argument(model_name: str, argument: str) -> bool:
    """Return whether a model is built with the option `argument`, such as "drop_rate", by name or by its family.

    Raises:
        ValueError: No such model is registered.
    """
    function = model_entrypoint(model_name)
    return argument in inspect.signature(function).parameters or argument in family_of_function(function).arguments


def _registered() -> dict[str, Callable]:
    """Return the registered functions by name, once the families of the package are imported."""
    for family in families():
        import_module(family.module)
    return _entrypoints


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
        for name in _registered()
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
    return _registered()[name].__module__.rpartition(".")[2]


def is_model(model_name: str) -> bool:
    """Return whether a model of this name is registered."""
    return model_name in _registered()


def model_entrypoint(model_name: str) -> Callable:
    """Return the registered function that builds the model `model_name`.

    It is called as `fn(pretrained, num_classes, in_channels, **kwargs)`.

    Raises:
        ValueError: No such model is registered; the message suggests a similar name.
    """
    functions = _registered()
    if model_name not in functions:
        raise ValueError(f"no model is called {model_name!r}{did_you_mean(model_name, sorted(functions))}")
    return functions[model_name]


def list_modules() -> list[str]:
    """Return the names of the modules that define models, such as "convit", sorted."""
    return sorted({_module_of(name) for name in _registered()})


def is_model_in_modules(model_name: str, module_names: tuple[str, ...] | list[str] | set[str]) -> bool:
    """Return whether `model_name` is registered and defined in one of these modules, such as "convit"."""
    return is_model(model_name) and _module_of(model_name) in module_names


def is_model_pretrained(model_name: str) -> bool:
    """Return whether `model_name` has published weights; False if no such model is registered."""
    return is_model(model_name) and any(_cfgs[model_name].get(address) for address in ("url", "hub"))


def get_pretrained_cfg(model_name: str) -> dict[str, Any]:
    """Return a copy of the configuration of a model's published weights, {} if it has none.

    For the package's models the keys are "publisher", "licence", "file", "url" or "hub", "sha256", "act", "norm_eps",
    "num_classes", "input_size", "grid", "crop_pct", "interpolation", "mean", "std", "first_conv", "classifier",
    "top_1", "top_5", and "sources": a dict of the configurations of all published weights by source, such as "mindcv".

    Raises:
        ValueError: No such model is registered.
    """
    model_entrypoint(model_name)
    return deepcopy(_cfgs[model_name])


def has_pretrained_cfg_key(model_name: str, cfg_key: str) -> bool:
    """Return whether the pretrained configuration of `model_name` has `cfg_key`; False if there is no such model."""
    return is_model(model_name) and cfg_key in _cfgs.get(model_name, {})


def get_pretrained_cfg_value(model_name: str, cfg_key: str) -> Any:
    """Return the value of `cfg_key` in the pretrained configuration of `model_name`, None if it has no such key.

    Raises:
        ValueError: No such model is registered.
    """
    return get_pretrained_cfg(model_name).get(cfg_key)
