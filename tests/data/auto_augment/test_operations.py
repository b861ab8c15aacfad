"""Compare each operation with its definition in NumPy or with Pillow, on a smooth image."""

import numpy as np
import pytest
from mindspore.dataset import vision
from PIL import Image, ImageEnhance, ImageOps

from mindcv.data.auto_augment import operations as op
from mindcv.data.auto_augment.operations import OPERATIONS, AugmentContext

FILL = (10, 200, 30)
CONTEXT = AugmentContext(vision.Inter.BILINEAR, FILL)
HEIGHT, WIDTH = 40, 60


@pytest.fixture(scope="module")
def image():
    small = np.random.default_rng(0).integers(0, 256, (5, 6, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(small).resize((WIDTH, HEIGHT), Image.BICUBIC))


def resampled(image, source):
    """Return the image resampled bilinearly, and a mask of the pixels whose source lies inside it.

    Pixel (y, x) comes from `source(y, x)`; coordinates are relative to the centre.
    """
    middle = np.array([(HEIGHT - 1) / 2, (WIDTH - 1) / 2])
    y, x = np.mgrid[:HEIGHT, :WIDTH] - middle[:, None, None]
    y, x = np.array(source(y, x)) + middle[:, None, None]
    inside = (y >= 0) & (y <= HEIGHT - 1) & (x >= 0) & (x <= WIDTH - 1)
    top, left = np.clip(np.floor([y, x]), 0, [[[HEIGHT - 2]], [[WIDTH - 2]]]).astype(int)
    down, right = (y - top)[..., None], (x - left)[..., None]
    pixels = image.astype(float)
    upper = pixels[top, left] * (1 - right) + pixels[top, left + 1] * right
    lower = pixels[top + 1, left] * (1 - right) + pixels[top + 1, left + 1] * right
    return upper * (1 - down) + lower * down, inside


@pytest.mark.parametrize("degrees", [20.0, -135.0])
def test_rotate_matches_bilinear_resampling(image, degrees):
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    expected, inside = resampled(image, lambda y, x: (cos * y + sin * x, cos * x - sin * y))
    out = op.rotate(image, degrees, CONTEXT)
    assert np.abs(out - expected)[inside].max() < 4
    assert (out[0, 0] == FILL).all()


@pytest.mark.parametrize("rate", [0.3, -0.99])
def test_shear_matches_bilinear_resampling(image, rate):
    for shear, source in (
        (op.shear_x, lambda y, x: (y, x + rate * y)),
        (op.shear_y, lambda y, x: (y + rate * x, x)),
    ):
        expected, inside = resampled(image, source)
        out = shear(image, rate, CONTEXT)
        assert np.abs(out - expected)[inside].max() < 4
        assert (out == FILL).all(axis=-1).any()


def test_translate_shifts_by_whole_pixels_and_fills(image):
    for fraction, pixels in ((0.45, 27), (-0.1, -6), (0.0, 0), (1.5, WIDTH)):
        expected = np.broadcast_to(np.uint8(FILL), image.shape).copy()
        for x in range(WIDTH):
            if 0 <= x - pixels < WIDTH:
                expected[:, x] = image[:, x - pixels]
        np.testing.assert_array_equal(op.translate_x(image, fraction, CONTEXT), expected)
        np.testing.assert_array_equal(op.translate_x_pixels(image, float(pixels), CONTEXT), expected)
        turned = op.translate_y(image.transpose(1, 0, 2), fraction, CONTEXT)
        np.testing.assert_array_equal(turned, expected.transpose(1, 0, 2))
        np.testing.assert_array_equal(
            op.translate_y_pixels(image.transpose(1, 0, 2), float(pixels), CONTEXT), expected.transpose(1, 0, 2)
        )


def test_value_operations_match_their_definition(image):
    np.testing.assert_array_equal(op.invert(image, 0, CONTEXT), 255 - image)
    np.testing.assert_array_equal(op.identity(image, 0, CONTEXT), image)
    for bits in range(9):
        np.testing.assert_array_equal(op.posterize(image, bits, CONTEXT), image // 2 ** (8 - bits) * 2 ** (8 - bits))
    for threshold in (0, 100, 255, 256):
        np.testing.assert_array_equal(
            op.solarize(image, threshold, CONTEXT), np.where(image < threshold, image, 255 - image)
        )
    wide = image.astype(int)
    np.testing.assert_array_equal(
        op.solarize_add(image, 110, CONTEXT), np.where(wide < 128, np.minimum(wide + 110, 255), wide)
    )


@pytest.mark.parametrize("factor", [0.01, 0.5, 1.0, 1.9])
@pytest.mark.parametrize("operation, enhancer", [
    (op.color, ImageEnhance.Color), (op.contrast, ImageEnhance.Contrast), (op.brightness, ImageEnhance.Brightness),
    (op.sharpness, ImageEnhance.Sharpness),
])  # fmt: skip
def test_enhancer_matches_pillow(image, operation, enhancer, factor):
    expected = np.asarray(enhancer(Image.fromarray(image)).enhance(factor), int)
    assert np.abs(operation(image, factor, CONTEXT) - expected).max() <= 2


def test_histogram_operations_match_pillow_and_definition(image):
    dull = image // 2 + 20
    contrasted = np.asarray(ImageOps.autocontrast(Image.fromarray(dull)), int)
    assert np.abs(op.auto_contrast(dull, 0, CONTEXT) - contrasted).max() <= 1
    out = op.equalize(dull, 0, CONTEXT)
    for channel in range(3):
        up_to = np.cumsum(np.bincount(dull[..., channel].ravel(), minlength=256)).astype(float)
        least = up_to[up_to > 0][0]
        expected = (up_to - least) / (up_to[-1] - least) * 255
        assert np.abs(out[..., channel] - expected[dull[..., channel]]).max() <= 1


def test_blur_has_the_given_sigma():
    edge = np.zeros((41, 42, 3), np.uint8)
    edge[:, 21:] = 255
    slope = np.diff(op.blur(edge, 2.0, CONTEXT)[20, :, 0].astype(float)) / 255
    assert np.sqrt((slope * np.arange(-20, 21) ** 2).sum()) == pytest.approx(2.0, rel=0.05)
    np.testing.assert_array_equal(op.blur(edge, 0.1, CONTEXT), edge)


def amounts(name, magnitude):
    """Return all amounts that operation `name` draws at `magnitude`, 0 to 10."""
    rng = np.random.default_rng(0)
    return {round(OPERATIONS[name].amount(magnitude / 10, rng), 6) for _ in range(20)}


@pytest.mark.parametrize("name, weakest, nine, strongest", [
    ("Rotate", {0}, {27, -27}, {30, -30}),
    ("ShearX", {0}, {0.27, -0.27}, {0.3, -0.3}),
    ("ShearY", {0}, {0.27, -0.27}, {0.3, -0.3}),
    ("TranslateXRel", {0}, {0.405, -0.405}, {0.45, -0.45}),
    ("TranslateYRel", {0}, {0.405, -0.405}, {0.45, -0.45}),
    ("Posterize", {0}, {3}, {4}),
    ("PosterizeIncreasing", {4}, {1}, {0}),
    ("PosterizeOriginal", {4}, {7}, {8}),
    ("Solarize", {0}, {230}, {256}),
    ("SolarizeIncreasing", {256}, {26}, {0}),
    ("SolarizeAdd", {0}, {99}, {110}),
    ("Color", {0.1}, {1.72}, {1.9}),
    ("Brightness", {0.1}, {1.72}, {1.9}),
    ("ContrastIncreasing", {1}, {1.81, 0.19}, {1.9, 0.1}),
    ("SharpnessIncreasing", {1}, {1.81, 0.19}, {1.9, 0.1}),
    ("Desaturate", {0.5}, {0.05}, {0}),
])  # fmt: skip
def test_amount_at_magnitude_equals_published_value(name, weakest, nine, strongest):
    assert [amounts(name, m) for m in (0, 9, 10)] == [weakest, nine, strongest]


def test_blur_sigma_spans_its_range():
    drawn = [OPERATIONS["GaussianBlur"].amount(1.0, rng) for rng in [np.random.default_rng(0)] for _ in range(300)]
    assert 0.1 <= min(drawn) < 0.2 and 1.9 < max(drawn) <= 2.0
