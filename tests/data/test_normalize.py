import numpy as np
import pytest

from mindcv.data import Normalize


def test_one_image_and_a_batch():
    images = np.random.default_rng(0).integers(0, 256, (2, 4, 5, 3), dtype=np.uint8)
    mean, std = np.array([1.0, 2, 3]), np.array([10.0, 20, 30])
    expected = ((images - mean) / std).transpose(0, 3, 1, 2)
    batch = Normalize(mean, std)(list(images))
    assert batch.dtype == np.float32
    np.testing.assert_allclose(batch, expected, atol=2e-6)
    np.testing.assert_array_equal(Normalize(mean, std)(images[1]), batch[1])


@pytest.mark.parametrize("mean, std", [([0], [0]), ([0, 0], [1]), (1, 1)])
def test_senseless(mean, std):
    with pytest.raises(ValueError, match="mean and std"):
        Normalize(mean, std)
