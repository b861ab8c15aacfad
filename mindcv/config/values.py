"""The resolved options of a run: checked, immutable, and able to say where each came from."""

from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path

import yaml

from mindcv.config.checks import CHECKS
from mindcv.config.option_types import Choice, Optional, show
from mindcv.config.options import OPTIONS, unknown_option
from mindcv.io.files import atomic_write_text, first_bytes

_HEADING = "# the resolved options of a run"


class ConfigError(ValueError):
    """A bad option, in one line: which, what it was given, what is allowed."""


class Config:
    """Every option of the table as an attribute: `Config(lr=1e-3).lr`.

    Args:
        values: options by name; the others take their defaults. Text is read as it is on the command line.
        origins: where each given value came from, for messages and for the saved file.

    Raises:
        ConfigError: an unknown name, a value of the wrong type or out of range, or two that contradict.
    """

    def __init__(self, values: Mapping | None = None, /, origins: Mapping[str, str] | None = None, **more):
        given = {**(values or {}), **more}
        origins = dict(origins or {})
        for name in given:
            if name not in OPTIONS:
                raise ConfigError(unknown_option(name))
            origins.setdefault(name, "given")
        resolved = {
            name: read_option(name, given[name], origins[name]) if name in given else option.default
            for name, option in OPTIONS.items()
        }
        object.__setattr__(self, "_values", resolved)
        object.__setattr__(self, "_origins", origins)
        for contradiction in CHECKS:
            if complaint := contradiction(self):
                raise ConfigError(complaint)

    def __getattr__(self, name: str):
        values = self.__dict__.get("_values", {})
        if name in values:
            return values[name]
        raise AttributeError(unknown_option(name))

    def __setattr__(self, name: str, value):
        raise AttributeError(f"a Config does not change: config.replace({name}=…) makes another")

    def __eq__(self, other) -> bool:
        return isinstance(other, Config) and self._values == other._values

    def __hash__(self) -> int:
        return hash(tuple(self._values.values()))

    def __repr__(self) -> str:
        changed = {name: value for name, value in self._values.items() if value != OPTIONS[name].default}
        return f"Config({', '.join(f'{name}={value!r}' for name, value in changed.items())})"

    def __dir__(self):
        return [*super().__dir__(), *OPTIONS]

    def origin(self, name: str) -> str:
        """Where the value of `name` came from: "default", "command line", "FILE line N" or "given"."""
        if name not in OPTIONS:
            raise ConfigError(unknown_option(name))
        return self._origins.get(name, "default")

    def replace(self, **changes) -> "Config":
        """A copy with some options changed, checked again."""
        given = {name: value for name, value in self._values.items() if name in self._origins}
        origins = {name: where for name, where in self._origins.items() if name not in changes}
        return Config({**given, **changes}, origins)

    def as_dict(self) -> dict:
        """The options by name, in the table's order."""
        return dict(self._values)

    def to_yaml(self) -> str:
        """The options as a recipe that `--config` reads back; a comment says where each came from."""
        lines = [f"{_HEADING}{' of ' + self.config if self.config else ''}"]
        group = ""
        for name, option in OPTIONS.items():
            if name == "config" or (option.only and name not in self._origins):
                continue
            if option.group != group:
                group = option.group
                lines += ["", f"# {group}"]
            where = self.origin(name)
            comment = "" if where == "default" else f"  # {where}"
            lines.append(f"{name}: {_as_yaml(self._values[name])}{comment}")
        return "\n".join(lines) + "\n"

    def save(self, path: str | Path) -> None:
        """Write `to_yaml` to `path`, whole or not at all. Missing folders are made."""
        atomic_write_text(Path(path), self.to_yaml())


def is_saved_config(path: Path) -> bool:
    """Return whether `path` was written by `Config.save`, as its first line says."""
    return first_bytes(path).startswith(_HEADING.encode())


def _as_yaml(value) -> str:
    value = list(value) if isinstance(value, tuple) else value
    line = yaml.safe_dump([value], default_flow_style=True, width=float("inf"), allow_unicode=True)
    return line.strip()[1:-1]


def read_option(name: str, given, origin: str):
    """The value of option `name` as its kind reads it; ConfigError with what is allowed if it cannot."""
    kind = OPTIONS[name].kind
    try:
        return kind.read(given)
    except ValueError as error:
        reason = f"; {error}" if str(error) else _nearest_choice(kind, given)
        raise ConfigError(f"{name} ({origin}): got {_typed(kind, given)!r}, wanted {kind.wanted}{reason}") from None


def _typed(kind, given):
    """What was given, as one would type it; in brackets a list where there should be one value, or more of them."""
    if not isinstance(given, (list, tuple)):
        return given
    return show(given) if kind.nargs == "+" and len(given) > 1 else f"[{', '.join(map(show, given))}]"


def _nearest_choice(kind, given) -> str:
    kind = kind.kind if isinstance(kind, Optional) else kind
    if not isinstance(kind, Choice):
        return ""
    words = {str(value).lower(): str(value) for value in kind.values}
    near = get_close_matches(str(given).lower(), words, n=1)
    return f"; did you mean {words[near[0]]}?" if near else ""
