"""The options stand in `mindcv/config/options.py`, so that an installed copy has them; this lists them."""

from mindcv.config import OPTIONS, Config, ConfigError, Option, parse, resolve

__all__ = ["OPTIONS", "Config", "ConfigError", "Option", "parse", "resolve"]

if __name__ == "__main__":
    parse(["--help"], prog="train.py")
