"""Run `train`, `validate`, `infer` and `export`, and turn their errors into one line and an exit code."""

import logging
import os
import re
import sys
from importlib import import_module

from mindcv.cli.terminal import log_handler, print_any_text
from mindcv.config import ConfigError, parse
from mindcv.distributed import LAUNCHED, exit_with_parent, is_due, launch
from mindcv.distributed.signals import install_signal_handlers
from mindcv.errors import printable

FAILURE = 1
USER_ERROR = 2
DIVERGED = 3
INTERRUPTED = 130

LOG_LEVEL = "GLOG_v"  # the environment variable of MindSpore's own log level
DESCRIPTIONS = {  # the introductions of --help; the first sentence stands in `mindcv --help`
    "train": "Train a model from a recipe.",
    "validate": "Evaluate a checkpoint on a validation set.",
    "infer": "Classify images in files, folders or the matches of a pattern. Unreadable images are named at the end, "
    "with exit code 2; the others are classified.",
    "export": "Export a trained model as MindIR or ONNX, and verify it.",
}

_MODULES = {"train": "engine", "validate": "engine", "infer": "cli.infer", "export": "cli.export"}
_USER_ERRORS = (ConfigError, ValueError, TypeError, OSError)


def run_script(name: str, description: str, argv: list[str] | None = None, prog: str = "") -> int:
    """Run a script and return its exit code. Errors are printed as one line on standard error.

    Sets up logging, signal handlers and MindSpore's log level for this process. With several devices it starts a worker
    process for each and returns the exit code of the one that failed. A bad option raises SystemExit(2), `--help`
    SystemExit(0), and `--debug` lets errors through with their traceback.

    Args:
        name: "train", "validate", "infer" or "export".
        description: Introduction of --help.
        argv: The words after the script's name; None for those of this process.
        prog: How the script was called, "train.py" or "mindcv train"; NAME.py by default.

    Returns:
        0 for success; `USER_ERROR`, 2, for a mistake in an option, the data or a checkpoint; `DIVERGED`, 3, for a loss
        that is not finite; 143 or 130 for a training run that SIGTERM or Ctrl-C stopped and that can be resumed;
        `INTERRUPTED`, 130, for Ctrl-C elsewhere; `FAILURE`, 1, for any other error.
    """
    print_any_text()
    prog = prog or f"{name}.py"
    config = parse(argv, prog=prog, description=description)
    logging.basicConfig(handlers=[log_handler()], level=logging.INFO)
    if LAUNCHED in os.environ:
        exit_with_parent(int(os.environ[LAUNCHED]))
    if not config.debug and (LAUNCHED in os.environ or LOG_LEVEL not in os.environ):
        os.environ[LOG_LEVEL] = "4"  # fatal errors only: MindSpore logs an error in many lines
    try:
        if is_due(config, name):
            return launch(config, name, sys.argv[1:] if argv is None else argv, prog)
        install_signal_handlers(once=LAUNCHED in os.environ)
        getattr(import_module(f"mindcv.{_MODULES[name]}"), name)(config)
    except KeyboardInterrupt:
        print(f"{prog}: interrupted", file=sys.stderr)
        return INTERRUPTED
    except Exception as error:
        code = getattr(error, "exit_code", None) or _code(error)
        if config.debug and code < 128:
            raise
        print(f"{prog}: {first_line(error)}" + " (--debug shows where)" * (code == FAILURE), file=sys.stderr)
        return code
    return 0


def first_line(error: Exception) -> str:
    """Return the first line of an error's message that has a letter or digit, or the name of its class.

    MindSpore frames the headings of its messages by lines of dashes. Control characters in the line are escaped.
    """
    lines = (line.strip() for line in str(error).split("\n"))
    return printable(next((line for line in lines if re.search(r"\w", line)), type(error).__name__))


def _code(error: Exception) -> int:
    """Return the exit code for an error: 2 for ValueError, TypeError and OSError, 3 for FloatingPointError, else 1."""
    if isinstance(error, _USER_ERRORS):
        return USER_ERROR
    return DIVERGED if isinstance(error, FloatingPointError) else FAILURE
