"""From a command line, and the YAML recipe it names, to one checked Config."""

import argparse
import os
import re
from collections.abc import Sequence
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path
from typing import NoReturn

import yaml

from mindcv.config.option_types import Boolean, show
from mindcv.config.options import OPTIONS
from mindcv.config.recipes import find_recipe, recipe_names
from mindcv.config.values import Config, ConfigError, read_option, unknown_option

RUN_CONFIG = "config.yaml"  # what a run writes its options to, in its folder


def parse(argv: list[str] | None = None, *, prog: str | None = None, description: str | None = None) -> Config:
    """`resolve`, for the script `prog` ("train.py", "mindcv train"): a bad option ends it with one line on standard
    error and exit code 2.

    Options that are `only` for other scripts are bad ones.
    """
    script = (prog or "").removesuffix(".py").removeprefix("mindcv ")
    parser = _parser(prog, description, script)
    try:
        return _resolve(parser, argv, script)
    except ConfigError as error:
        parser.exit(2, f"{parser.prog}: error: {error}\n")


def resolve(argv: list[str] | None = None) -> Config:
    """The options of a command line (`sys.argv` if None): defaults, then the recipe, then `argv`.

    Where `argv` resumes a run and names no recipe, the `config.yaml` in the run's folder is the recipe.

    Raises:
        ConfigError: in one line, which option, what it was given and what is allowed.
    """
    return _resolve(_parser(None, None), argv)


def _resolve(parser: argparse.ArgumentParser, argv: list[str] | None, script: str = "") -> Config:
    words, unknown = parser.parse_known_args(argv)
    if unknown:
        raise ConfigError(_stranger(unknown[0]))
    typed = {name: _unwrap(value) for name, value in vars(words).items()}
    recipe, origins = {}, {}
    if path := read_option("config", typed.get("config", ""), "command line"):
        recipe, origins = read_recipe(find_recipe(path))
    elif script in ("", "train") and (folder := _resumed_folder(typed)) is not None:
        recipe, origins = _options_of_run(folder)
    for name in recipe:
        if not _is_for(script, name):
            raise ConfigError(f"{origins[name]}: {_others(name)}")
    config = Config({**recipe, **typed}, {**origins, **dict.fromkeys(typed, "command line")})
    if config.ckpt_path and not os.path.isfile(config.ckpt_path):
        raise ConfigError(f"ckpt_path ({config.origin('ckpt_path')}): {_no_file(config.ckpt_path)}")
    return config


def _resumed_folder(typed: dict) -> str | None:
    """The folder of the run that the command line resumes, if the run's options are there.

    That of the checkpoint comes before the one that the resumed run is to write to.
    """
    if not any(_is_on(typed.get(name)) for name in ("resume", "resume_opt")):
        return None
    folders = [read_option("ckpt_save_dir", typed.get("ckpt_save_dir", "./ckpt"), "command line")]
    if checkpoint := read_option("ckpt_path", typed.get("ckpt_path", ""), "command line"):
        folders.insert(0, os.path.dirname(checkpoint) or ".")
    return next((folder for folder in folders if os.path.isfile(os.path.join(folder, RUN_CONFIG))), None)


def _options_of_run(folder: str) -> tuple[dict, dict[str, str]]:
    """`read_recipe` of the options that a run wrote to `folder`, which may have been moved since.

    What belongs to one start of the run is left out.
    """
    path = os.path.join(folder, RUN_CONFIG)
    recipe, origins = read_recipe(path)
    for name in ("ckpt_path", "resume_changes"):
        recipe.pop(name, None)
        origins.pop(name, None)
    where = {"config": path, "ckpt_save_dir": folder}
    return {**recipe, **where}, {**origins, **dict.fromkeys(where, path)}


def _is_on(given) -> bool:
    with suppress(ValueError):
        return Boolean().read(given)
    return False  # what it is instead is for `Config` to say


def read_recipe(path: str | Path) -> tuple[dict, dict[str, str]]:
    """The options in a YAML file, as text, and the line of each.

    Nothing is interpreted here: YAML would make a text of `7e-4`, so each option's own kind reads it.
    """
    if not os.path.exists(path):
        raise ConfigError(f"config: {_no_file(path, recipe_names())}")
    try:
        top = yaml.compose(Path(path).read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise ConfigError(f"{path} line {mark.line + 1}: not valid YAML: {error.problem}") from None
    except (UnicodeDecodeError, yaml.YAMLError, RecursionError):
        raise ConfigError(f"{path}: not valid YAML: not a text, or nested too deep") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    if top is None:
        raise ConfigError(f"{path}: empty, wanted lines such as 'model: convit_tiny'")
    if not isinstance(top, yaml.MappingNode):
        kind = "a list" if isinstance(top, yaml.SequenceNode) else "a text"
        raise ConfigError(f"{path}: holds {kind}, wanted lines such as 'model: convit_tiny'")

    recipe, origins = {}, {}
    for key, node in top.value:
        where = f"{path} line {key.start_mark.line + 1}"
        name = key.value
        if not isinstance(key, yaml.ScalarNode):
            raise ConfigError(f"{where}: wanted the name of an option before the colon")
        if name not in OPTIONS:
            raise ConfigError(f"{where}: {unknown_option(name)}")
        if name == "config":
            raise ConfigError(f"{where}: a recipe cannot name another one in 'config'")
        if name in recipe:
            raise ConfigError(f"{where}: {name} is given twice, first in line {origins[name].split()[-1]}")
        recipe[name], origins[name] = _plain(node, f"{name} ({where})"), where
    return recipe, origins


def _plain(node: yaml.Node, where: str):
    """A YAML node as text, None, or a list of these."""
    if isinstance(node, yaml.ScalarNode):
        return None if node.tag == "tag:yaml.org,2002:null" else node.value
    if isinstance(node, yaml.SequenceNode) and all(isinstance(item, yaml.ScalarNode) for item in node.value):
        return [item.value for item in node.value]
    raise ConfigError(f"{where}: holds other values inside, wanted a value or a flat list")


def _unwrap(words):
    return words[0] if isinstance(words, list) and len(words) == 1 else words


def _stranger(word: str) -> str:
    name = word.removeprefix("--").split("=")[0]
    if word.startswith("--") and name:
        return _others(name) if name in OPTIONS else unknown_option(name)
    return f"unexpected {word!r}; options are written --name value"


def _is_for(script: str, name: str) -> bool:
    """Whether the option belongs to `script`; "" stands for all scripts."""
    only = OPTIONS[name].only
    return not (script and only) or script in only


def _others(name: str) -> str:
    return f"{name} is an option of {', '.join(f'{script}.py' for script in OPTIONS[name].only)} only: leave it out"


def _no_file(path: str | Path, names: Sequence[str] = ()) -> str:
    """The line about a file that is not there, with the nearest that is, or of `names` that stand for one."""
    path = Path(path)
    near = get_close_matches(str(path), names, n=1)
    if not near:
        with suppress(OSError):
            near = [str(path.with_name(name)) for name in get_close_matches(path.name, os.listdir(path.parent), n=1)]
    return f"no file {str(path)!r}" + (f"; did you mean {near[0]!r}?" if near else "")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        bare = re.match(r"argument .*--(\w+): expected", message)
        if bare:
            message = f"{bare[1]} (command line): got nothing, wanted {OPTIONS[bare[1]].kind.wanted}"
        raise ConfigError(message)


def _parser(prog: str | None, description: str | None, script: str = "") -> argparse.ArgumentParser:
    """Collects words only; the kinds read them. Options not typed are absent from the result."""
    parser = _Parser(
        prog=prog,
        description=description,
        usage="%(prog)s [-c RECIPE.yaml] [--option value …]",
        epilog="Lists are written as 0.08 1.0, as 0.08,1.0 or as '[0.08, 1.0]'; none stands for no value; "
        "a switch alone means True. The recipe goes over the defaults, the command line over both.",
        allow_abbrev=False,
        argument_default=argparse.SUPPRESS,
        formatter_class=lambda prog: argparse.HelpFormatter(prog, max_help_position=32),
    )
    parser._negative_number_matcher = re.compile(r"-(\.?\d|inf|nan)", re.IGNORECASE)  # argparse's leaves out -1e1
    groups = {}
    for option in OPTIONS.values():
        if not _is_for(script, option.name):
            continue
        if option.group not in groups:
            groups[option.group] = parser.add_argument_group(option.group)
        kind = option.kind
        note = "; ".join(filter(None, [kind.limits, f"default: {show(option.default)}"]))
        groups[option.group].add_argument(
            *(["-c"] if option.name == "config" else []),
            f"--{option.name}",
            metavar=kind.metavar,
            help=f"{option.help} ({note})".replace("%", "%%"),
            nargs=kind.nargs,
            **({"const": "True"} if isinstance(kind, Boolean) else {}),
        )
    return parser
