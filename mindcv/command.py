"""What the scripts share: options in, one call, an exit code out; one line for a user's mistake."""

import logging
import os
import sys
from importlib import import_module

from mindcv.config import ConfigError, parse, refuse_not_yet

USER_ERROR = 2
FAILURE = 1
INTERRUPTED = 130

_log = logging.getLogger("mindcv")


def command(name: str, description: str, argv: list[str] | None = None) -> int:
    """Run `mindcv.engine.<name>(config)` with the options of the command line `argv` (None: the process's own).

    Returns:
        0, or `USER_ERROR` after one line on standard error that says what was wrong with an option, the data or a
        checkpoint, or `FAILURE` for what is no user's mistake, or `INTERRUPTED`. With `--debug` errors are raised.
    """
    config = parse(argv, prog=f"{name}.py", description=description)
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(message)s")
    if not config.debug:
        os.environ.setdefault("GLOG_v", "4")  # MindSpore's own log says in many lines what an error says in one
    try:
        refuse_not_yet(config, name)
        getattr(import_module("mindcv.engine"), name)(config)
    except KeyboardInterrupt:
        print(f"{name}.py: interrupted", file=sys.stderr)
        return INTERRUPTED
    except Exception as error:
        if config.debug:
            raise
        print(f"{name}.py: {_first_line(error)}", file=sys.stderr)
        return USER_ERROR if isinstance(error, (ConfigError, ValueError, TypeError, OSError)) else FAILURE
    return 0


def _first_line(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0] + (" (--debug shows where)" if not isinstance(error, ConfigError) else "")
