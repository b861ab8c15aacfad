import logging
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mindcv.data import affordable_batches, create_dataset, epoch_order, usable_workers
from mindcv.data.dataset import _notice


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Ten images in two classes; image i is grey of level 20·i."""
    root = tmp_path_factory.mktemp("images")
    for i in range(10):
        folder = root / "train" / f"class{i // 5}"
        folder.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (20 * i,) * 3).save(folder / f"{i}.png")
    return str(root)


def rows(dataset):
    return list(dataset.create_tuple_iterator(num_epochs=1, output_numpy=True))


def labels(dataset):
    return [int(label) for _, label in rows(dataset)]


def which(dataset):
    """The indices of the images that a pass over the digits shows."""
    source = dataset.source
    known = {source[i][0].tobytes(): i for i in range(len(source))}
    return [known[image.tobytes()] for image, _ in rows(dataset)]


def test_columns(root):
    image, label = rows(create_dataset("folder", root, shuffle=False))[7]
    assert image.dtype == np.uint8 and image.tobytes() == Path(root, "train/class1/7.png").read_bytes()
    assert label.dtype == np.int32 and label.shape == () and label == 1
    image, label = rows(create_dataset("digits", split="val", shuffle=False))[0]
    assert image.shape == (8, 8, 3) and image.dtype == np.uint8


def test_every_pass_is_the_next_epoch():
    dataset = create_dataset("digits", split="val", seed=5, epoch=3)
    for epoch in (3, 4):
        assert dataset.epoch == epoch
        assert which(dataset) == epoch_order(359, epoch, 5, shuffle=True).tolist()


def test_several_epochs_of_one_iterator():
    dataset = create_dataset("digits", split="val", seed=5, num_samples=20)
    source = dataset.source
    iterator = dataset.create_tuple_iterator(num_epochs=3, output_numpy=True)
    for epoch in range(3):
        order = epoch_order(359, epoch, 5, shuffle=True, num_samples=20)
        np.testing.assert_array_equal([image for image, _ in iterator], [source[i][0] for i in order])
    assert dataset.epoch == 3


def test_looking_at_shapes_and_sizes_counts_no_epoch():
    dataset = create_dataset("digits", split="val", seed=5)
    batches = dataset.batch(8)
    batches.get_dataset_size(), batches.output_shapes(), batches.output_types(), batches.get_col_names()
    assert dataset.epoch == 0 and which(dataset)[:5] == epoch_order(359, 0, 5, shuffle=True).tolist()[:5]


def test_repeats_stand_beside_each_other_in_an_epoch_of_the_same_length():
    seen = which(create_dataset("digits", split="val", seed=5, num_aug_repeats=3))
    assert len(seen) == 359
    assert seen[:357] == np.repeat(epoch_order(359, 0, 5, shuffle=True)[:119], 3).tolist()
    assert which(create_dataset("digits", split="val", num_aug_repeats=1)) == which(
        create_dataset("digits", split="val")
    )


def test_shards_share_an_epoch():
    shards = [create_dataset("digits", split="val", num_shards=3, shard_id=k) for k in range(3)]
    seen = [which(shard) for shard in shards]
    assert [len(s) for s in seen] == [119] * 3 == [shard.get_dataset_size() for shard in shards]
    assert len(set().union(*seen)) == 357


def test_padding_is_labelled_minus_one(root):
    shards = [create_dataset("folder", root, shuffle=False, pad_to=8, num_shards=2, shard_id=k) for k in range(2)]
    seen = [labels(shard) for shard in shards]
    assert seen == [[0, 0, 0, 1, 1, -1, -1, -1], [0, 0, 1, 1, 1, -1, -1, -1]]
    assert shards[0].source.class_names == ["class0", "class1"]


@pytest.mark.parametrize(
    "arguments, said",
    [
        ({"num_aug_repeats": 3, "shuffle": False}, "always the same without shuffle=True"),
        ({"num_aug_repeats": -1}, "num_aug_repeats must be 0 or more, got -1"),
        ({"num_shards": 2}, "num_shards and shard_id go together, got 2 and None"),
        ({"num_shards": 2, "shard_id": 2}, "shard_id must be 0 to 1, got 2"),
        ({"num_samples": 0}, "num_samples is 0; it can be 1 to 10"),
        ({"num_samples": 11}, "num_samples is 11; it can be 1 to 10"),
        ({"pad_to": 0}, "pad_to must be 1 or more"),
        ({"num_parallel_workers": 0}, "num_parallel_workers must be 1 or more"),
    ],
)
def test_senseless_arguments(root, arguments, said):
    with pytest.raises(ValueError, match=said):
        create_dataset("folder", root, **arguments)


def test_unknown_argument_names_itself(root):
    with pytest.raises(TypeError, match="shufle"):
        create_dataset("folder", root, shufle=True)


def test_batches_ahead_take_a_sixteenth_of_the_memory(monkeypatch):
    monkeypatch.setattr(os, "sysconf", {"SC_PHYS_PAGES": 16 * 100, "SC_PAGE_SIZE": 4096}.get)  # 100 pages to take
    assert [affordable_batches(4096 * pages) for pages in (1, 10, 25, 80)] == [16, 10, 4, 2]
    assert affordable_batches(4096 * 10, processes=2) == 5


def test_more_workers_than_cores_are_clamped_with_one_notice(caplog, monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    _notice.cache_clear()
    with caplog.at_level(logging.WARNING, "mindcv"):
        assert [usable_workers(n) for n in (100, 100, 4, 3, None)] == [4, 4, 4, 3, 4]
    assert [r.getMessage() for r in caplog.records] == [
        "num_parallel_workers: 4, the cores of this machine, instead of 100"
    ]
