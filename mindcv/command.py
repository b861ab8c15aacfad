"""What the scripts share: options in, one call, an exit code out; one line for a user's mistake."""

import logging
import os
import sys
from importlib import import_module

from mindcv.config import ConfigError, parse, refuse_not_yet

USER_ERROR = 2
FAILURE = 1
INTERRUPTED = 130

_USER_ERRORS = (ConfigError, ValueError, TypeError, OSError)


def command(name: str, description: str, argv: list[str] | None = None) -> int:
    """Run `mindcv.engine.<name>(config)` with the options of the command line `argv` (None: the process's own).

    Returns:
        0, or `USER_ERROR` after one line on standard error that says what was wrong with an option, the data or a
        checkpoint, `FAILURE` for what is no user's mistake, `INTERRUPTED` for Ctrl-C. With `--debug` errors are raised.
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
        known = isinstance(error, (*_USER_ERRORS, FloatingPointError))
        line = (str(error).strip() or type(error).__name__).splitlines()[0]
        print(f"{name}.py: {line}" + ("" if known else " (--debug shows where)"), file=sys.stderr)
        return USER_ERROR if isinstance(error, _USER_ERRORS) else FAILURE
    return 0
