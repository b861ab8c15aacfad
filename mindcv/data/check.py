"""Find the images of a data set that cannot be read, before training meets them.

Pillow decodes every image completely: for randomly damaged files it finds those that MindSpore's decoder would fail on,
and it reports damaged JPEG headers on which MindSpore's decoder can crash the process. The result is kept in `checked/`
of `get_download_root()`, under a name that changes with the files, so that the same files are decoded only once.
"""

import hashlib
import io
import json
import os
import time
from collections.abc import Sequence
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from mindcv.data.datasets import Source
from mindcv.data.datasets.subset import Subset
from mindcv.data.image_decode import UnreadableImage
from mindcv.io.bars import tqdm
from mindcv.io.download import get_download_root
from mindcv.io.files import atomic_write_text, first_bytes

MAX_EXCLUDED = 0.1  # fraction of a data set; more unreadable images mean that something else is wrong

_HEADING = "# unreadable images, listed by mindcv"  # first line of a list, which tells it from the user's files


class BadImage(NamedTuple):
    """An image that cannot be read.

    Attributes:
        index: Its index in the source.
        line: "PATH: REASON".
    """

    index: int
    line: str


def find_unreadable(source: Source, num_parallel_workers: int | None = None) -> list[BadImage]:
    """Open and decode every image of `source`, with a progress bar, and return those where this fails, in order.

    Sources that hold pixels have none. `unreadable_images` keeps the result for the next call.

    Args:
        source: The data set.
        num_parallel_workers: Threads (Pillow decodes without Python's global lock); None for one per core.
    """
    if not source.encoded:
        return []

    def try_decode(i: int) -> BadImage | None:
        try:
            decode(source, i)
        except UnreadableImage as error:
            line = str(error).removeprefix("cannot read image ")
            return BadImage(i, line.encode(errors="backslashreplace").decode())
        return None

    with ThreadPool(num_parallel_workers or os.cpu_count()) as pool:
        results = pool.imap(try_decode, range(len(source)), chunksize=64)
        return [bad for bad in tqdm(results, "checking images", len(source), unit="image", disable=None) if bad]


def decode(source: Source, i: int) -> np.ndarray:
    """Return the pixels of image `i` of an encoded source, RGB (H, W, 3) uint8, decoded by Pillow.

    Raises:
        UnreadableImage: It cannot be opened or decoded.
    """
    data = source[i][0]
    try:
        with Image.open(io.BytesIO(data)) as image:
            return np.asarray(image.convert("RGB"))
    except Exception as error:  # Pillow's decoders raise many types of error
        raise UnreadableImage.of(source.path(i), error) from error


def unreadable_images(
    source: Source, wait: float | None = None, num_parallel_workers: int | None = None
) -> list[BadImage]:
    """Return the images of `source` that cannot be read, in order, decoding every image unless the result is known.

    The first call decodes all images with a progress bar, which can take hours, and writes the result atomically to
    `record_path(source)`; later calls with the same files read it from there. Sources that hold pixels have none.

    Args:
        source: The data set.
        wait: Do not decode, but wait up to so many seconds for another process to write the result; None to decode
            if there is no result yet.
        num_parallel_workers: Threads that decode; None for one per core.

    Raises:
        TimeoutError: The other process took longer.
        OSError: The result cannot be written.
    """
    if not source.encoded:
        return []
    record = record_path(source)
    if wait is not None:
        _wait_for(record, wait)
    if not record.exists():
        atomic_write_text(record, json.dumps(find_unreadable(source, num_parallel_workers)))
    return [BadImage(*bad) for bad in json.loads(record.read_text(encoding="utf-8"))]


def record_path(source: Source) -> Path:
    """Return the path of the JSON file that keeps the unreadable images of `source`, which must be encoded.

    It is in `checked/` of `get_download_root()`. Its name changes with the files and their permissions. It does not
    exist before `unreadable_images` writes it.
    """
    fingerprint = source.fingerprint("st_mode", "st_uid", "st_gid")
    return Path(get_download_root()) / "checked" / f"{hashlib.sha256(fingerprint).hexdigest()[:32]}.json"


def write_unreadable_list(path: Path, lines: Sequence[str]) -> None:
    """Write a list of unreadable images atomically: a heading, and the `line` of each `BadImage`.

    An existing file is replaced, and missing folders are created. An OSError names `path`.
    """
    atomic_write_text(path, "".join(f"{line}\n" for line in (_HEADING, *lines)))


def is_unreadable_list(path: Path) -> bool:
    """Return whether `write_unreadable_list` wrote the file `path`, judged by its heading; False if unreadable."""
    return first_bytes(path).startswith(f"{_HEADING}\n".encode())


def exclude_images(source: Source, bad: Sequence[BadImage]) -> Source:
    """Return `source` without the images `bad`; `excluded` of the result has their lines.

    If `bad` is empty, the result is `source` itself, which may lack the attribute `excluded`.

    Raises:
        ValueError: A class would lose all its images, or `bad` is more than a tenth (`MAX_EXCLUDED`) of all images.
    """
    if not bad:
        return source
    kept = np.delete(np.arange(len(source)), [b.index for b in bad])
    emptied = np.setdiff1d(source.labels, source.labels[kept])
    if len(emptied):
        name = source.class_names[emptied[0]]
        raise ValueError(f"no image of class {name} can be read, such as {bad[0].line}")
    if len(bad) > MAX_EXCLUDED * len(source):
        raise ValueError(
            f"{len(bad):,} of {len(source):,} images cannot be read, too many to leave out, such as {bad[0].line}"
        )
    return Subset(source, kept, tuple(b.line for b in bad))


def _wait_for(record: Path, seconds: float) -> None:
    """Wait until the file `record` exists. Raises TimeoutError after so many seconds."""
    deadline = time.monotonic() + seconds
    while not record.exists():
        if time.monotonic() > deadline:
            raise TimeoutError(
                f"waited {seconds:.0f} s for the process that checks the images to write {record}; "
                "python -m mindcv.data check does it before a run"
            )
        time.sleep(0.2)
