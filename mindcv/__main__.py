"""The `mindcv` command: what the scripts do, and what there is, under one name. `python -m mindcv` is the same."""

import os
import sys
from importlib import import_module

from mindcv.cli import models
from mindcv.cli.scripts import DESCRIPTIONS, INTERRUPTED, LOG_LEVEL, USER_ERROR, run_script
from mindcv.cli.terminal import bold
from mindcv.config import recipe_names
from mindcv.errors import did_you_mean
from mindcv.version import __version__

_OTHERS = {
    "list": "Print the names of the models there are.",
    "info": "Say what a model is: its size, its published weights, its recipes.",
    "insight": "Draw where a trained model's heads look, as PNG files.",
    "convert": "Write a checkpoint's weights under other names.",
    "inspect": "Say what a checkpoint holds.",
    "data": "Check the images of a data set, or pack them into MindRecord files.",
    "report": "Compare runs: curves and a table.",
}
_COMMANDS = {**DESCRIPTIONS, **_OTHERS}

_USAGE = "mindcv COMMAND …, and mindcv COMMAND --help to see what it takes"
_ENDING = """A recipe goes by its path or, if it ships with the package, by its name, one of
  {recipes}

Exit codes: 0 all went well; 1 a failure that is no user's mistake; 2 an option, the data or a checkpoint is at fault;
3 the loss is not finite; 130 and 143 stopped by Ctrl-C and by SIGTERM. Bars and colours are for terminals alone, and
colours not where NO_COLOR is set."""


def main(argv: list[str] | None = None) -> int:
    """Run the command line `argv` (None: the process's); the exit code."""
    name, *words = (sys.argv[1:] if argv is None else argv) or ["--help"]
    try:
        return _run(name, words)
    except KeyboardInterrupt:
        print(f"mindcv {name}: interrupted", file=sys.stderr)
        return INTERRUPTED


def _run(name: str, words: list[str]) -> int:
    if name in DESCRIPTIONS:
        return run_script(name, DESCRIPTIONS[name], words, prog=f"mindcv {name}")
    if name == "list":
        return models.show_list(words)
    if name == "info":
        return models.show_info(words)
    if name == "insight":
        os.environ.setdefault(LOG_LEVEL, "4")
        return import_module("mindcv.cli.insight").main(words, prog="mindcv insight")
    if name in ("convert", "inspect"):
        return import_module("mindcv.cli.weights").main([name, *words], prog="mindcv")
    if name in ("data", "report"):
        os.environ.setdefault(LOG_LEVEL, "4")
        return import_module(f"mindcv.cli.{name}").main(words, prog=f"mindcv {name}")
    if name == "--version":
        print(f"mindcv-convit {__version__}")
    elif name in ("-h", "--help"):
        print(_help())
    else:
        print(f"mindcv: no command {name!r}{did_you_mean(name, _COMMANDS)} (mindcv --help lists them)", file=sys.stderr)
        return USER_ERROR
    return 0


def _help() -> str:
    rows = [
        f"  {bold(name)}{'':{12 - len(name)}}{about.split('. ')[0].rstrip('.')}" for name, about in _COMMANDS.items()
    ]
    ending = _ENDING.format(recipes="\n  ".join(recipe_names()))
    return "\n".join(["ConViT on MindSpore.", "", f"{bold('usage:')} {_USAGE}", "", *rows, "", ending])


if __name__ == "__main__":
    sys.exit(main())
