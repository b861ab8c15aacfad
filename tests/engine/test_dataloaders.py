import os
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from mindspore import Tensor
from PIL import Image

from mindcv.config import Config, ConfigError
from mindcv.data import Normalize, UnreadableImage, check
from mindcv.data.dataset import recent_images
from mindcv.distributed.context import DistributedContext
from mindcv.engine.build import build_loss
from mindcv.engine.dataloaders import (
    name_unreadable_images,
    open_training,
    open_validation,
    training_loader,
    validation_loader,
    write_bad_images,
)


def epoch(loader):
    """Return the batches of one epoch as lists of arrays."""
    return list(loader.create_tuple_iterator(num_epochs=1, output_numpy=True))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Return a folder of three classes with ten files each in train and in val; in each one file is not an image."""
    monkeypatch.setenv("MINDCV_HOME", str(tmp_path / "home"))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    rng = np.random.default_rng(0)
    for i in range(30):
        for split in ("train", "val"):
            path = tmp_path / split / f"class{i % 3}" / f"{i}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(0, 256, (24, 24, 3), dtype=np.uint8)).save(path)
    for split in ("train", "val"):
        (tmp_path / split / "class1/4.jpg").write_text("text")
    return tmp_path


@pytest.fixture
def config(folder):
    return Config(data_dir=str(folder), image_resize=16, batch_size=4, num_parallel_workers=2, on_bad_image="skip")


def test_training_and_validation_count_files_that_are_not_read(config, folder, caplog):
    for split in ("train", "val"):
        (folder / split / "class0/a.heix").touch()
    open_training(config), open_validation(config)
    for split in ("train", "val"):
        assert caplog.messages.count(f"{folder}/{split}: 1 file of a kind that is not read: 1 .heix") == 1


def test_skip_leaves_out_unreadable_images_and_lists_them(config, folder, caplog):
    training, validation = open_training(config), open_validation(config)
    assert len(training) == len(validation) == 29
    loader = training_loader(config, training, 3)
    assert len(epoch(loader)) == loader.get_dataset_size() == 7
    assert caplog.text.count("1 of 30 images cannot be read and are left out, such as") == 2
    write_bad_images(folder / "out", training, None, validation)
    heading, *lines = (folder / "out/bad_images.txt").read_text().splitlines()
    assert heading == "# unreadable images, listed by mindcv"
    assert [Path(line.split(": ")[0]).relative_to(folder).parts[0] for line in lines] == ["train", "val"]
    write_bad_images(folder / "out", open_training(config.replace(on_bad_image="raise"), waits=True))
    assert os.listdir(folder / "out") == []


def test_write_bad_images_archives_the_users_list(config, folder):
    notes = "beach.png: blurred, ask Anna\n"
    listed = folder / "out/bad_images.txt"
    listed.parent.mkdir()
    listed.write_text(notes)
    write_bad_images(folder / "out", open_training(config.replace(on_bad_image="raise"), waits=True))
    assert os.listdir(folder / "out") == ["bad_images.txt"]
    write_bad_images(folder / "out", open_training(config))
    assert (folder / "out/earlier-1/bad_images.txt").read_text() == notes
    assert listed.read_text().splitlines()[1].startswith(f"{folder}/train/class1/4.jpg: ")


REMEDIES = "--on_bad_image skip leaves such images out, python -m mindcv.data check lists them"


@pytest.mark.parametrize("open_images", [open_training, open_validation])
def test_raise_names_an_unreadable_image_of_a_small_folder_at_the_start(open_images, config, folder):
    config, split = config.replace(on_bad_image="raise"), "train" if open_images is open_training else "val"
    message = rf"^cannot read image {folder}/{split}/class1/4.jpg: not an image, .*: {REMEDIES}$"
    with pytest.raises(UnreadableImage, match=message):
        open_images(config)
    assert len(open_images(config, waits=True)) == 30, "one process of a machine decodes"


def test_raise_stops_at_an_unreadable_image_of_a_large_folder_and_names_it(config, folder, monkeypatch):
    monkeypatch.setattr(check, "MAX_CHECKED_AT_START", 29)
    config = config.replace(on_bad_image="raise")
    loader = training_loader(config, open_training(config), 3)
    with (
        pytest.raises(UnreadableImage, match=rf"^cannot read image .*/train/class1/4.jpg: .*: {REMEDIES}$"),
        name_unreadable_images(),
    ):
        epoch(loader)


@pytest.mark.parametrize("transforms", ["training", "validation"])
def test_damage_after_a_header_is_named_though_mindspore_finds_it(transforms, config, folder, monkeypatch):
    monkeypatch.setattr(check, "MAX_CHECKED_AT_START", 0)
    path = folder / "train/class0/3.jpg"
    data = bytearray(path.read_bytes())
    data[data.index(b"\xff\xda") + 5] = 9  # pixels of a component that the header does not have
    path.write_bytes(data)
    shutil.copyfile(path, folder / "val/class0/3.jpg")
    (folder / "train/class1/4.jpg").unlink(), (folder / "val/class1/4.jpg").unlink()
    config = config.replace(on_bad_image="raise")
    if transforms == "training":
        loader = training_loader(config, open_training(config), 3)
    else:
        loader = validation_loader(config, open_validation(config))
    with (
        pytest.raises(
            UnreadableImage, match=rf"^cannot read image .*/class0/3.jpg: broken data stream .*: {REMEDIES}$"
        ),
        name_unreadable_images(),
    ):
        epoch(loader)


def test_name_unreadable_images_turns_a_decoder_error_into_one_line_and_removes_its_dump(folder):
    error = RuntimeError("libjpeg: Bogus table\nDump the abnormal image to [./abnormal_image.jpg]. You can check")
    recent_images.clear()
    with (
        pytest.raises(UnreadableImage, match=rf"^an image cannot be decoded: {REMEDIES}$"),
        name_unreadable_images(),
    ):
        Path("abnormal_image.jpg").write_bytes(b"")
        raise error
    assert os.listdir() == []
    Path("abnormal_image.jpg").write_text("a file of the user")
    with pytest.raises(UnreadableImage), name_unreadable_images():
        raise error
    assert os.listdir() == ["abnormal_image.jpg"]


DIGITS = Config(dataset="digits", image_resize=16, batch_size=10, num_parallel_workers=2)


def test_aug_splits_loads_views_in_the_order_that_the_loss_compares():
    config = DIGITS.replace(auto_augment="augmix-m9", aug_splits=3, label_smoothing=0.1, num_samples=20)
    images, labels = epoch(training_loader(config, open_training(config), 10))[0]
    assert images.shape == (30, 3, 16, 16) and labels.shape == (30,)
    loss = build_loss(config)
    assert (loss.num_splits, loss.alpha) == (3, 12)
    logits = np.random.default_rng(0).standard_normal((30, 10)).astype(np.float32)
    compared = loss.set_train()(Tensor(logits), Tensor(labels)).asnumpy()
    alike = loss(Tensor(np.tile(logits[:10], (3, 1))), Tensor(labels)).asnumpy()
    clean = build_loss(config.replace(aug_splits=0))(Tensor(logits[:10]), Tensor(labels[:10])).asnumpy()
    assert alike == pytest.approx(clean, abs=1e-3) and compared > clean + 0.1


def test_open_training_with_sampling_ratio_takes_a_part_of_each_class():
    config = DIGITS.replace(sampling_ratio=0.1, seed=3)
    source = open_training(config)
    assert 140 <= len(source) <= 148
    assert not np.array_equal(source.indices, open_training(config.replace(seed=4)).indices)


def test_training_loader_repeats_images_and_stops_mixing_at_mixup_off_epoch():
    config = DIGITS.replace(aug_repeats=2, mixup=0.2, mixup_off_epoch=1, num_samples=20, hflip=0, color_jitter=None,
                            scale=(1, 1), ratio=(1, 1))  # fmt: skip
    loader = training_loader(config, open_training(config), 10)
    mixed, unmixed = epoch(loader), epoch(loader)
    assert any(((labels > 0) & (labels < 1)).any() for _, labels in mixed)
    for images, labels in unmixed:
        assert set(np.unique(labels)) == {0, 1}
        np.testing.assert_array_equal(images[::2], images[1::2])


@pytest.mark.parametrize("prefetch, fewest, most", [(1, 2, 8), (9, 10, 14)])  # and one in each worker
@pytest.mark.parametrize("make", [training_loader, lambda config, source, _classes: validation_loader(config, source)])
def test_loaders_prepare_at_most_prefetch_size_batches_ahead(make, prefetch, fewest, most, monkeypatch):
    made, normalize = [], Normalize.__call__
    monkeypatch.setattr(Normalize, "__call__", lambda *args: made.append(1) or normalize(*args))
    config = DIGITS.replace(prefetch_size=prefetch, batch_size=5)
    batches = make(config, open_training(config), 10).create_tuple_iterator(num_epochs=1, output_numpy=True)
    next(batches)
    seen = 0
    while len(made) != seen:  # until all queues are full
        seen = len(made)
        time.sleep(0.3)
    assert fewest <= seen <= most


def test_prefetch_size_by_default_follows_from_batch_bytes_and_processes(monkeypatch):
    calls = []
    monkeypatch.setattr("mindcv.engine.dataloaders.default_prefetch_size", lambda *args: calls.append(args) or 2)
    config = DIGITS.replace(image_resize=(16, 8), auto_augment="augmix", aug_splits=3)
    training_loader(config, open_training(config), 10)
    training_loader(config.replace(num_devices=4), open_training(config), 10, DistributedContext(0, 8))
    validation_loader(config, open_validation(config))
    one = 10 * 3 * 16 * 8 * 4
    assert calls == [(3 * one, 1), (3 * one, 4), (one, 1)]


@pytest.mark.parametrize("options, message", [
    ({"aug_repeats": 3, "shuffle": False}, "aug_repeats 3 would repeat the same images every epoch"),
    ({"aug_splits": 3}, "aug_splits 3 needs a policy for its views"),
    ({"aug_splits": 3, "auto_augment": "augmix", "mixup": 0.2}, "pass --mixup 0 --cutmix 0"),
    ({"aug_splits": 3, "auto_augment": "augmix", "loss": "BCE"}, "pass --loss CE, not BCE"),
    ({"mixup_off_epoch": 3}, "mixup_off_epoch is 3, but nothing is mixed"),
])  # fmt: skip
def test_config_with_contradicting_data_options_fails(options, message):
    with pytest.raises(ConfigError, match=message):
        DIGITS.replace(**options)
