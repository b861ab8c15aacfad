"""Options of a run: declared once, read from YAML and the command line into one checked, immutable object.

`parse` is for scripts, `resolve` and `Config` for Python; `OPTIONS` holds the declarations by name. Importing this
package does not import MindSpore.
"""

from mindcv.config.arguments import as_recipe, is_resuming, model_arguments, uses_data_sink
from mindcv.config.checks import DECAYING_TO_MIN_LR
from mindcv.config.config import Config, ConfigError, is_saved_config
from mindcv.config.option_types import show
from mindcv.config.options import OPTIONS, Option
from mindcv.config.parsing import RUN_CONFIG, parse, read_recipe, resolve
from mindcv.config.recipes import find_recipe, recipe_names

__all__ = [
    "DECAYING_TO_MIN_LR",
    "OPTIONS",
    "RUN_CONFIG",
    "Config",
    "ConfigError",
    "Option",
    "as_recipe",
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
