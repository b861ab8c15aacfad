"""Load the trained model and the preprocessing that a configuration describes."""

from mindspore import nn

from mindcv import device
from mindcv.config import Config, ConfigError
from mindcv.deploy.labels import read_class_names
from mindcv.deploy.preprocess import OPTIONS, Preprocessor
from mindcv.engine.build import classes_of_weights, create_configured, with_recorded_model_args


def load_model(config: Config) -> tuple[nn.Cell, list[str] | None]:
    """Return the model, in evaluation mode, and the names of its classes.

    The weights are those of `config.ckpt_path` or `config.pretrained`, adapted to `config`'s channels and image size.
    If both are given, they are those of `config.ckpt_path`, and `config.pretrained` says from which published weights
    they were fine-tuned.

    Sets MindSpore's device and mode. The model has `config.num_classes` classes, or as many as the checkpoint's; a
    checkpoint with another number does not fit, and published weights then get a new, random classifier. The
    names, in the order of the logits and possibly fewer than these, come from the file `config.class_names`, or from
    the checkpoint; None where neither has any.

    Raises:
        ConfigError: neither weights option is given, or there are more names than classes.
        ValueError, OSError: the checkpoint or the file of names is missing, damaged or does not fit.
    """
    if not (config.ckpt_path or config.pretrained):
        raise ConfigError("ckpt_path: a trained model is needed; pass --ckpt_path FILE, or --pretrained")
    config = with_recorded_model_args(config)
    device.set_up(config.device_target, config.mode, config.jit_level)
    count, names = classes_of_weights(config)
    num_classes = config.num_classes or count
    if config.class_names:
        names = read_class_names(config.class_names)
    if names and len(names) > num_classes:
        source = config.class_names or config.ckpt_path
        raise ConfigError(f"{source} names {len(names)} classes, but the model has {num_classes}")
    return create_configured(config, num_classes, adapt=("in_channels", "image_size")), names


def preprocessor_of(config: Config, model: nn.Cell) -> Preprocessor:
    """Return validation's preprocessing to `model.image_size`, by mean, std, crop_pct and interpolation of `config`."""
    return Preprocessor(model.image_size, **{name: getattr(config, name) for name in OPTIONS})
