"""A command-line parser whose complaints are one line."""

import argparse
from typing import NoReturn


class Parser(argparse.ArgumentParser):
    """An argparse parser whose complaint is one line on standard error, with exit code 2."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message} (--help says more)\n")
