import shutil

import numpy as np
import pytest
from PIL import Image

from mindcv.data.datasets import open_source
from mindcv.data.datasets.arrays import ArraySource
from mindcv.data.datasets.digest import list_digest
from mindcv.data.datasets.subset import Subset
from mindcv.data.pack import pack


@pytest.fixture
def root(tmp_path):
    """Five images in two classes, with equal names in both."""
    for name in ("train/cat/1.png", "train/cat/2 é.png", "train/dog/1.png", "train/dog/3.png", "train/dog/4.png"):
        path = tmp_path / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 3)).save(path)
    return tmp_path / "images"


def digest(root, name="folder", **more):
    return list_digest(open_source(name, str(root), "train", **more))


def test_list_digest_of_the_same_list_elsewhere_or_in_another_order_is_equal(root, tmp_path):
    before, source = digest(root), open_source("folder", str(root), "train")
    assert list_digest(Subset(source, np.array([4, 2, 0, 1, 3]))) == before
    shutil.move(root, tmp_path / "moved")
    assert digest(tmp_path / "moved") == before


@pytest.mark.parametrize("class_names", [None, ["emu", "dog", "cat"]])
def test_list_digest_of_packed_images_equals_their_folders(class_names, root, tmp_path):
    pack(open_source("folder", str(root), "train"), tmp_path / "packed/train", shards=2)
    packed = digest(tmp_path / "packed", "mindrecord", class_names=class_names)
    assert packed == digest(root, class_names=class_names)


def rename(root):
    (root / "train/cat/1.png").rename(root / "train/cat/7.png")


def move_to_another_class(root):
    (root / "train/dog/4.png").rename(root / "train/cat/4.png")


def exchange_between_classes(root):
    (root / "train/cat/2 é.png").rename(root / "train/dog/2 é.png")
    (root / "train/dog/3.png").rename(root / "train/cat/3.png")


def add(root):
    shutil.copy(root / "train/dog/4.png", root / "train/dog/5.png")


def remove(root):
    (root / "train/dog/4.png").unlink()


@pytest.mark.parametrize("change", [rename, move_to_another_class, exchange_between_classes, add, remove])
def test_list_digest_changes_with_the_list(change, root):
    before = digest(root)
    change(root)
    assert digest(root) != before


def test_list_digest_changes_with_labels_and_excluded_images(root):
    source = open_source("folder", str(root), "train")
    relabelled = open_source("folder", str(root), "train", class_names=["dog", "cat"])
    part = Subset(source, np.arange(4))
    assert len({list_digest(each) for each in (source, relabelled, part)}) == 3


def test_list_digest_of_arrays_changes_with_pixels_and_labels():
    images, labels = np.arange(48, dtype=np.uint8).reshape(3, 4, 4), np.array([0, 1, 1])

    def of(order=(0, 1, 2), images=images, labels=labels):
        return list_digest(ArraySource(images[list(order)], labels[list(order)], ["a", "b"], []))

    assert of() == of(order=(2, 0, 1))
    assert len({of(), of(images=images + 1), of(labels=np.array([1, 0, 1]))}) == 3


def test_list_digest_does_not_change_between_versions():
    """Checkpoints contain it."""
    source = ArraySource(np.zeros((2, 1, 1), np.uint8), np.array([0, 1]), ["a", "b"], [])
    assert list_digest(source) == "dabeb24955a9b4c2e9e417ee09f2ef3b"
