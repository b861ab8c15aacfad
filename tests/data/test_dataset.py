import io
import logging
import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import psutil
import pytest
from PIL import Image

from mindcv.data import create_dataset, default_prefetch_size, epoch_order, usable_workers
from mindcv.errors import warn_once


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


def shown_indices(dataset):
    """Return the indices of the images that a pass over the digits shows."""
    source = dataset.source
    known = {source[i][0].tobytes(): i for i in range(len(source))}
    return [known[image.tobytes()] for image, _ in rows(dataset)]


def test_create_dataset_has_image_and_label_columns(root):
    image, label = rows(create_dataset("folder", root, shuffle=False))[7]
    assert image.dtype == np.uint8
    with Image.open(io.BytesIO(image.tobytes())) as shown, Image.open(Path(root, "train/class1/7.png")) as original:
        np.testing.assert_array_equal(shown, original.convert("RGB"))
    assert label.dtype == np.int32 and label.shape == () and label == 1
    image, label = rows(create_dataset("digits", split="val", shuffle=False))[0]
    assert image.shape == (8, 8, 3) and image.dtype == np.uint8


def test_create_dataset_shows_next_epoch_at_every_pass():
    dataset = create_dataset("digits", split="val", seed=5, epoch=3)
    for epoch in (3, 4):
        assert dataset.epoch == epoch
        assert shown_indices(dataset) == epoch_order(359, epoch, 5, shuffle=True).tolist()


def test_create_dataset_iterator_of_several_epochs_shows_each():
    dataset = create_dataset("digits", split="val", seed=5, num_samples=20)
    source = dataset.source
    iterator = dataset.create_tuple_iterator(num_epochs=3, output_numpy=True)
    for epoch in range(3):
        order = epoch_order(359, epoch, 5, shuffle=True, num_samples=20)
        np.testing.assert_array_equal([image for image, _ in iterator], [source[i][0] for i in order])
    assert dataset.epoch == 3


def test_create_dataset_getters_do_not_count_as_epochs():
    dataset = create_dataset("digits", split="val", seed=5)
    batches = dataset.batch(8)
    batches.get_dataset_size(), batches.output_shapes(), batches.output_types(), batches.get_col_names()
    assert dataset.epoch == 0 and shown_indices(dataset)[:5] == epoch_order(359, 0, 5, shuffle=True).tolist()[:5]


def test_create_dataset_with_num_aug_repeats_shows_copies_in_succession():
    shown = shown_indices(create_dataset("digits", split="val", seed=5, num_aug_repeats=3))
    assert len(shown) == 359
    assert shown[:357] == np.repeat(epoch_order(359, 0, 5, shuffle=True)[:119], 3).tolist()
    assert shown_indices(create_dataset("digits", split="val", num_aug_repeats=1)) == shown_indices(
        create_dataset("digits", split="val")
    )


def test_create_dataset_shards_are_disjoint():
    shards = [create_dataset("digits", split="val", num_shards=3, shard_id=k) for k in range(3)]
    shown = [shown_indices(shard) for shard in shards]
    assert [len(s) for s in shown] == [119] * 3 == [shard.get_dataset_size() for shard in shards]
    assert len(set().union(*shown)) == 357


def test_create_dataset_with_pad_to_adds_images_labelled_minus_one(root):
    shards = [create_dataset("folder", root, shuffle=False, pad_to=8, num_shards=2, shard_id=k) for k in range(2)]
    shown = [labels(shard) for shard in shards]
    assert shown == [[0, 0, 0, 1, 1, -1, -1, -1], [0, 0, 1, 1, 1, -1, -1, -1]]
    assert shards[0].source.class_names == ["class0", "class1"]


def test_create_dataset_with_more_samples_than_images_shows_all_with_a_warning(root, caplog):
    assert len(labels(create_dataset("folder", root, num_samples=11))) == 10
    assert "num_samples is 11, but there are 10 images" in caplog.text


def test_dataset_knows_its_number_of_classes(root):
    dataset = create_dataset("ImageNet", root)
    assert dataset.num_classes() == 2


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"num_aug_repeats": 3, "shuffle": False}, "always the same without shuffle=True"),
        ({"num_aug_repeats": -1}, "num_aug_repeats is -1; it must be at least 0"),
        ({"num_shards": 2}, "num_shards and shard_id go together, got 2 and None"),
        ({"num_shards": 2, "shard_id": 2}, "shard_id is 2; it must be at least 0 and below 2"),
        ({"num_samples": 0}, "num_samples is 0; it must be at least 1"),
        ({"pad_to": 0}, "pad_to is 0; it must be at least 1"),
        ({"num_parallel_workers": 0}, "num_parallel_workers is 0; it must be at least 1"),
    ],
)
def test_create_dataset_with_invalid_argument_raises(root, arguments, message):
    with pytest.raises(ValueError, match=message):
        create_dataset("folder", root, **arguments)


def test_create_dataset_with_unknown_argument_raises(root):
    with pytest.raises(TypeError, match="shufle"):
        create_dataset("folder", root, shufle=True)


def test_usable_workers_by_default_are_the_cores_of_the_process_divided_by_the_devices(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: range(96))
    assert [usable_workers(None, devices) for devices in (1, 4, 8, 64, 128)] == [24, 24, 12, 1, 1]
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert [usable_workers(None), usable_workers(None, 2)] == [6, 3]


def test_default_prefetch_size_takes_a_sixteenth_of_the_memory(monkeypatch):
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(total=16 * 100 * 4096))  # 100 pages to take
    assert [default_prefetch_size(4096 * pages) for pages in (1, 10, 25, 80)] == [16, 10, 4, 2]
    assert default_prefetch_size(4096 * 10, processes=2) == 5


def test_usable_workers_above_the_cores_warns_once(caplog, monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    warn_once.cache_clear()
    with caplog.at_level(logging.WARNING, "mindcv"):
        assert [usable_workers(n) for n in (100, 100, 4, 3)] == [4, 4, 4, 3]
    assert [r.getMessage() for r in caplog.records] == [
        "num_parallel_workers: 4, the cores of this machine, instead of 100"
    ]
