"""Image files as a viewer shows them, whatever their format.

MindSpore's C++ decoder is used for plain JPEG files alone, which it reads correctly and fast. It ignores EXIF
orientation, drops transparency, fails on palette PNGs with a pixel outside the palette, supports neither WebP nor GIF,
reports errors without the file's name, and crashes on a JPEG that ends inside its header. Therefore Pillow reads every
header first (40 to 60 µs). Plain JPEG files are passed on unchanged; all others are decoded by Pillow and passed on as
BMP, so that damage is found here, where the name is known. No damage in metadata makes a file unreadable.
"""

import functools
import io
import logging
import math
import os
import re
import warnings
from collections.abc import Callable
from contextlib import suppress

import numpy as np
from PIL import Image, ImageFile

from mindcv.data.containers import JPEG_SIGNATURE, PNG_SIGNATURE, is_huffman_jpeg, split_png, strip_jpeg
from mindcv.errors import printable, warn_once

# Pillow recognises files of these kinds, but decodes them with other programs, on Windows alone, or not at all.
_NOT_DECODED = {"BUFR", "EPS", "GRIB", "HDF5", "IPTC", "MPEG", "WMF"}
_ORIENTATION = 0x0112  # EXIF tag; 1 is upright
_TURNS = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ORIENTATION_KEYS = ("exif", "xmp", "XML:com.adobe.xmp", "Raw profile type exif")  # of `Image.info`
_ONLY_16_BITS = ("PNG", "PPM", "JPEG2000")  # formats whose integers above 8 bits have 16, in whatever mode
_warned_kinds: set[str] = set()
_JPEG_END = b"\xff\xd9"

_log = logging.getLogger("mindcv")


class UnreadableImage(ValueError):
    """An image file that cannot be read: no image, damaged, or larger than the limit of `limit_image_pixels`."""

    @classmethod
    def of(cls, path: str | os.PathLike, error: Exception) -> "UnreadableImage":
        """Return, to be raised by the caller, the error "cannot read image PATH: REASON" for a decoder's `error`.

        Control characters in the path, and bytes that are not UTF-8, are escaped.
        """
        return cls(f"cannot read image {printable(os.fspath(path))}: {printable(_reason(error))}")


def readable_extensions() -> tuple[str, ...]:
    """Return the extensions, ".jpg", of the files that Pillow decodes here, with those of pillow-heif if installed."""
    with suppress(ImportError):
        import pillow_heif

        pillow_heif.register_heif_opener()
    kinds = Image.registered_extensions()
    decoded = {*_decoded_formats(), "MPO"}  # the JPEG plugin opens MPO files
    return tuple(sorted(extension for extension, kind in kinds.items() if kind in decoded))


@functools.cache
def _decoded_formats() -> list[str]:
    """Return Pillow's names of the formats that are decoded, whatever a file's extension: never by another program.

    JPEG is first, because Pillow tries them in this order, and some take 10 µs to find that a file is not theirs.
    """
    Image.init()
    return sorted({*Image.OPEN} - _NOT_DECODED, key=lambda kind: (kind != "JPEG", kind))


def limit_image_pixels(limit: int) -> None:
    """Refuse images of more than `limit` pixels from now on, in this process.

    This sets Pillow's `Image.MAX_IMAGE_PIXELS`, half the limit, above which a warning names the file, and silences
    Pillow's own warning, which does not.
    """
    Image.MAX_IMAGE_PIXELS = limit / 2  # type: ignore[assignment]  # Pillow only compares it
    warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)


def image_pixel_limit() -> float:
    """Return the largest number of pixels of an image that is read, infinite without a limit."""
    return 2 * Image.MAX_IMAGE_PIXELS if Image.MAX_IMAGE_PIXELS else math.inf


def read_encoded(path: str | os.PathLike, verify: bool = False) -> np.ndarray:
    """Return an image file as encoded bytes, (n,) uint8, that MindSpore decodes to what a viewer shows.

    EXIF orientation is applied, transparency is composed over white, other pixels than 8-bit ones are scaled as in
    `upright_rgb`, and of an animation the first frame is taken. A plain JPEG is returned unchanged; only its header is
    verified, unless `verify`. All other files are decoded.

    Args:
        path: The file.
        verify: Decode plain JPEG files, too, since some damage crashes MindSpore's decoder.

    Raises:
        UnreadableImage: The file cannot be opened or decoded.
    """
    try:
        with open(path, "rb", buffering=0) as file:  # fewer system calls, each of which releases Python's lock
            return make_decodable(file.read(), lambda: path, verify)
    except Exception as error:  # Pillow's decoders raise many types of error
        raise UnreadableImage.of(path, error) from error


def make_decodable(data: bytes, name: Callable[[], object], verify: bool = False) -> np.ndarray:
    """Return the bytes of an image file, (n,) uint8, re-encoded as BMP unless it is a plain JPEG.

    The BMP shows the first frame, upright, in 8-bit RGB, with transparency over white. `verify` is that of
    `read_encoded`, and `name` returns the file's name, for warnings. Raises whatever Pillow raises for a damaged file.
    """
    with _open(data) as image:
        if (pixels := image.width * image.height) > (limit := image_pixel_limit()) / 2:
            warn_once(f"{printable(name())} has {pixels:,} pixels: above max_image_pixels {limit:,.0f} it is refused")
        if not _is_plain(image, data):
            return np.frombuffer(_encode_bmp(image, name), np.uint8)
        if verify:
            image.load()
        return np.frombuffer(data, np.uint8)


def unreadable_message(error: Exception) -> str | None:
    """Return the line about an unreadable image in an error of MindSpore's pipeline, or None if there is none.

    Damage after a JPEG's header is found by MindSpore's decoder, which does not know the file's name; then the line
    does not name it. `name_undecodable` finds it.
    """
    if message := re.search(r"UnreadableImage: (cannot read image .*)", str(error)):
        return message[1]
    if re.search("abnormal image|Decode|libjpeg", str(error)):
        return "an image cannot be decoded"
    return None


def _open(data: bytes) -> Image.Image:
    """Open the bytes of an image file by Pillow, without its metadata if they are damaged."""
    if data.startswith(PNG_SIGNATURE):
        pixels, header = split_png(data)
        image = Image.open(io.BytesIO(pixels))
        with suppress(Exception), Image.open(io.BytesIO(header or b"")) as described:
            tags = Image.Exif()
            tags[_ORIENTATION] = Image.Image.getexif(described)[_ORIENTATION]  # PNG's own method would decode pixels
            image.info["exif"] = tags.tobytes()
        return image
    try:
        return Image.open(io.BytesIO(data), formats=_decoded_formats())
    except Image.DecompressionBombError:
        raise
    except Exception:
        if not data.startswith(JPEG_SIGNATURE):
            raise
    with suppress(Exception):
        return Image.open(io.BytesIO(strip_jpeg(data, keep_exif=True)))
    return Image.open(io.BytesIO(strip_jpeg(data, keep_exif=False)))


def _is_plain(image: Image.Image, data: bytes) -> bool:
    """Return whether `data` is a JPEG that MindSpore decodes correctly; `image` is the same file, opened by Pillow."""
    return (
        image.format in ("JPEG", "MPO")  # MPO is a JPEG followed by further images
        and image.mode in ("L", "RGB")
        and _orientation(image) == 1
        and data.endswith(_JPEG_END)
        and is_huffman_jpeg(data)
    )


def _orientation(image: Image.Image) -> int:
    """Return the orientation in the metadata of `image`, 1 (upright) to 8; 1 if there is none or it is damaged."""
    with suppress(Exception):
        value = image.getexif().get(_ORIENTATION, 1)
        return value if value in _TURNS else 1
    return 1


def _is_transparent(image: Image.Image) -> bool:
    return image.mode in ("RGBA", "RGBa", "LA", "La", "PA") or "transparency" in image.info


def _encode_bmp(image: Image.Image, name: Callable[[], object]) -> bytes:
    """Return `image` as a BMP file, upright and in 8-bit RGB; `name` returns its name, for warnings."""
    out = io.BytesIO()
    upright_rgb(image, name).save(out, "BMP")
    return out.getvalue()


def upright_rgb(image: Image.Image, name: Callable[[], object] = lambda: "an image") -> Image.Image:
    """Return a copy of `image` in 8-bit RGB as a viewer shows it.

    EXIF orientation is applied, and transparency is composed over white. Integers of 16 bits are scaled from 0 to
    65535, integers of 32 bits are taken from 0 to 255, and floats are scaled from 0 to 1. If a 32-bit image has values
    outside its range, a warning is logged, and its own range, extended to 0, is scaled instead. NaN and infinity become
    0.

    Args:
        image: An image of any mode.
        name: Returns the image's name, for the warning.
    """
    if image.format == "TIFF" and isinstance(image, ImageFile.ImageFile):
        _ignore_damaged_tags(image)
    image.load()
    if (turn := _TURNS[_orientation(image)]) is not None:
        image = image.transpose(turn)
        for told_by in _ORIENTATION_KEYS:
            image.info.pop(told_by, None)
    if image.mode.startswith(("I", "F")):
        image = _to_8_bits(image, name)
    elif _is_transparent(image):
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def _ignore_damaged_tags(image: ImageFile.ImageFile) -> None:
    """Let a TIFF file be decoded whatever its EXIF data, which Pillow reads after the pixels."""
    read_tags = image.load_end

    def load_end() -> None:
        with suppress(Exception):
            read_tags()

    image.load_end = load_end  # type: ignore[method-assign]


def _to_8_bits(image: Image.Image, name: Callable[[], object]) -> Image.Image:
    """Return a grey image of integers or floats in 8 bits, as `upright_rgb` describes; a transparent value is white."""
    pixels = np.asarray(image, np.float64)
    pixels = np.where(np.isfinite(pixels), pixels, 0)
    kind, white = ("float", 1.0) if image.mode == "F" else ("32-bit integer", 255.0)
    if image.mode != "F" and (image.mode != "I" or image.format in _ONLY_16_BITS):
        white = 65535.0
    black, lowest, highest = 0.0, pixels.min(), pixels.max()
    if lowest < 0 or highest > white:
        _warn_of_values(kind, white, name, lowest, highest)
        black, white = min(0.0, lowest), max(0.0, highest)
    scaled = ((pixels - black) * (255 / (white - black))).round().clip(0, 255)
    if isinstance(transparent := image.info.get("transparency"), int):
        scaled[pixels == transparent] = 255
    return Image.fromarray(scaled.astype(np.uint8))


def _warn_of_values(kind: str, white: float, name: Callable[[], object], lowest: float, highest: float) -> None:
    """Log a warning, once in a process for each kind of image, about values outside 0 to `white`."""
    if kind not in _warned_kinds:
        _warned_kinds.add(kind)
        _log.warning(
            "%s: its %s values, %g to %g, are not from 0 to %g: images like this one are scaled by their own range",
            printable(name()), kind, lowest, highest, white,
        )  # fmt: skip


def _reason(error: Exception) -> str:
    """Return the first line of a decoder's error, or its class's name if it has no message.

    Pillow's own line for an unknown format, which would repeat the path, is replaced.
    """
    if isinstance(error, Image.UnidentifiedImageError):
        return "not an image, or it ends inside its header"
    if isinstance(error, Image.DecompressionBombError):
        return f"it has more than {image_pixel_limit():,.0f} pixels: raise max_image_pixels to read it"
    return str(error).split("\n")[0] or type(error).__name__
