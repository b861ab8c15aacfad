"""The options of a run: one table, read from YAML and the command line into one checked, immutable object.

`parse` is for scripts, `resolve` and `Config` for Python; `OPTIONS` is the table. Imports nothing else of mindcv, and
no MindSpore.
"""

from mindcv.config.arguments import model_arguments
from mindcv.config.checks import DECAYING_TO_MIN_LR
from mindcv.config.options import OPTIONS, Option
from mindcv.config.parsing import parse, resolve
from mindcv.config.values import Config, ConfigError

__all__ = [
    "DECAYING_TO_MIN_LR",
    "OPTIONS",
    "Config",
    "ConfigError",
    "Option",
    "model_arguments",
    "parse",
    "resolve",
]
