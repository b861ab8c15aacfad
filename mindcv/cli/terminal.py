"""Text for terminals."""

import logging
import os
import sys
from io import TextIOWrapper

from mindcv.errors import printable


def print_any_text() -> None:
    """Let standard output print "?" for characters that its encoding lacks, such as "…" in ASCII.

    Python's standard error never fails at a character.
    """
    if isinstance(sys.stdout, TextIOWrapper):  # not StringIO, which has no encoding
        sys.stdout.reconfigure(errors="replace")


def log_handler() -> logging.Handler:
    """Return a handler that prints the messages of a log to standard error, with control characters escaped."""

    class Escaping(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            return "\n".join(map(printable, super().format(record).split("\n")))

    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Escaping("%(message)s"))
    return handler


def bold(text: str) -> str:
    """Return `text` in bold if standard output is a terminal that supports it and NO_COLOR is not set."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" or not sys.stdout.isatty()
    return text if plain else f"\033[1m{text}\033[0m"
