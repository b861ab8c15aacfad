"""A cache of the image names in class folders, so that a folder of a million images is not listed at every start."""

import hashlib
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from mindcv.data.datasets.files import EXTENSIONS, list_images
from mindcv.io.download import get_download_root

MIN_CACHED_IMAGES = 100_000
# A class folder is cached once it has not changed for so many seconds: a second change within one tick of the file
# system's clock would go unnoticed.
MIN_UNCHANGED_SECONDS = 10


def list_class_images(folder: Path, classes: Sequence[str]) -> list[np.ndarray]:
    """Return the sorted names of the image files in each class folder, one array of (n,) bytes per class, in order.

    An empty folder gives an empty array; a missing one raises FileNotFoundError.

    If there are 100,000 (`MIN_CACHED_IMAGES`) or more, the names are written to `indices/` in `get_download_root()`,
    and later calls list only the class folders in which files were added, removed or renamed since.

    Args:
        folder: Folder that holds the class folders.
        classes: Names of the class folders, each once.
    """
    path = _cache_path(folder)
    cached, found = _read_cache(path) if path else {}, {}
    started = time.time_ns()
    for name in classes:
        key = name, *_folder_state(folder / name)
        found[key] = cached[key] if key in cached else np.array(list_images(folder / name), np.bytes_)
    unchanged = {key: names for key, names in found.items() if 0 < key[-1] < started - MIN_UNCHANGED_SECONDS * 1e9}
    if path and unchanged.keys() != cached.keys() and sum(map(len, unchanged.values())) >= MIN_CACHED_IMAGES:
        _write_cache(path, unchanged)
    return list(found.values())


def _cache_path(folder: Path) -> Path | None:
    """Return the path of `folder`'s cache, which may not exist, or None for a user without a home folder."""
    key = os.fsencode(folder.resolve()) + "".join(EXTENSIONS).encode()
    with suppress(RuntimeError):
        return Path(get_download_root(), "indices", f"{hashlib.sha256(key).hexdigest()[:16]}.npz")
    return None


def _folder_state(folder: Path) -> tuple[int, int]:
    """Return the folder's inode and the time of its last change in nanoseconds (ctime, which programs cannot set)."""
    status = os.stat(folder)
    return status.st_ino, status.st_ctime_ns


def _read_cache(path: Path) -> dict[tuple[str, int, int], np.ndarray]:
    """Return each class folder's image names, (n,) bytes, by (the folder's name, inode, ctime in nanoseconds).

    Empty if the cache is missing or damaged.
    """
    with suppress(Exception), np.load(path) as index:  # NumPy raises many types of error for damaged files
        names = np.split(index["names"], np.cumsum(index["counts"])[:-1])
        return dict(zip(zip(index["classes"].tolist(), *index["states"].T.tolist(), strict=True), names, strict=True))
    return {}


def _write_cache(path: Path, names_by_state: dict[tuple[str, int, int], np.ndarray]) -> None:
    """Write the cache atomically, since the workers of a run do so at the same time; ignore an OSError.

    Args:
        path: The cache; replaced if it exists.
        names_by_state: Image names by (class folder's name, inode, ctime in nanoseconds), at least one entry.
    """
    classes, *states = zip(*names_by_state, strict=True)
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=path.parent) as temporary:
            complete = Path(temporary, path.name)
            np.savez(
                complete,
                classes=classes,
                states=np.array(states, np.uint64).T,
                counts=[len(names) for names in names_by_state.values()],
                names=np.concatenate(list(names_by_state.values())),
            )
            complete.replace(path)
