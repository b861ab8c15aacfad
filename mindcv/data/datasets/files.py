"""Image files in folders: how they are listed, and the base class of data sets that read them."""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mindcv.data.image_decode import read_encoded, readable_extensions
from mindcv.errors import printable

EXTENSIONS = readable_extensions()

_SUFFIXES = frozenset(map(str.encode, EXTENSIONS))
_SYSTEM_NAMES = frozenset(
    (b"thumbs.db", b"ehthumbs.db", b"desktop.ini", b"__macosx", b"@eadir", b"$recycle.bin",
     b"system volume information", b"lost+found")
)  # fmt: skip
DEAD_LINK = "dead link"
_SPECIAL, _LOOP = "special file", "link to a folder above it"  # special: a FIFO, socket or device
_MAX_KINDS = 6  # named in a line
_INSTALLABLE = (".heic", ".heics", ".heif", ".heifs", ".hif")


class FileSource:
    """Image files in a folder, each read when it is indexed. Subclasses define `relative_path` and the attributes.

    Attributes:
        folder: Folder of the split.
        labels: (N,) int32 class indices.
        class_names: Name of each class index.
        splits: Splits that the data set has.
        skipped: How many files of each kind that is not read lie among the images.
    """

    encoded = True
    folder: Path
    skipped: Counter[str]
    labels: np.ndarray
    class_names: list[str]
    splits: list[str]

    def relative_path(self, i: int) -> bytes:
        """Return the path of image `i` relative to `folder`."""
        raise NotImplementedError

    def __len__(self) -> int:
        return len(self.labels)

    def names(self) -> Iterator[bytes]:
        """Iterate over the images' paths relative to `folder`, in the order of `labels`."""
        return map(self.relative_path, range(len(self)))

    def path(self, i: int) -> Path:
        """Return the path of image `i`."""
        return self.folder / os.fsdecode(self.relative_path(i))

    def read_bytes(self, i: int) -> bytes:
        """Return the file of image `i` byte by byte, without checking it. Raises OSError."""
        return self.path(i).read_bytes()

    def fingerprint(self, *stat_fields: str) -> bytes:
        """Return bytes that change when an image is added, removed, renamed or modified.

        They hold the folder's absolute path, labels, and each file's name, size and modification time. Files are not
        read; a missing file counts with zeros.

        Args:
            stat_fields: Further attributes of `os.stat_result` to include, such as "st_mode".
        """
        fields = ("st_size", "st_mtime_ns", *stat_fields)
        folder = os.fsencode(self.folder.absolute())
        names = [self.relative_path(i) for i in range(len(self))]
        table = np.zeros((len(self), len(fields)), np.int64)
        for name, row in zip(names, table, strict=True):
            with suppress(OSError):
                status = os.stat(b"%s/%s" % (folder, name))
                row[:] = [getattr(status, field) for field in fields]
        return b"\0".join([folder, *names, self.labels.tobytes(), table.tobytes()])

    def __getitem__(self, i: int) -> tuple[np.ndarray, np.int32]:
        """Return image `i` as encoded bytes, (n,) uint8, and its label. Raises UnreadableImage."""
        return read_encoded(self.path(i)), self.labels[i]


class FolderContents(NamedTuple):
    """The entries of one folder, without hidden ones and those of operating systems.

    Attributes:
        images: Sorted names of its image files.
        folders: Sorted names of its subfolders.
        skipped: How many files of each other kind it has, by an extension such as ".txt" or a description.
    """

    images: list[bytes] | np.ndarray
    folders: list[bytes]
    skipped: Counter[str]


def list_folder(folder: str | bytes | Path) -> FolderContents:
    """Return the entries of `folder`; links count as what they point to.

    An image file is a regular file with one of `EXTENSIONS`, in upper or lower case. A dead link with such a name is
    included, so that reading it reports the error.
    """
    images, folders = [], []
    skipped: Counter[str] = Counter()
    with os.scandir(os.fsencode(folder)) as entries:
        for entry in entries:
            name = entry.name
            if name[:1] != b"." and _suffix(name) in _SUFFIXES and entry.is_file(follow_symlinks=False):
                images.append(name)  # nearly all, so that they are decided fast
            elif is_hidden(name):
                continue
            elif os.path.isdir(entry):
                folders.append(name)
            elif kind := skipped_kind(entry):
                skipped[kind] += 1
            else:
                images.append(name)
    return FolderContents(sorted(images), sorted(folders), skipped)


def walk(
    folder: bytes, contents_of: Callable[[bytes], FolderContents] = list_folder
) -> list[tuple[bytes, FolderContents]]:
    """Return the contents of `folder` and of every folder below it with their paths relative to it, sorted by path.

    Links to folders are followed, except to a folder that holds the link, be it above `folder`. The path of `folder`
    itself is b"".

    Args:
        folder: Path of the folder.
        contents_of: Returns the contents of a folder by its path.
    """

    def below(path: bytes, above: frozenset) -> Iterator[tuple[bytes, FolderContents]]:
        full = os.path.join(folder, path) if path else folder
        status = os.stat(full)
        if (identity := (status.st_dev, status.st_ino)) in above:
            yield path, FolderContents([], [], Counter({_LOOP: 1}))
            return
        contents = contents_of(full)
        yield path, contents
        for name in contents.folders:
            yield from below(path + b"/" + name if path else name, above | {identity})

    parents = {*Path(os.fsdecode(folder)).absolute().parents, *Path(os.fsdecode(folder)).resolve().parents}
    above = frozenset((status.st_dev, status.st_ino) for status in map(os.stat, parents))
    return sorted(below(b"", above), key=lambda found: found[0])


def is_hidden(name: str | bytes) -> bool:
    """Return whether a file or folder is hidden (a leading dot) or one that operating systems put beside images."""
    name = os.fsencode(name)
    return name.startswith(b".") or name.lower() in _SYSTEM_NAMES


def skipped_kind(entry: os.DirEntry | Path) -> str:
    """Return the kind of a file that is not read, ".txt" or a description; "" for an image file or a dead link to one.

    Args:
        entry: Not a folder.
    """
    suffix = _suffix(os.fsencode(entry.name))
    is_dead = not os.path.exists(entry)
    if not is_dead and not os.path.isfile(entry):
        return _SPECIAL
    if suffix in _SUFFIXES:
        return ""
    return DEAD_LINK if is_dead else printable(os.fsdecode(suffix)) or "without an extension"


def skipped_line(place: str | Path, skipped: Counter[str]) -> str:
    """Return one line about the files in `place` that are not read: how many there are, in all and of each kind."""
    kinds = [f"{count:,} {kind}" for kind, count in sorted(skipped.items(), key=lambda item: (-item[1], item[0]))]
    if len(kinds) > _MAX_KINDS:
        kinds[_MAX_KINDS:] = [f"{len(kinds) - _MAX_KINDS:,} further kinds"]
    files = "1 file of a kind that is" if skipped.total() == 1 else f"{skipped.total():,} files of kinds that are"
    hint = "; HEIC is read with pillow-heif: pip install pillow-heif" * any(kind in skipped for kind in _INSTALLABLE)
    return f"{printable(place)}: {files} not read: {', '.join(kinds)}{hint}"


def _suffix(name: bytes) -> bytes:
    """Return the extension of a file name in lower case with its dot, b"" without one."""
    dot = name.rfind(b".")
    return name[dot:].lower() if dot >= 0 else b""
