import numpy as np
import pytest

from mindcv.data import RandomFlip

IMAGE = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)


@pytest.mark.parametrize("hflip, vflip, expected", [
    (0, 0, IMAGE), (1, 0, IMAGE[:, ::-1]), (0, 1, IMAGE[::-1]), (1, 1, IMAGE[::-1, ::-1]),
])  # fmt: skip
def test_directions(hflip, vflip, expected):
    flip = RandomFlip(hflip, vflip)
    np.testing.assert_array_equal(flip(IMAGE), expected)
    for image in flip([IMAGE, IMAGE]):
        np.testing.assert_array_equal(image, expected)


def test_images_have_their_own_draws_and_their_views_the_same():
    flip = RandomFlip(0.5, 0.5)
    first, again, other = (flip([IMAGE] * 120, np.random.default_rng(seed), views=3) for seed in (0, 0, 1))
    kinds = [image.tobytes() for image in first]
    assert kinds == [image.tobytes() for image in again] != [image.tobytes() for image in other]
    assert kinds[:40] == kinds[40:80] == kinds[80:] and len(set(kinds)) == 4


@pytest.mark.parametrize("arguments, said", [((1.5,), "hflip must be 0 to 1, got 1.5"), ((0, -1), "vflip must be")])
def test_senseless_arguments(arguments, said):
    with pytest.raises(ValueError, match=said):
        RandomFlip(*arguments)
