import numpy as np
import pytest

from mindcv.data.datasets import open_source
from mindcv.data.datasets.arrays import ArraySource
from mindcv.data.datasets.subset import Subset, stratified_subset


def test_subset_of_a_subset_has_images_labels_and_classes():
    source = open_source("digits", None, "val")
    part = Subset(Subset(source, np.array([5, 3, 8, 1])), np.array([2, 0]))
    assert len(part) == 2 and part.class_names == source.class_names and not part.encoded
    for i, there in enumerate((8, 5)):
        np.testing.assert_array_equal(part[i][0], source[there][0])
        assert part[i][1] == part.labels[i] == source.labels[there]


@pytest.mark.parametrize("ratio", [0.1, 0.3, 1.0])
def test_stratified_subset_keeps_the_fraction_of_every_class(ratio):
    source = open_source("digits", None, "train")
    part = stratified_subset(source, ratio, seed=3)
    counts = np.bincount(source.labels)
    np.testing.assert_allclose(np.bincount(part.labels), ratio * counts, atol=0.5)
    assert len(set(part.indices)) == len(part) and (np.diff(part.indices) > 0).all()


def test_stratified_subset_follows_from_the_seed():
    source = open_source("digits", None, "train")
    drawn = [tuple(stratified_subset(source, 0.1, seed).indices) for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_stratified_subset_keeps_at_least_one_image_per_class():
    source = ArraySource(np.zeros((23, 2, 2), np.uint8), np.array([0] * 20 + [2] * 3), ["a", "b", "c"], [])
    assert np.bincount(stratified_subset(source, 0.1, 0).labels).tolist() == [2, 0, 1]


@pytest.mark.parametrize("ratio", [0, -1, 1.5])
def test_stratified_subset_with_invalid_fraction_raises(ratio):
    with pytest.raises(ValueError, match=f"sampling_ratio is {ratio}; it must be above 0 and at most 1"):
        stratified_subset(open_source("digits", None, "val"), ratio, 0)
