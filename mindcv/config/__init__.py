"""The options of a run: one table, read from YAML and the command line into one checked, immutable object.

`parse` is for scripts, `resolve` and `Config` for Python; `OPTIONS` is the table. Imports nothing else of mindcv but
`files` and `pixels`, and no MindSpore.
"""

from mindcv.config.arguments import is_resuming, model_arguments, uses_data_sink
from mindcv.config.checks import DECAYING_TO_MIN_LR
from mindcv.config.option_types import show
from mindcv.config.options import OPTIONS, Option
from mindcv.config.parsing import RUN_CONFIG, parse, read_recipe, resolve
from mindcv.config.recipes import find_recipe, recipe_names
from mindcv.config.values import Config, ConfigError, is_saved_config

__all__ = [
    "DECAYING_TO_MIN_LR",
    "OPTIONS",
    "RUN_CONFIG",
    "Config",
    "ConfigError",
    "Option",
    "find_recipe",
    "is_resuming",
    "is_saved_config",
    "model_arguments",
    "parse",
    "read_recipe",
    "recipe_names",
    "resolve",
    "show",
    "uses_data_sink",
]
