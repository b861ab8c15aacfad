"""Compare with Pillow and NumPy; MindSpore's interpolation differs from Pillow's by a few grey levels."""

import mindspore.dataset as ds
import numpy as np
import pytest
from mindspore.dataset import vision
from PIL import Image

from mindcv.data import create_transforms
from mindcv.data.transforms import OPTIONS

MEAN, STD = np.array(OPTIONS["mean"]), np.array(OPTIONS["std"])


def smooth(width, height, seed=0):
    small = np.random.default_rng(seed).integers(0, 256, (5, 6, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(small).resize((width, height), Image.BICUBIC))


def apply(operations, images):
    """Return each of `images` after the operations, run by a MindSpore pipeline with one worker."""
    data = ds.GeneratorDataset(lambda: ((i,) for i in images), ["image"]).map(
        operations, "image", num_parallel_workers=1
    )
    return [row[0] for row in data.create_tuple_iterator(num_epochs=1, output_numpy=True)]


def pixels(image):
    """Undo the normalisation: (3, H, W) float32 to (H, W, 3) in 0..255."""
    return image.transpose(1, 2, 0) * STD + MEAN


@pytest.mark.parametrize("size", [32, (32, 32), (48, 24), (24, 48)])
@pytest.mark.parametrize("interpolation, tolerance", [("bilinear", 3), ("bicubic", 3), ("pilcubic", 1.1)])
@pytest.mark.parametrize("shape", [(60, 80), (100, 40)])
def test_evaluation_transforms_match_pillow(size, interpolation, tolerance, shape):
    image = smooth(shape[1], shape[0])
    operations = create_transforms("digits", size, crop_pct=0.8, interpolation=interpolation)
    (out,) = apply(operations, [image])
    height, width = (size, size) if np.isscalar(size) else size
    assert out.shape == (3, height, width) and out.dtype == np.float32
    scale = max(height / 0.8 / shape[0], width / 0.8 / shape[1])
    resized_size = (int(shape[1] * scale + 1e-9), int(shape[0] * scale + 1e-9))
    resized = Image.fromarray(image).resize(
        resized_size, Image.BILINEAR if interpolation == "bilinear" else Image.BICUBIC
    )
    left, top = (resized_size[0] - width) // 2, (resized_size[1] - height) // 2
    # For odd margins, the centre may lie half a pixel to either side.
    centres = [(left + x, top + y, left + x + width, top + y + height) for x in (0, 1) for y in (0, 1)]
    assert min(np.abs(pixels(out) - np.asarray(resized.crop(box))).max() for box in centres) <= tolerance


def test_evaluation_transforms_normalise_exactly():
    image = smooth(32, 32)
    (out,) = apply(create_transforms("digits", 32, crop_pct=1.0, mean=[1, 2, 3], std=[4, 5, 6]), [image])
    expected = (image.astype(float) - [1, 2, 3]) / [4, 5, 6]
    np.testing.assert_allclose(out, expected.transpose(2, 0, 1), rtol=0, atol=1e-5)


def test_transforms_decode_files_but_not_arrays(tmp_path):
    Image.fromarray(smooth(40, 30)).save(tmp_path / "a.png")
    encoded = np.fromfile(tmp_path / "a.png", np.uint8)
    for training in (False, True):
        options = {"scale": (1, 1), "ratio": (4 / 3, 4 / 3), "hflip": 0, "color_jitter": 0} if training else {}
        (file,) = apply(create_transforms("folder", 24, training, **options), [encoded])
        (array,) = apply(create_transforms("digits", 24, training, **options), [smooth(40, 30)])
        np.testing.assert_allclose(file, array, atol=1 / 50)


def test_training_crops_span_scale_and_ratio():
    # Each pixel holds its position, so that the corners of a crop tell its rectangle.
    side = 256
    where = np.zeros((side, side, 3), np.uint8)
    where[..., 0], where[..., 1] = np.arange(side), np.arange(side)[:, None]
    options = {"scale": (0.1, 0.4), "ratio": (0.5, 2.0), "hflip": 0.0, "color_jitter": 0}
    areas, ratios, centres = [], [], []
    for out in apply(create_transforms("digits", 64, True, **options), [where] * 300):
        x, y = pixels(out)[..., 0], pixels(out)[..., 1]
        width, height = ((v.max() - v.min()) * 64 / 63 for v in (x, y))
        areas.append(width * height / side**2)
        ratios.append(width / height)
        centres.append((x.mean(), y.mean()))
    assert 0.09 < min(areas) < 0.13 and 0.36 < max(areas) < 0.42
    assert 0.47 < min(ratios) < 0.6 and 1.7 < max(ratios) < 2.1
    assert np.ptp(centres, axis=0).min() > 100 and np.abs(np.mean(centres, axis=0) - 127.5).max() < 10


def flips(hflip, vflip, count=1000):
    image = np.zeros((8, 8, 3), np.uint8)
    image[0, 0] = 255
    plain = {"scale": (1, 1), "ratio": (1, 1), "color_jitter": 0, "interpolation": "nearest"}
    outs = apply(create_transforms("digits", 8, True, hflip=hflip, vflip=vflip, **plain), [image] * count)
    return np.array([np.argwhere(out[0] > 0)[0] > 3 for out in outs], float).T


def test_flips_have_their_probabilities_and_are_independent():
    down, right = flips(hflip=0.5, vflip=0.2)
    assert abs(right.mean() - 0.5) < 0.06 and abs(down.mean() - 0.2) < 0.05
    assert abs(np.corrcoef(down, right)[0, 1]) < 0.1
    assert not flips(0, 0, 50).any() and flips(1, 1, 50).all()


@pytest.mark.parametrize("jitter", [(0.4, 0, 0), (0, 0.4, 0), (0, 0, 0.4), 0.4, (0.4, 0.4, 0.4, 0.1)])
def test_flips_are_independent_of_color_jitter(jitter):
    """MindSpore seeds all operations alike, so that flips by its own operations would be correlated with colours."""
    image = np.full((8, 8, 3), (150, 90, 60), np.uint8)
    image[:4] //= 2
    image[0, 0] = 255
    plain = {"scale": (1, 1), "ratio": (1, 1), "interpolation": "nearest", "color_jitter": jitter}
    outs = apply(create_transforms("digits", 8, True, hflip=0.5, vflip=0.5, **plain), [image] * 1000)
    images = np.stack([pixels(out) for out in outs])
    corner = images.sum(-1).reshape(1000, -1).argmax(1)
    right, down = corner % 8 > 3, corner // 8 > 3
    mean = images.mean((1, 2, 3))
    contrast = np.abs(images[:, 1:4].mean((1, 2, 3)) - images[:, 4:7].mean((1, 2, 3))) / mean
    saturation = (images[..., 0] - images[..., 2]).mean((1, 2)) / mean
    for colour in (mean, contrast, saturation):
        if colour.std() > 1e-3:
            assert abs(np.corrcoef(right, colour)[0, 1]) < 0.12
            assert abs(np.corrcoef(down, colour)[0, 1]) < 0.12


def test_color_jitter_brightness_spans_its_range():
    image = np.full((8, 8, 3), 100, np.uint8)
    operations = create_transforms("digits", 8, True, color_jitter=(0.4, 0, 0), hflip=0)
    levels = [pixels(out).mean() for out in apply(operations, [image] * 300)]
    assert 59 < min(levels) < 64 and 136 < max(levels) < 141


def test_auto_augment_replaces_color_jitter_after_the_crop():
    def names(**options):
        return [type(operation).__name__ for operation in create_transforms("", 8, True, re_prob=0.1, **options)]

    assert names() == ["RandomCropDecodeResize", "RandomColorAdjust", "RandomFlip", "Normalize", "RandomErasing"]
    for text, policy in (
        ("randaug-m9", "RandAugment"),
        ("autoaug", "AutoAugment"),
        ("augmix", "AugMix"),
        ("3a", "AutoAugment"),
    ):
        crop, own, flip, *_ = names(auto_augment=text)
        assert (crop, own, flip) == ("RandomCropDecodeResize", policy, "RandomFlip")
    assert "AutoAugment" not in [type(o).__name__ for o in create_transforms("", 8, False, "autoaug")]


def test_auto_augment_has_mean_as_fill_and_the_crops_interpolation():
    policy = create_transforms("", 8, True, "autoaug", interpolation="bicubic")[1]
    assert policy.context == (vision.Inter.BICUBIC, (124, 116, 104))
    assert len(create_transforms("", 8, True, "3a", color_jitter=(0.4, 0, 0.2))[1].final_steps) == 2


def test_transforms_separate_returns_three_lists_in_training():
    first, policy, last = create_transforms("", 8, True, "augmix-m3-w3", separate=True, re_prob=0.1)
    assert [len(first), len(policy), len(last)] == [1, 1, 3]
    assert len(create_transforms("", 8, separate=True)) == 4, "one list in evaluation"


def test_transforms_end_with_erasing_only_with_re_prob():
    names = [type(op).__name__ for op in create_transforms("", 8, True, re_prob=0.1)]
    assert names[-2:] == ["Normalize", "RandomErasing"]
    for training, options in ((True, {}), (False, {"re_prob": 0.5})):
        assert type(create_transforms("", 8, training, **options)[-1]).__name__ == "Normalize"


@pytest.mark.parametrize("training, options", [(False, {}), (True, {"auto_augment": "randaug-m9", "re_prob": 1.0})])
def test_transforms_called_one_by_one_take_a_pil_image_an_array_and_a_batch(training, options):
    operations = create_transforms("digits", (16, 24), training, hflip=1.0, **options)
    pixels = smooth(60, 40)
    for first in (Image.fromarray(pixels), pixels):
        image = first
        for operation in operations:
            image = operation(image)
        assert image.shape == (3, 16, 24) and image.dtype == np.float32
    if not training:
        (expected,) = apply(operations, [pixels])
        np.testing.assert_array_equal(image, expected)
    batch = np.stack([smooth(24, 16, seed) for seed in range(2)])
    for operation in (operation for operation in operations if getattr(operation, "batchwise", False)):
        batch = np.stack(operation(batch))
    assert batch.shape == (2, 3, 16, 24) and batch.dtype == np.float32


def test_transforms_accept_all_options_in_both_modes():
    for training in (True, False):
        create_transforms("imagenet", 224, training, **OPTIONS)


@pytest.mark.parametrize("size, shape", [(32, (1, 1)), ((16, 48), (1, 1)), (32, (3, 2000)), ((16, 48), (2000, 3))])
@pytest.mark.parametrize("training", [True, False])
def test_transforms_of_extreme_images_return_the_input_size(size, shape, training):
    (out,) = apply(create_transforms("digits", size, training), [smooth(*shape)])
    assert out.shape[1:] == ((size, size) if np.isscalar(size) else size) and np.isfinite(out).all()


@pytest.mark.parametrize(
    "arguments, error, message",
    [
        ({"scal": (1, 1)}, TypeError, "create_transforms has no argument 'scal'; did you mean 'scale'"),
        ({"img_size": 32}, TypeError, "no argument 'img_size'; use image_resize"),
        ({"color_jitter": 1e30, "is_training": True}, ValueError, "color_jitter must be 0 to 1e6"),
        ({"mean": (0.5,) * 3, "std": (0.5,) * 3}, ValueError, "as in mean 127.5 127.5 127.5, std 127.5 127.5 127.5"),
        ({"std": (0.229, 0.224, 0.225)}, ValueError, "are for pixels of 0 to 1"),
        ({"auto_augment": "randaugm-9", "is_training": True}, ValueError, "did you mean 'randaug'"),
        ({"hflip": -0.1, "is_training": True}, ValueError, "hflip is -0.1; it must be at least 0 and at most 1"),
        ({"vflip": 1.1, "is_training": True}, ValueError, "vflip is 1.1; it must be at least 0 and at most 1"),
        (
            {"interpolation": "cubic"},
            ValueError,
            "interpolation is 'cubic'; it must be one of nearest, bilinear, bicubic",
        ),
        ({"crop_pct": 0}, ValueError, "crop_pct is 0; it must be at least 0.1 and at most 1"),
        ({"color_jitter": (1, 1), "is_training": True}, ValueError, "color_jitter"),
        ({"std": (0, 1, 1)}, ValueError, "std above 0"),
        ({"dataset_name": "cifar01"}, ValueError, "did you mean 'cifar10'"),
    ],
)
def test_transforms_with_invalid_argument_raises(arguments, error, message):
    with pytest.raises(error, match=message):
        create_transforms(**arguments)
