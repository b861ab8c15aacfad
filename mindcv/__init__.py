"""ConViT on MindSpore: a model zoo in the style of MindCV.

The names and modules below are imported at their first use, so that reading a configuration or printing `--help` does
not wait for MindSpore to load.
"""

from importlib import import_module

import mindcv.former_modules  # noqa: F401, it lets MindCV's module names be imported
from mindcv.version import __version__

_LAZY_NAMES = {
    "data": "create_dataset create_loader create_transforms get_dataset_download_root",
    "loss": "create_loss",
    "models": "ConViT VisionTransformer convit_base convit_base_plus convit_small convit_small_plus convit_tiny "
    "convit_tiny_plus create_model deit_base deit_small deit_tiny get_pretrained_cfg get_pretrained_cfg_value "
    "has_pretrained_cfg_key is_model is_model_in_modules is_model_pretrained list_models list_modules "
    "model_entrypoint register_model summary",
    "optim": "create_optimizer",
    "scheduler": "create_scheduler",
}
_LAZY_MODULES = {*_LAZY_NAMES, "config", "deploy", "engine", "insight", "io", "utils", "weights"}
_MODULE_OF = {name: module for module, names in _LAZY_NAMES.items() for name in names.split()}

__all__ = ["__version__", *sorted(_MODULE_OF)]


def __getattr__(name: str):
    if name in _MODULE_OF:
        return getattr(import_module(f"mindcv.{_MODULE_OF[name]}"), name)
    if name in _LAZY_MODULES:
        return import_module(f"mindcv.{name}")
    raise AttributeError(f"module 'mindcv' has no attribute {name!r}")


def __dir__():
    return __all__
