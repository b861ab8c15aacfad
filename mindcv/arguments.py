"""Command lines and arguments of functions whose mistakes are told in one line."""

import argparse
import functools
import inspect
from collections.abc import Callable, Iterable
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


def explain_unknown(**renamed: str) -> Callable:
    """Decorate a function so that the TypeError about an unknown keyword argument names the one to use.

    Args:
        renamed: what to write in place of an argument, by the name that it has in a recipe, in older versions of MindCV
            or in timm.
    """

    def decorate(function: Callable) -> Callable:
        known = inspect.signature(function).parameters

        @functools.wraps(function)
        def checked(*args, **kwargs):
            for name in kwargs.keys() - known.keys():
                raise TypeError(unknown_argument(function.__name__, name, known, renamed))
            return function(*args, **kwargs)

        return checked

    return decorate


def unknown_argument(function: str, name: str, known: Iterable[str], renamed: dict[str, str]) -> str:
    """The line about an argument `name` that `function` does not have; see `explain_unknown`."""
    hint = f"; use {renamed[name]}" if name in renamed else nearest(name, known)
    return f"{function} has no argument {name!r}{hint}"
