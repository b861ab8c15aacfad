"""Training and validation, from a configuration.

The two functions are imported on first use, so that reading a run's files does not import MindSpore.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mindcv.engine.training import train
    from mindcv.engine.validation import validate

_MODULE_OF = {"train": "training", "validate": "validation"}

__all__ = ["train", "validate"]


def __getattr__(name: str):
    if name in _MODULE_OF:
        return getattr(import_module(f"mindcv.engine.{_MODULE_OF[name]}"), name)
    raise AttributeError(f"module 'mindcv.engine' has no attribute {name!r}")
