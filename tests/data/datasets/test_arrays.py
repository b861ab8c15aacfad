import numpy as np
import pytest

from mindcv.data.datasets.arrays import ArraySource

IMAGES = np.zeros((3, 2, 2), np.uint8)


@pytest.mark.parametrize("labels, class_names, message", [
    ([0, 1, 2], "ab", "image 2 of the data: got label 2, wanted 0 to 1: correct the labels"),
    ([0, -1, 1], "ab", "image 1 of the data: got label -1, wanted 0 to 1: correct the labels"),
    ([0, 2**32, 1], "ab", "image 1 of the data: got label 4294967296, wanted 0 to 1: correct the labels"),
    ([0, 1], "ab", r"the data: 3 images, but labels of shape \(2,\) and type int64: one integer for each image"),
    ([[0], [1], [1]], "ab", r"labels of shape \(3, 1\)"),
    ([0.0, 0.5, 1.0], "ab", r"labels of shape \(3,\) and type float64"),
    ([0, 1, 1], "aab", "the data: several classes are called a: give each a name of its own"),
])  # fmt: skip
def test_array_source_with_invalid_labels_raises(labels, class_names, message):
    with pytest.raises(ValueError, match=message):
        ArraySource(IMAGES, np.array(labels), class_names, [])


def test_array_source_converts_labels_to_int32():
    source = ArraySource(IMAGES, np.array([0, 1, 1], np.uint8), "ab", [])
    assert source.labels.dtype == np.int32 and source.labels.tolist() == [0, 1, 1]
