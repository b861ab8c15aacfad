"""From image files to batches: `create_dataset`, `create_transforms`, `create_loader`."""

from mindcv.data.auto_augment import create_policy
from mindcv.data.check import checked, find_unreadable, is_list_of_bad, leave_out
from mindcv.data.dataset import ImageDataset, affordable_batches, create_dataset, usable_workers
from mindcv.data.datasets import default_val_split, is_encoded, open_source
from mindcv.data.erasing import RandomErasing
from mindcv.data.flips import RandomFlip
from mindcv.data.image_decode import UnreadableImage, as_viewed, unreadable, upright_rgb
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
    "affordable_batches",
    "as_viewed",
    "checked",
    "create_dataset",
    "create_loader",
    "create_policy",
    "create_transforms",
    "default_val_split",
    "epoch_order",
    "find_unreadable",
    "get_dataset_download_root",
    "is_encoded",
    "is_list_of_bad",
    "leave_out",
    "open_source",
    "seed_pipeline",
    "unreadable",
    "upright_rgb",
    "usable_workers",
]
