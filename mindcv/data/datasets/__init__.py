"""Data sets by name.

Each is a *source*: `class_names`, `splits`, `encoded` (whether an image comes as the bytes of its file or as
pixels), `labels`, (N,) int32, `names()`, bytes that identify each image wherever the data lies, `len(source)`, and
`source[i]`, which is a uint8 array, (n,) if encoded, else (H, W, 3), and an int32 label from 0 to
len(class_names) - 1. `path(i)` names an image, by its file or by its index. Encoded ones have `fingerprint()`, bytes
that change when their files do.
"""

from collections.abc import Sequence
from difflib import get_close_matches

from mindcv.data.datasets.arrays import ArraySource
from mindcv.data.datasets.cifar import open_cifar10, open_cifar100
from mindcv.data.datasets.digits import open_digits
from mindcv.data.datasets.folder import FolderSource
from mindcv.data.datasets.listed import ListedSource
from mindcv.data.datasets.mindrecord import MindRecordSource
from mindcv.data.datasets.mnist import open_mnist
from mindcv.data.datasets.subset import Subset
from mindcv.io.download import get_dataset_download_root

_FOLDERS = ("", "folder", "imagenet")
_PUBLISHED = {"cifar10": open_cifar10, "cifar100": open_cifar100, "mnist": open_mnist}
NAMES = (*_FOLDERS, "mindrecord", *_PUBLISHED, "digits")

Source = ArraySource | FolderSource | ListedSource | MindRecordSource | Subset


def open_source(
    name: str,
    root: str | None,
    split: str,
    download: bool = False,
    class_names: Sequence[str] | None = None,
    listing: str | None = None,
) -> Source:
    """The data set `name`.

    Args:
        name: "imagenet", "folder" or "" for `root/split/class/*.jpg`; "mindrecord" for what
            `python -m mindcv.data pack` made of that; "cifar10", "cifar100", "mnist", "digits".
        root: its folder. Not needed for digits; for those that can be downloaded, None means
            `get_dataset_download_root()/name`.
        split: "train" and so on (see `default_val_split`); "" takes the class folders in `root` itself.
        download: fetch CIFAR or MNIST, verified by checksum, if it is not in `root`.
        class_names: the classes that labels count by, in place of the split's own (folders and MindRecord only).
        listing: a file that says which class each image is of, where they lie in `root/split` itself; see
            `ListedSource`.

    Raises:
        ValueError: no such name or split, a class not in `class_names`, or `download` of what cannot be.
        FileNotFoundError: it is not there.
    """
    check_name(name)
    if listing and name not in _FOLDERS:
        raise ValueError(f"a list of images goes with a folder of them, not with dataset {name!r}")
    if name in _PUBLISHED:
        source = _PUBLISHED[name](root or f"{get_dataset_download_root()}/{name}", split, download)
    elif name == "digits":
        source = open_digits(split)
    elif download:
        raise ValueError(f"dataset {name!r} cannot be downloaded; {', '.join(_PUBLISHED)} can")
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
    return source


def check_name(name: str) -> None:
    """Raises ValueError, with the nearest names, if there is no data set of this name."""
    if name not in NAMES:
        near = get_close_matches(name, NAMES, n=2, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}?" if near else f"known are {', '.join(NAMES[1:])}"
        raise ValueError(f"no dataset {name!r}; {hint} (your own images: 'folder')")


def is_encoded(name: str) -> bool:
    """Whether the images of data set `name` come as files to decode, and not as pixels."""
    check_name(name)
    return name in (*_FOLDERS, "mindrecord")


def default_val_split(name: str) -> str:
    """The split to validate on: "test" for those published with train and test alone, else "val"."""
    check_name(name)
    return "test" if name in _PUBLISHED else "val"
