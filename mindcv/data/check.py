"""Find the images of a data set that cannot be read, before training meets them.

Pillow decodes every image completely: of randomly damaged files it finds all on which MindSpore's decoder would fail or
crash the process. The result is kept in `checked/` of `get_download_root()`, under a name that changes with the files,
so that the same files are decoded only once.
"""

import hashlib
import io
import json
import os
import time
from collections.abc import Iterable, Sequence
from contextlib import nullcontext, suppress
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import PIL
from mindspore.dataset import vision
from PIL import Image

from mindcv.data.datasets import Source
from mindcv.data.datasets.subset import Subset
from mindcv.data.image_decode import UnreadableImage, image_pixel_limit
from mindcv.errors import printable
from mindcv.io.bars import tqdm
from mindcv.io.download import get_download_root
from mindcv.io.files import atomic_write_text, first_bytes

MAX_CHECKED_AT_START = 1000  # images of a data set that every run decodes before it begins, some seconds' work
MAX_EXCLUDED = 0.1  # fraction of a data set; more unreadable images mean that something else is wrong

_RULES = 2  # raised when other images become readable, so that older results do not count
_HEADING = "# unreadable images, listed by mindcv"  # first line of a list, which tells it from the user's files


class BadImage(NamedTuple):
    """An image that cannot be read.

    Attributes:
        index: Its index in the source.
        line: "PATH: REASON".
    """

    index: int  # type: ignore[assignment]  # it hides tuple.index
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
            return BadImage(i, str(error).removeprefix("cannot read image "))
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
        with Image.open(io.BytesIO(data.data)) as image:
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
        return _wait_for(record, len(source), wait)
    return _known_or_found(source, record, num_parallel_workers)


def require_readable(source: Source) -> None:
    """Raise UnreadableImage, naming the first unreadable image, if a small source has any; do nothing for a large one.

    Small are at most `MAX_CHECKED_AT_START` images. The result is kept as by `unreadable_images`, where that is
    possible.
    """
    if not source.encoded or len(source) > MAX_CHECKED_AT_START:
        return
    if bad := _known_or_found(source, record_path(source), must_keep=False):
        more = f" (and {len(bad) - 1} more)" if len(bad) > 1 else ""
        raise UnreadableImage(f"cannot read image {bad[0].line}{more}")


def name_undecodable(images: Iterable[tuple[Source, int]]) -> str | None:
    """Return "cannot read image PATH: REASON" about the first of `images` that Pillow or MindSpore cannot decode.

    None if both decode all of them.

    Args:
        images: Sources and indices into them.
    """

    def try_decode(image: tuple[Source, int]) -> str | None:
        source, i = image
        try:
            decode(source, i)
            vision.Decode()(source[i][0])
        except UnreadableImage as error:
            return str(error)
        except RuntimeError:
            return f"cannot read image {printable(source.path(i))}: MindSpore cannot decode it"
        return None

    with ThreadPool() as pool:
        return next(filter(None, pool.imap(try_decode, images)), None)


def record_path(source: Source) -> Path:
    """Return the path of the JSON file that keeps the unreadable images of `source`, which must be encoded.

    It is in `checked/` of `get_download_root()`. Its name changes with the files and their permissions, and with what
    is readable: the version of Pillow and the largest number of pixels. It does not exist before `unreadable_images`
    writes it.
    """
    rules = f"{_RULES} {PIL.__version__} {image_pixel_limit()} ".encode()
    encoded: Any = source  # it has a fingerprint
    key = hashlib.sha256(rules + encoded.fingerprint("st_mode", "st_uid", "st_gid")).hexdigest()
    return Path(get_download_root()) / "checked" / f"{key[:32]}.json"


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


def _known_or_found(
    source: Source, record: Path, num_parallel_workers: int | None = None, must_keep: bool = True
) -> list[BadImage]:
    """Return what the file `record` keeps about `source`, or else decode all images and write the file.

    An OSError in writing is ignored unless `must_keep`.
    """
    if (bad := _read_record(record, len(source))) is None:
        bad = find_unreadable(source, num_parallel_workers)
        with nullcontext() if must_keep else suppress(OSError):
            atomic_write_text(record, json.dumps(bad))
    return bad


def _read_record(record: Path, images: int) -> list[BadImage] | None:
    """Return what the file `record` keeps about a source of so many images, or None if it is missing or damaged."""
    try:
        kept = json.loads(record.read_bytes())
        bad = [BadImage(int(index), str(line)) for index, line in kept]
    except (OSError, ValueError, TypeError, RecursionError):
        return None
    return bad if isinstance(kept, list) and all(0 <= image.index < images for image in bad) else None


def _wait_for(record: Path, images: int, seconds: float) -> list[BadImage]:
    """Return what `_read_record` returns, once the file can be read. Raises TimeoutError after so many seconds."""
    deadline = time.monotonic() + seconds
    while (bad := _read_record(record, images)) is None:
        if time.monotonic() > deadline:
            raise TimeoutError(
                f"waited {seconds:.0f} s for the process that checks the images to write {record}; "
                "python -m mindcv.data check does it before a run"
            )
        time.sleep(0.2)
    return bad
