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
    affordable_batches,
    checked,
    create_dataset,
    create_loader,
    create_transforms,
    default_val_split,
    is_list_of_bad,
    leave_out,
    unreadable,
)
from mindcv.data.datasets import Source, open_source
from mindcv.data.datasets.classes import some
from mindcv.data.datasets.subset import class_balanced
from mindcv.data.transforms import OPTIONS as TRANSFORM_OPTIONS
from mindcv.distributed.context import ALONE, DistributedContext
from mindcv.engine.checkpoints import START, TrainPosition
from mindcv.io.files import atomic_write_text, put_foreign_aside

_log = logging.getLogger("mindcv")

CHECK_LIMIT = 4 * 3600.0  # seconds that a process waits for the one that decodes every image


def open_training(config: Config, waits: bool = False) -> Source:
    """The images to train on: `sampling_ratio` of them, without the unreadable ones where `on_bad_image` is skip.

    Of several processes on one machine all but one pass `waits`: they wait for the one that checks the images.

    Raises:
        ValueError, FileNotFoundError: the split is missing or has no images, or too many cannot be read.
        TimeoutError: the process that checks the images took longer than `CHECK_LIMIT`.
    """
    source = _readable(config, _training(config), waits)
    return class_balanced(source, config.sampling_ratio, config.seed) if config.sampling_ratio < 1 else source


def open_validation(config: Config, class_names: list[str] | None = None, waits: bool = False) -> Source:
    """The images to validate on, labelled by `class_names`, or else by the training split's where it is there.

    Raises:
        ValueError, FileNotFoundError, TimeoutError: as `open_training`; or it has a class that is not in the list, or
            none of one that is and `val_partial` is off; or there is no list to say which of `num_classes` it has.
    """
    if class_names is None:
        with suppress(ValueError, FileNotFoundError):
            class_names = _training(config).class_names
    split = config.val_split or default_val_split(config.dataset)
    source = open_source(
        config.dataset, config.data_dir, split, config.dataset_download, class_names, config.val_list or None
    )
    found = len(source.class_names)
    numbers_known = class_names is not None or getattr(source, "numbered", False)
    if not numbers_known and (config.num_classes or 0) > found:
        raise ValueError(
            f"{split} has {found} of {config.num_classes} classes, and nothing says which: put the training images' "
            f"folder {config.train_split} beside it, or pass a checkpoint that names its classes"
        )
    unseen = np.setdiff1d(np.arange(found), source.labels)
    if unseen.size:
        names = some([source.class_names[i] for i in unseen])
        if not config.val_partial:
            raise ValueError(f"no image of {names} in {split}: add some, or pass --val_partial True to score the rest")
        _log.warning("no image of %s in %s: the scores are of the other classes", names, split)
    return _readable(config, source, waits)


def list_left_out(folder: Path, *sources: Source | None) -> None:
    """Write the unreadable images that `sources` leave out, one a line, to `bad_images.txt` in `folder`.

    Without such images an older list is deleted. A file of that name with other contents is kept: it stays where it is,
    or is put aside where there is a list to write.
    """
    path = folder / "bad_images.txt"
    lines = [line for source in sources for line in getattr(source, "left_out", ())]
    if not lines and is_list_of_bad(path):
        path.unlink()
    if lines:
        put_foreign_aside({path: is_list_of_bad})
        atomic_write_text(path, "\n".join(lines) + "\n")


def _training(config: Config) -> Source:
    return open_source(config.dataset, config.data_dir, config.train_split, config.dataset_download)


def _readable(config: Config, source: Source, waits: bool) -> Source:
    if config.on_bad_image == "raise":
        return source
    bad = checked(source, wait=CHECK_LIMIT if waits else None)
    if bad:
        _log.warning("%s of %s images cannot be read and are left out, such as %s",
                     f"{len(bad):,}", f"{len(source):,}", bad[0].line)  # fmt: skip
    return leave_out(source, bad)


@contextmanager
def unreadable_images_named() -> Iterator[None]:
    """Turn MindSpore's many lines about an image that cannot be read into the one that names it.

    The copy of the image that MindSpore leaves in the working folder is taken away.
    """
    dropped = Path("abnormal_image.jpg")
    not_ours = dropped.exists()
    try:
        yield
    except RuntimeError as error:
        if (line := unreadable(error)) is None:
            raise
        if not not_ours:
            dropped.unlink(missing_ok=True)
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
    """This worker's share of augmented batches, from `place` on; each pass is an epoch of its own order and draws.

    The steps of an epoch that are made already are loaded and left out: what the others draw depends on them.
    """
    dataset = create_dataset(
        source,
        shuffle=config.shuffle,
        num_samples=config.num_samples,
        num_shards=distributed.size,
        shard_id=distributed.rank,
        num_parallel_workers=config.num_parallel_workers,
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
        num_parallel_workers=config.num_parallel_workers,
        separate=config.aug_splits,
        mixup_off_epoch=config.mixup_off_epoch,
        mixup_switch_prob=config.mixup_switch_prob,
        prefetch_size=_ahead(config, distributed, config.aug_splits or 1),
    )
    return loader.skip(position.step) if position.step else loader


def validation_loader(config: Config, source: Source, distributed: DistributedContext = ALONE) -> ds.Dataset:
    """This worker's share of equal batches that together hold every image once; what fills up has the label -1."""
    dataset = create_dataset(
        source,
        shuffle=config.eval_shuffle,
        num_parallel_workers=config.num_parallel_workers,
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
        num_parallel_workers=config.num_parallel_workers,
        prefetch_size=_ahead(config, distributed),
    )


def _ahead(config: Config, distributed: DistributedContext, views: int = 1) -> int:
    """Batches that are made ahead."""
    height, width = np.broadcast_to(config.image_resize, 2).tolist()
    return config.prefetch_size or affordable_batches(
        config.batch_size * views * 3 * height * width * 4, min(distributed.size, config.num_devices)
    )


def _transforms(config: Config, is_training: bool) -> list | tuple:
    return create_transforms(
        config.dataset,
        config.image_resize,
        is_training,
        config.auto_augment,
        separate=is_training and config.aug_splits > 0,
        **{name: getattr(config, name) for name in TRANSFORM_OPTIONS},
    )
