"""Pack a folder of images into a few large MindRecord files, which network disks read faster than a million small ones.

Image files are stored byte by byte in the folder's order, so that a run sees the same images in the same order from
both. MindSpore's `MindDataset` can read the files too (columns data, label, file_name).
"""

import hashlib
import json
import os
import re
import zlib
from pathlib import Path

from mindspore.mindrecord import FileWriter

from mindcv.data.datasets import Source
from mindcv.data.datasets.files import FileSource
from mindcv.data.datasets.mindrecord import (
    ESCAPED,
    LENGTH_BYTES,
    MANIFEST,
    MindRecordSource,
    read_index,
    shard_bounds,
    shard_name,
)
from mindcv.errors import require_in_range
from mindcv.io.bars import tqdm
from mindcv.io.files import atomic_write_text, json_object, read_at

_SCHEMA = {"data": {"type": "bytes"}, "label": {"type": "int32"}, "file_name": {"type": "string"}}
_BATCH_SIZE = 64  # images written per call of MindSpore
_HEADER_BYTES = 1 << 20  # MindSpore's default is 16 MB
_PAGE_BYTES = 1 << 26  # an image must fit into half a page


def pack(source: Source, folder: str | os.PathLike, shards: int = 128) -> MindRecordSource:
    """Write the image files of `source`, byte by byte and in order, to MindRecord files in `folder`.

    Shows a progress bar. Each file is read back and compared before it gets its final name. After an interruption, the
    same call continues with the missing files.

    Args:
        source: Image files in a folder, from `open_source`; neither packed ones nor a subset.
        folder: Folder of the split to write, empty or with an earlier packing of the same images.
        shards: Number of MindRecord files; reduced to the number of images if it is larger.

    Returns:
        The packed images, as a source.

    Raises:
        ValueError: `source` is not of image files, `folder` holds other files, other images or another number of
            shards, `shards` is below 1, an image file is empty or larger than 32 MiB, or a file was not read back as it
            was written.
        OSError: An image cannot be read, or a file cannot be written.
    """
    require_in_range("shards", shards, at_least=1)
    if not isinstance(source, FileSource):
        raise ValueError(f"got a {type(source).__name__}, wanted image files: pass open_source of an image folder")
    folder = Path(folder)
    shards = min(shards, len(source))
    manifest = {
        "images": len(source),
        "shards": shards,
        "class_names": source.class_names,
        "packed_from": hashlib.sha256(source.fingerprint()).hexdigest(),
    }
    _write_manifest(folder, manifest)
    bounds = shard_bounds(len(source), shards)
    with tqdm(total=len(source), desc="packing", unit="image", disable=None) as bar:
        for k in range(shards):
            images = range(bounds[k], bounds[k + 1])
            if not (folder / shard_name(k)).exists():
                _write_shard(source, images, folder, shard_name(k))
            bar.update(len(images))
    return MindRecordSource(str(folder.parent), folder.name)


def require_pack_folder(folder: Path) -> None:
    """Raise ValueError if `folder` has files, but not those of a finished or unfinished packing.

    Hidden files do not count, and `folder` need not exist.
    """
    others = sorted(path.name for path in folder.glob("[!.]*"))
    if others and MANIFEST not in others:
        raise ValueError(f"{folder} holds other files, such as {others[0]}: give another folder")


def _write_manifest(folder: Path, manifest: dict) -> None:
    """Write the manifest atomically and create a missing `folder`, or check that an existing manifest is the same.

    Raises:
        ValueError: The existing one is another, or `folder` holds other files.
        OSError: The manifest cannot be written.
    """
    path = folder / MANIFEST
    require_pack_folder(folder)
    if not path.exists():
        atomic_write_text(path, json.dumps(manifest))
    elif json_object(path) != manifest:
        raise ValueError(
            f"{folder} holds a packing of other images, of changed ones, or into another number of files: "
            "give another folder, or remove it"
        )


def _write_shard(source: FileSource, images: range, folder: Path, name: str) -> None:
    """Write one MindRecord file.

    It is written to the folder `unfinished` in `folder`, read back and compared; then its index and the file, in this
    order, are moved to `folder`.

    Args:
        source: Image files.
        images: Indices into `source` of the images to write, in order.
        folder: Folder of the split, which exists.
        name: Name of the file; the index gets the same with ".db".

    Raises:
        ValueError: An image file is empty or too large, or the file was not read back as it was written.
        OSError: An image cannot be read, or the file cannot be written.
    """
    temporary = folder / "unfinished"
    temporary.mkdir(exist_ok=True)
    checksums = []
    try:
        writer = FileWriter(str(temporary / name), shard_num=1, overwrite=True)
        writer.set_header_size(_HEADER_BYTES)
        writer.set_page_size(_PAGE_BYTES)
        writer.add_schema(_SCHEMA, "an image file, its class and its name")
        writer.add_index(["label", "file_name"])
        for first in range(images.start, images.stop, _BATCH_SIZE):
            rows = [_row(source, i) for i in range(first, min(first + _BATCH_SIZE, images.stop))]
            checksums += [(zlib.crc32(row["data"]), row["label"]) for row in rows]
            writer.write_raw_data(rows)
        writer.commit()
    except RuntimeError as error:
        reason = re.search(r"\[ERROR\] (.+)", str(error))
        raise OSError(f"cannot write {temporary / name}: {reason[1] if reason else error}") from error
    if _read_checksums(temporary / name) != checksums:
        raise ValueError(f"{temporary / name} is not what was written to it: is the disk sound?")
    for part in (f"{name}.db", name):
        with open(temporary / part, "r+b") as written:  # Windows flushes only what is open for writing
            os.fsync(written.fileno())
        os.replace(temporary / part, folder / part)
    if not any(temporary.iterdir()):
        temporary.rmdir()


def _row(source: FileSource, i: int) -> dict:
    """Return image `i` as a row of the MindRecord schema: data (bytes), label (int), file_name (path in the folder).

    Bytes of the path that are not UTF-8 are escaped, and a backslash that begins what looks like such an escape, as
    `MindRecordSource.names` expects.

    Raises ValueError if the file is empty or larger than 32 MiB, half a page, and OSError if it cannot be read.
    """
    data = source.read_bytes(i)
    if not 0 < len(data) <= _PAGE_BYTES // 2:
        raise ValueError(
            f"{source.path(i)}: cannot pack a file of {len(data):,} bytes: 1 to {_PAGE_BYTES // 2:,} are wanted"
        )
    name = ESCAPED.sub(rb"\\x5c\1", source.relative_path(i)).decode(errors="backslashreplace")
    return {"data": data, "label": int(source.labels[i]), "file_name": name}


def _read_checksums(file: Path) -> list[tuple[int, int]]:
    """Return (CRC-32 of the image's bytes, label) of each image in a MindRecord file, in order.

    The file's index lies beside it; the errors are those of `read_index`.
    """
    with open(file, "rb") as opened:
        return [
            (zlib.crc32(read_at(opened, int(length), int(offset))[LENGTH_BYTES:]), int(label))
            for offset, length, label in read_index(file)
        ]
