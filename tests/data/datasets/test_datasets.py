import numpy as np
import pytest

from mindcv.data import default_val_split, is_encoded, open_source


def test_unknown_name_offers_the_nearest():
    with pytest.raises(ValueError, match="no dataset 'cifar01'; did you mean cifar10"):
        open_source("cifar01", None, "train")
    with pytest.raises(ValueError, match="known are folder, imagenet, mindrecord, cifar10"):
        open_source("zzz", None, "train")


@pytest.mark.parametrize("name, split", [("imagenet", "val"), ("", "val"), ("mnist", "test"), ("digits", "val")])
def test_default_val_split_is_what_the_data_set_has(name, split):
    assert default_val_split(name) == split


def test_which_are_encoded():
    assert is_encoded("imagenet") and is_encoded("") and not is_encoded("cifar100")


def test_what_cannot_be_downloaded_says_so(tmp_path):
    with pytest.raises(ValueError, match="'imagenet' cannot be downloaded; cifar10, cifar100, mnist can"):
        open_source("imagenet", str(tmp_path), "train", download=True)


def test_folder_needs_a_root():
    with pytest.raises(ValueError, match="needs a root"):
        open_source("folder", None, "train")


def test_other_class_names_than_the_data_set_has():
    with pytest.raises(ValueError, match=r"the classes of digits are 0, 1, 2, 3, 4…, not a, b"):
        open_source("digits", None, "val", class_names=["a", "b"])


def test_digits():
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
        share = (val.labels == digit).sum() / ((val.labels == digit).sum() + (train.labels == digit).sum())
        assert abs(share - 0.2) < 0.005
    assert not {i.tobytes() for i in train.images} & {i.tobytes() for i in val.images}


def test_digits_split_that_there_is_not():
    with pytest.raises(ValueError, match="no split 'test' in digits; it has train, val"):
        open_source("digits", None, "test")
