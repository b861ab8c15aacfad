"""`mindcv list` and `mindcv info`: the names of the models, and a description of one."""

import os
from fnmatch import fnmatchcase

from mindcv.cli.parser import Parser, run_command
from mindcv.cli.scripts import LOG_LEVEL
from mindcv.cli.terminal import bold
from mindcv.config import find_recipe, read_recipe, recipe_names
from mindcv.errors import did_you_mean
from mindcv.models.family import families, part_of


def main(argv: list[str] | None = None) -> int:
    """Run `mindcv list` or `mindcv info`, the first word of `argv`, and return its exit code, 0 or 2.

    Args:
        argv: Words such as ["list", "*_plus"]; None for those of this process. A mistake in them, or --help, raises
            SystemExit.
    """
    options = build_parser().parse_args(argv)
    if options.command == "list":
        return run_command("list", lambda: print_names(options.pattern))
    return run_command("info", lambda: print_info(options.model))


def print_names(pattern: str = "*") -> None:
    """Print the names of the models that match the pattern (of a shell, case-sensitive), or contain it, one per line.

    Raises:
        ValueError: No model matches.
    """
    found = [name for name in model_names() if pattern in name or fnmatchcase(name, pattern)]
    if not found:
        raise ValueError(f"no model matches {pattern!r}{did_you_mean(pattern.strip('*'), model_names())}")
    print("\n".join(found))


def print_info(name: str) -> None:
    """Print what `describe_model` returns, with bold headings on a terminal; silence MindSpore's log unless it is set.

    Raises:
        ValueError: No model has this name.
    """
    if name not in model_names():
        raise ValueError(f"no model is called {name!r}{did_you_mean(name, model_names())}")
    os.environ.setdefault(LOG_LEVEL, "4")
    for heading, lines in describe_model(name).items():
        for i, line in enumerate(lines):
            print(f"{bold(heading) if i == 0 else ' ' * len(heading)}{'':{12 - len(heading)}}{line}")


def model_names() -> list[str]:
    """Return the sorted names of the models, as `mindcv.list_models()` does, but without importing MindSpore."""
    return sorted(name for family in families() for name in family.models)


def describe_model(name: str) -> dict[str, list[str]]:
    """Return lines of text about the model `name`, one of `model_names()`, by heading. The model is built for it.

    The headings are "model", "blocks", "image", "parameters", "FLOPs", "weights" (a line for each published file) and
    "recipes" (a line for each shipped recipe).
    """
    from mindcv import models

    model = models.create_model(name)
    flops = models.count_flops(model)
    (height, width), (rows, cols) = model.image_size, model.grid_size
    return {
        "model": [name],
        "blocks": [part_of(model, "describe", "description")(model)],
        "image": [f"{height}x{width}, {rows * cols} patches of {height // rows}x{width // cols}"],
        "parameters": [f"{sum(p.size for p in model.get_parameters()):,}"],
        "FLOPs": [f"{flops / 1e9:.2f} G per image ({flops / 2e9:.2f} G multiply-adds)"],
        "weights": [_weights(*source) for source in models.get_pretrained_cfg(name).get("sources", {}).items()],
        "recipes": [recipe for recipe in recipe_names() if read_recipe(find_recipe(recipe))[0].get("model") == name],
    }


def _weights(name: str, source: dict) -> str:
    """Return one line about published weights: how to load them, their accuracy, file and licence.

    Args:
        name: What `--pretrained` takes.
        source: Its entry in "sources" of `get_pretrained_cfg`; top_5 may be missing.
    """
    top_5 = f", Top-5 {source['top_5']:.2f} %" if "top_5" in source else ""
    return (
        f"--pretrained {name}: by {source['publisher']}, reported Top-1 {source['top_1']:.2f} %{top_5}; "
        f"{source['file']}; {source['licence']}"
    )


def build_parser() -> Parser:
    """Return the parser of `mindcv list [PATTERN]` and `mindcv info MODEL`.

    What it parses has `command`, "list" or "info", and `pattern` ("*" by default) or `model`.
    """
    parser = Parser()
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("list", description="Print the names of the models, one per line.")
    command.add_argument("pattern", nargs="?", default="*", metavar="PATTERN", help="such as '*_plus', or a part: tiny")
    command = commands.add_parser("info", description="Describe a model, its published weights and its recipes.")
    command.add_argument("model", metavar="MODEL", help=f"one of {', '.join(model_names())}")
    return parser
