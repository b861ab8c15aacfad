"""What the scripts share: options in, one call, an exit code out; one line for a user's mistake."""

import logging
import os
import sys
from importlib import import_module

from mindcv.config import ConfigError, parse
from mindcv.distributed import LAUNCHED, exit_with_parent, is_due, launch
from mindcv.distributed.signals import install_signal_handlers

FAILURE = 1
USER_ERROR = 2
DIVERGED = 3
INTERRUPTED = 130

LOG_LEVEL = "GLOG_v"  # MindSpore's
DESCRIPTIONS = {
    "train": "Train a model from a recipe.",
    "validate": "Score a checkpoint on a validation set.",
    "infer": "Classify images: files, folders, or what a pattern matches. Images that cannot be read are named and "
    "make the exit code 2; the others are classified.",
    "export": "Export a trained model as MindIR or ONNX, verified.",
}

_MODULES = {"train": "engine", "validate": "engine", "infer": "cli.infer", "export": "cli.export"}
_USER_ERRORS = (ConfigError, ValueError, TypeError, OSError)


def run_script(name: str, description: str, argv: list[str] | None = None, prog: str = "") -> int:
    """Run the script `name` (a key of `DESCRIPTIONS`) with the command line `argv` (None: the process's).

    Args:
        prog: What the user typed to run it, "mindcv train"; the script's name by default.

    Returns:
        0, or `USER_ERROR` after one line on standard error that says what was wrong with an option, the data or a
        checkpoint, `FAILURE` for what is no user's mistake, `DIVERGED` for a loss that is not finite, 143 or 130 for a
        training that SIGTERM or Ctrl-C stopped and that can be resumed, `INTERRUPTED` for Ctrl-C elsewhere. Of workers
        that were started, the code of the one that failed. With `--debug` errors are raised.
    """
    prog = prog or f"{name}.py"
    config = parse(argv, prog=prog, description=description)
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(message)s")
    if LAUNCHED in os.environ:
        exit_with_parent(int(os.environ[LAUNCHED]))
    if not config.debug and (LAUNCHED in os.environ or LOG_LEVEL not in os.environ):
        os.environ[LOG_LEVEL] = "4"  # MindSpore's own log says in many lines what an error says in one
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
        line = (str(error).strip() or type(error).__name__).splitlines()[0]
        print(f"{prog}: {line}" + (" (--debug shows where)" if code == FAILURE else ""), file=sys.stderr)
        return code
    return 0


def _code(error: Exception) -> int:
    if isinstance(error, _USER_ERRORS):
        return USER_ERROR
    return DIVERGED if isinstance(error, FloatingPointError) else FAILURE
