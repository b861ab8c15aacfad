"""Data sets, opened by name.

`open_source` returns a *source*, an indexable data set. Every source has

- `source[i]`: image i and its label. The image is uint8: the encoded bytes of its file, (n,), if `encoded`, else RGB
  pixels, (H, W, 3). The label is an int32 from 0 to len(class_names) - 1;
- `len(source)`, the number of images N;
- `encoded`, whether images come as encoded bytes;
- `labels`, (N,) int32, and `class_names`, the name of each class index;
- `splits`, the splits that the data set has;
- `path(i)`, which names image i by its file or by its index, and
- `names()`, an iterator of bytes that identify each image wherever the data is stored.

Encoded sources also have `fingerprint(*stat_fields)`, bytes that change when a file changes; folders and MindRecord
files have `read_bytes(i)`, the file of image i.
"""

from collections.abc import Sequence

from mindcv.data.datasets.arrays import ArraySource
from mindcv.data.datasets.cifar import open_cifar10, open_cifar100
from mindcv.data.datasets.digits import open_digits
from mindcv.data.datasets.files import FileSource, skipped_line
from mindcv.data.datasets.folder import FolderSource
from mindcv.data.datasets.listed import ListedSource
from mindcv.data.datasets.mindrecord import MindRecordSource
from mindcv.data.datasets.mnist import open_mnist
from mindcv.data.datasets.subset import Subset
from mindcv.errors import did_you_mean, warn_once
from mindcv.io.download import get_dataset_download_root

_FOLDERS = ("", "folder", "imagenet")
_DOWNLOADABLE = {"cifar10": open_cifar10, "cifar100": open_cifar100, "mnist": open_mnist}
NAMES = (*_FOLDERS, "mindrecord", *_DOWNLOADABLE, "digits")

Source = ArraySource | FolderSource | ListedSource | MindRecordSource | Subset


def open_source(
    name: str,
    root: str | None,
    split: str,
    download: bool = False,
    class_names: Sequence[str] | None = None,
    listing: str | None = None,
) -> Source:
    """Return one split of the data set `name`. Image files are listed, but not read.

    A warning, once in a process for each folder, counts the files in its folder that are of kinds that are not read.

    Element i of it is image i, uint8, as encoded bytes (n,) or RGB pixels (H, W, 3), and its label, int32.

    Args:
        name: In upper or lower case: "imagenet", "folder" or "" for `root/split/class/*.jpg`; "mindrecord" for such a
            folder packed by `mindcv data pack`; "cifar10", "cifar100", "mnist"; or "digits", which ships with the
            package.
        root: Folder of the data set. Not used for digits; for CIFAR and MNIST, None means
            `get_dataset_download_root()/name`.
        split: Name of the split, such as "train"; `default_val_split` gives the one to validate on. For folders, ""
            means that the class folders lie in `root` itself.
        download: Download CIFAR or MNIST, verified by checksum, if it is not in `root`.
        class_names: Class names in the order of their indices, such as those of the training split; by default,
            those of the split. Other data sets than folders and MindRecord accept only their own.
        listing: For folders, path of a list with the class of each image, if the images lie in `root/split` itself, in
            lines such as `image.jpg 65` or `my image.jpg,tiger cat`; `ListedSource` describes further forms.

    Raises:
        ValueError: The name or split is unknown, a class is not in `class_names`, a file is damaged, `download` is set
            for folders or MindRecord, their `root` is None, or `listing` is given for another data set than folders.
        FileNotFoundError: The data set is not in `root`; for folders and MindRecord, also if the split does not exist.
        OSError: The download failed.
    """
    source: Source
    name = check_name(name)
    if listing and name not in _FOLDERS:
        raise ValueError(f"a list of images goes with a folder of them, not with dataset {name!r}")
    if name in _DOWNLOADABLE:
        source = _DOWNLOADABLE[name](root or f"{get_dataset_download_root()}/{name}", split, download)
    elif name == "digits":
        source = open_digits(split)
    elif download:
        raise ValueError(f"dataset {name!r} cannot be downloaded; {', '.join(_DOWNLOADABLE)} can")
    elif root is None:
        raise ValueError(f"dataset {name!r} needs a root, the folder that holds its splits")
    elif name == "mindrecord":
        source = MindRecordSource(root, split, class_names)
    elif listing:
        source = ListedSource(root, split, listing, class_names)
    else:
        source = FolderSource(root, split, class_names)
    if class_names and list(class_names) != source.class_names:
        raise ValueError(
            f"the classes of {name} are {', '.join(source.class_names[:5])}…, not {', '.join(class_names)}"
        )
    if isinstance(source, FileSource) and source.skipped:
        warn_once(skipped_line(source.folder, source.skipped))
    return source


def check_name(name: str) -> str:
    """Return `name` in lower case; raise ValueError, with the most similar name, if no data set is called so."""
    if name.lower() not in NAMES:
        raise ValueError(f"no dataset {name!r}{did_you_mean(name, NAMES[1:])} (your own images: 'folder')")
    return name.lower()


def is_encoded(name: str) -> bool:
    """Return whether the images of data set `name` are files to decode, not pixels. Raises ValueError if unknown."""
    return check_name(name) in (*_FOLDERS, "mindrecord")


def default_val_split(name: str) -> str:
    """Return the split to validate on: "test" for CIFAR and MNIST, otherwise "val".

    Raises:
        ValueError: No data set has this name.
    """
    return "test" if check_name(name) in _DOWNLOADABLE else "val"
