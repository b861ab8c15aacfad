"""`mindcv explore`: write an HTML page in which to explore where a trained model's heads attend."""

import argparse
from pathlib import Path

from mindcv.cli.infer import find_images
from mindcv.cli.insight import OPTIONS_THAT_FOLLOW, run_config
from mindcv.cli.loading import load_model, preprocessor_of
from mindcv.cli.parser import Parser, run_command
from mindcv.io.files import require_replaceable


def main(argv: list[str] | None = None) -> int:
    """Run `mindcv explore` and return its exit code, 0 or 2.

    Args:
        argv: The words after `mindcv explore`; None for those of this process. Missing or wrong ones, or --help, raise
            SystemExit.
    """
    words, options = build_parser().parse_known_args(argv)
    return run_command("explore", lambda: _explore(words, options))


def _explore(words: argparse.Namespace, options: list[str]) -> None:
    """Write the page that `words` asks for, and print its path and size.

    Args:
        words: What `build_parser` parses: `checkpoint`, `image` and `out`.
        options: Words that it does not know, which are options of the run, such as ["--use_ema"].

    Raises:
        ValueError, OSError: An option, the checkpoint or an image cannot be used, or `out` is another file.
        TypeError: The model has no attention maps.
        FloatingPointError: The attention is not finite.
    """
    from mindcv.insight.explorer_page import explorer, is_explorer

    out = Path(words.out)
    require_replaceable(out, "a page of mindcv explore", is_explorer)
    paths = find_images(words.image)
    config = run_config(words.checkpoint, options)
    model, class_names = load_model(config)
    title = f"{config.model}, {Path(config.ckpt_path).name}"
    page = explorer(model, paths, class_names, preprocessor_of(config, model), title)
    page.save(out)
    print(f"{out}: {out.stat().st_size / 1e6:.1f} MB, open it in a browser")


def build_parser() -> Parser:
    """Return the parser of `mindcv explore`: CKPT, --image (a list) and --out.

    The options of a run that may follow are unknown to it: call `parse_known_args`.
    """
    parser = Parser(
        "explore",
        description="Write an HTML page that shows, for every patch of an image, where every head of every layer "
        "attends. It needs no server and no network.",
        usage="%(prog)s CKPT --image FILE [FILE …] [--out explorer.html] [--option …]",
        epilog=OPTIONS_THAT_FOLLOW,
    )
    parser.add_argument("checkpoint", metavar="CKPT", help="a trained model's checkpoint")
    parser.add_argument(
        "--image", required=True, nargs="+", metavar="FILE", help="images to show: files, folders or quoted patterns"
    )
    parser.add_argument("--out", default="explorer.html", metavar="FILE", help="the page (default: explorer.html)")
    return parser
