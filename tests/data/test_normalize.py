import numpy as np
import pytest
from PIL import Image

from mindcv.data import Normalize


def test_normalize_image_and_batch_match_numpy():
    images = np.random.default_rng(0).integers(0, 256, (2, 4, 5, 3), dtype=np.uint8)
    mean, std = np.array([1.0, 2, 3]), np.array([10.0, 20, 30])
    expected = ((images - mean) / std).transpose(0, 3, 1, 2)
    batch = Normalize(mean, std)(list(images))
    assert batch.dtype == np.float32
    np.testing.assert_allclose(batch, expected, atol=2e-6)
    np.testing.assert_array_equal(Normalize(mean, std)(images[1]), batch[1])


def test_normalize_with_one_mean_converts_to_grey():
    images = np.random.default_rng(0).integers(0, 256, (2, 4, 5, 3), dtype=np.uint8)
    grey = np.stack([np.asarray(Image.fromarray(image).convert("L"), np.float64) for image in images])
    batch = Normalize([100], [50])(list(images))
    assert batch.shape == (2, 1, 4, 5)
    np.testing.assert_allclose(batch[:, 0], (grey - 100) / 50, atol=1 / 50)  # Pillow rounds to whole levels


def test_normalize_reuses_memory_after_its_last_view_is_deleted():
    normalize = Normalize([0], [1])
    images = [np.full((2, 2, 1), level, np.uint8) for level in range(5)]
    first = normalize(images[:2])
    address, view = first.ctypes.data, first[1:]
    del first
    second = normalize(images[2:4])
    assert second.ctypes.data != address and (view == 1).all()
    del view
    third = normalize(images[3:])
    assert third.ctypes.data == address and (third[0] == 3).all() and (second[0] == 2).all()
    assert normalize(images[:1]).shape == (1, 1, 2, 2) and (third[0] == 3).all()


def test_normalize_mean_0_and_std_1_leave_pixels_as_they_are():
    pixels = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    np.testing.assert_array_equal(Normalize([0] * 3, [1] * 3)(pixels), pixels.transpose(2, 0, 1).astype(np.float32))


@pytest.mark.parametrize("mean, std", [([0], [0]), ([0, 0], [1]), (1, 1)])
def test_normalize_with_invalid_mean_or_std_raises(mean, std):
    with pytest.raises(ValueError, match=r"mean is .* and std is .*; both must have one number per channel"):
        Normalize(mean, std)
