"""The `mindcv` command, also `python -m mindcv`: the scripts and everything else that is run from a shell."""

import os
import sys
from importlib import import_module

from mindcv.cli.scripts import DESCRIPTIONS, INTERRUPTED, LOG_LEVEL, USER_ERROR, run_script
from mindcv.cli.terminal import bold, print_any_text
from mindcv.config import recipe_names
from mindcv.errors import did_you_mean
from mindcv.version import __version__

_COMMANDS = {
    **{name: description.split(". ")[0].rstrip(".") for name, description in DESCRIPTIONS.items()},
    "list": "Print the names of the models",
    "info": "Describe a model, its published weights and its recipes",
    "recipe": "Print a shipped recipe",
    "benchmark": "Measure the speed and the memory of a model on this machine",
    "doctor": "Check what works on this device and how fast, for an issue",
    "insight": "Draw where a trained model's heads attend, as PNG files",
    "explore": "Write an HTML page to explore where a trained model's heads attend",
    "inspect": "Describe the contents of a checkpoint",
    "convert": "Write a checkpoint's weights under other names",
    "clean": "Write a checkpoint's weights alone, to publish them",
    "average": "Write the mean of the weights of several checkpoints",
    "data": "Check the images of a dataset, or pack them into MindRecord files",
    "report": "Compare runs in curves and a table",
}
_TWO_IN_ONE = {"list": "models", "info": "models", "inspect": "weights", "convert": "weights"}

_USAGE = "mindcv COMMAND …, and mindcv COMMAND --help for its options"
_EPILOG = """A recipe is named by its path or, if it ships with the package, by its name, one of
  {recipes}

Exit codes: 0 success; 1 a failure that is not the user's mistake; 2 a mistake in an option, the data or a checkpoint;
3 the loss is not finite; 130 and 143 stopped by Ctrl-C and SIGTERM. Progress bars and bold text are for terminals only;
NO_COLOR switches bold text off."""


def main(argv: list[str] | None = None) -> int:
    """Run a command and return its exit code, 130 for Ctrl-C; a wrong word after its name raises SystemExit(2).

    Args:
        argv: The command's name and its words; None for those of this process. Without any, help is printed.
    """
    print_any_text()
    name, *words = (sys.argv[1:] if argv is None else argv) or ["--help"]
    try:
        return _run(name, words)
    except KeyboardInterrupt:
        print(f"mindcv {name}: interrupted", file=sys.stderr)
        return INTERRUPTED


def _run(name: str, words: list[str]) -> int:
    """Run the command `name` and return its exit code; its module is imported only now, as most import MindSpore.

    An unknown name prints one line to standard error and returns 2.

    Args:
        name: A command, "--help", "-h" or "--version".
        words: What follows the name on the command line.
    """
    if name in DESCRIPTIONS:
        return run_script(name, DESCRIPTIONS[name], words, prog=f"mindcv {name}")
    if name in _TWO_IN_ONE:
        return import_module(f"mindcv.cli.{_TWO_IN_ONE[name]}").main([name, *words])
    if name in _COMMANDS:
        os.environ.setdefault(LOG_LEVEL, "4")
        return import_module(f"mindcv.cli.{name}").main(words)
    if name == "--version":
        print(f"mindcv-convit {__version__}")
    elif name in ("-h", "--help"):
        print(_help())
    else:
        print(f"mindcv: no command {name!r}{did_you_mean(name, _COMMANDS)} (mindcv --help lists them)", file=sys.stderr)
        return USER_ERROR
    return 0


def _help() -> str:
    """Return the text of `mindcv --help`."""
    rows = [f"  {bold(name)}{'':{12 - len(name)}}{about}" for name, about in _COMMANDS.items()]
    epilog = _EPILOG.format(recipes="\n  ".join(recipe_names()))
    return "\n".join(["ConViT on MindSpore.", "", f"{bold('usage:')} {_USAGE}", "", *rows, "", epilog])


if __name__ == "__main__":
    sys.exit(main())
