"""`create_loader`: batches of images and labels for a model."""

from collections.abc import Callable
from functools import partial

import mindspore.dataset as ds
import numpy as np

from mindcv.data.auto_augment import AugmentedViews
from mindcv.data.dataset import ImageDataset, usable_workers
from mindcv.data.datasets.classes import check_labels
from mindcv.data.mixup import Mixup
from mindcv.data.sampler import rng_for
from mindcv.data.transforms import create_transforms
from mindcv.errors import explain_unknown, require_in_range


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
    """Return a data set of batches, ready for a model.

    Args:
        dataset: From `create_dataset`, or any MindSpore data set with columns "image" and "label".
        batch_size: Images per batch.
        drop_remainder: Whether to drop a last batch that is not full.
        is_training: Selects the default `transform`; mixup and CutMix require it.
        mixup: α of mixup; 0 turns it off.
        cutmix: α of CutMix; 0 turns it off.
        cutmix_prob: Probability that a batch is mixed at all, by mixup or CutMix; must be above 0 if one is on.
        num_classes: Classes of the model. Labels must be 0 to `num_classes` - 1, or -1 for evaluation's padding images.
        transform: Operations on "image"; by default `create_transforms`'s. Operations with a true attribute `batchwise`
            must come last; they are called as operation(images, rng, views) with a batch: a list of (H, W, C) images,
            or, after `Normalize`, a (B, C, H, W) array. `rng` follows from seed, epoch and batch if `dataset` comes
            from `create_dataset`, whatever the number of workers.
        target_transform: Operations on "label".
        num_parallel_workers: Threads that run the operations that are not batchwise; at most one per core, and by
            default at most 8. The draws of MindSpore's random operations depend on it.
        python_multiprocessing: Whether to run the batchwise operations in a process of their own.
        separate: Number of views of each image (True for 3), for the consistency loss: the first view is neither
            augmented by the policy nor erased. `transform` must be the three lists of
            `create_transforms(separate=True)`.
        mixup_off_epoch: First epoch, from 0, without mixup and CutMix; 0 to mix in all epochs.
        mixup_switch_prob: Probability of CutMix instead of mixup if both are on.
        prefetch_size: Rows that each operation prepares in advance (images or batches), if `dataset` comes from
            `create_dataset`, whose attribute `prefetch_size` is set to it; None for MindSpore's current setting.

    Returns:
        A data set with columns "image", (B, C, H, W) float32, and "label", (B,) int32, or (B, num_classes) float32 soft
        labels with mixup or CutMix (not smoothed: the loss does that). With several views, B is `batch_size` times
        their number: all first views, then all second views, and so on.

    Raises:
        TypeError: An argument does not exist; the message names the one to use.
        ValueError: There are too few images for a batch, a label is not a class index, or arguments conflict. Labels
            that are known only when loaded (other data sets than `create_dataset`'s, or with `target_transform`) are
            checked by batch: iterating raises a RuntimeError that names the image.
    """
    require_in_range("batch_size", batch_size, at_least=1)
    size = dataset.get_dataset_size()
    if drop_remainder and size < batch_size:
        raise ValueError(f"no full batch: {size} images for this device and a batch_size of {batch_size}; lower it")
    mix = _create_mixup(mixup, cutmix, cutmix_prob, mixup_switch_prob, num_classes, is_training)
    root = _root_of(dataset)
    labels_known = dataset is root and isinstance(root, ImageDataset) and target_transform is None
    if labels_known:
        source, count = root.source, len(root.source.class_names)
        remedy = f"num_classes is {num_classes} and the data names {count} classes; correct the number or the labels"
        check_labels(source.labels, min(num_classes, count), getattr(source, "path", "image {}".format), remedy)
    views = 3 if separate is True else int(separate) or 1
    if views > 1 and mix:
        raise ValueError("separate views and mixup or cutmix do not go together: mixed images have no clean view")
    if transform is None:
        if not isinstance(root, ImageDataset):
            raise ValueError("a data set that is not create_dataset's needs a transform, from create_transforms")
        name = "folder" if root.source.encoded else "digits"
        transform = create_transforms(name, is_training=is_training, separate=views > 1)
    if views > 1:
        transform = _insert_views(transform, views)
    operations = transform if isinstance(transform, list) else [transform]
    batchwise = [operation for operation in operations if getattr(operation, "batchwise", False)]
    imagewise = operations[: len(operations) - len(batchwise)]
    if any(getattr(operation, "batchwise", False) for operation in imagewise):
        raise ValueError("policies, RandomFlip, Normalize and RandomErasing go last in transform: they take batches")
    workers = usable_workers(num_parallel_workers)
    if isinstance(root, ImageDataset):
        root.prefetch_size = prefetch_size
    if imagewise:
        dataset = dataset.map(imagewise, "image", num_parallel_workers=workers)
    if target_transform is not None:
        dataset = dataset.map(target_transform, "label", num_parallel_workers=workers)
    check = None if labels_known else partial(_check_batch, num_classes, batch_size, is_training)
    return dataset.batch(
        batch_size,
        drop_remainder,
        num_parallel_workers=1,
        per_batch_map=_BatchTransform(batchwise, mix, mixup_off_epoch, root, views, check),
        input_columns=["image", "label"],
        python_multiprocessing=python_multiprocessing,
    )


def _create_mixup(
    mixup: float, cutmix: float, prob: float, switch_prob: float, num_classes: int, is_training: bool
) -> Mixup | None:
    """Return the operation that mixes batches, or None if both α are 0; it does not smooth labels.

    Args:
        mixup, cutmix: Their α; 0 turns one off.
        prob: Probability that a batch is mixed at all.
        switch_prob: Probability of CutMix instead of mixup if both are on.
        num_classes: Number of classes, the width of the soft labels.
        is_training: Whether the batches are for training; others are not mixed.

    Raises:
        ValueError: An α is above 0, but `is_training` is False or `prob` is 0; or an argument is out of range.
    """
    if mixup == cutmix == 0:
        return None
    if not is_training:
        raise ValueError(f"mixup {mixup} and cutmix {cutmix} are for training: pass is_training=True, or 0 for both")
    if prob == 0:
        raise ValueError(f"mixup {mixup} and cutmix {cutmix} would never act: pass cutmix_prob above 0")
    return Mixup(mixup, cutmix, prob=prob, switch_prob=switch_prob, label_smoothing=0.0, num_classes=num_classes)


def _root_of(dataset: ds.Dataset) -> ds.Dataset:
    """Return the first stage of a pipeline, the data set that the others are applied to."""
    while dataset.children:
        dataset = dataset.children[0]
    return dataset


def _insert_views(transform: tuple[list, list, list], views: int) -> list:
    """Return one list of operations in which the policy makes all views but the first.

    The list ends with operations on batches, in which B images become views·B: all first views, all second ones, ….

    Args:
        transform: The three lists of `create_transforms(separate=True)`: before the policy, the policy, after it.
        views: Views per image, at least 2.

    Raises:
        ValueError: `transform` is not three lists, the second is not one policy, or `views` is below 2.
    """
    if not isinstance(transform, tuple) or len(transform) != 3:
        raise ValueError("separate views need the three lists of create_transforms(separate=True)")
    before, policies, after = transform
    if len(policies) != 1:
        raise ValueError("separate views need a policy that makes them differ, such as auto_augment augmix-m3-w3")
    return [*before, AugmentedViews(policies[0], views), *after]


def _check_batch(num_classes: int, batch_size: int, is_training: bool, labels: np.ndarray, number: int) -> None:
    """Raise ValueError if a class index in batch `number`, from 0, is out of range; in evaluation, -1 is allowed.

    Args:
        num_classes: Class indices must be 0 to `num_classes` - 1.
        batch_size: Images per batch, to number the image in the message.
        is_training: Whether -1 is an error as well.
        labels: (B,) class indices; soft labels, floats or (B, C), are not checked.
        number: Number of the batch in the epoch.
    """
    if labels.ndim == 1 and labels.dtype.kind in "iu":
        indices = labels if is_training else np.where(labels == -1, 0, labels)
        check_labels(
            indices,
            num_classes,
            lambda i: f"image {number * batch_size + i} of the epoch",
            "correct num_classes or the labels",
        )


class _BatchTransform:
    """The last stage of the pipeline: batchwise operations, the label check, and mixup or CutMix.

    Its random draws follow from seed, epoch, shard and batch. Policies run here too: their C++ operations hold Python's
    global lock when called one by one, so that more threads would not be faster.

    Args:
        operations: Batchwise operations, called as operation(images, rng, views).
        mix: Mixes images and labels; None for class indices as labels.
        mixup_off_epoch: First epoch, from 0, without mixing; 0 for never.
        root: First stage of the pipeline, which has the seed.
        views: Views per image after the operations.
        check: Called as check(labels, batch number) before mixing; None if labels are known to be valid.
    """

    def __init__(
        self,
        operations: list,
        mix: Mixup | None,
        mixup_off_epoch: int,
        root: ds.Dataset,
        views: int,
        check: Callable[[np.ndarray, int], None] | None,
    ):
        self.operations, self.mix, self.mixup_off_epoch, self.views = operations, mix, mixup_off_epoch, views
        self.check = check
        if isinstance(root, ImageDataset):
            self.seed, self.shard_id, self.epochs = root.sampler.seed, root.sampler.shard_id, root.sampler.epochs
        else:
            self.epochs, self.rng = None, np.random.default_rng(ds.config.get_seed())

    def __call__(
        self, images: list[np.ndarray], labels: list[np.ndarray], info: ds.BatchInfo
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return images, (views · B, C, H, W), and labels, (views · B,) or soft ones, of a batch of B."""
        epoch = info.get_epoch_num() + (self.epochs.iterator_start if self.epochs else 0)
        rng = rng_for(self.seed, epoch, self.shard_id, info.get_batch_num()) if self.epochs else self.rng
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
