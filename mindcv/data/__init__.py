"""From image files to batches: `create_dataset`, `create_transforms`, `create_loader`."""

import warnings

from mindcv.data.auto_augment import create_policy
from mindcv.data.check import exclude_images, find_unreadable, is_unreadable_list, unreadable_images
from mindcv.data.dataset import ImageDataset, create_dataset, default_prefetch_size, usable_workers
from mindcv.data.datasets import default_val_split, is_encoded, open_source
from mindcv.data.erasing import RandomErasing
from mindcv.data.flips import RandomFlip
from mindcv.data.image_decode import UnreadableImage, read_encoded, unreadable_message, upright_rgb
from mindcv.data.loader import create_loader
from mindcv.data.mixup import Mixup
from mindcv.data.normalize import Normalize
from mindcv.data.sampler import epoch_order, seed_pipeline
from mindcv.data.transforms import create_transforms
from mindcv.io.download import get_dataset_download_root

__all__ = [
    "ImageDataset",
    "Mixup",
    "Normalize",
    "RandomErasing",
    "RandomFlip",
    "UnreadableImage",
    "create_dataset",
    "create_loader",
    "create_policy",
    "create_transforms",
    "default_prefetch_size",
    "default_val_split",
    "epoch_order",
    "exclude_images",
    "find_unreadable",
    "get_dataset_download_root",
    "is_encoded",
    "is_unreadable_list",
    "open_source",
    "read_encoded",
    "seed_pipeline",
    "unreadable_images",
    "unreadable_message",
    "upright_rgb",
    "usable_workers",
]

_FORMER_NAMES = {
    "affordable_batches": "default_prefetch_size",
    "as_viewed": "read_encoded",
    "checked": "unreadable_images",
    "is_list_of_bad": "is_unreadable_list",
    "leave_out": "exclude_images",
    "unreadable": "unreadable_message",
}


_DOWNLOADERS = {f"{name.capitalize()}Download": name for name in ("mnist", "cifar10", "cifar100")}  # MindCV's classes


def __getattr__(name: str):
    if name in _DOWNLOADERS:  # "from mindcv.data import …" drops the message of an AttributeError
        raise ImportError(
            f"there is no mindcv.data.{name} here: use create_dataset({_DOWNLOADERS[name]!r}, download=True)"
        )
    if name in _FORMER_NAMES:
        new = _FORMER_NAMES[name]
        warnings.warn(f"mindcv.data.{name} is now mindcv.data.{new}", DeprecationWarning, stacklevel=2)
        return globals()[new]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
