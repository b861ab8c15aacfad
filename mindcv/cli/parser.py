"""What all commands but the scripts share: one parser, and one way to report a user's mistake."""

import argparse
import sys
from collections.abc import Callable
from typing import NoReturn

from mindcv.cli.scripts import USER_ERROR, first_line
from mindcv.cli.terminal import print_any_text


class Parser(argparse.ArgumentParser):
    """A parser of `mindcv COMMAND`. A mistake in the command line ends the process with one line and exit code 2.

    Args:
        command: Name of the command, such as "report"; empty for a parser whose subparsers are the commands.
        **options: Arguments of `argparse.ArgumentParser`.
    """

    def __init__(self, command: str = "", **options):
        super().__init__(**{"prog": f"mindcv {command}".strip(), "allow_abbrev": False, **options})

    def parse_args(self, args=None, namespace=None):  # argparse types it by overloads
        """Parse as argparse does, after `print_any_text`, which lets the help be printed in any encoding."""
        print_any_text()
        return super().parse_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        """Print `message` as one line to standard error and end the process with exit code 2."""
        self.exit(USER_ERROR, f"{self.prog}: error: {message} (--help says more)\n")


def run_command(command: str, action: Callable[[], int | None]) -> int:
    """Call `action` and return its exit code (0 for None), or `USER_ERROR`, 2, after one line on standard error.

    Args:
        command: Name of the command, which the line begins with.
        action: Raises ValueError, TypeError, OSError or FloatingPointError for a user's mistake; its other errors are
            not caught.
    """
    try:
        return action() or 0
    except (ValueError, TypeError, OSError, FloatingPointError) as error:
        print(f"mindcv {command}: {first_line(error)}", file=sys.stderr)
        return USER_ERROR
