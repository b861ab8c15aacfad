"""Care for data sets: python -m mindcv.data check FOLDER."""

import argparse
import sys
from pathlib import Path

from mindcv.data.check import checked
from mindcv.data.datasets import open_source


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; the exit code is 0, 1 if `check` found unreadable images, or 2 after an error."""
    options = _parser().parse_args(arguments)
    try:
        return options.run(options)
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 2


def check(options: argparse.Namespace) -> int:
    """Decode every image; print those that cannot be read, one a line, and write them to `options.output`."""
    sources = [open_source(options.dataset, options.folder, split) for split in options.split]
    lines = [bad.line for source in sources for bad in checked(source, num_parallel_workers=options.workers)]
    for line in lines:
        print(line)
    if options.output:
        Path(options.output).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    print(f"{sum(map(len, sources)):,} images, {len(lines):,} unreadable", file=sys.stderr)
    return 1 if lines else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m mindcv.data", description="Care for data sets.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    command = commands.add_parser(
        "check",
        help="find the images that cannot be read",
        description="Decode every image and list those that cannot be read. Training with --on_bad_image skip "
        "leaves out what was found here, and need not decode the same files again.",
    )
    command.set_defaults(run=check)
    _add_source(command)
    command.add_argument("--output", metavar="FILE", help="write the list there too")
    return parser


def _add_source(command: argparse.ArgumentParser) -> None:
    command.add_argument("folder", metavar="FOLDER", help="the folder of the data set, which holds its splits")
    command.add_argument("--dataset", default="imagenet", metavar="NAME", help="which it is (default: imagenet)")
    command.add_argument(
        "--split", nargs="+", default=["train"], metavar="NAME", help="one or more of its splits (default: train)"
    )
    command.add_argument("--workers", type=int, metavar="N", help="threads (default: one a core)")


if __name__ == "__main__":
    sys.exit(main())
