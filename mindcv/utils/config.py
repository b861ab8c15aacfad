"""`create_parser`, `parse_args` and `save_args` of MindCV's `config.py`, over `mindcv.config`."""

import argparse
import logging

from mindcv.config import OPTIONS, Config, parse, show
from mindcv.config.config import ConfigError, read_option

_log = logging.getLogger("mindcv")


class _Read(argparse.Action):
    """Stores what an option's type reads of the words of the command line."""

    def __call__(self, parser, namespace, words, option_string=None):
        words = words[0] if isinstance(words, list) and len(words) == 1 else words
        try:
            setattr(namespace, self.dest, read_option(self.dest, words, "command line"))
        except ConfigError as error:
            parser.error(str(error))


def create_parser() -> tuple[argparse.ArgumentParser, argparse.ArgumentParser]:
    """Return a parser of `--config` alone, and one of all options; `add_argument` adds a script's own.

    A recipe's values are the defaults of the second one: `parser.set_defaults(**yaml.safe_load(file))`.
    """
    of_config = argparse.ArgumentParser(add_help=False)
    of_config.add_argument("-c", "--config", default="", help=OPTIONS["config"].help)
    parser = argparse.ArgumentParser(parents=[of_config], allow_abbrev=False)
    for name, option in OPTIONS.items():
        if name != "config":
            text = f"{option.help} (default: {show(option.default)})".replace("%", "%%")
            parser.add_argument(
                f"--{name}", action=_Read, nargs=option.type.nargs, const="True", default=option.default, help=text,
                metavar=option.type.metavar,
            )  # fmt: skip
    return of_config, parser


def parse_args(args: list[str] | None = None) -> argparse.Namespace:
    """Return the options of a command line and its recipe, checked, as a namespace that may be changed.

    `val_split` is the data set's default if it is not given. A bad option ends the process with one line and code 2.

    Args:
        args: Words of the command line; None for those of this process.
    """
    from mindcv.data import default_val_split  # imports MindSpore, which --help does not need

    config = parse(args)
    options = config.as_dict()
    options["val_split"] = config.val_split or default_val_split(config.dataset)
    return argparse.Namespace(**options)


def save_args(args: argparse.Namespace, filepath: str, rank: int | None = 0) -> None:
    """Write options to a recipe that `--config` reads, on worker 0 (or None) only.

    Args:
        args: A namespace of `parse_args`; attributes that are no options are left out.
        filepath: Path of the recipe; missing folders are created.
        rank: Number of the worker.

    Raises:
        ConfigError: The options contradict each other.
        OSError: The file cannot be written.
    """
    if not rank:
        Config({name: value for name, value in vars(args).items() if name in OPTIONS}).save(filepath)
        _log.info("the options are saved to %s", filepath)


def _check_cfgs_in_parser(cfgs: dict, parser: argparse.ArgumentParser) -> None:
    """Raise a KeyError for the first name in `cfgs` that `parser` does not have."""
    known = {action.dest for action in parser._actions} | parser._defaults.keys()
    for name in cfgs:
        if name not in known:
            raise KeyError(f"{name} does not exist in ArgumentParser!")
