"""The options of the scripts, as in MindCV; they are declared in `mindcv/config/options.py`. Run it to list them."""

from mindcv.config import OPTIONS, Config, ConfigError, Option, parse, resolve
from mindcv.utils.config import _check_cfgs_in_parser, create_parser, parse_args, save_args

__all__ = [
    "OPTIONS",
    "Config",
    "ConfigError",
    "Option",
    "_check_cfgs_in_parser",
    "create_parser",
    "parse",
    "parse_args",
    "resolve",
    "save_args",
]

if __name__ == "__main__":
    parse(["--help"], prog="train.py")
