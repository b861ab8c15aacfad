"""`create_parser`, `parse_args` and `save_args` of MindCV's `config.py`, over `mindcv.config`."""

import argparse
import logging
from typing import Any

from mindcv.config import OPTIONS, Config, ConfigError, parse, show
from mindcv.config.config import read_option


class _Read(argparse.Action):
    """Stores what an option's type reads of the words of the command line."""

    def __call__(self, parser, namespace, words, option_string=None):
        words = words[0] if isinstance(words, list) and len(words) == 1 else words
        try:
            setattr(namespace, self.dest, read_option(self.dest, words, "command line"))
        except ConfigError as error:
            parser.error(str(error))


def create_parser() -> tuple[argparse.ArgumentParser, argparse.ArgumentParser]:
    """Return a parser of `--config` alone, and one of all options, whose defaults a script sets from the recipe."""
    of_config = argparse.ArgumentParser(add_help=False)
    of_config.add_argument("-c", "--config", default="", help=OPTIONS["config"].help)
    parser = argparse.ArgumentParser(parents=[of_config], allow_abbrev=False)
    for name in [name for name in OPTIONS if name != "config"]:
        kind, default = OPTIONS[name].type, OPTIONS[name].default
        words: dict[str, Any] = {"nargs": kind.nargs, "const": "True", "metavar": kind.metavar}
        text = f"{OPTIONS[name].help} (default: {show(default)})".replace("%", "%%")
        parser.add_argument(f"--{name}", action=_Read, default=default, help=text, **words)
    return of_config, parser


def parse_args(args: list[str] | None = None) -> argparse.Namespace:
    """Return the options of the words `args`, None for those of this process, and of their recipe, checked.

    `val_split` is the data set's default if it is not given. A bad option ends the process with one line and code 2.
    """
    from mindcv.data import default_val_split  # imports MindSpore, which --help does not need

    config = parse(args)
    return argparse.Namespace(**config.as_dict() | {"val_split": config.val_split or default_val_split(config.dataset)})


def save_args(args: argparse.Namespace, filepath: str, rank: int | None = 0) -> None:
    """Write the options to a recipe, on worker 0 or None only; options that contradict each other are a ConfigError."""
    if not rank:
        Config({name: value for name, value in vars(args).items() if name in OPTIONS}).save(filepath)
        logging.getLogger("mindcv").info("the options are saved to %s", filepath)


def _check_cfgs_in_parser(cfgs: dict, parser: argparse.ArgumentParser) -> None:
    """Raise a KeyError for the name in `cfgs` that `parser` does not have."""
    if unknown := cfgs.keys() - {action.dest for action in parser._actions} - parser._defaults.keys():
        raise KeyError(f"{min(unknown)} does not exist in ArgumentParser!")
