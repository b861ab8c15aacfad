"""`mindcv recipe`: print a shipped recipe, to edit and train from."""

from pathlib import Path

from mindcv.cli.parser import Parser, run_command
from mindcv.config import find_recipe, recipe_names
from mindcv.errors import did_you_mean


def main(argv: list[str] | None = None) -> int:
    """Run `mindcv recipe` and return its exit code, 0 or 2.

    Args:
        argv: The words after `mindcv recipe`; None for those of this process. A mistake in them, or --help, raises
            SystemExit.
    """
    options = build_parser().parse_args(argv)
    return run_command("recipe", lambda: print_recipe(options.name))


def print_recipe(name: str) -> None:
    """Print the text of the shipped recipe `name`, with or without ".yaml". Raises a ValueError if there is none."""
    name = name.removesuffix(".yaml")
    if name not in recipe_names():
        raise ValueError(f"no recipe is called {name!r}{did_you_mean(name, recipe_names())}")
    print(Path(find_recipe(name)).read_text(encoding="utf-8"), end="")


def build_parser() -> Parser:
    """Return the parser of `mindcv recipe NAME`."""
    parser = Parser("recipe", description="Print a shipped recipe: mindcv recipe convit_tiny_gpu > mine.yaml")
    parser.add_argument("name", metavar="NAME", help=f"one of {', '.join(recipe_names())}")
    return parser
