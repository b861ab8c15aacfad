"""What the options say to the library's functions, in the words of their arguments."""

from mindcv.config.values import Config

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
