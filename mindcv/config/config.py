"""The resolved options of a run, checked and immutable, each with where its value came from."""

import hashlib
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import yaml

from mindcv.config.checks import CHECKS
from mindcv.config.option_types import Choice, Optional, OptionType, show
from mindcv.config.options import OPTIONS, Options, unknown_option
from mindcv.errors import closest
from mindcv.io.files import atomic_write_text

_HEADING = "# the resolved options of a run"


class ConfigError(ValueError):
    """A bad option. The message is one line: which option, what was given, what is accepted."""


class Config(Options):
    """All options of a run as typed, read-only attributes: `Config(lr=1e-3).lr`.

    Setting an attribute, or reading one that is not an option, is an AttributeError. Configs of equal values are equal.

    Args:
        values: Options by name; the others have their defaults. Text is read as on the command line.
        origins: Where each given value came from, by option, for error messages and `to_yaml`; "given" by default.
        **more: More options, which override `values`.

    Raises:
        ConfigError: A name is unknown, a value is of the wrong type or out of range, or two options contradict.
    """

    _origins: Mapping[str, str]

    def __init__(self, values: Mapping[str, Any] | None = None, /, origins: Mapping[str, str] | None = None, **more):
        given = {**(values or {}), **more}
        origins = dict(origins or {})
        for name in given:
            if name not in OPTIONS:
                raise ConfigError(unknown_option(name))
            origins.setdefault(name, "given")
        for name, option in OPTIONS.items():
            vars(self)[name] = read_option(name, given[name], origins[name]) if name in given else option.default
        vars(self)["_origins"] = origins
        for check in CHECKS:
            if complaint := check(self):
                raise ConfigError(complaint)

    if not TYPE_CHECKING:  # type checkers would take any name for an attribute

        def __getattr__(self, name):
            raise AttributeError(unknown_option(name))

    def __setattr__(self, name: str, value: object = None) -> NoReturn:
        raise AttributeError(f"a Config is read-only: config.replace({name}=…) returns a changed copy")

    __delattr__ = __setattr__

    def __eq__(self, other) -> bool:
        return isinstance(other, Config) and self.as_dict() == other.as_dict()

    def __hash__(self) -> int:
        return hash(tuple(self.as_dict().values()))

    def __repr__(self) -> str:
        changed = {name: value for name, value in self.as_dict().items() if value != OPTIONS[name].default}
        return f"Config({', '.join(f'{name}={value!r}' for name, value in changed.items())})"

    def origin(self, name: str) -> str:
        """Return where the value of option `name` came from: "default", "command line", "FILE line N" or "given".

        Raises:
            ConfigError: No option has this name.
        """
        if name not in OPTIONS:
            raise ConfigError(unknown_option(name))
        return self._origins.get(name, "default")

    def replace(self, **changes) -> "Config":
        """Return a copy with some options changed, whose origin is then "given"; the others keep theirs.

        Raises:
            ConfigError: As for `Config`; everything is checked again.
        """
        given = {name: getattr(self, name) for name in OPTIONS if name in self._origins}
        origins = {name: origin for name, origin in self._origins.items() if name not in changes}
        return Config({**given, **changes}, origins)

    def as_dict(self) -> dict[str, Any]:
        """Return the typed values of all options by name, in the order of their declaration."""
        return {name: getattr(self, name) for name in OPTIONS}

    def to_yaml(self) -> str:
        """Return the options as a recipe that `--config` reads; a comment says where each value came from.

        `config` and the defaults of options that are for some scripts only are left out.
        """
        lines = [f"{_HEADING}{' of ' + self.config if self.config else ''}"]
        group = ""
        for name, option in OPTIONS.items():
            if name == "config" or (option.only and name not in self._origins):
                continue
            if option.group != group:
                group = option.group
                lines += ["", f"# {group}"]
            origin = self.origin(name)
            comment = "" if origin == "default" else f"  # {origin}"
            lines.append(f"{name}: {_as_yaml(getattr(self, name))}{comment}")
        return "\n".join(lines) + "\n"

    def save(self, path: str | Path) -> None:
        """Write `to_yaml` to `path`, with a digest in the first line, creating missing folders.

        An existing file, of whatever kind, is replaced atomically. An OSError is raised if that fails.
        """
        atomic_write_text(Path(path), _with_digest(self.to_yaml()))


def is_saved_config(path: Path) -> bool:
    """Return whether `Config.save` wrote `path` and nobody edited it since, as the digest in its first line says.

    False if it cannot be read.
    """
    with suppress(OSError, UnicodeDecodeError):
        text = path.read_bytes().decode()
        return text.startswith(_HEADING) and text == _with_digest(re.sub(r", digest \w+\n", "\n", text, count=1))
    return False


def _with_digest(text: str) -> str:
    """Return `text` with a digest of itself at the end of its first line."""
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    return text.replace("\n", f", digest {digest}\n", 1)


def _as_yaml(value) -> str:
    """Return a value as YAML on one line: a tuple as a list in brackets, a mapping in braces."""
    value = list(value) if isinstance(value, tuple) else dict(value) if isinstance(value, dict) else value
    line = yaml.safe_dump([value], default_flow_style=True, width=float("inf"), allow_unicode=True)
    return line.strip()[1:-1]


def read_option(name: str, given, origin: str) -> Any:
    """Return the value of option `name` as its type reads `given`.

    Args:
        name: A key of `OPTIONS`; others are a KeyError.
        given: Text as on the command line, None or a value, or a list of these.
        origin: Where it came from, such as "command line", for the message.

    Raises:
        ConfigError: It is of another type or out of range; the message names the option, `origin` and what is accepted.
    """
    type = OPTIONS[name].type
    try:
        return type.read(given)
    except ValueError as error:
        reason = f"; {error}" if str(error) else _similar_choice(type, given)
        raise ConfigError(f"{name} ({origin}): got {_typed(type, given)!r}, wanted {type.wanted}{reason}") from None


def _typed(type: OptionType, given):
    """Return a list as a user types it, for a message, and anything else unchanged.

    The list is in brackets unless the type takes several words and there are several.
    """
    if not isinstance(given, (list, tuple)):
        return given
    return show(given) if type.nargs == "+" and len(given) > 1 else f"[{', '.join(map(show, given))}]"


def _similar_choice(type: OptionType, given) -> str:
    """Return the end of a message: "; did you mean X?" if the type is a `Choice` with a similar value, else ""."""
    type = type.type if isinstance(type, Optional) else type
    near = isinstance(type, Choice) and closest(given, type.values)
    return f"; did you mean {near[0]}?" if near else ""
