"""`create_loader`: batches of images ready for a model."""

from collections.abc import Callable
from functools import partial

import mindspore.dataset as ds
import numpy as np

from mindcv.data.auto_augment import AugmentedViews
from mindcv.data.dataset import ImageDataset, usable_workers
from mindcv.data.datasets.classes import check_labels
from mindcv.data.mixup import Mixup
from mindcv.data.sampler import stream
from mindcv.data.transforms import create_transforms
from mindcv.errors import explain_unknown


@explain_unknown(
    num_workers="num_parallel_workers", workers="num_parallel_workers", mixup_prob="cutmix_prob", bs="batch_size",
    shuffle="shuffle in create_dataset", label_smoothing="label_smoothing in create_loss",
)  # fmt: skip
def create_loader(
    dataset: ds.Dataset,
    batch_size: int,
    drop_remainder: bool = False,
    is_training: bool = False,
    mixup: float = 0.0,
    cutmix: float = 0.0,
    cutmix_prob: float = 0.0,
    num_classes: int = 1000,
    transform: Callable | list | tuple | None = None,
    target_transform: Callable | list | None = None,
    num_parallel_workers: int | None = None,
    python_multiprocessing: bool = False,
    separate: bool | int = False,
    *,
    mixup_off_epoch: int = 0,
    mixup_switch_prob: float = 0.5,
    prefetch_size: int | None = None,
) -> ds.Dataset:
    """Batches of a data set with columns "image" and "label".

    Args:
        dataset: from `create_dataset`, or any MindSpore data set with these two columns.
        batch_size: images a batch.
        drop_remainder: leave out a last batch that is not full.
        is_training: chooses the default `transform`; mixing is for training alone.
        mixup, cutmix: α of each, 0 for none; both on: one of them, see `mixup_switch_prob`. See `Mixup`.
        cutmix_prob: probability that a batch is mixed at all, by either.
        num_classes: classes of the model: labels must be 0 to `num_classes` - 1, or -1 for images that fill up a
            batch in evaluation; width of the soft labels that mixing gives.
        transform: operations on "image"; those of `create_transforms` by default. What is marked `batchwise`, at the
            list's end, is applied to whole batches, with random numbers that follow from the seed, whatever the number
            of workers, if `dataset` comes from `create_dataset`.
        target_transform: operations on "label".
        num_parallel_workers: threads for `transform`; see `usable_workers`. Random numbers differ with it.
        python_multiprocessing: put the Python work on whole batches into a process of its own.
        separate: show that many views of each image (True: 3), the first without the policy and without
            erasing, for the consistency loss; `transform` comes from `create_transforms(separate=True)`.
        mixup_off_epoch: mix in so many epochs, and no longer in those after them; 0: in all.
        mixup_switch_prob: probability of CutMix where both are on.
        prefetch_size: batches made ahead, and images before each operation, if `dataset` comes from `create_dataset`;
            None: as `mindspore.dataset.config` has it.

    Returns:
        A data set of image (B, 3, H, W) float32 and label (B,) int32, or (B, num_classes) float32 when
        mixing. Labels are not smoothed; that is the loss's part. With `separate` views, B is `batch_size` times
        their number: first all clean images, then all their second views, and so on.

    Raises:
        TypeError: an argument that does not exist, with the one to use.
        ValueError: too few images for one batch, a label that is not one of `num_classes`, or arguments that do not go
            together. Where labels are known only when they are loaded (the data set is not `create_dataset`'s, or has
            operations on its labels), iterating raises a RuntimeError that names the image.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size must be 1 or more, got {batch_size}")
    size = dataset.get_dataset_size()
    if drop_remainder and size < batch_size:
        raise ValueError(f"no full batch: {size} images for this device and a batch_size of {batch_size}; lower it")
    mix = _mixing(mixup, cutmix, cutmix_prob, mixup_switch_prob, num_classes, is_training)
    head = _head(dataset)
    labels_known = dataset is head and isinstance(head, ImageDataset) and target_transform is None
    if labels_known:
        source, count = head.source, len(head.source.class_names)
        remedy = f"num_classes is {num_classes} and the data names {count} classes; correct the number or the labels"
        check_labels(source.labels, min(num_classes, count), getattr(source, "path", "image {}".format), remedy)
    views = 3 if separate is True else int(separate) or 1
    if views > 1 and mix:
        raise ValueError("separate views and mixup or cutmix do not go together: mixed images have no clean view")
    if transform is None:
        if not isinstance(head, ImageDataset):
            raise ValueError("a data set that is not create_dataset's needs a transform, from create_transforms")
        name = "folder" if head.source.encoded else "digits"
        transform = create_transforms(name, is_training=is_training, separate=views > 1)
    if views > 1:
        transform = _with_views(transform, views)
    operations = transform if isinstance(transform, list) else [transform]
    batchwise = [operation for operation in operations if getattr(operation, "batchwise", False)]
    single = operations[: len(operations) - len(batchwise)]
    if any(getattr(operation, "batchwise", False) for operation in single):
        raise ValueError(
            "policies, RandomFlip, Normalize and RandomErasing go last in transform: they work on whole batches"
        )
    workers = usable_workers(num_parallel_workers)
    if isinstance(head, ImageDataset):
        head.prefetch_size = prefetch_size
    if single:
        dataset = dataset.map(single, "image", num_parallel_workers=workers)
    if target_transform is not None:
        dataset = dataset.map(target_transform, "label", num_parallel_workers=workers)
    check = None if labels_known else partial(_check_batch, num_classes, batch_size, is_training)
    return dataset.batch(
        batch_size,
        drop_remainder,
        num_parallel_workers=1,
        per_batch_map=_Finish(batchwise, mix, mixup_off_epoch, head, views, check),
        input_columns=["image", "label"],
        python_multiprocessing=python_multiprocessing,
    )


def _mixing(
    mixup: float, cutmix: float, prob: float, switch_prob: float, num_classes: int, is_training: bool
) -> Mixup | None:
    if mixup == cutmix == 0:
        return None
    if not is_training:
        raise ValueError(f"mixup {mixup} and cutmix {cutmix} are for training: pass is_training=True, or 0 for both")
    if prob == 0:
        raise ValueError(f"mixup {mixup} and cutmix {cutmix} would never act: pass cutmix_prob above 0")
    return Mixup(mixup, cutmix, prob=prob, switch_prob=switch_prob, label_smoothing=0.0, num_classes=num_classes)


def _head(dataset: ds.Dataset) -> ds.Dataset:
    while dataset.children:
        dataset = dataset.children[0]
    return dataset


def _with_views(transform: tuple[list, list, list], views: int) -> list:
    if not isinstance(transform, tuple) or len(transform) != 3:
        raise ValueError("separate views need the three lists of create_transforms(separate=True)")
    first, policies, last = transform
    if len(policies) != 1:
        raise ValueError("separate views need a policy that makes them differ, such as auto_augment augmix-m3-w3")
    return [*first, AugmentedViews(policies[0], views), *last]


def _check_batch(num_classes: int, batch_size: int, is_training: bool, labels: np.ndarray, number: int) -> None:
    """Raise ValueError for a class index out of range in batch `number` of the epoch; -1 may fill up evaluation's."""
    if labels.ndim == 1 and labels.dtype.kind in "iu":
        indices = labels if is_training else np.where(labels == -1, 0, labels)
        check_labels(
            indices,
            num_classes,
            lambda i: f"image {number * batch_size + i} of the epoch",
            "correct num_classes or the labels",
        )


class _Finish:
    """What is done to whole batches, with random numbers that follow from seed, epoch, shard and batch.

    Policies are among it: their C++ operations, called one by one, keep Python's lock, so that several threads do
    them no faster than one.
    """

    def __init__(
        self,
        operations: list,
        mix: Mixup | None,
        mixup_off_epoch: int,
        head: ds.Dataset,
        views: int,
        check: Callable[[np.ndarray, int], None] | None,
    ):
        self.operations, self.mix, self.mixup_off_epoch, self.views = operations, mix, mixup_off_epoch, views
        self.check = check
        if isinstance(head, ImageDataset):
            self.seed, self.shard_id, self.clock = (
                head.sampler.seed,
                head.sampler.shard_id,
                head.sampler.clock,
            )
        else:
            self.clock, self.rng = None, np.random.default_rng(ds.config.get_seed())

    def __call__(self, images: list[np.ndarray], labels: list[np.ndarray], info: ds.BatchInfo):
        epoch = info.get_epoch_num() + (self.clock.began if self.clock else 0)
        rng = stream(self.seed, epoch, self.shard_id, info.get_batch_num()) if self.clock else self.rng
        for operation in self.operations:
            images = operation(images, rng, self.views)
        if self.check:
            self.check(np.stack(labels), info.get_batch_num())
        images, labels = np.asarray(images), np.stack([*labels] * self.views)
        if self.mix is None:
            return images, labels
        if self.mixup_off_epoch and epoch >= self.mixup_off_epoch:
            return images, self.mix.targets(labels)
        return self.mix(images, labels, rng)
