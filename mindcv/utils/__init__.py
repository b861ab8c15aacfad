"""MindCV's names for training with `mindspore.Model`, over what the other folders do; nothing else imports them.

New code trains by `mindcv.engine.train`. The names are imported at their first use.
"""

from importlib import import_module

_NAMES = {
    "callbacks": "StateMonitor ValCallback",
    "checkpoint_manager": "CheckpointManager",
    "config": "create_parser parse_args save_args",
    "download": "ARCHIVE_TYPE_SUFFIX COMPRESS_TYPE_SUFFIX DownLoad FILE_TYPE_ALIASES detect_file_type "
    "get_default_download_root set_default_download_root",
    "runtime": "AMP_BLACK_LIST AMP_WHITE_LIST AllReduceSum auto_mixed_precision set_logger set_seed",
    "train_step": "TrainStep",
    "trainer_factory": "create_trainer get_metrics require_customized_train_step",
}
_MODULE_OF = {name: module for module, names in _NAMES.items() for name in names.split()}
_INSTEAD = {
    "Allreduce": "AllReduceSum",
    "GradientAccumulation": "TrainStep(…, gradient_accumulation_steps=…)",
    "TrainOneStepWithEMA": "TrainStep(…, ema=True)",
}

__all__ = sorted(_MODULE_OF)


def __getattr__(name: str):
    if name in _MODULE_OF:
        return getattr(import_module(f"mindcv.utils.{_MODULE_OF[name]}"), name)
    if name in _INSTEAD:  # "from mindcv.utils import …" drops the message of an AttributeError
        raise ImportError(f"there is no mindcv.utils.{name} here: use {_INSTEAD[name]}")
    raise AttributeError(f"module 'mindcv.utils' has no attribute {name!r}")
