"""Modules under the names that they have in MindCV, imported at their first use."""

import sys
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec

_RENAMED = {
    "data.dataset_download": "io.download", "data.dataset_factory": "data.dataset", "loss.loss_factory": "loss.factory",
    "data.transforms_factory": "data.transforms", "utils.trainer_factory": "utils.training",
    "loss.binary_cross_entropy_smooth": "loss.binary_cross_entropy", "scheduler.scheduler_factory": "scheduler.factory",
    "loss.cross_entropy_smooth": "loss.cross_entropy", "utils.checkpoint_manager": "utils.callbacks",
    "models.model_factory": "models.factory", "utils.path": "utils.download", "utils.reduce_manager": "utils.training",
    "optim.adamw": "optim.adam", "utils.amp": "utils.training", "utils.random": "utils.training",
    "optim.optim_factory": "optim.factory", "utils.logger": "utils.training", "utils.train_step": "utils.training",
}  # fmt: skip
_FORMER = {f"mindcv.{old}": f"mindcv.{new}" for old, new in _RENAMED.items()}


class FormerModules(MetaPathFinder, Loader):
    """Finds the modules of `_FORMER`: each has the names of the module that replaced it."""

    def find_spec(self, fullname: str, path=None, target=None) -> ModuleSpec | None:
        return ModuleSpec(fullname, self) if fullname in _FORMER else None

    def exec_module(self, module) -> None:
        names = vars(import_module(_FORMER[module.__name__]))
        vars(module).update({name: value for name, value in names.items() if not name.startswith("__")})


sys.meta_path.append(FormerModules())
