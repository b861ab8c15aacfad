"""Pack a folder of images into a few large MindRecord files, which a shared disk reads faster than a million small.

The files' bytes stay as they are, in the folder's order, so that a run sees the same images in the same order from
either. MindSpore's `MindDataset` reads them too (columns data, label, file_name).
"""

import hashlib
import json
import os
import re
import zlib
from pathlib import Path

from mindspore.mindrecord import FileWriter
from tqdm import tqdm

from mindcv.data.datasets import Source
from mindcv.data.datasets.mindrecord import MANIFEST, MindRecordSource, read_index, shard_bounds, shard_name
from mindcv.io.files import atomic_write_text, json_object

_SCHEMA = {"data": {"type": "bytes"}, "label": {"type": "int32"}, "file_name": {"type": "string"}}
_BATCH = 64  # images handed to MindSpore at a time
_HEADER = 1 << 20  # bytes, in place of 16 MB
_LARGEST = 1 << 26  # bytes of a page, which must hold the largest image


def pack(source: Source, folder: str | os.PathLike, shards: int = 128) -> MindRecordSource:
    """Write the image files of `source` to `folder` as `shards` MindRecord files, with a progress bar.

    Each file is read back and compared before it gets its name; after a break, the same call goes on with the first
    that is missing.

    Returns:
        The packed images.

    Raises:
        ValueError: `folder` holds a packing of other images, or anything else; or a file read back is not what was
            written.
        OSError: an image cannot be read, or a file cannot be written.
    """
    if shards < 1:
        raise ValueError(f"shards must be 1 or more, got {shards}")
    folder = Path(folder)
    shards = min(shards, len(source))
    manifest = {
        "images": len(source),
        "shards": shards,
        "class_names": source.class_names,
        "packed_from": hashlib.sha256(source.fingerprint()).hexdigest(),
    }
    _begin(folder, manifest)
    bounds = shard_bounds(len(source), shards)
    with tqdm(total=len(source), desc="packing", unit="image", disable=None) as bar:
        for k in range(shards):
            images = range(bounds[k], bounds[k + 1])
            if not (folder / shard_name(k)).exists():
                _write_shard(source, images, folder, shard_name(k))
            bar.update(len(images))
    return MindRecordSource(folder.parent, folder.name)


def require_unused(folder: Path) -> None:
    """Check that `folder` holds a packing, finished or not, or nothing.

    Raises:
        ValueError: it holds something else.
    """
    others = sorted(path.name for path in folder.glob("[!.]*"))
    if others and MANIFEST not in others:
        raise ValueError(f"{folder} holds other files, such as {others[0]}: give another folder")


def _begin(folder: Path, manifest: dict) -> None:
    there = folder / MANIFEST
    require_unused(folder)
    if not there.exists():
        atomic_write_text(there, json.dumps(manifest))
    elif json_object(there) != manifest:
        raise ValueError(
            f"{folder} holds a packing of other images, of changed ones, or into another number of files: "
            "give another folder, or remove it"
        )


def _write_shard(source: Source, images: range, folder: Path, name: str) -> None:
    """Write some images to a file aside, compare, and move it and its index to their place, the file last."""
    temporary = folder / "unfinished"
    temporary.mkdir(exist_ok=True)
    sums = []
    try:
        writer = FileWriter(str(temporary / name), shard_num=1, overwrite=True)
        writer.set_header_size(_HEADER)
        writer.set_page_size(_LARGEST)
        writer.add_schema(_SCHEMA, "an image file, its class and its name")
        writer.add_index(["label", "file_name"])
        for first in range(images.start, images.stop, _BATCH):
            rows = [_row(source, i) for i in range(first, min(first + _BATCH, images.stop))]
            sums += [(zlib.crc32(row["data"]), row["label"]) for row in rows]
            writer.write_raw_data(rows)
        writer.commit()
    except RuntimeError as error:
        reason = re.search(r"\[ERROR\] (.+)", str(error))
        raise OSError(f"cannot write {temporary / name}: {reason[1] if reason else error}") from error
    if _sums_of(temporary / name) != sums:
        raise ValueError(f"{temporary / name} is not what was written to it: is the disk sound?")
    for part in (f"{name}.db", name):
        with open(temporary / part, "rb") as written:
            os.fsync(written.fileno())
        os.replace(temporary / part, folder / part)
    if not any(temporary.iterdir()):
        temporary.rmdir()


def _row(source: Source, i: int) -> dict:
    data = source.packed(i)
    if not 0 < len(data) <= _LARGEST // 2:
        raise ValueError(
            f"{source.path(i)}: cannot pack a file of {len(data):,} bytes: 1 to {_LARGEST // 2:,} are wanted"
        )
    name = os.fspath(source.path(i).relative_to(source.folder))
    return {"data": data, "label": int(source.labels[i]), "file_name": name}


def _sums_of(file: Path) -> list[tuple[int, int]]:
    with open(file, "rb") as opened:
        return [
            (zlib.crc32(os.pread(opened.fileno(), int(length), int(start))[8:]), int(label))
            for start, length, label in read_index(file)
        ]
