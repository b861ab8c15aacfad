"""`create_dataset`: the images and labels of a data set as the first stage of a MindSpore pipeline."""

import functools
import logging
import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import mindspore.dataset as ds
import numpy as np
import psutil

from mindcv.data.datasets import Source, open_source
from mindcv.data.sampler import EpochSampler, seed_pipeline
from mindcv.errors import explain_unknown, require_in_range, warn_once

logger = logging.getLogger("mindcv")

recent_images: deque[tuple[Source, int]] = deque(
    maxlen=4096
)  # (source, index) of the images read last, by all pipelines of this process


class ImageDataset(ds.GeneratorDataset):
    """A MindSpore data set with the images and labels of a source.

    Its columns are "image", uint8, encoded bytes (n,) or RGB pixels (H, W, 3), and "label", int32 scalar.

    Args:
        source: A data set from `open_source`.
        sampler: Determines which images an epoch shows, and the seed of the pipeline's random operations.
        readers: Threads that read images.

    Attributes:
        prefetch_size: Rows (images or batches) that each operation mapped on it prepares in advance; None for
            MindSpore's current setting, its default unless another pipeline changed it.
    """

    prefetch_size: int | None = None

    def __init__(self, source: Source, sampler: EpochSampler, readers: int):
        super().__init__(
            source,
            ["image", "label"],
            sampler=sampler,
            num_parallel_workers=1,
            python_multiprocessing=False,
        )
        self.readers = readers

    def num_classes(self) -> int:
        """Return the number of classes of the data set."""
        return len(self.source.class_names)

    @property
    def epoch(self) -> int:
        """Epoch, from 0, that the next pass shows."""
        return self.sampler.epochs.next

    def prepare_multiprocessing(self) -> None:
        """Replace MindSpore's reader threads, which sleep 0.1 s whenever a row is not ready, by `read_ahead`.

        This overrides a private hook of `GeneratorDataset`, called before iteration; `prepared_source` is the private
        attribute that yields the rows.
        """
        super().prepare_multiprocessing()
        self.prepared_source = functools.partial(read_ahead, self.source, self.readers)

    def pre_parse(self, getter_mode: bool) -> None:
        """Seed the pipeline for its first epoch, and set its prefetch size, when MindSpore builds it.

        Both are global settings of MindSpore and stay set. This overrides a private hook of MindSpore's data sets.

        Args:
            getter_mode: Whether the pipeline is built only to return its shapes, types or size.
        """
        super().pre_parse(getter_mode)
        self.sampler.inspecting = getter_mode
        seed_pipeline(self.sampler.seed, self.epoch, self.sampler.shard_id)
        if self.prefetch_size:
            ds.config.set_prefetch_size(self.prefetch_size)


def read_ahead(source: Source, readers: int, indices: np.ndarray) -> Iterator[tuple[np.ndarray, ...]]:
    """Yield (image, label) of `source` at `indices`, in that order, read in advance by threads.

    An error in reading is raised when the first row of its chunk is due. Closing the generator ends the reading.

    Args:
        source: The data set.
        readers: Number of threads; up to 2 · `readers` + 1 chunks of 8 rows are read in advance.
        indices: (n,) indices into `source`.
    """

    def read(chunk: np.ndarray) -> list[tuple[np.ndarray, ...]]:
        recent_images.extend((source, i) for i in chunk)
        return [tuple(map(np.asarray, source[i])) for i in chunk]

    pool = ThreadPoolExecutor(readers)
    chunks: deque[Future[list[tuple[np.ndarray, ...]]]] = deque()
    try:
        for start in range(0, len(indices), 8):
            chunks.append(pool.submit(read, indices[start : start + 8]))
            if len(chunks) > 2 * readers:
                yield from chunks.popleft().result()
        while chunks:
            yield from chunks.popleft().result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


class PaddedSource:
    """A source with one more entry, the padding image: the pixels of image 0 with label -1, which metrics ignore."""

    def __init__(self, source: Source):
        self._source = source

    def __getattr__(self, name: str):
        if name == "_source":  # not yet set while a copy is made
            raise AttributeError(name)
        return getattr(self._source, name)

    def __len__(self) -> int:
        return len(self._source) + 1

    def __getitem__(self, i: int) -> tuple[np.ndarray, np.int32]:
        return (self._source[0][0], np.int32(-1)) if i == len(self._source) else self._source[i]


@explain_unknown(
    dataset="name", dataset_name="name", data_dir="root", dataset_dir="root", train_split="split", val_split="split",
    dataset_download="download", aug_repeats="num_aug_repeats", num_workers="num_parallel_workers",
    batch_size="batch_size in create_loader",
)  # fmt: skip
def create_dataset(
    name: str | Source = "",
    root: str | None = None,
    split: str = "train",
    shuffle: bool = True,
    num_samples: int | None = None,
    num_shards: int | None = None,
    shard_id: int | None = None,
    num_parallel_workers: int | None = None,
    download: bool = False,
    num_aug_repeats: int = 0,
    *,
    seed: int = 42,
    epoch: int = 0,
    pad_to: int = 1,
    class_names: Sequence[str] | None = None,
) -> ImageDataset:
    """Return a data set of images and labels, in a new order each epoch.

    Each pass over it shows the next epoch. The order and the draws of random operations mapped on it follow from `seed`
    and the epoch alone (and from the operations' `num_parallel_workers`, since MindSpore seeds each worker). To repeat
    or resume epoch e exactly, build the pipeline with `epoch=e`: in an iterator of several passes, the operations'
    draws continue from its first pass.

    Args:
        name: A name for `open_source`, such as "imagenet" or "digits", or a source that it returned.
        root: Folder of the data set; for CIFAR and MNIST, None means `get_dataset_download_root()/name`.
        split: Split to open, such as "train".
        shuffle: Whether the order is random; otherwise it is the source's.
        num_samples: Images per epoch, over all shards; None for all. A number above what there is warns, and means all.
        num_shards: Devices that share the epoch, taking turns in one order; None for one device. Every device gets the
            same number of images: up to `num_shards` - 1 at the end of the order are dropped, unless `pad_to` is a
            multiple of it.
        shard_id: Index of this device, from 0. `num_shards` and `shard_id` go together.
        num_parallel_workers: Threads that read files; at most one per core, by default as `usable_workers` says.
        download: Download CIFAR or MNIST if it is missing.
        num_aug_repeats: Copies of each image per epoch (repeated augmentation). The epoch keeps its length, so that it
            shows so many times fewer images. 0 or 1 for none.
        seed: Seed of the order and of the random operations.
        epoch: Epoch, from 0, that the first pass shows.
        pad_to: Pad the epoch to a multiple of this with images labelled -1. With `batch_size * num_shards`, every
            device gets the same number of full batches, which together show every image once.
        class_names: Class names in the order of their indices, for folders and MindRecord; by default the split's own.

    Returns:
        A data set with columns "image", uint8, encoded bytes (n,) or RGB pixels (H, W, 3), and "label", int32.

    Raises:
        TypeError: An argument does not exist; the message names the one to use.
        ValueError: An argument is invalid, or the data set or split is unknown.
        FileNotFoundError: The data set is not in `root`.
        OSError: The download failed.
    """
    require_in_range("num_aug_repeats", num_aug_repeats, at_least=0)
    if num_aug_repeats > 1 and not shuffle:
        raise ValueError("num_aug_repeats shows a part of the images each epoch, always the same without shuffle=True")
    if (num_shards is None) != (shard_id is None):
        raise ValueError(f"num_shards and shard_id go together, got {num_shards} and {shard_id}")
    num_shards, shard_id = num_shards or 1, shard_id or 0
    require_in_range("shard_id", shard_id, at_least=0, below=num_shards)
    require_in_range("pad_to", pad_to, at_least=1)
    source = open_source(name, root, split, download, class_names) if isinstance(name, str) else name
    if num_samples is not None:
        require_in_range("num_samples", num_samples, at_least=1)
        if num_samples > len(source):
            logger.warning("num_samples is %s, but there are %s images: all are used", num_samples, len(source))
            num_samples = None
    sampler = EpochSampler(
        len(source),
        epoch,
        seed=seed,
        shuffle=shuffle,
        num_samples=num_samples,
        pad_to=pad_to,
        num_shards=num_shards,
        shard_id=shard_id,
        repeats=max(num_aug_repeats, 1),
    )
    padded: Any = source if pad_to == 1 else PaddedSource(source)
    return ImageDataset(padded, sampler, usable_workers(num_parallel_workers))


def usable_workers(num_parallel_workers: int | None, devices: int = 1) -> int:
    """Return a number of workers that MindSpore accepts: `num_parallel_workers`, at most one per core.

    A reduction is logged once. None gives one per core that this process may use, divided by the devices, from 1 to 24.

    Args:
        num_parallel_workers: The number asked for.
        devices: Devices on this machine that have a pipeline each.

    Raises:
        ValueError: `num_parallel_workers` is below 1.
    """
    cores = os.cpu_count() or 1
    if num_parallel_workers is None:
        available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else cores
        return min(24, max(1, available // devices))
    require_in_range("num_parallel_workers", num_parallel_workers, at_least=1)
    if num_parallel_workers > cores:
        warn_once(f"num_parallel_workers: {cores}, the cores of this machine, instead of {num_parallel_workers}")
    return min(num_parallel_workers, cores)


def default_prefetch_size(batch_bytes: int, processes: int = 1) -> int:
    """Return the number of batches to prepare in advance: as many as fit into 1/16 of the memory, from 2 to 16.

    Args:
        batch_bytes: Size of a batch in bytes.
        processes: Processes on this machine that share the memory.
    """
    memory = psutil.virtual_memory().total
    return min(16, max(2, memory // (16 * processes * batch_bytes)))
