"""Which images an epoch shows, in which order, and on which device."""

import random
from collections.abc import Iterator

import mindspore.dataset as ds
import numpy as np


def epoch_order(
    size: int,
    epoch: int = 0,
    seed: int = 0,
    shuffle: bool = False,
    num_samples: int | None = None,
    pad_to: int = 1,
    num_shards: int = 1,
    shard_id: int = 0,
    repeats: int = 1,
) -> np.ndarray:
    """Return the indices of the images that shard `shard_id` sees in `epoch`, in order, (n,) int64.

    All shards take turns in one order: in each step, k shards with batches of b images see together what one shard with
    batches of k·b images sees. Every shard gets the same number of images. Up to `num_shards` - 1 images at the end of
    the order are dropped (others each epoch, if shuffled), unless `pad_to` is a multiple of `num_shards`.

    Args:
        size: Number of images.
        epoch: Epoch, from 0.
        seed: Determines, with `epoch`, the order.
        shuffle: Whether the order is random; otherwise it is 0, 1, …, `size` - 1.
        num_samples: Use only so many of the order, over all shards; None for all.
        pad_to: Pad the order to a multiple of this with the index `size`, which stands for a padding image.
        num_shards: Devices that share the epoch.
        shard_id: Which of them, from 0.
        repeats: Copies of each image, in succession (repeated augmentation, Hoffer et al. 2020, arXiv 1901.09335), so
            that they go to different shards. The epoch keeps its length and shows only the first images of the order.
    """
    order = np.random.default_rng([seed, epoch]).permutation(size) if shuffle else np.arange(size)
    order = order[np.arange(size if num_samples is None else min(num_samples, size)) // repeats]
    order = np.concatenate([order, np.full(-len(order) % pad_to, size, order.dtype)])
    per_shard = len(order) // num_shards
    return order[shard_id : per_shard * num_shards : num_shards]


class EpochSampler(ds.Sampler):
    """Yields the indices of `epoch_order`, of the next epoch at every pass.

    MindSpore copies the pipeline with its sampler for every iterator. The copies share one `EpochCounter`, so that a
    new iterator continues with the epoch after the last one shown.

    Args:
        size: Number of images.
        epoch: Epoch of the first pass, from 0.
        seed: Determines, with the epoch, the order.
        shard_id: Index of this device.
        order_options: Further arguments of `epoch_order`.

    Attributes:
        inspecting: Whether MindSpore builds the pipeline only to inspect it; then a pass does not count as an epoch.
    """

    def __init__(self, size: int, epoch: int = 0, seed: int = 0, shard_id: int = 0, **order_options):
        self.size, self.seed, self.shard_id = size, seed, shard_id
        self.order_options = {"seed": seed, "shard_id": shard_id, **order_options}
        self.epochs = EpochCounter(epoch)
        self.inspecting = self.started = False
        self.length = len(epoch_order(size, **self.order_options))
        super().__init__(num_samples=self.length)

    def __iter__(self) -> Iterator[int]:
        epoch = self.epochs.next
        if not self.inspecting:
            if not self.started:
                self.started, self.epochs.iterator_start = True, epoch
            self.epochs.next += 1
        return iter(epoch_order(self.size, epoch, **self.order_options).tolist())


class EpochCounter:
    """Epochs of a data set, shared by all copies of its sampler.

    Attributes:
        next: Epoch, from 0, that the next pass shows.
        iterator_start: Epoch of the newest iterator's first pass.
    """

    def __init__(self, epoch: int):
        self.next = self.iterator_start = epoch

    def __deepcopy__(self, memo):
        return self


def rng_for(seed: int, *key: int) -> np.random.Generator:
    """Return a new random number generator for one place in a run; the same arguments give the same draws.

    Args:
        seed: Seed of the run.
        key: (epoch, shard) for a pipeline's own operations, (epoch, shard, batch) for a batch.
    """
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))


def seed_pipeline(seed: int, epoch: int, shard_id: int = 0) -> None:
    """Set MindSpore's global data set seed for the pipeline built next, by run, epoch and shard.

    MindSpore seeds worker thread w with this seed plus w, so that neighbouring seeds would repeat each other's draws;
    therefore the seed is drawn at random from (`seed`, `epoch`, `shard_id`). MindSpore also reseeds `random` and
    `numpy.random`; their states are restored.
    """
    python_state, numpy_state = random.getstate(), np.random.get_state()
    ds.config.set_seed(int(rng_for(seed, epoch, shard_id).integers(2**32)))
    random.setstate(python_state)
    np.random.set_state(numpy_state)
