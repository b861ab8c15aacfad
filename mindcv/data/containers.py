"""PNG and JPEG files without their metadata.

Pillow refuses whole files for what damaged or large metadata does to it. Here the parts of a file that hold pixels are
separated from the others, and the checksums of a PNG's are verified, which Pillow does not do when it decodes.
"""

import struct
import zlib
from collections.abc import Iterator

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
JPEG_SIGNATURE = b"\xff\xd8"
HUFFMAN_FRAMES = (0xC0, 0xC1, 0xC2)  # markers of baseline, extended and progressive frames with Huffman codes

_PNG_PIXELS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT")
_PNG_ORIENTATION = (b"Raw profile type exif\0", b"XML:com.adobe.xmp\0")  # keywords of text that may tell it
_PNG_TEXT = (b"tEXt", b"zTXt", b"iTXt")
_SOS = 0xDA  # the marker that begins a JPEG's pixels
_JFIF, _EXIF, _ADOBE = 0xE0, 0xE1, 0xEE  # application segments; the first and the last say how colours are stored


def split_png(data: bytes) -> tuple[bytes, bytes | None]:
    """Return a PNG file with its pixels alone, and its header with what tells its orientation, None if nothing does.

    The pixels are those of the default image of an animation. The second part ends where pixels begin: it can be
    opened, but not decoded.

    Raises:
        ValueError: A chunk that matters to the pixels is cut off or damaged.
    """
    pixels, orientation = [], []
    for kind, chunk in _chunks(data):
        if kind in _PNG_PIXELS:
            _verify(kind, chunk)
            pixels.append(chunk)
        elif kind == b"eXIf" or (kind in _PNG_TEXT and chunk[8:].startswith(_PNG_ORIENTATION)):
            orientation.append(chunk)
        elif kind == b"IEND":
            break
    only_pixels = b"".join((PNG_SIGNATURE, *pixels, _chunk(b"IEND")))
    header = b"".join((PNG_SIGNATURE, *pixels[:1], *orientation, _chunk(b"IDAT")))
    return only_pixels, header if orientation else None


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield (kind, chunk) of a PNG file, to its end or to bytes that are not a chunk; the last one may be cut off."""
    start = len(PNG_SIGNATURE)
    while start + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, start)
        if not kind.isalpha():
            return
        yield kind, data[start : start + length + 12]
        start += length + 12


def _verify(kind: bytes, chunk: bytes) -> None:
    """Raise ValueError if a chunk is shorter than its length says or does not match its checksum."""
    length = int.from_bytes(chunk[:4], "big")
    if len(chunk) < length + 12:
        raise ValueError(f"PNG file is truncated in its {kind.decode()} chunk")
    if zlib.crc32(chunk[4:-4]) != int.from_bytes(chunk[-4:], "big"):
        raise ValueError(f"PNG file is damaged: the checksum of its {kind.decode()} chunk is wrong")


def _chunk(kind: bytes) -> bytes:
    """Return an empty PNG chunk."""
    return struct.pack(">I4sI", 0, kind, zlib.crc32(kind))


def strip_jpeg(data: bytes, keep_exif: bool) -> bytes:
    """Return a JPEG file without comments and application segments, but for those of JFIF and Adobe.

    Args:
        data: The file.
        keep_exif: Whether to keep the segments of EXIF and XMP, too.
    """
    kept = (_JFIF, _EXIF, _ADOBE) if keep_exif else (_JFIF, _ADOBE)
    parts, rest = [JPEG_SIGNATURE], len(JPEG_SIGNATURE)
    for marker, start, end in _segments(data):
        if marker in kept or not (0xE0 <= marker <= 0xEF or marker == 0xFE):
            parts.append(data[start:end])
        rest = end
    return b"".join((*parts, data[rest:]))


def is_huffman_jpeg(data: bytes) -> bool:
    """Return whether the frame of a JPEG file has Huffman codes, and not arithmetic ones or lossless pixels."""
    frames = (m for m, *_ in _segments(data) if 0xC0 <= m <= 0xCF and m not in (0xC4, 0xC8, 0xCC))
    return next(frames, None) in HUFFMAN_FRAMES


def _segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield (marker, start, end) of the segments between a JPEG's first marker and its pixels, or the first damage."""
    start = len(JPEG_SIGNATURE)
    while start + 4 <= len(data) and data[start] == 0xFF and data[start + 1] != _SOS:
        if data[start + 1] == 0xFF:  # a fill byte
            start += 1
            continue
        end = start + 2 + int.from_bytes(data[start + 2 : start + 4], "big")
        yield data[start + 1], start, end
        start = end
