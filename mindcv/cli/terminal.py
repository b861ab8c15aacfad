"""What is for eyes alone, and not for the next program in a pipe."""

import os
import sys


def bold(text: str) -> str:
    """`text` in bold face, if standard output is a terminal that can, and the user's NO_COLOR does not forbid it."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" or not sys.stdout.isatty()
    return text if plain else f"\033[1m{text}\033[0m"
