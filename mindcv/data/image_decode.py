"""Image files as a viewer shows them, whatever their format.

MindSpore's C++ decoder reads plain JPEG and PNG files correctly, including grey, palette, 1-bit, 16-bit and CMYK ones.
But it ignores EXIF orientation, drops transparency, supports neither WebP nor GIF, reports errors without the file's
name, writes the file that it failed on into the working folder, and crashes on a JPEG that ends inside its header.
Therefore Pillow reads every header first (40 to 60 µs). Plain files are passed on unchanged; all others are decoded by
Pillow and passed on as BMP.
"""

import io
import os
import re
from contextlib import suppress

import numpy as np
from PIL import Image, ImageOps

# Pillow recognises files of these kinds, but decodes them with other programs, on Windows alone, or not at all.
_NOT_DECODED = {"BUFR", "EPS", "GRIB", "HDF5", "IPTC", "MPEG", "WMF"}
_ORIENTATION = 0x0112  # EXIF tag; 1 is upright
_JPEG_END = b"\xff\xd9"


class UnreadableImage(ValueError):
    """An image file that cannot be read: no image, damaged, or larger than Pillow's limit of 179 million pixels."""

    @classmethod
    def of(cls, path: str | os.PathLike, error: Exception) -> "UnreadableImage":
        """Return, to be raised by the caller, the error "cannot read image PATH: REASON" for a decoder's `error`."""
        return cls(f"cannot read image {os.fspath(path)}: {_reason(error)}")


def readable_extensions() -> tuple[str, ...]:
    """Return the extensions, ".jpg", of the files that Pillow decodes here, with those of pillow-heif if installed."""
    with suppress(ImportError):
        import pillow_heif

        pillow_heif.register_heif_opener()
    kinds = Image.registered_extensions()
    decoded = {*Image.OPEN, "MPO"} - _NOT_DECODED  # the JPEG plugin opens MPO files
    return tuple(sorted(extension for extension, kind in kinds.items() if kind in decoded))


def read_encoded(path: str | os.PathLike) -> np.ndarray:
    """Return an image file as encoded bytes, (n,) uint8, that MindSpore decodes to what a viewer shows.

    EXIF orientation is applied, transparency is composed over white, 16-bit values and floats in 0..1 are scaled to 8
    bits, and of an animation the first frame is taken. A plain JPEG or PNG is returned unchanged, with only its header
    (PNG: also its checksums) verified.

    Raises:
        UnreadableImage: The file cannot be opened or decoded.
    """
    try:
        with open(path, "rb") as file:
            return make_decodable(file.read())
    except Exception as error:  # Pillow's decoders raise many types of error
        raise UnreadableImage.of(path, error) from error


def make_decodable(data: bytes) -> np.ndarray:
    """Return the bytes of an image file, (n,) uint8, re-encoded as BMP if MindSpore would not decode them correctly.

    The BMP shows the first frame, upright, in 8-bit RGB, with transparency over white. Raises whatever Pillow raises
    for a damaged file.
    """
    with Image.open(io.BytesIO(data)) as image:
        return np.frombuffer(data if _is_plain(image, data) else _encode_bmp(image), np.uint8)


def unreadable_message(error: Exception) -> str | None:
    """Return the line about an unreadable image in an error of MindSpore's pipeline, or None if there is none.

    Damage after a file's header is found by MindSpore's decoder, which does not know the file's name; then the line
    says how to find it.
    """
    if message := re.search(r"UnreadableImage: (cannot read image .*)", str(error)):
        return message[1]
    if "abnormal image" in str(error):
        return "an image cannot be decoded: python -m mindcv.data check names it, --on_bad_image skip leaves it out"
    return None


def _is_plain(image: Image.Image, data: bytes) -> bool:
    """Return whether MindSpore decodes `data` correctly; `image` is the same file, opened by Pillow.

    Of a PNG, verifies the checksums: raises Pillow's error if one is wrong, and makes `image` unusable if none is.
    """
    if _is_transparent(image):
        return False
    if image.format in ("JPEG", "MPO"):  # MPO is a JPEG followed by further images
        upright = image.getexif().get(_ORIENTATION, 1) == 1
        return upright and image.mode in ("L", "RGB") and data.endswith(_JPEG_END)
    if image.format == "PNG" and b"eXIf" not in data:
        image.verify()
        return True
    return False


def _is_transparent(image: Image.Image) -> bool:
    return image.mode in ("RGBA", "RGBa", "LA", "La", "PA") or "transparency" in image.info


def _encode_bmp(image: Image.Image) -> bytes:
    """Return `image` as a BMP file, upright and in 8-bit RGB, with transparency composed over white."""
    out = io.BytesIO()
    upright_rgb(image).save(out, "BMP")
    return out.getvalue()


def upright_rgb(image: Image.Image) -> Image.Image:
    """Return a copy of `image` in 8-bit RGB as a viewer shows it.

    EXIF orientation is applied, transparency is composed over white, and 16-bit values and floats in 0..1 are scaled to
    8 bits.
    """
    image = ImageOps.exif_transpose(image)
    if _is_transparent(image):
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    elif image.mode.startswith(("I", "F")):
        pixels = np.asarray(image, np.float32) * (255 if image.mode == "F" else 255 / 65535)
        image = Image.fromarray(pixels.round().clip(0, 255).astype(np.uint8))
    return image.convert("RGB")


def _reason(error: Exception) -> str:
    """Return the first line of a decoder's error, or its class's name if it has no message.

    Pillow's own line for an unknown format, which would repeat the path, is replaced.
    """
    if isinstance(error, Image.UnidentifiedImageError):
        return "not an image, or it ends inside its header"
    return str(error).split("\n")[0] or type(error).__name__
