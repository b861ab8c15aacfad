"""MindCV's names for training with `mindspore.Model`, imported at first use; new code uses `mindcv.engine.train`."""

from importlib import import_module

_NAMES = {
    "callbacks": "CheckpointManager StateMonitor ValCallback",
    "config": "create_parser parse_args save_args",
    "download": "ARCHIVE_TYPE_SUFFIX COMPRESS_TYPE_SUFFIX DownLoad FILE_TYPE_ALIASES detect_file_type "
    "get_default_download_root set_default_download_root",
    "training": "AMP_BLACK_LIST AMP_WHITE_LIST AllReduceSum TrainStep auto_mixed_precision create_trainer get_metrics "
    "require_customized_train_step set_logger set_seed",
}
_MODULE_OF = {name: module for module, names in _NAMES.items() for name in names.split()}
_INSTEAD = {
    "Allreduce": "AllReduceSum", "TrainOneStepWithEMA": "TrainStep(…, ema=True)",
    "GradientAccumulation": "TrainStep(…, gradient_accumulation_steps=…)",
}  # fmt: skip
__all__ = sorted(_MODULE_OF)


def __getattr__(name: str):
    if name in _MODULE_OF:
        return getattr(import_module(f"mindcv.utils.{_MODULE_OF[name]}"), name)
    if name in _INSTEAD:  # "from mindcv.utils import …" drops the message of an AttributeError
        raise ImportError(f"there is no mindcv.utils.{name} here: use {_INSTEAD[name]}")
    raise AttributeError(f"module 'mindcv.utils' has no attribute {name!r}")
