"""Command lines whose mistakes are told in one line."""

import argparse
from collections.abc import Iterable
from difflib import get_close_matches
from typing import NoReturn


class Parser(argparse.ArgumentParser):
    """An argparse parser whose complaint is one line on standard error, with exit code 2."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message} (--help says more)\n")


def nearest(word: str, names: Iterable[str]) -> str:
    """What to add to the line about an unknown `word`: the name that was meant, or else all there are."""
    names = list(names)
    near = get_close_matches(word, names, n=1, cutoff=0.5)
    return f"; did you mean {near[0]}?" if near else f"; there is {', '.join(names)}"
