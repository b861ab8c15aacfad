"""Text style for terminals."""

import os
import sys


def bold(text: str) -> str:
    """Return `text` in bold if standard output is a terminal that supports it and NO_COLOR is not set."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" or not sys.stdout.isatty()
    return text if plain else f"\033[1m{text}\033[0m"
