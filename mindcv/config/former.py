"""Options and values of older MindCV recipes, under the names that replaced them."""

import logging

from mindcv.config.option_types import Boolean

_log = logging.getLogger("mindcv")

# Switches that became choices: the new option, and its values for False and for True.
_SWITCHES = {
    "filter_bias_and_bn": ("weight_decay_filter", ("disable", "norm_and_bias")),
    "dynamic_loss_scale": ("loss_scale_type", ("fixed", "dynamic")),
}
_VALUES = {("scheduler", "warmup_cosine_decay_lr"): "warmup_cosine_decay"}


def translate(name: str, value, where: str) -> tuple[str, object]:
    """Return the option and the value that a recipe's `name` and `value` stand for, and log a warning if they differ.

    Args:
        name: What the recipe calls the option.
        value: Its value as text, None, or a list of these.
        where: "FILE line N", for the warning.

    Raises:
        ValueError: `name` is a former switch, and `value` is neither true nor false.
    """
    new_name, new_value = name, value
    if name in _SWITCHES:
        new_name, values = _SWITCHES[name]
        new_value = values[Boolean().read(value)]
    elif isinstance(value, str):
        new_value = _VALUES.get((name, value), value)
    if (new_name, new_value) != (name, value):
        _log.warning("%s: %s: %s is now written %s: %s", where, name, value, new_name, new_value)
    return new_name, new_value
