"""From a name to a model, with weights."""

from mindspore import nn

from mindcv import weights
from mindcv.models.registry import model_entrypoint


def create_model(
    model_name: str,
    num_classes: int = 1000,
    pretrained: bool = False,
    in_channels: int = 3,
    checkpoint_path: str = "",
    ema: bool = False,
    auto_mapping: bool = False,
    **kwargs,
) -> nn.Cell:
    """The model called `model_name`.

    Args:
        model_name: One of `list_models()`.
        num_classes: Classes of the classifier; 0 for none.
        pretrained: Start from published weights.
        in_channels: Channels of the images.
        checkpoint_path: A checkpoint to start from. All of the model's parameters must be in it, in their shapes.
        ema: Take the moving averages from the checkpoint in place of the weights.
        auto_mapping: Load what fits of the checkpoint and warn about the rest, in place of refusing it.
        **kwargs: As the model takes them, such as `image_size` or `drop_path_rate`; None stands for its default.

    Raises:
        ValueError: no such model, a value out of range, or a checkpoint that does not fit.
        TypeError: a keyword that the model does not take.
        FileNotFoundError: no such checkpoint.
    """
    if ema and not checkpoint_path:
        raise ValueError("ema=True takes moving averages from a checkpoint: give checkpoint_path=… too")
    arguments = {name: value for name, value in kwargs.items() if value is not None}
    model = model_entrypoint(model_name)(pretrained, num_classes, in_channels, **arguments)
    if checkpoint_path:
        weights.load(model, checkpoint_path, ema=ema, strict=not auto_mapping)
    return model
