import numpy as np
import pytest

from mindcv.data import default_val_split, is_encoded, open_source


def test_open_source_unknown_name_suggests_the_nearest():
    with pytest.raises(ValueError, match="no dataset 'cifar01'; did you mean 'cifar10'"):
        open_source("cifar01", None, "train")
    with pytest.raises(ValueError, match="choose from folder, imagenet, mindrecord, cifar10"):
        open_source("zzz", None, "train")


@pytest.mark.parametrize("name, split", [("imagenet", "val"), ("", "val"), ("mnist", "test"), ("digits", "val")])
def test_default_val_split_exists(name, split):
    assert default_val_split(name) == split


def test_is_encoded_for_folders_only():
    assert is_encoded("imagenet") and is_encoded("") and not is_encoded("cifar100")


def test_open_source_download_of_folder_raises(tmp_path):
    with pytest.raises(ValueError, match="'imagenet' cannot be downloaded; cifar10, cifar100, mnist can"):
        open_source("imagenet", str(tmp_path), "train", download=True)


def test_open_source_folder_without_root_raises():
    with pytest.raises(ValueError, match="needs a root"):
        open_source("folder", None, "train")


def test_open_source_with_other_class_names_raises():
    with pytest.raises(ValueError, match=r"the classes of digits are 0, 1, 2, 3, 4…, not a, b"):
        open_source("digits", None, "val", class_names=["a", "b"])


def test_digits_has_documented_sizes_and_disjoint_splits():
    train, val = open_source("digits", None, "train"), open_source("digits", None, "val")
    assert (len(train), len(val)) == (1438, 359)
    assert train.class_names == [str(i) for i in range(10)] and train.splits == ["train", "val"]
    for source in (train, val):
        image, label = source[0]
        assert image.shape == (8, 8, 3) and image.dtype == np.uint8 and label.dtype == np.int32
        assert source.images.max() == 255 and source.images.min() == 0
        assert set(np.unique(source.images)) == {round(ink * 255 / 16) for ink in range(17)}
    # Stratified: of every class a fifth is held out, and no image is in both.
    for digit in range(10):
        fraction = (val.labels == digit).sum() / ((val.labels == digit).sum() + (train.labels == digit).sum())
        assert abs(fraction - 0.2) < 0.005
    assert not {i.tobytes() for i in train.images} & {i.tobytes() for i in val.images}


def test_digits_unknown_split_raises():
    with pytest.raises(ValueError, match="no split 'test' in digits; it has train, val"):
        open_source("digits", None, "test")
