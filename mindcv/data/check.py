"""Find the images of a data set that cannot be read, before a run meets them.

Every image is decoded to its last pixel, by Pillow: of files damaged at random, those that it decodes are
those that MindSpore's decoder reads, and a damaged JPEG header that makes it complain can make MindSpore's end
the process. What was found is kept in `checked/` of `get_download_root()` under a name that changes with the
files, so that they are decoded once.
"""

import hashlib
import io
import json
import logging
import os
import re
import time
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image
from tqdm import tqdm

from mindcv.data.datasets import Source
from mindcv.data.datasets.files import EXTENSIONS
from mindcv.data.datasets.subset import Subset
from mindcv.data.image_decode import UnreadableImage
from mindcv.io.download import get_download_root

logger = logging.getLogger("mindcv")

MOST_BAD = 0.1  # share of a data set; where more cannot be read, something else is wrong

# A line of a list: an image file, in brackets if it is packed, and what is wrong with it.
_LINE = re.compile(rf".+(?:{'|'.join(map(re.escape, EXTENSIONS))})\)?: .+", re.IGNORECASE)


class BadImage(NamedTuple):
    """Image number `index` of a source, and one line that names it and what is wrong."""

    index: int
    line: str


def find_unreadable(source: Source, num_parallel_workers: int | None = None) -> list[BadImage]:
    """Decode every image of `source`, with a progress bar, and say which cannot be.

    Threads do it, one a core by default (Pillow decodes outside Python's lock).
    """
    if not source.encoded:
        return []

    def look(i: int) -> BadImage | None:
        try:
            decode(source, i)
        except UnreadableImage as error:
            line = str(error).removeprefix("cannot read image ")
            return BadImage(i, line.encode(errors="backslashreplace").decode())
        return None

    with ThreadPool(num_parallel_workers or os.cpu_count()) as pool:
        looks = pool.imap(look, range(len(source)), chunksize=64)
        return [bad for bad in tqdm(looks, "checking images", len(source), unit="image", disable=None) if bad]


def decode(source: Source, i: int) -> np.ndarray:
    """The pixels (H, W, 3) uint8 of image `i` of an encoded source. Raises UnreadableImage."""
    data = source[i][0]
    try:
        with Image.open(io.BytesIO(data)) as image:
            return np.asarray(image.convert("RGB"))
    except Exception as error:  # Pillow's decoders raise whatever they run into
        raise UnreadableImage.of(source.path(i), error) from error


def checked(source: Source, wait: float | None = None, num_parallel_workers: int | None = None) -> list[BadImage]:
    """The unreadable images of `source`, found now or, with the same files, before.

    Args:
        wait: leave the work to another process that was started with the same data, and wait that many
            seconds for it; None to do it here.

    Raises:
        TimeoutError: it took the other process longer.
        OSError: what was found cannot be kept.
    """
    if not source.encoded:
        return []
    record = record_of(source)
    if wait is not None:
        _wait_for(record, wait)
    if not record.exists():
        record.parent.mkdir(parents=True, exist_ok=True)
        found = find_unreadable(source, num_parallel_workers)
        unfinished = record.with_suffix(f".{os.getpid()}")
        unfinished.write_text(json.dumps(found))
        unfinished.replace(record)
    return [BadImage(*bad) for bad in json.loads(record.read_text())]


def record_of(source: Source) -> Path:
    """Where it is kept which images of `source` cannot be read, once they have been decoded."""
    who_may_read = ("st_mode", "st_uid", "st_gid")
    digest = hashlib.sha256(source.fingerprint(*who_may_read)).hexdigest()[:32]
    return Path(get_download_root()) / "checked" / f"{digest}.json"


def is_list_of_bad(path: Path) -> bool:
    """Return whether `path` is a list of unreadable images, each line an image file and what is wrong with it."""
    with suppress(OSError, ValueError):
        lines = path.read_text(encoding="utf-8").splitlines()
        return bool(lines) and all(map(_LINE.fullmatch, lines))
    return False


def leave_out(source: Source, bad: Sequence[BadImage]) -> Source:
    """`source` without its unreadable images; their lines are in the `left_out` of what is returned.

    Raises:
        ValueError: that empties a class, or they are more than `MOST_BAD` of all.
    """
    if not bad:
        return source
    readable = np.delete(np.arange(len(source)), [b.index for b in bad])
    emptied = np.setdiff1d(source.labels, source.labels[readable])
    if len(emptied):
        name = source.class_names[emptied[0]]
        raise ValueError(f"no image of class {name} can be read, such as {bad[0].line}")
    if len(bad) > MOST_BAD * len(source):
        raise ValueError(
            f"{len(bad):,} of {len(source):,} images cannot be read, too many to leave out, such as {bad[0].line}"
        )
    return Subset(source, readable, tuple(b.line for b in bad))


def _wait_for(record: Path, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not record.exists():
        if time.monotonic() > deadline:
            raise TimeoutError(
                f"waited {seconds:.0f} s for the process that checks the images to write {record}; "
                "python -m mindcv.data check does it before a run"
            )
        time.sleep(0.2)
