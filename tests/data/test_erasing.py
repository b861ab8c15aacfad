import numpy as np
import pytest

from mindcv.data import RandomErasing


def rectangles(erasing, count=400, shape=(40, 60), seed=0):
    """Return (top, left, height, width) of the erased rectangles of `count` images of ones, (4, n)."""
    images = erasing(np.ones((count, 3, *shape), np.float32), np.random.default_rng(seed))
    found = []
    for image in images:
        erased = image[0] != 1
        assert all(((channel != 1) == erased).all() for channel in image)
        rows, columns = np.flatnonzero(erased.any(1)), np.flatnonzero(erased.any(0))
        if len(rows):
            assert erased[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()
            found.append((rows[0], columns[0], len(rows), len(columns)))
    return np.array(found, float).T


def test_erasing_area_and_ratio_span_their_ranges():
    _, _, height, width = rectangles(RandomErasing(1.0, scale=(0.1, 0.3), ratio=(0.5, 2.0)))
    area, ratio = height * width / 2400, height / width
    assert len(area) == 400
    assert 0.08 < area.min() < 0.12 and 0.28 < area.max() < 0.33
    assert 0.42 < ratio.min() < 0.6 and 1.7 < ratio.max() < 2.2
    assert abs((ratio > 1).mean() - 0.5) < 0.15  # tall as often as wide


def test_erasing_covers_all_of_the_image():
    top, left, height, width = rectangles(RandomErasing(1.0, scale=(0.05, 0.05), ratio=(1, 1)))
    assert top.min() == 0 and (top + height).max() == 40 and left.min() == 0 and (left + width).max() == 60


def test_erasing_prob_is_the_fraction_of_erased_images():
    assert abs(len(rectangles(RandomErasing(0.25))[0]) / 400 - 0.25) < 0.06
    assert rectangles(RandomErasing(0.0)).size == 0


def test_erasing_writes_value_per_channel_or_noise():
    images = np.ones((1, 3, 20, 20), np.float32)
    (image,) = RandomErasing(1.0, value=(5, 6, 7))(images.copy(), np.random.default_rng(0))
    assert [set(np.unique(channel)) for channel in image] == [{1, 5}, {1, 6}, {1, 7}]
    (image,) = RandomErasing(1.0, scale=(0.3, 0.33), value="random")(images.copy(), np.random.default_rng(0))
    noise = image[image != 1]
    assert len(noise) > 300 and abs(noise.mean()) < 0.2 and abs(noise.std() - 1) < 0.2


def test_erasing_that_never_fits_leaves_the_image():
    wide = RandomErasing(1.0, scale=(1, 1), ratio=(3, 3), max_attempts=3)
    assert rectangles(wide, count=20).size == 0


def test_erasing_follows_from_rng():
    image = np.ones((3, 20, 20), np.float32)
    one, same, other = (RandomErasing(1.0)(image.copy(), np.random.default_rng(s)) for s in (0, 0, 1))
    assert (one == 0).any() and (one == same).all() and (one != other).any()
    assert (RandomErasing(1.0)(image.copy()) == 0).any()


@pytest.mark.parametrize("name, value", [("const", 0), ("pixel", "random")])
def test_erasing_value_may_be_named_as_in_timm(name, value):
    image = np.ones((3, 20, 20), np.float32)
    named, expected = (
        RandomErasing(1.0, value=either)(image.copy(), np.random.default_rng(0)) for either in (name, value)
    )
    assert (named == expected).all() and (named != 1).any()


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"prob": 1.5}, "re_prob is 1.5; it must be at least 0 and at most 1"),
        ({"scale": (0.5, 0.1)}, "re_scale is 0.5, 0.1; it must be two rising"),
        ({"scale": (0.5, 2)}, "re_scale"),
        ({"ratio": (0, 1)}, "re_ratio"),
        ({"value": "noise"}, "re_value"),
        ({"max_attempts": 0}, "re_max_attempts"),
    ],
)
def test_erasing_with_invalid_argument_raises(arguments, message):
    with pytest.raises(ValueError, match=message):
        RandomErasing(**arguments)
