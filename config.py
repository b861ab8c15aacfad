"""The options of the scripts, as in MindCV; they are declared in `mindcv/config/options.py`. Run it to list them."""

from mindcv.config import OPTIONS, Config, ConfigError, Option, parse, resolve

__all__ = ["OPTIONS", "Config", "ConfigError", "Option", "parse", "resolve"]

if __name__ == "__main__":
    parse(["--help"], prog="train.py")
