"""Models: list, create, describe, freeze, and set the precision of them.

The public names stand in `mindcv.models.api`, which is imported at the first use of one of them, so that the facts of a
family, see `mindcv.models.family`, are read without waiting for MindSpore.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mindcv.models.api import *  # noqa: F403


def __getattr__(name: str):
    if name.startswith("__") and name != "__all__":
        raise AttributeError(f"module 'mindcv.models' has no attribute {name!r}")
    api = import_module("mindcv.models.api")
    globals().update({public: getattr(api, public) for public in api.__all__})  # `summary` is a module's name too
    return getattr(api, name)
