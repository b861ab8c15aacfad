"""Predict with a trained model, and export it to files that run elsewhere (MindIR, ONNX)."""

import warnings
from importlib import import_module

from mindcv.deploy.exporting import ExportError, export_model
from mindcv.deploy.labels import imagenet_names
from mindcv.deploy.prediction import Prediction, predict

__all__ = ["ExportError", "Prediction", "export_model", "imagenet_names", "predict"]

_RENAMED = {
    "Guess": ("mindcv.deploy", "Prediction"),
    "export": ("mindcv.cli.export", "export"),
    "infer": ("mindcv.cli.infer", "infer"),
}


def __getattr__(name: str):
    """Return what an old name stands for, with a DeprecationWarning."""
    if name not in _RENAMED:
        raise AttributeError(f"module 'mindcv.deploy' has no attribute {name!r}")
    module, new_name = _RENAMED[name]
    warnings.warn(f"mindcv.deploy.{name} is now {module}.{new_name}", DeprecationWarning, stacklevel=2)
    return getattr(import_module(module), new_name)
