import random

import mindspore.dataset as ds
import numpy as np
import pytest

from mindcv.data import epoch_order, seed_pipeline


@pytest.mark.parametrize("size, shards", [(12, 3), (10, 4), (7, 1), (100, 8)])
@pytest.mark.parametrize("shuffle", [True, False])
def test_epoch_order_shards_are_disjoint_and_drop_only_the_remainder(size, shards, shuffle):
    parts = [epoch_order(size, 3, 1, shuffle, num_shards=shards, shard_id=k) for k in range(shards)]
    assert {len(part) for part in parts} == {size // shards}
    assert len(set(np.concatenate(parts))) == size // shards * shards <= size


def test_epoch_order_shards_see_together_what_one_device_sees():
    one_device = epoch_order(50, 2, 7, True).reshape(-1, 10)  # 5 steps of 10
    parts = [epoch_order(50, 2, 7, True, num_shards=5, shard_id=k).reshape(-1, 2) for k in range(5)]
    for step in range(5):
        assert set(one_device[step]) == {i for part in parts for i in part[step]}


def test_epoch_order_drops_other_images_each_epoch():
    dropped = [set(range(10)) - set(epoch_order(10, e, 0, True, num_shards=3)) for e in range(5)]
    assert len({frozenset(d) for d in dropped}) > 1


def test_epoch_order_follows_from_seed_and_epoch():
    orders = [tuple(epoch_order(20, e, s, True)) for e in range(3) for s in range(3)]
    assert len(set(orders)) == 9 and orders[4] == tuple(epoch_order(20, 1, 1, True))
    assert epoch_order(5).tolist() == [0, 1, 2, 3, 4]


def test_epoch_order_with_num_samples_is_the_start_of_the_order():
    np.testing.assert_array_equal(epoch_order(20, 1, 1, True, num_samples=6), epoch_order(20, 1, 1, True)[:6])


@pytest.mark.parametrize("size", [1, 11, 12, 13])
def test_epoch_order_padded_shards_have_every_image_once(size):
    parts = [epoch_order(size, pad_to=12, num_shards=3, shard_id=k) for k in range(3)]
    together = np.concatenate(parts)
    assert {len(part) % 4 for part in parts} == {0} and len({len(part) for part in parts}) == 1
    assert sorted(together[together < size]) == list(range(size)) and set(together[together >= size]) <= {size}
    assert len(together) == -(-size // 12) * 12


@pytest.mark.parametrize("size, shards", [(24, 4), (1000, 8), (100, 3)])
def test_epoch_order_copies_of_an_image_go_to_different_shards(size, shards):
    parts = [epoch_order(size, 2, 7, True, num_shards=shards, shard_id=k, repeats=3) for k in range(shards)]
    assert {len(part) for part in parts} == {size // shards}
    together = np.stack(parts, 1).ravel()  # step by step, as one shard would see it
    one_device = np.repeat(epoch_order(size, 2, 7, True), 3)[: len(together)]
    np.testing.assert_array_equal(together, one_device)
    images, copies = np.unique(together, return_counts=True)
    assert (copies == 3).sum() >= len(together) // 3 and copies.max() == 3
    for image in images:
        assert max((part == image).sum() for part in parts) == 1


def test_epoch_order_with_repeats_shows_all_images_over_epochs():
    shown = set().union(*(epoch_order(30, epoch, 0, True, repeats=3) for epoch in range(30)))
    assert shown == set(range(30))
    assert len(epoch_order(30, 0, 0, True, num_samples=12, repeats=3)) == 12


def test_seed_pipeline_leaves_python_and_numpy_random_state():
    random.seed(1), np.random.seed(1)
    expected = random.random(), np.random.rand()
    random.seed(1), np.random.seed(1)
    seeds = []
    for place in [(1, 0), (1, 1), (2, 0), (1, 0, 1), (1, 0)]:
        seed_pipeline(*place)
        seeds.append(ds.config.get_seed())
    assert (random.random(), np.random.rand()) == expected
    assert seeds[0] == seeds[-1] and len(set(seeds)) == 4
    # MindSpore adds a worker's number to the seed.
    assert min(abs(a - b) for a in seeds[:4] for b in seeds[:4] if a != b) > 1000


def test_epoch_order_of_many_repeats_costs_no_more_than_the_epoch():
    assert epoch_order(30, 0, 0, True, num_samples=12, repeats=10**12).tolist() == [epoch_order(30, 0, 0, True)[0]] * 12
