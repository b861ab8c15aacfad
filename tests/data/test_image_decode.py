"""Compare what MindSpore decodes with what Pillow shows of the same file."""

import io
import os
import struct
import time
import zlib

import numpy as np
import pytest
from mindspore.dataset import vision
from PIL import Image, UnidentifiedImageError

from mindcv.data import UnreadableImage, create_dataset, image_decode, unreadable_message
from mindcv.data.containers import is_huffman_jpeg
from mindcv.data.image_decode import make_decodable, read_encoded, upright_rgb

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


@pytest.mark.parametrize("kind", ["jpg", "png", "webp", "tif"])
def test_upright_rgb_of_its_own_result_turns_no_more(kind, tmp_path):
    picture().save(tmp_path / f"a.{kind}", exif=exif(6))
    once = upright_rgb(Image.open(tmp_path / f"a.{kind}"))
    assert once.size == SIZE[::-1]
    np.testing.assert_array_equal(np.asarray(upright_rgb(once)), np.asarray(once))


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


def test_read_encoded_returns_plain_jpeg_unchanged(tmp_path):
    picture().save(tmp_path / "a.jpg")
    for verify in (False, True):
        assert read_encoded(tmp_path / "a.jpg", verify).tobytes() == (tmp_path / "a.jpg").read_bytes()


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def with_chunks(data, *chunks):
    """Return the bytes of a PNG file with further chunks after its header."""
    return data[:33] + b"".join(chunks) + data[33:]


RAW_EXIF = exif(6).tobytes()
METADATA = {
    "malformed eXIf": [chunk(b"eXIf", b"MM\0*\0\0\xff\xff")],
    "empty eXIf": [chunk(b"eXIf", b"")],
    "eXIf with a wrong checksum": [chunk(b"eXIf", b"MM\0*\0\0\0\x08\0\0")[:-1] + b"x"],
    "text above 1 MB": [chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(2_000_000)))],
    "profile above 1 MB": [chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(2_000_000)))],
    "malformed profile": [chunk(b"iCCP", b"a\0\0not zlib")],
    "malformed raw profile": [chunk(b"tEXt", b"Raw profile type exif\0\nexif\n  4\nxyzzy\n")],
    "malformed text": [chunk(b"iTXt", b"\xff\0\x01\x02")],
    "malformed resolution": [chunk(b"pHYs", b"\0")],
    "malformed animation": [chunk(b"acTL", b"\0")],
}


@pytest.mark.parametrize("kind", METADATA)
def test_read_encoded_of_a_png_ignores_damaged_or_large_metadata(kind, tmp_path):
    picture().save(tmp_path / "a.png")
    path = tmp_path / "b.png"
    path.write_bytes(with_chunks((tmp_path / "a.png").read_bytes(), *METADATA[kind]))
    check(path, picture())


@pytest.mark.parametrize(
    "metadata",
    [
        [chunk(b"eXIf", RAW_EXIF[6:])],
        [chunk(b"tEXt", b"Raw profile type exif\0\nexif\n  %d\n%s\n" % (len(RAW_EXIF), RAW_EXIF.hex().encode()))],
        [chunk(b"iTXt", b'XML:com.adobe.xmp\0\0\0\0\0<x tiff:Orientation="6"/>')],
        [chunk(b"eXIf", RAW_EXIF[6:]), *METADATA["text above 1 MB"], *METADATA["malformed profile"]],
    ],
    ids=["eXIf", "raw profile", "XMP", "eXIf beside damage"],
)
def test_read_encoded_of_a_png_applies_orientation_from(metadata, tmp_path):
    picture().save(tmp_path / "a.png")
    path = tmp_path / "b.png"
    path.write_bytes(with_chunks((tmp_path / "a.png").read_bytes(), *metadata))
    check(path, UPRIGHT[6](np.asarray(picture())))


def segment(marker, data):
    return b"\xff" + bytes([marker]) + struct.pack(">H", len(data) + 2) + data


@pytest.mark.parametrize(
    "marker, data",
    [(0xE1, b"Exif\0\0MM\0*\0\0\xff\xff"), (0xE2, b"MPF\0xxxx"), (0xED, b"Photoshop 3.0\x008BIM\x04")],
    ids=["EXIF", "MPF", "Photoshop"],
)
def test_read_encoded_of_a_jpeg_ignores_damaged_metadata(marker, data, tmp_path):
    picture().save(tmp_path / "a.jpg")
    path, intact = tmp_path / "b.jpg", (tmp_path / "a.jpg").read_bytes()
    path.write_bytes(intact[:2] + segment(marker, data) + intact[2:])
    check(path, Image.open(tmp_path / "a.jpg"))


def test_read_encoded_of_a_tiff_ignores_damaged_tags(tmp_path):
    pixels = np.arange(12, dtype=np.uint8).reshape(3, 4)
    write_tiff(tmp_path / "a.tif", pixels, {0x0112: 6, 0x8769: 0x7FFFFFFF})  # EXIF data after the file's end
    check(tmp_path / "a.tif", UPRIGHT[6](pixels[..., None].repeat(3, 2)))


@pytest.mark.parametrize("missing", [1, 4, 12])
def test_read_encoded_of_a_png_without_its_last_bytes_has_all_pixels(missing, tmp_path):
    picture().save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes((tmp_path / "a.png").read_bytes()[:-missing])
    check(tmp_path / "b.png", picture())


@pytest.mark.parametrize("kind", [b"IHDR", b"PLTE", b"tRNS", b"IDAT"])
def test_read_encoded_of_a_png_with_a_wrong_checksum_raises(kind, tmp_path):
    picture().convert("P").save(tmp_path / "a.png", transparency=1)
    data = bytearray((tmp_path / "a.png").read_bytes())
    data[data.index(kind) + 5] ^= 1
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(UnreadableImage, match=f"a.png: PNG file is damaged: the checksum of its {kind.decode()} chunk"):
        read_encoded(tmp_path / "a.png")


def test_read_encoded_of_a_png_with_pixels_outside_the_palette_gives_what_pillow_shows(tmp_path):
    Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16)).save(tmp_path / "grey.png")
    data = (tmp_path / "grey.png").read_bytes()
    header = chunk(b"IHDR", struct.pack(">2I5B", 16, 16, 8, 3, 0, 0, 0))
    (tmp_path / "a.png").write_bytes(data[:8] + header + chunk(b"PLTE", bytes(range(9))) + data[33:])
    pixels = decoded(tmp_path / "a.png")
    np.testing.assert_array_equal(pixels[0, :3], [[0, 1, 2], [3, 4, 5], [6, 7, 8]])


@pytest.mark.parametrize("values, black, white", [
    (np.float32, 0, 1), (np.float32, 0, 255), (np.float32, -3, 5), (np.float32, 0, 1000), (np.int32, 0, 255),
    (np.int32, 0, 4000), (np.int16, -300, 300), (np.int32, -(2**31), 2**31 - 1), (np.uint16, 0, 65535),
])  # fmt: skip
def test_read_encoded_of_a_tiff_scales_values_by_type_or_by_their_range(values, black, white, tmp_path, caplog):
    image_decode._warned_kinds.clear()
    ramp = np.linspace(black, white, 1200).reshape(30, 40).astype(values)
    path = tmp_path / "a.tif"
    write_tiff(path, ramp)
    check(path, np.repeat(np.linspace(0, 255, 1200).reshape(30, 40, 1), 3, 2), tolerance=1.01)
    fits = (values, black, white) in ((np.float32, 0, 1), (np.int32, 0, 255), (np.uint16, 0, 65535))
    kind, limit = ("float", 1) if ramp.dtype.kind == "f" else ("32-bit integer", 255)
    warning = (
        f"{path}: its {kind} values, {black:g} to {white:g}, are not from 0 to {limit}: "
        "images like this one are scaled by their own range"
    )
    assert caplog.messages == [warning] * (not fits)


def write_tiff(path, pixels, more=()):
    """Write a grey picture of any type as an uncompressed TIFF file of one strip, with `more` values by tag."""
    height, width = pixels.shape
    bits, kind = pixels.dtype.itemsize * 8, {"u": 1, "i": 2, "f": 3}[pixels.dtype.kind]
    tags = {256: width, 257: height, 258: bits, 259: 1, 262: 1, 273: 200, 277: 1, 278: height, 279: pixels.nbytes}
    tags = sorted({**tags, 339: kind, **dict(more)}.items())
    entries = [struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags]
    header = b"II*\0" + struct.pack("<IH", 8, len(entries)) + b"".join(entries) + bytes(4)
    path.write_bytes(header.ljust(200, b"\0") + pixels.tobytes())


def test_read_encoded_of_floats_takes_nan_and_infinity_for_0(tmp_path):
    write_tiff(tmp_path / "a.tif", np.array([[np.nan, 1, np.inf, -np.inf, 0.2]], np.float32))
    check(tmp_path / "a.tif", np.array([[0, 255, 0, 0, 51]])[..., None].repeat(3, 2))


def test_read_encoded_turns_transparent_16_bit_grey_white(tmp_path):
    Image.fromarray(np.array([[0, 257, 514]], np.uint16)).save(tmp_path / "a.png")
    data = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(with_chunks(data, chunk(b"tRNS", struct.pack(">H", 257))))
    check(tmp_path / "a.png", np.array([[0, 255, 2]])[..., None].repeat(3, 2))


def test_limit_image_pixels_names_images_above_it_and_warns_of_those_above_half(tmp_path, monkeypatch, caplog, recwarn):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1)
    for kind in ("png", "jpg", "tif"):
        path = tmp_path / f"a.{kind}"
        picture().save(path)
        image_decode.limit_image_pixels(1199)
        with pytest.raises(UnreadableImage, match=f"a.{kind}: it has more than 1,199 pixels: raise max_image_pixels"):
            read_encoded(path)
        image_decode.limit_image_pixels(1200)
        caplog.clear()
        read_encoded(path)
        assert caplog.messages == [f"{path} has 1,200 pixels: above max_image_pixels 1,200 it is refused"]
        image_decode.limit_image_pixels(2400)
        read_encoded(path)
        assert len(caplog.messages) == 1
    assert not [warning for warning in recwarn if issubclass(warning.category, Image.DecompressionBombWarning)]


def test_unreadable_image_escapes_what_a_terminal_would_obey(tmp_path):
    path = tmp_path / os.fsdecode(b"a\x1b[2J\n\xff.jpg")
    path.write_bytes(b"x")
    with pytest.raises(UnreadableImage) as caught:
        read_encoded(path)
    assert str(caught.value) == (
        rf"cannot read image {tmp_path}/a\x1b[2J\n\xff.jpg: not an image, or it ends inside its header"
    )


def test_read_encoded_arithmetic_jpeg_is_decoded_by_pillow(tmp_path):
    picture().save(tmp_path / "a.jpg")
    data = bytearray((tmp_path / "a.jpg").read_bytes())
    assert is_huffman_jpeg(bytes(data))
    data[data.index(b"\xff\xc0") + 1] = 0xC9
    assert not is_huffman_jpeg(bytes(data))


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
    with pytest.raises(UnreadableImage, match=r"big.png: it has more than 200 pixels: raise max_image_pixels"):
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


def test_make_decodable_of_an_eps_under_another_name_starts_no_ghostscript():
    eps = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\n"
    with pytest.raises(UnidentifiedImageError):
        make_decodable(eps, lambda: "a.jpg")
