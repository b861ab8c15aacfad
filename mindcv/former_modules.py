"""Modules under the names that they have in MindCV, imported at their first use."""

import sys
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

_FORMER = {
    "mindcv.data.dataset_download": "mindcv.io.download",
    "mindcv.data.dataset_factory": "mindcv.data.dataset",
    "mindcv.data.transforms_factory": "mindcv.data.transforms",
    "mindcv.loss.binary_cross_entropy_smooth": "mindcv.loss.binary_cross_entropy",
    "mindcv.loss.cross_entropy_smooth": "mindcv.loss.cross_entropy",
    "mindcv.loss.loss_factory": "mindcv.loss.factory",
    "mindcv.models.model_factory": "mindcv.models.factory",
    "mindcv.optim.adamw": "mindcv.optim.adam",
    "mindcv.optim.optim_factory": "mindcv.optim.factory",
    "mindcv.scheduler.scheduler_factory": "mindcv.scheduler.factory",
    **dict.fromkeys(
        [f"mindcv.utils.{name}" for name in ("amp", "logger", "random", "reduce_manager")], "mindcv.utils.runtime"
    ),
    "mindcv.utils.path": "mindcv.utils.download",
}


class FormerModules(MetaPathFinder, Loader):
    """Finds the modules of `_FORMER`: each has the names of the module that replaced it."""

    def find_spec(self, fullname: str, path=None, target=None) -> ModuleSpec | None:
        return ModuleSpec(fullname, self) if fullname in _FORMER else None

    def exec_module(self, module: ModuleType) -> None:
        names = vars(import_module(_FORMER[module.__name__]))
        vars(module).update({name: value for name, value in names.items() if not name.startswith("__")})


sys.meta_path.append(FormerModules())
