"""A cache of the image names in class folders, so that a folder of a million images is not listed at every start."""

import hashlib
import json
import os
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from mindcv.data.datasets.files import DEAD_LINK, EXTENSIONS, FolderContents, list_folder, walk
from mindcv.io.download import get_download_root

MIN_CACHED_IMAGES = 100_000
# A folder is cached once it has not changed for so many seconds: a second change within one tick of the file
# system's clock would go unnoticed.
MIN_UNCHANGED_SECONDS = 10


def list_class_images(folder: Path, classes: Sequence[str]) -> tuple[list[np.ndarray], Counter[str]]:
    """Return the image files in each class folder and below it, and how many files of each other kind there are.

    The files of a class are an array of (n,) bytes: paths relative to the class folder, in the order of torchvision's
    ImageFolder, by folder and then by name. An empty class gives an empty array; a missing one raises
    FileNotFoundError.

    If there are 100,000 (`MIN_CACHED_IMAGES`) or more, the names are written to `indices/` in `get_download_root()`,
    and later calls list only the folders in which files were added, removed or renamed since.

    Args:
        folder: Folder that holds the class folders.
        classes: Names of the class folders, each once.
    """
    path = _cache_path(folder)
    cached = _read_cache(path) if path else {}
    found: dict[tuple[bytes, int, int], FolderContents] = {}
    started = time.time_ns()

    def contents_of(subfolder: bytes) -> FolderContents:
        key = os.path.relpath(subfolder, top), *_folder_state(subfolder)
        if key not in cached:
            listed = list_folder(subfolder)
            found[key] = listed._replace(images=np.array(listed.images, np.bytes_))
        else:
            found[key] = cached[key]
        return found[key]

    top, images = os.fsencode(folder), []
    skipped: Counter[str] = Counter()
    for name in classes:
        below = walk(os.path.join(top, os.fsencode(name)), contents_of)
        images.append(_join(below))
        for _, contents in below:
            skipped += contents.skipped
    lasting = {
        key: contents
        for key, contents in found.items()
        if 0 < key[-1] < started - MIN_UNCHANGED_SECONDS * 1e9 and DEAD_LINK not in contents.skipped
    }
    enough = sum(len(contents.images) for contents in lasting.values()) >= MIN_CACHED_IMAGES
    if path and enough and lasting.keys() != cached.keys():
        _write_cache(path, lasting)
    return images, skipped


def _join(below: list[tuple[bytes, FolderContents]]) -> np.ndarray:
    """Return the paths of all images in the result of `walk`, relative to its folder, (n,) bytes."""
    (_, top), *nested = below
    if not nested:
        return np.asarray(top.images)
    return np.concatenate(
        [top.images, *(np.char.add(path + b"/", found.images) for path, found in nested if len(found.images))]
    )


def _cache_path(folder: Path) -> Path | None:
    """Return the path of `folder`'s cache, which may not exist, or None for a user without a home folder."""
    key = os.fsencode(folder.resolve()) + "".join(EXTENSIONS).encode()
    with suppress(RuntimeError):
        return Path(get_download_root(), "indices", f"{hashlib.sha256(key).hexdigest()[:16]}.npz")
    return None


def _folder_state(folder: bytes) -> tuple[int, int]:
    """Return the folder's inode and the time of its last change in nanoseconds.

    That is the ctime, which programs cannot set; on Windows, where the ctime is the time of creation, the mtime.
    """
    status = os.stat(folder)
    return status.st_ino, max(status.st_ctime_ns, status.st_mtime_ns)


def _read_cache(path: Path) -> dict[tuple[bytes, int, int], FolderContents]:
    """Return each folder's contents by (its path in the split's folder, inode, ctime in nanoseconds).

    Empty if the cache is missing or damaged.
    """
    with suppress(Exception), np.load(path) as index:  # NumPy raises many types of error for damaged files
        images = np.split(index["images"], np.cumsum(index["image_counts"])[:-1])
        names = np.split(index["folders"], np.cumsum(index["folder_counts"])[:-1])
        skipped: Iterator[Counter[str]] = map(Counter, json.loads(str(index["skipped"])))
        contents = map(FolderContents, images, map(np.ndarray.tolist, names), skipped)
        keys = zip(index["paths"].tolist(), *index["states"].T.tolist(), strict=True)
        return dict(zip(keys, contents, strict=True))
    return {}


def _write_cache(path: Path, contents_by_state: dict[tuple[bytes, int, int], FolderContents]) -> None:
    """Write the cache atomically, since the workers of a run do so at the same time; ignore an OSError.

    Args:
        path: The cache; replaced if it exists.
        contents_by_state: Folders' contents by (path in the split's folder, inode, ctime in nanoseconds), at least one.
    """
    paths, *states = zip(*contents_by_state, strict=True)
    images, folders, skipped = zip(*contents_by_state.values(), strict=True)
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=path.parent) as temporary:
            complete = Path(temporary, path.name)
            np.savez(
                complete,
                paths=np.array(paths, np.bytes_),
                states=np.array(states, np.uint64).T,
                image_counts=list(map(len, images)),
                images=np.concatenate(images),
                folder_counts=list(map(len, folders)),
                folders=np.array([name for names in folders for name in names], np.bytes_),
                skipped=json.dumps(skipped),
            )
            complete.replace(path)
