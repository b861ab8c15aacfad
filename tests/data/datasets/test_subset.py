import numpy as np
import pytest

from mindcv.data.datasets import open_source
from mindcv.data.datasets.arrays import ArraySource
from mindcv.data.datasets.subset import Subset, class_balanced


def test_a_subset_is_a_source():
    whole = open_source("digits", None, "val")
    part = Subset(Subset(whole, np.array([5, 3, 8, 1])), np.array([2, 0]))
    assert len(part) == 2 and part.class_names == whole.class_names and not part.encoded
    for i, there in enumerate((8, 5)):
        np.testing.assert_array_equal(part[i][0], whole[there][0])
        assert part[i][1] == part.labels[i] == whole.labels[there]


@pytest.mark.parametrize("ratio", [0.1, 0.3, 1.0])
def test_every_class_keeps_its_share(ratio):
    whole = open_source("digits", None, "train")
    part = class_balanced(whole, ratio, seed=3)
    counts = np.bincount(whole.labels)
    np.testing.assert_allclose(np.bincount(part.labels), ratio * counts, atol=0.5)
    assert len(set(part.chosen)) == len(part) and (np.diff(part.chosen) > 0).all()


def test_the_draw_follows_from_the_seed():
    whole = open_source("digits", None, "train")
    chosen = [tuple(class_balanced(whole, 0.1, seed).chosen) for seed in (1, 1, 2)]
    assert chosen[0] == chosen[1] != chosen[2]


def test_small_classes_keep_one_and_absent_ones_none():
    source = ArraySource(np.zeros((23, 2, 2), np.uint8), np.array([0] * 20 + [2] * 3), ["a", "b", "c"], [])
    assert np.bincount(class_balanced(source, 0.1, 0).labels).tolist() == [2, 0, 1]


@pytest.mark.parametrize("ratio", [0, -1, 1.5])
def test_no_such_share(ratio):
    with pytest.raises(ValueError, match="sampling_ratio must be above 0 and at most 1"):
        class_balanced(open_source("digits", None, "val"), ratio, 0)
