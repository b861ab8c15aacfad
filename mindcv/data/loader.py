"""`create_loader`: batches of images and labels for a model."""

import warnings
from collections.abc import Callable
from functools import partial

import mindspore.dataset as ds
import numpy as np

from mindcv.data.auto_augment import AugmentedViews
from mindcv.data.dataset import ImageDataset, usable_workers
from mindcv.data.datasets.classes import check_labels
from mindcv.data.mixup import Mixup
from mindcv.data.processes import SUPPORTED, Task, shared_pool
from mindcv.data.sampler import rng_for
from mindcv.data.transforms import create_transforms
from mindcv.errors import explain_unknown, require_in_range

_MIN_IMAGES = 2000  # a pass over fewer takes less time than the start of worker processes


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
    python_multiprocessing: bool | None = None,
    separate: bool | int = False,
    *,
    mixup_off_epoch: int = 0,
    mixup_switch_prob: float = 0.5,
    prefetch_size: int | None = None,
) -> ds.Dataset:
    """Return a data set of batches, ready for a model.

    Args:
        dataset: From `create_dataset`, or any MindSpore data set with columns "image" and "label" (or "fine_label").
        batch_size: Images per batch.
        drop_remainder: Whether to drop a last batch that is not full.
        is_training: Selects the default `transform`; without it, mixup, CutMix and `separate` warn and do nothing.
        mixup: α of mixup; 0 turns it off.
        cutmix: α of CutMix; 0 turns it off.
        cutmix_prob: Probability that a batch is mixed at all, by mixup or CutMix. At 0 with one of them on, labels
            become soft, but no image is mixed, with a warning.
        num_classes: Classes of the model. Labels must be 0 to `num_classes` - 1, or -1 for evaluation's padding images.
        transform: Operations on "image"; by default `create_transforms`'s, for other data sets than `create_dataset`'s
            those for encoded images, with a warning. Operations with a true attribute `batchwise` must come last; they
            are called as operation(images, rng, views), by several threads at once, with a batch: a list of (H, W, C)
            images, or, after `Normalize`, a (B, C, H, W) array. `rng` follows from seed, epoch and batch if `dataset`
            comes from `create_dataset`, whatever the number of workers.
        target_transform: Operations on "label".
        num_parallel_workers: Threads that run the operations that are not batchwise, and threads or processes that run
            the batchwise ones, one batch each; at most one per core, and by default as `usable_workers` says. The draws
            of MindSpore's random operations depend on it. Batches of other data sets than `create_dataset`'s are
            finished by one thread, because their draws depend on the order.
        python_multiprocessing: Whether to run the batchwise operations in `num_parallel_workers` processes instead of
            threads. By default training does with at least 2,000 images and two workers, if `transform` can be pickled.
            All loaders of a program share the processes. Ignored on Windows, and for other data sets than
            `create_dataset`'s.
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
    if "fine_label" in dataset.get_col_names():  # MindSpore's CIFAR-100
        dataset = dataset.project(["image", "fine_label"]).rename("fine_label", "label")
    labels_known = dataset is root and isinstance(root, ImageDataset) and target_transform is None
    if labels_known:
        source, count = root.source, len(root.source.class_names)
        remedy = f"num_classes is {num_classes} and the data names {count} classes; correct the number or the labels"
        check_labels(source.labels, min(num_classes, count), getattr(source, "path", "image {}".format), remedy)
    views = 3 if separate is True else int(separate) or 1
    if views > 1 and not is_training:
        warnings.warn("separate views are for training: each image is shown once", stacklevel=3)
        views = 1
    if views > 1 and mix:
        raise ValueError("separate views and mixup or cutmix do not go together: mixed images have no clean view")
    if transform is None:
        if not isinstance(root, ImageDataset):
            warnings.warn("no transform: the images are taken for encoded ones, as of an image folder", stacklevel=3)
        encoded = not isinstance(root, ImageDataset) or root.source.encoded
        name = "folder" if encoded else "digits"
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
    finish = _BatchTransform(batchwise, mix, mixup_off_epoch, views)
    task = None
    if SUPPORTED and isinstance(root, ImageDataset):
        if python_multiprocessing:
            task = Task(finish)
        elif python_multiprocessing is None and is_training and workers > 1 and size >= _MIN_IMAGES:
            task = _pickled_if_possible(finish)
    stage = _BatchStage(finish, root, check, task, workers)
    return _Batches(
        dataset,
        batch_size,
        drop_remainder,
        num_parallel_workers=workers if isinstance(root, ImageDataset) else 1,
        per_batch_map=stage,
        input_columns=["image", "label"],
    )


class _Batches(ds.BatchDataset):
    """The last stage of a pipeline, with as many batches prepared in advance as if it had one worker."""

    def parse(self, children=None):
        """Divide the prefetch size, which MindSpore applies to each worker; this overrides a private method."""
        size = ds.config.get_prefetch_size()
        ds.config.set_prefetch_size(max(1, size // (self.num_parallel_workers or 1)))
        try:
            return super().parse(children)
        finally:
            ds.config.set_prefetch_size(size)


def _pickled_if_possible(transform: Callable) -> Task | None:
    """Return `transform` as a task for worker processes, or None if it cannot be sent to them."""
    try:
        return Task(transform)
    except ValueError:
        return None


def _create_mixup(
    mixup: float, cutmix: float, prob: float, switch_prob: float, num_classes: int, is_training: bool
) -> Mixup | None:
    """Return the operation that mixes batches, or None if both α are 0 or `is_training` is False.

    It does not smooth labels. Arguments that have no effect cause a warning.

    Args:
        mixup, cutmix: Their α; 0 turns one off.
        prob: Probability that a batch is mixed at all.
        switch_prob: Probability of CutMix instead of mixup if both are on.
        num_classes: Number of classes, the width of the soft labels.
        is_training: Whether the batches are for training; others are not mixed.

    Raises:
        ValueError: An argument is out of range.
    """
    if mixup == cutmix == 0:
        return None
    if not is_training:
        warnings.warn(f"mixup {mixup} and cutmix {cutmix} are for training: nothing is mixed", stacklevel=4)
        return None
    if prob == 0:
        warnings.warn(
            f"mixup {mixup} and cutmix {cutmix} never act: pass cutmix_prob above 0 to mix images", stacklevel=4
        )
    return Mixup(mixup, cutmix, prob=prob, switch_prob=switch_prob, label_smoothing=0.0, num_classes=num_classes)


def _root_of(dataset: ds.Dataset) -> ds.Dataset:
    """Return the first stage of a pipeline, the data set that the others are applied to."""
    while dataset.children:
        dataset = dataset.children[0]
    return dataset


def _insert_views(transform: Callable | list | tuple, views: int) -> list:
    """Return one list of operations in which the policy makes all views but the first.

    The list ends with operations on batches, in which B images become views·B: all first views, all second ones, ….

    Args:
        transform: The three lists of `create_transforms(separate=True)`: before the policy, the policy, after it.
        views: Views per image, at least 2.

    Raises:
        ValueError: `transform` is not three lists, the second has several policies, or `views` is below 2.
    """
    if not isinstance(transform, tuple) or len(transform) != 3:
        raise ValueError("separate views need the three lists of create_transforms(separate=True)")
    before, policies, after = transform
    if not policies:
        warnings.warn("the separate views of an image are equal: pass auto_augment, as in augmix-m3-w3", stacklevel=4)
        policies = [_unchanged]
    if len(policies) != 1:
        raise ValueError(f"separate views need one policy that makes them differ, got {len(policies)}")
    return [*before, AugmentedViews(policies[0], views), *after]


def _unchanged(images: list[np.ndarray], rng: np.random.Generator) -> list[np.ndarray]:
    """Return `images`, as a policy that changes nothing."""
    return images


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
    """What is done with a batch: batchwise operations, and mixup or CutMix.

    Args:
        operations: Batchwise operations, called as operation(images, rng, views).
        mix: Mixes images and labels; None for class indices as labels.
        mixup_off_epoch: First epoch, from 0, without mixing; 0 for never.
        views: Views per image after the operations.
    """

    def __init__(self, operations: list, mix: Mixup | None, mixup_off_epoch: int, views: int):
        self.operations, self.mix, self.mixup_off_epoch, self.views = operations, mix, mixup_off_epoch, views

    def __call__(
        self, images: list[np.ndarray], labels: np.ndarray, epoch: int, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return images, (views · B, C, H, W), and labels, (views · B,) or soft ones, of a batch of B."""
        for operation in self.operations:
            images = operation(images, rng, self.views)
        batch, targets = np.asarray(images), np.concatenate([labels] * self.views)
        if self.mix is None:
            return batch, targets
        if self.mixup_off_epoch and epoch >= self.mixup_off_epoch:
            return batch, self.mix.targets(targets)
        return self.mix(batch, targets, rng)


class _BatchStage:
    """The last stage of the pipeline: the label check, and a transform run in this thread or by a worker process.

    The random draws follow from seed, epoch, shard and batch, for data sets of `create_dataset`.

    Args:
        transform: What is done with a batch.
        root: First stage of the pipeline, which has the seed.
        check: Called as check(labels, batch number); None if labels are known to be valid.
        task: `transform` for processes; None to run it in this thread.
        workers: Number of processes.
    """

    def __init__(
        self,
        transform: _BatchTransform,
        root: ds.Dataset,
        check: Callable[[np.ndarray, int], None] | None,
        task: Task | None,
        workers: int,
    ):
        self.transform, self.check, self.task, self.workers = transform, check, task, workers
        if isinstance(root, ImageDataset):
            self.seed, self.shard_id, self.epochs = root.sampler.seed, root.sampler.shard_id, root.sampler.epochs
        else:
            self.epochs, self.rng = None, np.random.default_rng(ds.config.get_seed())

    def __call__(
        self, images: list[np.ndarray], labels: list[np.ndarray], info: ds.BatchInfo
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return images and labels of a batch as `transform` does."""
        number, targets = info.get_batch_num(), np.stack(labels)
        epoch = info.get_epoch_num() + (self.epochs.iterator_start if self.epochs else 0)
        if self.check:
            self.check(targets, number)
        rng = rng_for(self.seed, epoch, self.shard_id, number) if self.epochs else self.rng
        if self.task is None:
            return self.transform(images, targets, epoch, rng)
        return shared_pool(self.workers).run(self.task, images, targets, epoch, rng)
