"""`create_dataset`: a source of images as the head of a MindSpore pipeline."""

import functools
import logging
import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import mindspore.dataset as ds
import numpy as np

from mindcv.data.datasets import Source, open_source
from mindcv.data.sampler import EpochSampler, seed_pipeline
from mindcv.errors import explain_unknown

logger = logging.getLogger("mindcv")


class ImageDataset(ds.GeneratorDataset):
    """Columns "image", (n,) uint8 file bytes or (H, W, 3) uint8 pixels, and "label", int32, read by threads.

    Attributes:
        source: where the images come from, with `class_names`, `splits` and `encoded`.
        prefetch_size: rows that each operation mapped on it makes ahead, images or batches; None: MindSpore's setting.
        sampler: which image is shown when; the pipeline's random numbers follow from its `seed` too.
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

    @property
    def epoch(self) -> int:
        """The epoch, from 0, that the next pass shows."""
        return self.sampler.clock.now

    def prepare_multiprocessing(self) -> None:
        """MindSpore's hook that says what yields the rows; its own threads sleep 0.1 s when a row is not there yet."""
        super().prepare_multiprocessing()
        self.prepared_source = functools.partial(read_ahead, self.source, self.readers)

    def pre_parse(self, getter_mode: bool) -> None:
        """MindSpore's hook before it builds a pipeline; a getter builds one only to look at its shapes."""
        super().pre_parse(getter_mode)
        self.sampler.peeking = getter_mode
        seed_pipeline(self.sampler.seed, self.epoch, self.sampler.shard_id)
        if self.prefetch_size:
            ds.config.set_prefetch_size(self.prefetch_size)


def read_ahead(source: Source, readers: int, indices: np.ndarray) -> Iterator[tuple[np.ndarray, ...]]:
    """The rows of `source` at `indices`, in that order, read by so many threads, a few rows at a time."""

    def read(some: np.ndarray) -> list[tuple[np.ndarray, ...]]:
        return [tuple(map(np.asarray, source[i])) for i in some]

    pool, reading = ThreadPoolExecutor(readers), deque()
    try:
        for start in range(0, len(indices), 8):
            reading.append(pool.submit(read, indices[start : start + 8]))
            if len(reading) > 2 * readers:
                yield from reading.popleft().result()
        while reading:
            yield from reading.popleft().result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


class Padded:
    """A source with one entry past its end: image 0 with label -1, which metrics leave out."""

    def __init__(self, source: Source):
        self._source = source

    def __getattr__(self, name: str):
        if name == "_source":  # not there yet, in a copy being made
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
    """The images and labels of a data set, in the order of an epoch.

    Each pass shows the next epoch: the order, and the random numbers of operations mapped on it, follow from
    `seed` and the epoch alone (and `num_parallel_workers` of the operations, for MindSpore draws per worker).
    To repeat or to resume epoch e exactly, build the pipeline with `epoch=e`; within an iterator of several
    passes, the operations' random numbers run on from its first.

    Args:
        name, root, split, download, class_names: see `mindcv.data.open_source`; `name` may be a source already open.
        shuffle: a new order each epoch; else that of the source.
        num_samples: images an epoch, over all shards (None: all).
        num_shards, shard_id: share the epoch between that many devices, and which of them this one is; see
            `epoch_order`.
        num_parallel_workers: threads that read files; see `usable_workers`.
        num_aug_repeats: copies of an image in an epoch, which is as long as without and so has that many times fewer
            images (see `epoch_order`); 0 or 1: none.
        seed, epoch: what the first pass shows.
        pad_to: fill the epoch up to a multiple of this with images labelled -1. `batch_size * num_shards`
            gives every device equal, whole batches that together hold every image once.

    Raises:
        TypeError: an argument that does not exist, with the one to use.
        ValueError, FileNotFoundError: the data set is not there or an argument makes no sense.
    """
    if num_aug_repeats < 0:
        raise ValueError(f"num_aug_repeats must be 0 or more, got {num_aug_repeats}")
    if num_aug_repeats > 1 and not shuffle:
        raise ValueError("num_aug_repeats shows a part of the images each epoch, always the same without shuffle=True")
    if (num_shards is None) != (shard_id is None):
        raise ValueError(f"num_shards and shard_id go together, got {num_shards} and {shard_id}")
    num_shards, shard_id = num_shards or 1, shard_id or 0
    if not 0 <= shard_id < num_shards:
        raise ValueError(f"shard_id must be 0 to {num_shards - 1}, got {shard_id}")
    if pad_to < 1:
        raise ValueError(f"pad_to must be 1 or more, got {pad_to}")
    source = open_source(name, root, split, download, class_names) if isinstance(name, str) else name
    if num_samples is not None and not 0 < num_samples <= len(source):
        raise ValueError(f"num_samples is {num_samples}; it can be 1 to {len(source)}, the images there are")
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
    padded = source if pad_to == 1 else Padded(source)
    return ImageDataset(padded, sampler, usable_workers(num_parallel_workers))


def usable_workers(num_parallel_workers: int | None) -> int:
    """How many threads to ask MindSpore for: `num_parallel_workers` (None: 8), but at most one a core, for it
    refuses more.

    Raises:
        ValueError: it is less than 1.
    """
    cores = os.cpu_count() or 1
    if num_parallel_workers is None:
        return min(8, cores)
    if num_parallel_workers < 1:
        raise ValueError(f"num_parallel_workers must be 1 or more, got {num_parallel_workers}")
    if num_parallel_workers > cores:
        _notice(f"num_parallel_workers: {cores}, the cores of this machine, instead of {num_parallel_workers}")
    return min(num_parallel_workers, cores)


def affordable_batches(size: int, processes: int = 1) -> int:
    """How many batches of `size` bytes each of so many processes makes ahead: 2 to 16, as many as together take a
    sixteenth of the machine's memory.
    """
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min(16, max(2, memory // (16 * processes * size)))


@functools.cache
def _notice(message: str) -> None:
    """Say it once."""
    logger.warning(message)
