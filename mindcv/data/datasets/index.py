"""The names of many images, kept, so that a folder of a million is not listed at every start."""

import hashlib
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from mindcv.data.datasets.files import EXTENSIONS, images_in
from mindcv.io.download import get_download_root

WORTH_KEEPING = 100_000  # images
SETTLED = 10  # seconds since a class folder's last change; a change in the same tick of its clock would not be seen


def images_of(folder: Path, classes: Sequence[str]) -> list[np.ndarray]:
    """The names of the images of each class folder, as `images_in` gives them, each class (n,) bytes.

    Of `WORTH_KEEPING` images or more they are kept in `indices/` of the folder for everything fetched, see
    `mindcv.io.download`. A class folder is listed again when it has changed since: when a file was added, taken away or
    renamed there, in whatever way.
    """
    path = _place(folder)
    known, found = _read(path) if path else {}, {}
    began = time.time_ns()
    for name in classes:
        key = name, *_state(folder / name)
        found[key] = known[key] if key in known else np.array(images_in(folder / name), np.bytes_)
    settled = {key: names for key, names in found.items() if 0 < key[-1] < began - SETTLED * 1e9}
    if path and settled.keys() != known.keys() and sum(map(len, settled.values())) >= WORTH_KEEPING:
        _write(path, settled)
    return list(found.values())


def _place(folder: Path) -> Path | None:
    """Where the index is; None for a user without a home."""
    what = os.fsencode(folder.resolve()) + "".join(EXTENSIONS).encode()
    with suppress(RuntimeError):
        return Path(get_download_root(), "indices", f"{hashlib.sha256(what).hexdigest()[:16]}.npz")
    return None


def _state(folder: Path) -> tuple[int, int]:
    """Which folder it is, and when it changed last, a time that no program can set."""
    facts = os.stat(folder)
    return facts.st_ino, facts.st_ctime_ns


def _read(path: Path) -> dict[tuple[str, int, int], np.ndarray]:
    """By class folder, in that state; empty where there is no index, or a damaged one."""
    with suppress(Exception), np.load(path) as index:  # which raises whatever a damaged file leads it to
        names = np.split(index["names"], np.cumsum(index["counts"])[:-1])
        return dict(zip(zip(index["classes"].tolist(), *index["states"].T.tolist(), strict=True), names, strict=True))
    return {}


def _write(path: Path, known: dict[tuple[str, int, int], np.ndarray]) -> None:
    """Where that is not possible, do without: the workers of a run write it side by side, each aside first."""
    classes, *states = zip(*known, strict=True)
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=path.parent) as temporary:
            whole = Path(temporary, path.name)
            np.savez(
                whole,
                classes=classes,
                states=np.array(states, np.uint64).T,
                counts=[len(names) for names in known.values()],
                names=np.concatenate(list(known.values())),
            )
            whole.replace(path)
