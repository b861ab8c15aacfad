"""Image files as a viewer shows them, whatever is in them.

MindSpore's C++ decoder reads plain JPEG and PNG files right: grey, palette, 1-bit, 16-bit and CMYK ones too.
But it ignores EXIF orientation, drops alpha, knows no WebP and GIF, gives no file name when it fails, writes
the file it failed on into the working folder, and a JPEG that ends inside its header kills the process. So
Pillow looks at every header first (40 to 60 µs), what is plain goes on untouched, and the rest is read by
Pillow and handed on as BMP bytes.
"""

import io
import os
import re

import numpy as np
from PIL import Image, ImageOps

_ORIENTATION = 0x0112  # EXIF tag; 1 is upright
_JPEG_END = b"\xff\xd9"


class UnreadableImage(ValueError):
    """A file that is no image, is broken, or is larger than Pillow's limit of 179 million pixels."""

    @classmethod
    def of(cls, path: str | os.PathLike, error: Exception) -> "UnreadableImage":
        """What a decoder's error says about the file `path`, in one line."""
        return cls(f"cannot read image {os.fspath(path)}: {_reason(error)}")


def as_viewed(path: str | os.PathLike) -> np.ndarray:
    """The bytes (n,) uint8 of an encoded image that MindSpore decodes to what a viewer shows of the file.

    EXIF orientation is applied, transparency is laid over white (as a page or a viewer does), 16 bits and
    floats in 0..1 are scaled to 8 bits, and of an animation the first frame is taken.

    Raises:
        UnreadableImage: naming the file and what is wrong with it.
    """
    try:
        with open(path, "rb") as file:
            return viewed(file.read())
    except Exception as error:  # Pillow's decoders raise whatever they run into
        raise UnreadableImage.of(path, error) from error


def viewed(data: bytes) -> np.ndarray:
    """The same of a file's bytes. Raises whatever Pillow does."""
    with Image.open(io.BytesIO(data)) as image:
        return np.frombuffer(data if _is_plain(image, data) else _bmp(image), np.uint8)


def unreadable(error: Exception) -> str | None:
    """What an `UnreadableImage` said, found in the error that MindSpore's pipeline raised, or None.

    Damage behind a file's header is first met by MindSpore's decoder, which does not know the file's name.
    """
    if said := re.search(r"UnreadableImage: (cannot read image .*)", str(error)):
        return said[1]
    if "abnormal image" in str(error):
        return "an image cannot be decoded: python -m mindcv.data check names it, --on_bad_image skip leaves it out"
    return None


def _is_plain(image: Image.Image, data: bytes) -> bool:
    """Whether the C++ decoder reads `data` whole and right. A PNG's checksums are verified on the way."""
    if _is_transparent(image):
        return False
    if image.format in ("JPEG", "MPO"):  # MPO is a JPEG with further pictures behind it
        upright = image.getexif().get(_ORIENTATION, 1) == 1
        return upright and image.mode in ("L", "RGB") and data.endswith(_JPEG_END)
    if image.format == "PNG" and b"eXIf" not in data:
        image.verify()
        return True
    return False


def _is_transparent(image: Image.Image) -> bool:
    return image.mode in ("RGBA", "RGBa", "LA", "La", "PA") or "transparency" in image.info


def _bmp(image: Image.Image) -> bytes:
    out = io.BytesIO()
    upright_rgb(image).save(out, "BMP")
    return out.getvalue()


def upright_rgb(image: Image.Image) -> Image.Image:
    """`image` in 8-bit RGB, as `as_viewed` says."""
    image = ImageOps.exif_transpose(image)
    if _is_transparent(image):
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    elif image.mode.startswith(("I", "F")):
        pixels = np.asarray(image, np.float32) * (255 if image.mode == "F" else 255 / 65535)
        image = Image.fromarray(pixels.round().clip(0, 255).astype(np.uint8))
    return image.convert("RGB")


def _reason(error: Exception) -> str:
    if isinstance(error, Image.UnidentifiedImageError):
        return "it is no image, or ends before its header does"
    return str(error).split("\n")[0] or type(error).__name__
