"""`mindcv data check` and `mindcv data pack`: find unreadable images, or pack images into MindRecord files."""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from mindcv.cli.parser import Parser, run_command
from mindcv.cli.scripts import USER_ERROR
from mindcv.config.options import OPTIONS
from mindcv.data.check import is_unreadable_list, unreadable_images, write_unreadable_list
from mindcv.data.datasets import Source, open_source
from mindcv.data.datasets.classes import list_class_folders
from mindcv.data.datasets.files import list_folder
from mindcv.data.image_decode import limit_image_pixels
from mindcv.data.pack import pack as pack_source
from mindcv.data.pack import require_pack_folder
from mindcv.io.files import require_replaceable


def main(argv: list[str] | None = None) -> int:
    """Run `mindcv data` and return its exit code: 0, or 2 if `check` found unreadable images and for a mistake.

    Args:
        argv: The words after `mindcv data`; None for those of this process. A mistake in them, or --help, raises
            SystemExit.
    """
    options = build_parser().parse_args(argv)
    return run_command("data", lambda: options.run(options))


def check(options: argparse.Namespace) -> int:
    """Decode every image of `options.split` in `options.folder` and print the unreadable ones, one per line.

    Files that an earlier call decoded, and that have not changed since, are not decoded again. The lines are "PATH:
    REASON" on standard output; their number follows on standard error.

    The same lines are written to the file `options.output`, if it is not None, below a heading; an older such list is
    replaced.

    Args:
        options: What `build_parser` parses, with `dataset` besides those named here; `list`, a file with the classes of
            images that lie directly in a split's folder, or None; `workers`, the number of threads, None for one per
            core; and `max_image_pixels`. `split` is a list of names.

    Returns:
        2 if an image is unreadable, otherwise 0.

    Raises:
        ValueError, OSError: The dataset cannot be opened, or the file exists and is not such a list, or cannot be
            written.
    """
    limit_image_pixels(options.max_image_pixels)
    output = Path(options.output) if options.output else None
    if output:
        require_replaceable(output, "a list of unreadable images", is_unreadable_list)
    sources = list(_open_sources(options))
    lines = [bad.line for source in sources for bad in unreadable_images(source, num_parallel_workers=options.workers)]
    for line in lines:
        print(line)
    if output:
        write_unreadable_list(output, lines)
    print(f"{sum(map(len, sources)):,} images, {len(lines):,} unreadable", file=sys.stderr)
    return USER_ERROR if lines else 0


def pack(options: argparse.Namespace) -> None:
    """Pack each of `options.split` in `options.folder` into `options.shards` MindRecord files in `options.out`/SPLIT.

    Prints a line for each split to standard error. After an interruption, the same call continues.

    Args:
        options: What `build_parser` parses, with `dataset` besides those named above, and `list`: a file with the
            classes of images that lie directly in a split's folder, or None.

    Raises:
        ValueError, OSError: The dataset cannot be opened, an image is unreadable, or `options.out`/SPLIT has other
            files.
    """
    for split in options.split:
        require_pack_folder(Path(options.out) / split)
    for split, source in zip(options.split, _open_sources(options), strict=True):
        packed = pack_source(source, Path(options.out) / split, options.shards)
        print(f"{packed.folder}: {len(packed):,} images of {len(packed.class_names):,} classes", file=sys.stderr)
    print(f"to train on them, pass --dataset mindrecord --data_dir {options.out}", file=sys.stderr)


def _open_sources(options: argparse.Namespace) -> Iterator[Source]:
    """Yield the source of each split, with labels numbered by the class folders of the split "train" if it has any.

    `options` has `dataset` (a name), `folder`, `split` (a list of names) and `list` (a file or None), which applies to
    splits whose images lie in the split's folder itself, and not in class folders.

    Raises:
        ValueError, FileNotFoundError: A split cannot be opened, or no split has images for the list.
    """
    listed = [name for name in options.split if _has_images(Path(options.folder, name))] if options.list else []
    if options.list and not listed:
        raise ValueError(
            f"no images directly in {options.folder}/{' or '.join(options.split)} for the list {options.list}"
        )
    train = Path(options.folder, "train")
    class_names = list_class_folders(train) if options.dataset in ("imagenet", "folder") and train.is_dir() else None
    for split in options.split:
        listing = options.list if split in listed else None
        yield open_source(options.dataset, options.folder, split, class_names=class_names, listing=listing)


def _has_images(folder: Path) -> bool:
    """Return whether `folder` is a folder with image files directly in it."""
    return folder.is_dir() and bool(list_folder(folder).images)


def build_parser() -> Parser:
    """Return the parser of `mindcv data`, with the subcommands `check FOLDER` and `pack FOLDER OUT`.

    Both have --split (names, default train) and --list; `check` also has --dataset, --output and --workers, `pack` has
    --shards (default 128).

    The `run` of what it parses is the function of the subcommand, `check` or `pack`, to call with all of it.
    """
    parser = Parser("data", description="Check the images of a dataset, or pack them into MindRecord files.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    command = commands.add_parser(
        "check",
        help="find the images that cannot be read",
        description="Decode every image and list those that cannot be read. Training with --on_bad_image skip then "
        "leaves these out without decoding all files again. The exit code is 2 if there are any.",
    )
    command.set_defaults(run=check)
    _add_source(command)
    command.add_argument(
        "--dataset", default="imagenet", metavar="NAME", help="name of the dataset (default: imagenet)"
    )
    command.add_argument("--output", metavar="FILE", help="also write the list to this file")
    command.add_argument("--workers", type=int, metavar="N", help="threads (default: one per core)")
    limit = OPTIONS["max_image_pixels"]
    command.add_argument("--max_image_pixels", type=int, default=limit.default, metavar="N", help=limit.help)

    command = commands.add_parser(
        "pack",
        help="pack a folder of images into MindRecord files",
        description="Pack a folder of images into a few large MindRecord files, and compare each with its images. "
        "After an interruption, the same command continues. Train with --dataset mindrecord --data_dir OUT.",
    )
    command.set_defaults(run=pack, dataset="folder")
    _add_source(command)
    command.add_argument("out", metavar="OUT", help="folder to write to")
    command.add_argument("--shards", type=int, default=128, metavar="N", help="files per split (default: 128)")
    return parser


def _add_source(command: argparse.ArgumentParser) -> None:
    """Add the arguments FOLDER, --split (names, ["train"] by default) and --list (FILE or None) to `command`."""
    command.add_argument("folder", metavar="FOLDER", help="folder of the dataset, which contains its splits")
    command.add_argument(
        "--split", nargs="+", default=["train"], metavar="NAME", help="splits, one or more (default: train)"
    )
    command.add_argument(
        "--list",
        metavar="FILE",
        help="file with the classes of images that lie directly in a split's folder, such as val.txt",
    )
