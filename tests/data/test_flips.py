import numpy as np
import pytest

from mindcv.data import RandomFlip

IMAGE = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)


@pytest.mark.parametrize("hflip, vflip, expected", [
    (0, 0, IMAGE), (1, 0, IMAGE[:, ::-1]), (0, 1, IMAGE[::-1]), (1, 1, IMAGE[::-1, ::-1]),
])  # fmt: skip
def test_flip_mirrors_in_the_given_directions(hflip, vflip, expected):
    flip = RandomFlip(hflip, vflip)
    np.testing.assert_array_equal(flip(IMAGE), expected)
    for image in flip([IMAGE, IMAGE]):
        np.testing.assert_array_equal(image, expected)


def test_flip_mirrors_views_of_an_image_alike():
    flip = RandomFlip(0.5, 0.5)
    first, again, other = (flip([IMAGE] * 120, np.random.default_rng(seed), views=3) for seed in (0, 0, 1))
    kinds = [image.tobytes() for image in first]
    assert kinds == [image.tobytes() for image in again] != [image.tobytes() for image in other]
    assert kinds[:40] == kinds[40:80] == kinds[80:] and len(set(kinds)) == 4


@pytest.mark.parametrize(
    "arguments, message",
    [((1.5,), "hflip is 1.5; it must be at least 0 and at most 1"), ((0, -1), "vflip is -1; it must be")],
)
def test_flip_with_invalid_probability_raises(arguments, message):
    with pytest.raises(ValueError, match=message):
        RandomFlip(*arguments)
