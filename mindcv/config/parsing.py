"""Read a command line, and the YAML recipe that it names, into one checked `Config`."""

import argparse
import os
import re
from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import yaml

from mindcv.config import former
from mindcv.config.config import Config, ConfigError, is_saved_config, read_option
from mindcv.config.option_types import Boolean, show
from mindcv.config.options import OPTIONS, unknown_option
from mindcv.config.recipes import find_recipe, recipe_names
from mindcv.errors import closest

RUN_CONFIG = "config.yaml"  # the file in a run's folder that holds its options
_EXAMPLE = f"lines such as 'model: {OPTIONS['model'].default}'"
_SPELLINGS = {"config": ["-c"], "image": ["--image_path"]}  # other ways to write an option
OF_ONE_START = (  # options that a resumed run does not take over
    "ckpt_path", "use_ema", "keep_classifier", "resume", "resume_opt", "resume_changes", "steps", "dry_run",
)  # fmt: skip


def parse(argv: list[str] | None = None, *, prog: str | None = None, description: str | None = None) -> Config:
    """Return the options of a script's command line, or end the process with one line and exit code 2 for a bad option.

    They are the defaults, overridden by the recipe (that of --config, or the config.yaml of the run that --resume
    continues), overridden by `argv`. --help prints the options and ends the process with exit code 0.

    Args:
        argv: The words after the script's name; None for those of this process.
        prog: How the script was called, such as "train.py" or "mindcv train". Options that are for other scripts only
            are refused. None for any script.
        description: Introduction of --help.
    """
    script = (prog or "").removesuffix(".py").removeprefix("mindcv ")
    parser = _parser(prog, description, script)
    try:
        return _resolve(parser, argv, script)
    except ConfigError as error:
        parser.exit(2, f"{parser.prog}: error: {error}\n")


def resolve(argv: list[str] | None = None) -> Config:
    """Return the options of a command line: the defaults, overridden by the recipe, overridden by `argv`.

    The recipe is the file that --config names. With --resume and without --config, it is the `config.yaml` in the
    resumed run's folder.

    Args:
        argv: Words of the command line, such as `["--lr", "1e-3"]`; None for those of this process.

    Raises:
        ConfigError: An option or the recipe is wrong, or `ckpt_path` is no file. One line names the option, what was
            given and what is accepted.
        SystemExit: After --help.
    """
    return _resolve(_parser(None, None), argv)


def _resolve(parser: argparse.ArgumentParser, argv: list[str] | None, script: str = "") -> Config:
    """Return the options of `argv` and of the recipe that it names, checked. `argv` overrides the recipe.

    A wrong option, recipe or `ckpt_path` is a ConfigError; --help prints and raises SystemExit.

    Args:
        parser: `_parser` for the same script.
        argv: Words of the command line; None for those of this process.
        script: "train", "infer", …: options of other scripts only are refused; "" accepts all. A resumed run's
            config.yaml is read for "train" and "" only.
    """
    words, unknown = parser.parse_known_args(argv)
    if unknown:
        raise ConfigError(_unexpected(unknown[0]))
    typed = {name: _unwrap(value) for name, value in vars(words).items()}
    if script not in ("", "train") and "ema" in typed:
        typed.setdefault("use_ema", typed["ema"])  # MindCV's --ema: it keeps averages in training, and loads them here
    recipe: dict = {}
    origins: dict[str, str] = {}
    if path := read_option("config", typed.get("config", ""), "command line"):
        path = find_recipe(path)
        recipe, origins = read_recipe(path)
        if is_saved_config(Path(path)):
            _leave_out(("resume_changes",), recipe, origins)  # a record of what the run's owner permitted
    elif script in ("", "train") and (folder := _resumed_folder(typed)) is not None:
        recipe, origins = _options_of_run(folder)
    for name in recipe:
        if not _is_option_of(script, name):
            raise ConfigError(f"{origins[name]}: {_for_others(name)}")
    config = Config({**recipe, **typed}, {**origins, **dict.fromkeys(typed, "command line")})
    if config.ckpt_path and not os.path.isfile(config.ckpt_path):
        raise ConfigError(f"ckpt_path ({config.origin('ckpt_path')}): {_no_file(config.ckpt_path)}")
    return config


def _resumed_folder(typed: dict) -> str | None:
    """Return the folder of the run that the command line resumes; None if it resumes none, or none has a config.yaml.

    The folder of `ckpt_path` takes precedence over that of the file it links to, and both over `ckpt_save_dir`.

    Args:
        typed: What was typed for each option, by name, not yet read by its type; other options are absent.

    Raises:
        ConfigError: One of the two paths is not accepted.
    """
    if not any(_is_true(typed.get(name)) for name in ("resume", "resume_opt")):
        return None
    folders = [read_option("ckpt_save_dir", typed.get("ckpt_save_dir", "./ckpt"), "command line")]
    if checkpoint := read_option("ckpt_path", typed.get("ckpt_path", ""), "command line"):
        folders = [os.path.dirname(checkpoint) or ".", os.path.dirname(os.path.realpath(checkpoint)), *folders]
    return next((folder for folder in folders if os.path.isfile(os.path.join(folder, RUN_CONFIG))), None)


def _leave_out(names: Collection[str], recipe: dict, origins: dict[str, str]) -> None:
    """Remove options from what `read_recipe` returned, in place; names that are not there are ignored."""
    for name in names:
        recipe.pop(name, None)
        origins.pop(name, None)


def _options_of_run(folder: str) -> tuple[dict, dict[str, str]]:
    """Return the options that a run wrote to `folder`/config.yaml, and where each stands, "FILE line N".

    Values are as `read_recipe` returns them: text such as "0.1", None, or lists of text.

    Those in `OF_ONE_START`, which were for the start of the run, are left out. `ckpt_save_dir` is `folder`, which may
    have been moved, and `config` its file. A missing or damaged file, or an unknown option in it, is a ConfigError.
    """
    path = os.path.join(folder, RUN_CONFIG)
    recipe, origins = read_recipe(path)
    _leave_out(OF_ONE_START, recipe, origins)
    paths = {"config": path, "ckpt_save_dir": folder}
    return {**recipe, **paths}, {**origins, **dict.fromkeys(paths, path)}


def _is_true(given) -> bool:
    """Return whether `given` means True; False for values that `Config` will refuse."""
    with suppress(ValueError):
        return Boolean().read(given)
    return False


def read_recipe(path: str | Path, is_base: bool = False) -> tuple[dict, dict[str, str]]:
    """Return the options in a YAML file by name, and where each stands: "FILE line N".

    If the file names another recipe in `config`, a path relative to its own folder, the options of that one are the
    base that it overrides; `config` itself is left out. A base cannot name another recipe. `is_base` says that the file
    is one.

    Values are text, None or lists of these: option types read them later, since YAML would take `7e-4` for text. Names
    and values of older MindCV recipes are translated, with a warning.

    Raises:
        ConfigError: The file is missing, empty, unreadable or not valid YAML, or an option in it is unknown, nested or
            given twice, or the same holds for its base. Whether values are accepted is not checked.
    """
    if not os.path.exists(path):
        raise ConfigError(f"config: {_no_file(path, recipe_names())}")
    try:
        top = yaml.compose(Path(path).read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise ConfigError(f"{path} line {line}: not valid YAML: {error.problem}") from None
    except (UnicodeDecodeError, yaml.YAMLError, RecursionError):
        raise ConfigError(f"{path}: not valid YAML: it is not text, or nested too deep") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    if top is None:
        raise ConfigError(f"{path}: empty, wanted {_EXAMPLE}")
    if not isinstance(top, yaml.MappingNode):
        found = "a list" if isinstance(top, yaml.SequenceNode) else "text"
        raise ConfigError(f"{path}: holds {found}, wanted {_EXAMPLE}")

    recipe: dict = {}
    origins: dict[str, str] = {}
    for key, node in top.value:
        where = f"{path} line {key.start_mark.line + 1}"
        name = key.value
        if not isinstance(key, yaml.ScalarNode):
            raise ConfigError(f"{where}: wanted the name of an option before the colon")
        value = _plain(node, f"{name} ({where})", name == "model_args")
        try:
            name, value = former.translate(name, value, where)
        except ValueError:
            raise ConfigError(f"{where}: {name}: got {value!r}, wanted {Boolean.wanted}") from None
        if name not in OPTIONS:
            raise ConfigError(f"{where}: {unknown_option(name)}")
        if name == "config" and is_base:
            raise ConfigError(f"{where}: the base of another recipe cannot name one itself in 'config'")
        if name in recipe:
            raise ConfigError(f"{where}: {name} is given twice, first in line {origins[name].split()[-1]}")
        recipe[name], origins[name] = value, where
    if "config" not in recipe:
        return recipe, origins
    where = origins.pop("config")
    base = Path(path).parent / read_option("config", recipe.pop("config"), where)
    if not base.exists():
        raise ConfigError(f"config ({where}): {_no_file(base)}")
    inherited, inherited_origins = read_recipe(base, is_base=True)
    return {**inherited, **recipe}, {**inherited_origins, **origins}


def _plain(node: yaml.Node, where: str, may_be_mapping: bool = False):
    """Return a YAML node as text, None, or a list of text; a mapping, if it may be one, as a list of pairs.

    Other values raise a ConfigError that begins with `where`.
    """
    if may_be_mapping and isinstance(node, yaml.MappingNode):
        return [(key.value, _plain(value, where)) for key, value in node.value]
    if isinstance(node, yaml.ScalarNode):
        return None if node.tag == "tag:yaml.org,2002:null" else node.value
    if isinstance(node, yaml.SequenceNode) and all(isinstance(item, yaml.ScalarNode) for item in node.value):
        return [item.value for item in node.value]
    raise ConfigError(f"{where}: got nested values, wanted one value or a flat list")


def _unwrap(words):
    """Return the word of a list of one word, and anything else unchanged."""
    return words[0] if isinstance(words, list) and len(words) == 1 else words


def _unexpected(word: str) -> str:
    """Return the error message for a word of the command line, such as "--lr=1", that is no option of the script."""
    name = word.removeprefix("--").split("=")[0]
    if word.startswith("--") and name:
        return _for_others(name) if name in OPTIONS else unknown_option(name)
    return f"unexpected {word!r}; options are written --name value"


def _is_option_of(script: str, name: str) -> bool:
    """Return whether `script` ("train", …) has the option `name`, a key of `OPTIONS`; True for "", all scripts."""
    only = OPTIONS[name].only
    return not (script and only) or script in only


def _for_others(name: str) -> str:
    """Return the error message for `name`, an option of other scripts only, which lists these."""
    return f"{name} is an option of {', '.join(f'{script}.py' for script in OPTIONS[name].only)} only: leave it out"


def _no_file(path: str | Path, names: Sequence[str] = ()) -> str:
    """Return the message for a folder or a missing file, with the most similar of `names` or else of its folder."""
    path = Path(path)
    if os.path.isdir(path):
        return f"{str(path)!r} is a folder: name a file in it"
    near = closest(path, names)
    if not near:
        with suppress(OSError):
            near = [str(path.with_name(name)) for name in closest(path.name, os.listdir(path.parent))]
    return f"no file {str(path)!r}" + (f"; did you mean {near[0]!r}?" if near else "")


class _Parser(argparse.ArgumentParser):
    """A parser that raises `ConfigError` instead of ending the process."""

    def error(self, message: str) -> NoReturn:
        """Raise a `ConfigError` with argparse's message, or what the option accepts if its value is missing."""
        if without_value := re.match(r"argument .*?--(\w+).*: expected", message):
            name = without_value[1]
            message = f"{name} (command line): got nothing, wanted {OPTIONS[name].type.wanted}"
        raise ConfigError(message)


def _parser(prog: str | None, description: str | None, script: str = "") -> argparse.ArgumentParser:
    """Return a parser that collects words, for option types to read. Options that were not typed are absent.

    A value is text, or a list of text for options that take several words. Mistakes raise a `ConfigError`.

    Args:
        prog: Name of the program in messages and --help; None for that of this process.
        description: Introduction of --help.
        script: "train", "infer", …; options of other scripts only are unknown to the parser. "" for all options.
    """
    parser = _Parser(
        prog=prog,
        description=description,
        usage="%(prog)s [-c RECIPE.yaml] [--option value …]",
        epilog="Lists are written as 0.08 1.0, 0.08,1.0 or '[0.08, 1.0]'; none stands for no value; a switch without a "
        "value means True. The recipe overrides the defaults, and the command line overrides both.",
        allow_abbrev=False,
        argument_default=argparse.SUPPRESS,
        formatter_class=lambda prog: argparse.HelpFormatter(prog, max_help_position=32),
    )
    parser._negative_number_matcher = re.compile(r"-(\.?\d|inf|nan)", re.IGNORECASE)  # argparse's misses -1e1
    groups = {}
    for option in OPTIONS.values():
        if not _is_option_of(script, option.name):
            continue
        if option.group not in groups:
            groups[option.group] = parser.add_argument_group(option.group)
        type = option.type
        note = "; ".join(filter(None, [type.limits, f"default: {show(option.default)}"]))
        groups[option.group].add_argument(
            *sorted([f"--{option.name}", *_SPELLINGS.get(option.name, ())], key=len),
            metavar=type.metavar,
            help=f"{option.help} ({note})".replace("%", "%%"),
            nargs=type.nargs,
            const="True" if type.nargs == "?" else None,
        )
    return parser
