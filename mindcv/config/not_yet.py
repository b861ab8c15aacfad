"""Options whose machinery is still to come: the values that work today, and for which script they matter.

When a feature arrives, its row goes.
"""

from mindcv.config.kinds import show
from mindcv.config.values import Config, ConfigError

_WORKING = {
    "train": {
        "amp_level": ("O0",),
        "val_amp_level": ("O0",),
        "amp_cast_list": (None,),
        "loss_scale_type": ("fixed",),
        "drop_overflow_update": (False,),
    },
    "validate": {
        "val_amp_level": ("O0",),
    },
}


def refuse_not_yet(config: Config, script: str) -> None:
    """Raise ConfigError that names every option of `script`, such as "train", that is not there yet."""
    missing = {name: works for name, works in _WORKING.get(script, {}).items() if getattr(config, name) not in works}
    if missing:
        asked = ", ".join(f"{name} {show(getattr(config, name))}" for name in missing)
        instead = " ".join(f"--{name} {show(works[0])}" for name, works in missing.items())
        raise ConfigError(f"not there yet: {asked}; to run without, pass {instead}")
