"""Types of options: what a value may be. Each type reads one value, from YAML, the command line or Python alike.

Values from YAML arrive as text, as words of the command line do: `7e-4`, `True` and `none` mean the same in both.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any, ClassVar, Protocol

from mindcv.errors import require_in_range
from mindcv.io.files import expanded

_SMALLEST, _LARGEST = 1e-30, 1e30  # range in which products and squares still fit single precision

_TRUE = ("true", "yes", "on", "1")
_FALSE = ("false", "no", "off", "0")


class OptionType(Protocol):
    """The type and the allowed values of an option."""

    @property
    def annotation(self) -> Any:
        """Python type of what `read` returns, as in the declaration of the option."""

    @property
    def metavar(self) -> str:
        """Placeholder for the value in --help."""

    @property
    def nargs(self) -> str | None:
        """How many words of the command line argparse collects: None for one, "?" or "+"."""

    @property
    def wanted(self) -> str:
        """Description of what is accepted, for error messages."""

    @property
    def limits(self) -> str:
        """The same for --help; empty where the metavar says it all."""

    def read(self, given) -> Any:
        """Return the value of `given`.

        Raises:
            ValueError: `given` is not accepted; the text, which may be empty, adds to what `wanted` says.
        """


def show(value) -> str:
    """Return a value as it is typed on the command line: `none`, `True`, `0.08 1.0`, `''` for an empty string.

    A mapping is shown as `depth=4 sizes=[1, 2]`.
    """
    if value is None:
        return "none"
    if isinstance(value, Mapping):
        return " ".join(f"{name}={list(v) if isinstance(v, tuple) else show(v)}" for name, v in value.items())
    if isinstance(value, (list, tuple)):
        return " ".join(show(item) for item in value)
    return str(value) or "''"


@dataclass(frozen=True)
class Boolean:
    """True or False; the option without a value means True."""

    annotation: ClassVar = bool
    metavar: ClassVar = "True|False"
    nargs: ClassVar = "?"
    wanted: ClassVar = "True or False"
    limits: ClassVar = ""

    def read(self, given) -> bool:
        """Return what true, yes, on, 1, or false, no, off, 0 mean, in any case; anything else is a ValueError."""
        word = str(given).lower()
        if word not in (*_TRUE, *_FALSE):
            raise ValueError
        return word in _TRUE


@dataclass(frozen=True)
class Number:
    """A finite float within limits; `above` and `below` exclude the limit itself."""

    at_least: float | None = None
    above: float | None = None
    at_most: float | None = None
    below: float | None = None
    annotation: ClassVar[type] = float
    metavar: ClassVar = "X"
    nargs: ClassVar = None
    noun: ClassVar = "a number"

    @property
    def limits(self) -> str:
        """The limits, as in "at least 0, below 1"; empty if there are none."""
        limits = {"at least": self.at_least, "above": self.above, "at most": self.at_most, "below": self.below}
        return ", ".join(f"{side} {limit}" for side, limit in limits.items() if limit is not None)

    @property
    def wanted(self) -> str:
        """What is accepted, as in "a number of at least 0, below 1"."""
        return f"{self.noun} {'of ' * self.limits.startswith('at')}{self.limits}".strip()

    def _convert(self, given) -> float:
        """Return a number or text as a float; a ValueError for a bool or another type, or text that is no number."""
        if isinstance(given, bool) or not isinstance(given, (int, float, str)):
            raise ValueError
        return float(given)

    def read(self, given) -> float:
        """Return a number, or text that is one, as a float (`Integer`: an int) within the limits.

        Raises:
            ValueError: `given` is neither, out of range, NaN, or a float that is not 0 and not from 1e-30 to 1e30.
        """
        try:
            value = self._convert(given)
            require_in_range("", value, self.at_least, self.above, self.at_most, self.below)
        except (OverflowError, ValueError):
            raise ValueError from None  # `wanted` says it better
        if value and isinstance(value, float) and not _SMALLEST <= abs(value) <= _LARGEST:
            raise ValueError("single precision computes with 1e-30 to 1e30")
        return value


class Integer(Number):
    """An integer within limits."""

    annotation = int
    metavar = "N"
    noun = "an integer"

    def _convert(self, given) -> int:
        """Return an integer or its text as an int; a ValueError for bool, float, and text such as "1.0"."""
        if isinstance(given, bool) or not isinstance(given, (int, str)):
            raise ValueError
        return int(given)


@dataclass(frozen=True)
class Text:
    """A string, which is not empty unless `may_be_empty`; YAML's empty value is then the empty string."""

    metavar: str = "TEXT"
    may_be_empty: bool = False
    annotation: ClassVar = str
    nargs: ClassVar = None
    wanted: ClassVar = "a string"
    limits: ClassVar = ""

    def read(self, given) -> str:
        """Return `given`, with "" for None; a ValueError if it is no string, or empty unless `may_be_empty`."""
        given = "" if given is None else given
        if not isinstance(given, str) or not (given or self.may_be_empty):
            raise ValueError
        return given


@dataclass(frozen=True)
class FilePath(Text):
    """The path of a file or folder. `~` and `$VARIABLES` in it are expanded; unknown ones are refused."""

    metavar: str = "FILE"
    wanted: ClassVar = "a path"

    def read(self, given) -> str:
        """Return the path with `~` and variables replaced; it need not exist. Unknown names are a ValueError."""
        return expanded(super().read(given))


@dataclass(frozen=True)
class FilePaths:
    """A tuple of paths or patterns, each expanded as a `FilePath`. Spaces and commas are part of a name."""

    metavar: str = "FILE"
    annotation: ClassVar = tuple[str, ...]
    nargs: ClassVar = "+"
    wanted: ClassVar = "one or more paths"
    limits: ClassVar = ""

    def read(self, given) -> tuple[str, ...]:
        """Return one path, or a list or tuple of them, as a tuple, with `~` and variables replaced.

        A ValueError if it or a path is empty or no text, or has an unknown variable.
        """
        words = (given,) if isinstance(given, str) else given
        if not isinstance(words, (list, tuple)) or not words or not all(isinstance(w, str) and w for w in words):
            raise ValueError
        return tuple(expanded(word) for word in words)


class Choice:
    """One of a few values of the same Python type, compared as text, in upper or lower case."""

    nargs = None

    def __init__(self, *values):
        self.values = values
        self.annotation = type(values[0])
        listed = ", ".join(map(str, values))
        self.wanted = f"one of {listed}" if len(values) > 1 else listed
        few = len(values) <= 5
        self.metavar = "{" + ",".join(map(str, values)) + "}" if few else "NAME"
        self.limits = "" if few else self.wanted

    def read(self, given):
        """Return the choice whose text equals that of `given`, whatever the case; ValueError if there is none."""
        for value in self.values:
            if str(value).lower() == str(given).lower():
                return value
        raise ValueError


@dataclass(frozen=True)
class ListOf:
    """A tuple of values of one type, written `0.08 1.0`, `0.08,1.0` or `[0.08, 1.0]`.

    Args:
        item: The type of each value.
        lengths: The allowed lengths; empty for any length of at least 1.
        ordered: Whether values that decrease are refused.
    """

    item: OptionType
    lengths: tuple[int, ...] = ()
    ordered: bool = False
    nargs: ClassVar = "+"

    @property
    def annotation(self):
        """`tuple[float, float]`, for example, or `tuple[float, ...]` unless exactly one length is allowed."""
        if len(self.lengths) == 1:
            return tuple[(self.item.annotation,) * self.lengths[0]]
        return tuple[self.item.annotation, ...]

    @property
    def metavar(self) -> str:
        return self.item.metavar

    @property
    def wanted(self) -> str:
        """What is accepted, as in "2 values, each a number, the smaller first"."""
        count = " or ".join(map(str, self.lengths)) or "one or more"
        order = ", the smaller first" if self.ordered else ""
        return f"{count} values, each {self.item.wanted}{order}"

    limits = wanted

    def read(self, given) -> tuple:
        """Return text or a list as a tuple of values of `item`.

        Raises:
            ValueError: A value is not accepted by `item`, the length is not allowed, or the order is wrong.
        """
        values = tuple(self.item.read(item) for item in self._items(given))
        if self.lengths and len(values) not in self.lengths:
            raise ValueError
        if not values or (self.ordered and list(values) != sorted(values)):
            raise ValueError
        return values

    @staticmethod
    def _items(given) -> list:
        """Return the words of text, or of a list of text, split at commas and spaces and without enclosing brackets.

        A list or tuple with other values is returned as a list; anything else is a ValueError.
        """
        if isinstance(given, (list, tuple)):
            if not all(isinstance(item, str) for item in given):
                return list(given)
            given = " ".join(given)
        brackets = re.fullmatch(r"\[(.*)\]|\((.*)\)|(.*)", given.strip()) if isinstance(given, str) else None
        if not brackets:
            raise ValueError
        return re.split(r"\s*,\s*|\s+", (brackets[1] or brackets[2] or brackets[3] or "").strip())


class OneOf:
    """A value of the first of several types that accepts it."""

    def __init__(self, *types: OptionType):
        self.types = types
        self.annotation = reduce(or_, [each.annotation for each in types])
        self.metavar = types[0].metavar
        self.nargs = next((nargs for nargs in "+?" if any(each.nargs == nargs for each in types)), None)
        self.wanted = self.limits = ", or ".join(each.wanted for each in types)

    def read(self, given):
        """Return what the first type that accepts `given` reads; ValueError if none does."""
        for each in self.types:
            try:
                return each.read(given)
            except ValueError:
                continue
        raise ValueError


class Optional:
    """A value of another type, or None, written `none`."""

    def __init__(self, type: OptionType):
        self.type = type
        self.annotation = type.annotation | None
        self.metavar = type.metavar
        self.nargs = type.nargs
        self.wanted = f"{type.wanted}, or none"
        self.limits = f"{type.limits}, or none" if type.limits else ""

    def read(self, given):
        """Return None for None and for none, null, `~` or "" as text, in any case; else what the other type reads."""
        is_none = given is None or (isinstance(given, str) and given.lower() in ("none", "null", "~", ""))
        return None if is_none else self.type.read(given)


class FrozenDict(dict):
    """A hashable dict of hashable values; it must not be changed."""

    def __hash__(self):
        return hash(frozenset(self.items()))


class NamedValues:
    """Numbers, Booleans, text and lists of them by name: `depth=4 qkv_bias=True`, or a mapping in YAML.

    A value is the first of these that its text can be read as; `none` is None.
    """

    annotation = dict
    metavar = "NAME=VALUE"
    nargs = "+"
    wanted = "one or more NAME=VALUE"
    limits = ""
    _scalar = Optional(OneOf(Integer(), Number(), Boolean(), Text()))

    def read(self, given) -> FrozenDict:
        """Return a mapping, a string or list of NAME=VALUE, or a list of pairs as typed values by name, sorted by name.

        Raises:
            ValueError: A name is missing, is not an identifier or is given twice, or a value is empty or nested.
        """
        pairs = self._pairs(given)
        if not pairs or not all(len(pair) == 2 and str(pair[0]).isidentifier() for pair in pairs):
            raise ValueError
        names = [name for name, _value in pairs]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"{name} is given twice")
        if empty := [name for name, value in pairs if value == ""]:
            raise ValueError(f"{empty[0]} has no value; {empty[0]}=none takes the default")
        return FrozenDict(sorted((name, self._value(value)) for name, value in pairs))

    @staticmethod
    def _pairs(given) -> list:
        """Return names and values as pairs, or shorter lists for words without "="; ValueError for other types."""
        if isinstance(given, Mapping):
            return list(given.items())
        if isinstance(given, (list, tuple)) and all(isinstance(pair, tuple) for pair in given):
            return list(given)
        words = [given] if isinstance(given, str) else given
        if not isinstance(words, (list, tuple)) or not all(isinstance(word, str) for word in words):
            raise ValueError
        return [word.split("=", 1) for word in re.split(r"[\s,]+(?=\w+=)", " ".join(words).strip())]

    def _value(self, given):
        """Return a scalar, or a tuple for a list or text in brackets; ValueError for anything else."""
        if isinstance(given, (list, tuple)) or (isinstance(given, str) and given.startswith("[")):
            return ListOf(self._scalar).read(given)
        return self._scalar.read(given)
