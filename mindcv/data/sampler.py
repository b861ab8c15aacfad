"""Which images an epoch shows, in which order, and to which device."""

import random

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
    """The indices that shard `shard_id` sees in `epoch`.

    All shards follow one order and take turns in it, so that k shards with batches of b images see together,
    step by step, what one shard with batches of k·b sees. Every shard gets equally many: the up to
    `num_shards` - 1 images left over at the end of the order are dropped (other ones each epoch, if
    shuffled), unless `pad_to` is a multiple of `num_shards`: then the order is filled up with the index
    `size`, which stands for no image.

    Args:
        size: number of images.
        epoch: counted from 0; with `seed` it determines the order.
        num_samples: the epoch has only the first that many of the order.
        pad_to: fill up to a multiple of this.
        repeats: show that many copies of each image one after the other (repeated augmentation, Hoffer et al. 2020,
            arXiv 1901.09335). The epoch is as long as without, so it has only the first images of the order; as
            shards take turns, copies go to different ones.

    Returns:
        (n,) int64.
    """
    order = np.random.default_rng([seed, epoch]).permutation(size) if shuffle else np.arange(size)
    order = order[np.arange(size if num_samples is None else min(num_samples, size)) // repeats]
    order = np.concatenate([order, np.full(-len(order) % pad_to, size, order.dtype)])
    share = len(order) // num_shards
    return order[shard_id : share * num_shards : num_shards]


class EpochSampler(ds.Sampler):
    """Goes through `epoch_order`, one epoch further at every pass.

    MindSpore copies its pipeline, sampler and all, for every iterator; the copies count on in one `clock`, so
    that a second iterator over the same data set goes on where the first one ended.
    """

    def __init__(self, size: int, epoch: int = 0, seed: int = 0, shard_id: int = 0, **order):
        self.size, self.seed, self.shard_id = size, seed, shard_id
        self.order = {"seed": seed, "shard_id": shard_id, **order}
        self.clock = _Clock(epoch)
        self.peeking = self.running = False
        self.length = len(epoch_order(size, **self.order))
        super().__init__(num_samples=self.length)

    def __iter__(self):
        epoch = self.clock.now
        if not self.peeking:
            if not self.running:
                self.running, self.clock.began = True, epoch
            self.clock.now += 1
        order = epoch_order(self.size, epoch, **self.order)
        return iter(order.tolist())


class _Clock:
    """`now`: the epoch that the next pass shows; `began`: the one that the newest iterator began with."""

    def __init__(self, epoch: int):
        self.now = self.began = epoch

    def __deepcopy__(self, memo):
        return self


def stream(seed: int, *place: int) -> np.random.Generator:
    """The random numbers that belong to one place in a run.

    Places are (epoch, shard) and (epoch, shard, batch).
    """
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=place))


def seed_pipeline(seed: int, epoch: int, shard_id: int = 0) -> None:
    """Give the C++ operations of the pipeline built next their random numbers for this epoch and shard.

    MindSpore hands worker thread w the seed plus w, so neighbouring seeds would repeat each other's draws;
    the seed that it gets here is drawn from `stream`. `random` and `numpy.random`, which MindSpore reseeds
    too, are left as they were.
    """
    python_state, numpy_state = random.getstate(), np.random.get_state()
    ds.config.set_seed(int(stream(seed, epoch, shard_id).integers(2**32)))
    random.setstate(python_state)
    np.random.set_state(numpy_state)
