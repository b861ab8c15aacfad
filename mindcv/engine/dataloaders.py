"""Data loaders from a configuration."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import mindspore.dataset as ds
import numpy as np

from mindcv.config import Config
from mindcv.data import (
    UnreadableImage,
    create_dataset,
    create_loader,
    create_transforms,
    default_prefetch_size,
    default_val_split,
    exclude_images,
    is_unreadable_list,
    unreadable_images,
    unreadable_message,
)
from mindcv.data.check import name_undecodable, require_readable, write_unreadable_list
from mindcv.data.dataset import recent_images, usable_workers
from mindcv.data.datasets import Source, open_source
from mindcv.data.datasets.classes import summarize_names
from mindcv.data.datasets.subset import stratified_subset
from mindcv.data.image_decode import limit_image_pixels
from mindcv.data.transforms import OPTIONS as TRANSFORM_OPTIONS
from mindcv.distributed.context import ALONE, DistributedContext
from mindcv.engine.checkpoints import START, TrainPosition
from mindcv.io.files import archive_foreign

_log = logging.getLogger("mindcv")

_REMEDIES = "--on_bad_image skip leaves such images out, python -m mindcv.data check lists them"
CHECK_TIMEOUT = 4 * 3600.0  # seconds that a process waits for the one that decodes every image


def open_training(config: Config, waits: bool = False) -> Source:
    """Return the training images: `config.sampling_ratio` of each class.

    CIFAR and MNIST are downloaded if they are missing and `config.dataset_download` is set (an OSError if that fails).
    With `config.on_bad_image` "skip" every image is decoded, unless that was done before, and unreadable ones are
    excluded.

    Args:
        config: The options of the run.
        waits: Wait for another process on this machine to decode the images, instead of decoding them here.

    Raises:
        ValueError, FileNotFoundError: the split is missing or has no images, or too many cannot be read.
        TimeoutError: the process that decodes the images took longer than 4 hours (`CHECK_TIMEOUT`).
    """
    source = _without_unreadable(config, _training_split(config), waits)
    return stratified_subset(source, config.sampling_ratio, config.seed) if config.sampling_ratio < 1 else source


def open_validation(config: Config, class_names: list[str] | None = None, waits: bool = False) -> Source:
    """Return the validation images.

    CIFAR and MNIST are downloaded if they are missing and `config.dataset_download` is set (an OSError if that fails).
    With `config.on_bad_image` "skip" every image is decoded, unless that was done before, and unreadable ones are
    excluded.

    Args:
        config: The options of the run.
        class_names: Names of the classes in the order of their labels; None for those of the training split, or of the
            validation split if there is no training split.
        waits: Wait for another process on this machine to decode the images, instead of decoding them here.

    Raises:
        ValueError, FileNotFoundError: the split is missing or has no images, or too many cannot be read; it has a class
            that is not in `class_names`, or lacks one and `config.val_partial` is off; or nothing says which of
            `config.num_classes` classes it has.
        TimeoutError: the process that decodes the images took longer than 4 hours (`CHECK_TIMEOUT`).
    """
    if class_names is None:
        with suppress(ValueError, FileNotFoundError):
            class_names = _training_split(config).class_names
    split = config.val_split or default_val_split(config.dataset)
    source = open_source(
        config.dataset, config.data_dir, split, config.dataset_download, class_names, config.val_list or None
    )
    found = len(source.class_names)
    numbers_known = class_names is not None or getattr(source, "has_numeric_labels", False)
    if not numbers_known and (config.num_classes or 0) > found:
        raise ValueError(
            f"{split} has {found} of {config.num_classes} classes, and nothing says which: put the training images' "
            f"folder {config.train_split} beside it, or pass a checkpoint that names its classes"
        )
    unseen = np.setdiff1d(np.arange(found), source.labels)
    if unseen.size:
        names = summarize_names([source.class_names[i] for i in unseen])
        if not config.val_partial:
            raise ValueError(f"no image of {names} in {split}: add some, or pass --val_partial True to score the rest")
        _log.warning("no image of %s in %s: the scores are of the other classes", names, split)
    return _without_unreadable(config, source, waits)


def write_bad_images(folder: Path, *sources: Source | None) -> None:
    """Write the unreadable images that were excluded from `sources` to `bad_images.txt` in `folder`, one a line.

    If there are none, a list of an earlier run is deleted. A file of that name with other contents is kept: it stays
    where it is, or is moved to `earlier-N` if there is a list to write. Sources that are None are skipped.
    """
    path = folder / "bad_images.txt"
    lines = [line for source in sources for line in getattr(source, "excluded", ())]
    if not lines and is_unreadable_list(path):
        path.unlink()
    if lines:
        archive_foreign({path: is_unreadable_list})
        write_unreadable_list(path, lines)


def _training_split(config: Config) -> Source:
    """Return the training split with all its images."""
    return open_source(config.dataset, config.data_dir, config.train_split, config.dataset_download)


def _without_unreadable(config: Config, source: Source, waits: bool) -> Source:
    """Return `source`, without its unreadable images if `config.on_bad_image` is "skip"; log how many there are.

    With "raise", an unreadable image of a small source is an `UnreadableImage`. Also sets the limit of
    `config.max_image_pixels` in this process.

    With `waits` another process on this machine decodes the images, and a TimeoutError is raised if that takes longer
    than 4 hours (`CHECK_TIMEOUT`). Too many unreadable images are a ValueError.
    """
    limit_image_pixels(config.max_image_pixels)
    if config.on_bad_image == "raise":
        if not waits:
            with name_unreadable_images():
                require_readable(source)
        return source
    bad = unreadable_images(source, wait=CHECK_TIMEOUT if waits else None)
    if bad:
        _log.warning("%s of %s images cannot be read and are left out, such as %s",
                     f"{len(bad):,}", f"{len(source):,}", bad[0].line)  # fmt: skip
    return exclude_images(source, bad)


@contextmanager
def name_unreadable_images() -> Iterator[None]:
    """Replace an error about an unreadable image by an `UnreadableImage` with one line that names it and the remedies.

    If MindSpore's decoder failed, which does not know the image, the images that were read last are decoded to find it.
    Other errors pass unchanged. MindSpore leaves a copy of the image in the working folder; it is deleted.

    Raises:
        UnreadableImage: (a ValueError) an image cannot be read.
    """
    copy = Path("abnormal_image.jpg")
    existed_before = copy.exists()
    try:
        yield
    except (RuntimeError, UnreadableImage) as error:
        line = str(error) if isinstance(error, UnreadableImage) else unreadable_message(error)
        if not (line or "").startswith("cannot read image ") and "dataset pipeline" in str(error):
            line = name_undecodable(reversed(list(recent_images))) or line
        if line is None:
            raise
        if not existed_before:
            copy.unlink(missing_ok=True)
        raise UnreadableImage(f"{line}: {_REMEDIES}") from error


def class_count(config: Config, source: Source) -> int:
    """Return the number of classes of the model: `config.num_classes`, or that of the data if it is None.

    Raises:
        ValueError: the option is smaller than the number of classes in the data.
    """
    found = len(source.class_names)
    if config.num_classes is not None and config.num_classes < found:
        raise ValueError(
            f"num_classes is {config.num_classes}, but the data has {found} classes: "
            f"pass --num_classes {found} or more, or none to count them"
        )
    return config.num_classes or found


def warn_of_unused_outputs(num_classes: int, source: Source) -> None:
    """Log a warning if a model of `num_classes` has more outputs than the data has classes."""
    found = len(source.class_names)
    if num_classes > found:
        _log.warning(
            "num_classes is %s, but the data has %s classes: pass --num_classes %s, unless the model is meant to have "
            "outputs for classes without images", num_classes, found, found,
        )  # fmt: skip


def training_loader(
    config: Config,
    source: Source,
    num_classes: int,
    distributed: DistributedContext = ALONE,
    position: TrainPosition = START,
) -> ds.Dataset:
    """Return this worker's augmented training batches from `position` on.

    Each pass is one epoch, with an order and an augmentation of its own. The steps of an epoch before `position` are
    loaded and dropped, because the random numbers of the later ones depend on them; so make one pass only over a loader
    that begins inside an epoch.

    Args:
        config: The options of the run.
        source: The training images.
        num_classes: Number of classes of the model.
        distributed: The workers that share the images.
        position: Position of the run.

    Returns:
        A data set of images (B, C, H, W) float32 and labels, (B,) int32, or (B, num_classes) float32 if they are mixed.
        B is `config.batch_size`, or less in the last batch without `drop_remainder`; times `config.aug_splits` if set.

    Raises:
        ValueError: there are too few images for a batch, or options contradict each other.
    """
    dataset = create_dataset(
        source,
        shuffle=config.shuffle,
        num_samples=config.num_samples,
        num_shards=distributed.size,
        shard_id=distributed.rank,
        num_parallel_workers=loader_workers(config, distributed),
        num_aug_repeats=config.aug_repeats,
        seed=config.seed,
        epoch=position.epoch - 1,
    )
    loader = create_loader(
        dataset,
        config.batch_size,
        drop_remainder=config.drop_remainder,
        is_training=True,
        mixup=config.mixup,
        cutmix=config.cutmix,
        cutmix_prob=config.cutmix_prob,
        num_classes=num_classes,
        transform=_transforms(config, is_training=True),
        num_parallel_workers=loader_workers(config, distributed),
        separate=config.aug_splits,
        mixup_off_epoch=config.mixup_off_epoch,
        mixup_switch_prob=config.mixup_switch_prob,
        prefetch_size=_prefetch_size(config, distributed, config.aug_splits or 1),
    )
    return loader.skip(position.step) if position.step else loader


def validation_loader(config: Config, source: Source, distributed: DistributedContext = ALONE) -> ds.Dataset:
    """Return this worker's batches of validation images; those of all workers together hold every image once.

    All workers have equally many batches, all of `config.batch_size`, filled up with images labelled -1.

    Returns:
        A data set of images (B, C, H, W) float32 and labels (B,) int32.
    """
    dataset = create_dataset(
        source,
        shuffle=config.eval_shuffle,
        num_parallel_workers=loader_workers(config, distributed),
        num_shards=distributed.size,
        shard_id=distributed.rank,
        seed=config.seed,
        pad_to=config.batch_size * distributed.size,
    )
    return create_loader(
        dataset,
        config.batch_size,
        num_classes=len(source.class_names),
        transform=_transforms(config, is_training=False),
        num_parallel_workers=loader_workers(config, distributed),
        prefetch_size=_prefetch_size(config, distributed),
    )


def _prefetch_size(config: Config, distributed: DistributedContext, views: int = 1) -> int:
    """Return the number of batches to prepare ahead: `config.prefetch_size`, or if that is None a default.

    The default depends on the size of a batch, with `views` views of each image, and on the workers on this machine.
    """
    height, width = np.broadcast_to(config.image_resize, 2).tolist()
    return config.prefetch_size or default_prefetch_size(
        config.batch_size * views * 3 * height * width * 4, _local_devices(config, distributed)
    )


def loader_workers(config: Config, distributed: DistributedContext = ALONE) -> int:
    """Return the number of loader workers of each device: `config.num_parallel_workers`, or if that is None a default.

    It is at most the number of cores; the default depends on the devices on this machine, too (`usable_workers`).
    """
    return usable_workers(config.num_parallel_workers, _local_devices(config, distributed))


def _local_devices(config: Config, distributed: DistributedContext) -> int:
    """Return the number of the run's devices on this machine."""
    return min(distributed.size, config.num_devices)


def _transforms(config: Config, is_training: bool) -> list | tuple:
    """Return the operations on images that the options ask for, in training or in validation.

    A list, or in training with `config.aug_splits` a tuple of three: before the policy, the policy, and after it.
    """
    return create_transforms(
        config.dataset,
        config.image_resize,
        is_training,
        config.auto_augment,
        separate=is_training and config.aug_splits > 0,
        **{name: getattr(config, name) for name in TRANSFORM_OPTIONS},
    )
