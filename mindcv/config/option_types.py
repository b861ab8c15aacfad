"""What a value may be. Each kind reads one given value, from YAML, the command line or Python alike.

YAML scalars arrive as text, as words of a command line do: `7e-4`, `True`, `none` mean the same in both.
"""

import math
import re
from dataclasses import dataclass
from typing import ClassVar, Protocol

from mindcv.io.files import expanded

_SMALLEST, _LARGEST = 1e-30, 1e30  # between which single precision leaves room for products and squares

_TRUE = ("true", "yes", "on", "1")
_FALSE = ("false", "no", "off", "0")


class OptionType(Protocol):
    """The type and the allowed values of an option."""

    metavar: str  # what --help shows in the value's place
    nargs: str | None  # how many words argparse collects
    wanted: str  # in words, what is accepted: for errors
    limits: str  # the same for --help, empty where the metavar says it all

    def read(self, given):
        """The value; or a ValueError, whose text, if it has one, says what `wanted` does not."""


def show(value) -> str:
    """A value as one would type it on the command line: `none`, `True`, `0.08 1.0`."""
    if value is None:
        return "none"
    if isinstance(value, (list, tuple)):
        return " ".join(show(item) for item in value)
    return str(value) or "''"


@dataclass(frozen=True)
class Boolean:
    """True or False; the bare option on the command line is True."""

    metavar: ClassVar = "True|False"
    nargs: ClassVar = "?"
    wanted: ClassVar = "True or False"
    limits: ClassVar = ""

    def read(self, given) -> bool:
        word = str(given).lower()
        if word not in (*_TRUE, *_FALSE):
            raise ValueError
        return word in _TRUE


@dataclass(frozen=True)
class Number:
    """A finite float within its bounds, of which `above` and `below` are excluded."""

    at_least: float | None = None
    above: float | None = None
    at_most: float | None = None
    below: float | None = None
    metavar: ClassVar = "X"
    nargs: ClassVar = None
    noun: ClassVar = "a number"

    @property
    def limits(self) -> str:
        bounds = (
            ("at least", self.at_least),
            ("above", self.above),
            ("at most", self.at_most),
            ("below", self.below),
        )
        return ", ".join(f"{side} {bound}" for side, bound in bounds if bound is not None)

    @property
    def wanted(self) -> str:
        return f"{self.noun} {'of ' * self.limits.startswith('at')}{self.limits}".strip()

    def _convert(self, given) -> float:
        if isinstance(given, bool) or not isinstance(given, (int, float, str)):
            raise ValueError
        value = _parsed(float, given)
        if value and math.isfinite(value) and not _SMALLEST <= abs(value) <= _LARGEST:
            raise ValueError("single precision computes with 1e-30 to 1e30")
        return value

    def read(self, given) -> float:
        value = self._convert(given)
        inside = (
            abs(value) < math.inf
            and (self.at_least is None or value >= self.at_least)
            and (self.above is None or value > self.above)
            and (self.at_most is None or value <= self.at_most)
            and (self.below is None or value < self.below)
        )
        if not inside:
            raise ValueError
        return value


class Integer(Number):
    """A whole number within its bounds."""

    metavar = "N"
    noun = "an integer"

    def _convert(self, given) -> int:
        if isinstance(given, bool) or not isinstance(given, (int, str)):
            raise ValueError
        return _parsed(int, given)


def _parsed(number: type, given):
    """`number(given)`; Python's own words about what it cannot read are left out."""
    try:
        return number(given)
    except (OverflowError, ValueError):
        raise ValueError from None


@dataclass(frozen=True)
class Text:
    """A text, not empty unless `may_be_empty` (then YAML's empty value is the empty text)."""

    metavar: str = "TEXT"
    may_be_empty: bool = False
    nargs: ClassVar = None
    wanted: ClassVar = "a text"
    limits: ClassVar = ""

    def read(self, given) -> str:
        given = "" if given is None else given
        if not isinstance(given, str) or not (given or self.may_be_empty):
            raise ValueError
        return given


@dataclass(frozen=True)
class FilePath(Text):
    """The path of a file or folder; `~` and `$VARIABLES` in it are replaced, and must be known."""

    metavar: str = "FILE"
    wanted: ClassVar = "a path"

    def read(self, given) -> str:
        return expanded(super().read(given))


@dataclass(frozen=True)
class FilePaths:
    """A tuple of paths or patterns, each read as a `FilePath`: spaces and commas in a name are its own."""

    metavar: str = "FILE"
    nargs: ClassVar = "+"
    wanted: ClassVar = "one or more paths"
    limits: ClassVar = ""

    def read(self, given) -> tuple[str, ...]:
        words = (given,) if isinstance(given, str) else given
        if not isinstance(words, (list, tuple)) or not words or not all(isinstance(w, str) and w for w in words):
            raise ValueError
        return tuple(expanded(word) for word in words)


class Choice:
    """One of a few values."""

    nargs = None

    def __init__(self, *values):
        self.values = values
        listed = ", ".join(map(str, values))
        self.wanted = f"one of {listed}" if len(values) > 1 else listed
        few = len(values) <= 5
        self.metavar = "{" + ",".join(map(str, values)) + "}" if few else "NAME"
        self.limits = "" if few else self.wanted

    def read(self, given):
        for value in self.values:
            if str(value) == str(given):
                return value
        raise ValueError


@dataclass(frozen=True)
class ListOf:
    """A tuple of values of one kind, written `0.08 1.0`, `0.08,1.0` or `[0.08, 1.0]`.

    `counts` are the allowed lengths, any but 0 if empty; `ordered` values never fall.
    """

    each: Number | Text
    counts: tuple[int, ...] = ()
    ordered: bool = False
    nargs: ClassVar = "+"

    @property
    def metavar(self) -> str:
        return self.each.metavar

    @property
    def wanted(self) -> str:
        count = " or ".join(map(str, self.counts)) or "one or more"
        rising = ", the smaller first" if self.ordered else ""
        return f"{count} values, each {self.each.wanted}{rising}"

    limits = wanted

    def read(self, given) -> tuple:
        values = tuple(self.each.read(item) for item in self._items(given))
        if self.counts and len(values) not in self.counts:
            raise ValueError
        if not values or (self.ordered and list(values) != sorted(values)):
            raise ValueError
        return values

    @staticmethod
    def _items(given) -> list:
        if isinstance(given, (list, tuple)):
            if not all(isinstance(item, str) for item in given):
                return list(given)
            given = " ".join(given)
        brackets = re.fullmatch(r"\[(.*)\]|\((.*)\)|(.*)", given.strip()) if isinstance(given, str) else None
        if not brackets:
            raise ValueError
        return re.split(r"\s*,\s*|\s+", (brackets[1] or brackets[2] or brackets[3] or "").strip())


class OneOf:
    """The first of several kinds that reads the value."""

    def __init__(self, *kinds):
        self.kinds = kinds
        self.metavar = kinds[0].metavar
        self.nargs = "+" if any(kind.nargs == "+" for kind in kinds) else None
        self.wanted = self.limits = ", or ".join(kind.wanted for kind in kinds)

    def read(self, given):
        for kind in self.kinds:
            try:
                return kind.read(given)
            except ValueError:
                continue
        raise ValueError


class Optional:
    """A kind, or none."""

    def __init__(self, kind):
        self.kind = kind
        self.metavar = kind.metavar
        self.nargs = kind.nargs
        self.wanted = f"{kind.wanted}, or none"
        self.limits = f"{kind.limits}, or none" if kind.limits else ""

    def read(self, given):
        nothing = given is None or (isinstance(given, str) and given.lower() in ("none", "null", "~", ""))
        return None if nothing else self.kind.read(given)
