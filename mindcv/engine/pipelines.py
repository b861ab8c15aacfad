"""Data loaders from a configuration."""

from collections.abc import Iterator
from contextlib import contextmanager

import mindspore.dataset as ds

from mindcv.config import Config
from mindcv.data import (
    UnreadableImage,
    create_dataset,
    create_loader,
    create_transforms,
    default_val_split,
    unreadable,
)
from mindcv.data.datasets import Source, open_source
from mindcv.data.transforms import OPTIONS as TRANSFORM_OPTIONS


def open_sources(config: Config, train: bool = True, val: bool = True) -> tuple[Source | None, Source | None]:
    """The images to train and to validate on, labelled by one list of classes.

    Validation counts classes by the training split's folders wherever that split is there.

    Raises:
        ValueError, FileNotFoundError: a split is missing, has no images, or has a class that training has not.
    """
    where = {"name": config.dataset, "root": config.data_dir, "download": config.dataset_download}
    training = validation = None
    try:
        training = open_source(split=config.train_split, **where)
    except (ValueError, FileNotFoundError):
        if train:
            raise
    if val:
        split = config.val_split or default_val_split(config.dataset)
        validation = open_source(split=split, class_names=training and training.class_names, **where)
    return training, validation


@contextmanager
def unreadable_images_named() -> Iterator[None]:
    """Turn MindSpore's many lines about an image that cannot be read into the one that names it."""
    try:
        yield
    except RuntimeError as error:
        if (line := unreadable(error)) is None:
            raise
        raise UnreadableImage(line) from error


def class_count(config: Config, source: Source) -> int:
    """How many classes the model has: as many as the option says, or as the data has.

    Raises:
        ValueError: the data has more than the option says.
    """
    found = len(source.class_names)
    if config.num_classes is not None and config.num_classes < found:
        raise ValueError(
            f"num_classes is {config.num_classes}, but the data has {found} classes: "
            f"pass --num_classes {found} or more, or none to count them"
        )
    return config.num_classes or found


def training_loader(config: Config, source: Source, num_classes: int) -> ds.Dataset:
    """Augmented batches; each pass is an epoch of its own order and draws."""
    dataset = create_dataset(
        source,
        shuffle=config.shuffle,
        num_samples=config.num_samples,
        num_parallel_workers=config.num_parallel_workers,
        num_aug_repeats=config.aug_repeats,
        seed=config.seed,
    )
    return create_loader(
        dataset,
        config.batch_size,
        drop_remainder=config.drop_remainder,
        is_training=True,
        mixup=config.mixup,
        cutmix=config.cutmix,
        cutmix_prob=config.cutmix_prob,
        num_classes=num_classes,
        transform=_transforms(config, is_training=True),
        num_parallel_workers=config.num_parallel_workers,
    )


def validation_loader(config: Config, source: Source) -> ds.Dataset:
    """Equal batches that hold every image once; what fills up the last has the label -1."""
    dataset = create_dataset(
        source,
        shuffle=config.eval_shuffle,
        num_parallel_workers=config.num_parallel_workers,
        seed=config.seed,
        pad_to=config.batch_size,
    )
    return create_loader(
        dataset,
        config.batch_size,
        transform=_transforms(config, is_training=False),
        num_parallel_workers=config.num_parallel_workers,
    )


def _transforms(config: Config, is_training: bool) -> list:
    return create_transforms(
        config.dataset,
        config.image_resize,
        is_training,
        config.auto_augment,
        **{name: getattr(config, name) for name in TRANSFORM_OPTIONS},
    )
