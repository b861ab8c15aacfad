"""Care for data sets: python -m mindcv.data check FOLDER, or pack FOLDER OUT."""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from mindcv.data.check import is_unreadable_list, unreadable_images
from mindcv.data.datasets import Source, open_source
from mindcv.data.datasets.classes import list_folders
from mindcv.data.datasets.files import list_images
from mindcv.data.pack import pack as pack_source
from mindcv.data.pack import require_pack_folder
from mindcv.io.files import atomic_write_text, require_replaceable


def main(arguments: list[str] | None = None, prog: str = "python -m mindcv.data") -> int:
    """Run the command line; the exit code is 0, 1 if `check` found unreadable images, or 2 after an error."""
    parser = _parser(prog)
    options = parser.parse_args(arguments)
    try:
        return options.run(options)
    except (ValueError, OSError) as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 2


def check(options: argparse.Namespace) -> int:
    """Decode every image; print those that cannot be read, one a line, and write them to `options.output`."""
    output = Path(options.output) if options.output else None
    if output:
        require_replaceable(output, "a list of unreadable images", is_unreadable_list)
    sources = list(_opened(options))
    lines = [bad.line for source in sources for bad in unreadable_images(source, num_parallel_workers=options.workers)]
    for line in lines:
        print(line)
    if output:
        atomic_write_text(output, "".join(f"{line}\n" for line in lines))
    print(f"{sum(map(len, sources)):,} images, {len(lines):,} unreadable", file=sys.stderr)
    return 1 if lines else 0


def pack(options: argparse.Namespace) -> int:
    """Pack the splits into MindRecord files."""
    for split in options.split:
        require_pack_folder(Path(options.out) / split)
    for split, source in zip(options.split, _opened(options), strict=True):
        packed = pack_source(source, Path(options.out) / split, options.shards)
        print(f"{packed.folder}: {len(packed):,} images of {len(packed.class_names):,} classes", file=sys.stderr)
    print(f"to train on them, pass --dataset mindrecord --data_dir {options.out}", file=sys.stderr)
    return 0


def _opened(options: argparse.Namespace) -> Iterator[Source]:
    """The splits, their labels counted by the training images' folders where they are there.

    The list is of images that lie in a split itself; splits of class folders need none.

    Raises:
        ValueError, FileNotFoundError: as `open_source`; or no split has images for the list.
    """
    listed = [name for name in options.split if _has_images(Path(options.folder, name))] if options.list else []
    if options.list and not listed:
        raise ValueError(f"no images in {options.folder}/{' or '.join(options.split)} itself, for {options.list}")
    train = Path(options.folder, "train")
    by = list_folders(train) if options.dataset in ("imagenet", "folder") and train.is_dir() else None
    for split in options.split:
        listing = options.list if split in listed else None
        yield open_source(options.dataset, options.folder, split, class_names=by, listing=listing)


def _has_images(folder: Path) -> bool:
    return folder.is_dir() and bool(list_images(folder))


def _parser(prog: str = "python -m mindcv.data") -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=prog, description="Care for data sets.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    command = commands.add_parser(
        "check",
        help="find the images that cannot be read",
        description="Decode every image and list those that cannot be read. Training with --on_bad_image skip "
        "leaves out what was found here, and need not decode the same files again.",
    )
    command.set_defaults(run=check)
    _add_source(command)
    command.add_argument("--dataset", default="imagenet", metavar="NAME", help="which it is (default: imagenet)")
    command.add_argument("--output", metavar="FILE", help="write the list there too")
    command.add_argument("--workers", type=int, metavar="N", help="threads (default: one a core)")

    command = commands.add_parser(
        "pack",
        help="pack a folder of images into MindRecord files",
        description="Pack a folder of images into a few large MindRecord files, each compared with the images once "
        "written. The same command goes on after a break. Train with --dataset mindrecord --data_dir OUT.",
    )
    command.set_defaults(run=pack, dataset="folder")
    _add_source(command)
    command.add_argument("out", metavar="OUT", help="the folder to write to")
    command.add_argument("--shards", type=int, default=128, metavar="N", help="files a split (default: 128)")
    return parser


def _add_source(command: argparse.ArgumentParser) -> None:
    command.add_argument("folder", metavar="FOLDER", help="the folder of the data set, which holds its splits")
    command.add_argument(
        "--split", nargs="+", default=["train"], metavar="NAME", help="one or more of its splits (default: train)"
    )
    command.add_argument(
        "--list",
        metavar="FILE",
        help="the classes of images that lie in a split's folder itself, as in val.txt",
    )


if __name__ == "__main__":
    sys.exit(main())
