"""What several options mean together, as the arguments of library functions and as facts about a run."""

from mindcv.config.config import Config
from mindcv.config.options import OPTIONS

GRAPH_MODE = 0  # MindSpore's number for it

_SAME_NAME = ("pretrained", "in_channels")
OF_SOME_MODELS = (  # arguments of the model itself, which not every model takes
    "image_size", "patch_size", "drop_rate", "attn_drop_rate", "drop_path_rate", "act", "norm_eps",
    "attn_impl",
)  # fmt: skip


def model_arguments(config: Config) -> dict:
    """Return the keyword arguments of `create_model` that the options give, the model's name among them.

    `num_classes`, which may follow from the dataset, and `adapt`, what loading may change in weights, are left out, and
    so are arguments of the model itself, except for the image size, that the user left at the default.
    """
    return {
        "model_name": config.model,
        "checkpoint_path": config.ckpt_path,
        "ema": config.use_ema,
        **{name: getattr(config, name) for name in _SAME_NAME},
        "image_size": config.image_resize,
        **{name: value for name in OF_SOME_MODELS[1:] if (value := getattr(config, name)) != OPTIONS[name].default},
        **(config.model_args or {}),
    }


def is_resuming(config: Config) -> bool:
    """Return whether the options ask to continue a run from a checkpoint with training state; no file is looked for."""
    return config.resume or config.resume_opt


def as_recipe(config: Config) -> Config:
    """Return the options of a run without those that resume it, so that they begin a new run in another folder.

    For a resumed run `resume`, `resume_opt`, `ckpt_path`, `use_ema` and `keep_classifier` get their defaults, and
    `resume_changes` stays, as a record of what was permitted. For any other run `resume_changes` becomes None.
    """
    if not is_resuming(config):
        return config.replace(resume_changes=None)
    names = ("resume", "resume_opt", "ckpt_path", "use_ema", "keep_classifier")
    return config.replace(**{name: OPTIONS[name].default for name in names})


def uses_data_sink(config: Config) -> bool:
    """Return whether the device is fed whole epochs of data, so that the host does nothing between two steps.

    False on a CPU, in PyNative mode, and where the host acts after some steps (`ckpt_save_interval_steps`, `steps`).
    """
    host_acts = config.ckpt_save_interval_steps > 0 or config.steps is not None
    return config.dataset_sink_mode and not host_acts and config.device_target != "CPU" and config.mode == GRAPH_MODE
