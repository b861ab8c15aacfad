"""What several options say together, in the words of the library's functions."""

from mindcv.config.values import Config

GRAPH_MODE = 0  # MindSpore's number for it

_MODEL = (
    "pretrained", "in_channels", "patch_size", "drop_rate", "attn_drop_rate", "drop_path_rate", "act", "norm_eps",
    "attn_impl",
)  # fmt: skip


def model_arguments(config: Config) -> dict:
    """The arguments of `create_model`, all but the number of classes and what a checkpoint may differ in."""
    return {
        "model_name": config.model,
        "image_size": config.image_resize,
        "checkpoint_path": config.ckpt_path,
        "ema": config.use_ema,
        **{name: getattr(config, name) for name in _MODEL},
    }


def is_resuming(config: Config) -> bool:
    """Whether the run goes on from a checkpoint of its own."""
    return config.resume or config.resume_opt


def uses_data_sink(config: Config) -> bool:
    """Whether whole epochs of data go to the device at once, and the host has nothing to do between steps."""
    host_acts = config.ckpt_save_interval_steps > 0 or config.steps is not None
    return config.dataset_sink_mode and not host_acts and config.device_target != "CPU" and config.mode == GRAPH_MODE
