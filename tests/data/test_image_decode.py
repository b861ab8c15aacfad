"""Compare what MindSpore decodes with what Pillow shows of the same file."""

import io
import time

import numpy as np
import pytest
from mindspore.dataset import vision
from PIL import Image

from mindcv.data import UnreadableImage, create_dataset, unreadable_message
from mindcv.data.image_decode import read_encoded

SIZE = (40, 30)


def picture():
    """Return a smooth colour image that differs from all its mirror images."""
    small = np.random.default_rng(0).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    return Image.fromarray(small).resize(SIZE, Image.BICUBIC)


def exif(orientation):
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags


def alpha():
    return Image.fromarray(np.linspace(0, 255, SIZE[0] * SIZE[1]).reshape(SIZE[::-1]).astype(np.uint8))


def over_white(image, opacity):
    fraction = np.asarray(opacity, float)[..., None] / 255
    return np.asarray(image.convert("RGB"), float) * fraction + 255 * (1 - fraction)


def decoded(path):
    return vision.Decode()(read_encoded(path))


def check(path, expected, tolerance=0.0):
    pixels = decoded(path)
    assert pixels.shape == (*np.shape(expected)[:2], 3) and pixels.dtype == np.uint8
    assert np.abs(pixels - np.asarray(expected, float)).max() <= tolerance


# By EXIF orientation (EXIF 2.32, 4.6.4): from the stored picture to the upright one.
UPRIGHT = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: a.transpose(1, 0, 2)[:, ::-1],
    7: lambda a: a.transpose(1, 0, 2)[::-1, ::-1],
    8: lambda a: a.transpose(1, 0, 2)[::-1],
}


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize("kind", ["jpg", "png", "webp"])
def test_read_encoded_applies_exif_orientation(tmp_path, kind, orientation):
    path = tmp_path / f"a.{kind}"
    picture().save(path, exif=exif(orientation), **({"lossless": True} if kind == "webp" else {}))
    stored = np.asarray(Image.open(path))
    check(path, UPRIGHT[orientation](stored))


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("progressive", [False, True])
def test_read_encoded_jpeg_modes_match_pillow(tmp_path, mode, progressive):
    path = tmp_path / "a.jpg"
    picture().convert(mode).save(path, quality=95, progressive=progressive)
    check(path, Image.open(path).convert("RGB"))
    # Both decoders could invert a CMYK file: compare with the picture too.
    difference = np.abs(
        decoded(path) - np.asarray(picture().convert("L" if mode == "L" else "RGB").convert("RGB"), float)
    )
    assert difference.mean() < 5


@pytest.mark.parametrize(
    "kind, mode", [(k, m) for k in ("png", "bmp", "tif") for m in ("1", "L", "P", "RGB")] + [("gif", "P")]
)
def test_read_encoded_lossless_modes_match_pillow(tmp_path, mode, kind):
    path = tmp_path / f"a.{kind}"
    image = picture().convert(mode)
    image.save(path)
    check(path, image.convert("RGB"))


@pytest.mark.parametrize("kind", ["png", "webp", "tif"])
def test_read_encoded_composes_alpha_over_white(tmp_path, kind):
    path = tmp_path / f"a.{kind}"
    image = picture()
    image.putalpha(alpha())
    image.save(path, **({"lossless": True, "exact": True} if kind == "webp" else {}))
    check(path, over_white(picture(), alpha()), tolerance=1)


def test_read_encoded_composes_grey_alpha_over_white(tmp_path):
    path = tmp_path / "a.png"
    Image.merge("LA", (picture().convert("L"), alpha())).save(path)
    check(path, over_white(picture().convert("L"), alpha()), tolerance=1)


def test_read_encoded_turns_transparent_colour_white(tmp_path):
    for mode in ("RGB", "P"):
        path = tmp_path / f"{mode}.png"
        image = picture().convert(mode)
        clear = image.getpixel((3, 4))
        image.save(path, transparency=clear)
        expected = np.array(image.convert("RGB"))
        expected[(np.asarray(image).reshape(*SIZE[::-1], -1) == clear).all(axis=-1)] = 255
        check(path, expected)


def test_read_encoded_scales_16_bits_and_floats_to_8_bits(tmp_path):
    ramp = np.linspace(0, 1, SIZE[0] * SIZE[1]).reshape(SIZE[::-1])
    expected = np.repeat(ramp[..., None] * 255, 3, axis=2)
    for kind in ("png", "tif"):
        path = tmp_path / f"a.{kind}"
        Image.fromarray((ramp * 65535).astype(np.uint16)).save(path)
        check(path, expected, tolerance=1)
    Image.fromarray(ramp.astype(np.float32)).save(tmp_path / "f.tif")
    check(tmp_path / "f.tif", expected, tolerance=0.51)


def test_read_encoded_animation_gives_first_frame(tmp_path):
    path = tmp_path / "a.gif"
    frames = [Image.new("RGB", SIZE, colour) for colour in ("red", "blue")]
    frames[0].save(path, save_all=True, append_images=frames[1:])
    check(path, np.broadcast_to([255, 0, 0], (*SIZE[::-1], 3)))


@pytest.mark.parametrize("size", [(1, 1), (20000, 10), (10, 20000)])
@pytest.mark.parametrize("kind", ["jpg", "png", "bmp"])
def test_read_encoded_extreme_sizes_match_pillow(tmp_path, size, kind):
    path = tmp_path / f"a.{kind}"
    picture().resize(size).save(path)
    check(path, Image.open(path).convert("RGB"))


def test_read_encoded_returns_plain_files_unchanged(tmp_path):
    for path in (tmp_path / "a.jpg", tmp_path / "a.png"):
        picture().save(path)
        assert read_encoded(path).tobytes() == path.read_bytes()


def broken(kind, damage):
    out = io.BytesIO()
    Image.effect_noise((200, 150), 50).convert("RGB").save(out, kind)
    return damage(bytearray(out.getvalue()))


def middle_flipped(data):
    data[len(data) // 2] ^= 0xFF
    return data


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "GIF"])
@pytest.mark.parametrize("fraction", [0.999, 0.5, 0.1, 0.02])
def test_read_encoded_truncated_file_raises_one_line(tmp_path, monkeypatch, kind, fraction):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "bad.img"
    path.write_bytes(broken(kind, lambda data: data[: int(len(data) * fraction)]))
    with pytest.raises(UnreadableImage, match=r"^cannot read image .*bad.img: [^\n]+$"):
        read_encoded(path)
    assert [p.name for p in tmp_path.iterdir()] == ["bad.img"]


@pytest.mark.parametrize("data", [b"", b"x", b"hello, I am text\n" * 50, broken("PNG", middle_flipped)])
def test_read_encoded_of_other_data_raises_one_line(tmp_path, data):
    path = tmp_path / "bad.jpg"
    path.write_bytes(data)
    with pytest.raises(UnreadableImage, match=r"^cannot read image .*bad.jpg: [^\n]+$"):
        read_encoded(path)


def test_read_encoded_missing_or_too_large_file_raises(tmp_path, monkeypatch):
    with pytest.raises(UnreadableImage, match="No such file"):
        read_encoded(tmp_path / "gone.jpg")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    picture().save(tmp_path / "big.png")
    with pytest.raises(UnreadableImage, match=r"big.png: Image size \(1200 pixels\) exceeds limit"):
        read_encoded(tmp_path / "big.png")


@pytest.mark.parametrize("workers", [1, 2])
def test_unreadable_message_names_the_file(tmp_path, workers):
    (tmp_path / "train" / "a").mkdir(parents=True)
    for i in range(4):
        picture().save(tmp_path / "train" / "a" / f"{i}.jpg")
    (tmp_path / "train" / "a" / "2.jpg").write_bytes(b"hello")
    with pytest.raises(RuntimeError) as caught:
        list(create_dataset("folder", str(tmp_path), num_parallel_workers=workers).create_tuple_iterator(num_epochs=1))
    assert unreadable_message(caught.value) == (
        f"cannot read image {tmp_path}/train/a/2.jpg: not an image, or it ends inside its header"
    )
    assert unreadable_message(RuntimeError("something else")) is None


def test_read_encoded_plain_jpeg_takes_below_1_ms(tmp_path):
    path = tmp_path / "a.jpg"
    picture().resize((500, 375)).save(path, exif=exif(1))
    start = time.perf_counter()
    for _ in range(100):
        read_encoded(path)
    assert (time.perf_counter() - start) / 100 < 1e-3
