"""From a name to a model, with weights."""

from collections.abc import Callable, Collection, Sequence
from difflib import get_close_matches

from mindspore import nn

from mindcv import weights
from mindcv.models.features import Features
from mindcv.models.registry import get_pretrained_cfg, model_entrypoint

_CLASSES, _CHANNELS = 1000, 3


def create_model(
    model_name: str,
    num_classes: int = _CLASSES,
    pretrained: bool | str = False,
    in_channels: int = _CHANNELS,
    checkpoint_path: str = "",
    ema: bool = False,
    auto_mapping: bool = False,
    adapt: Collection[str] | None = None,
    features_only: bool = False,
    out_indices: int | Sequence[int] = (-1,),
    class_names: Sequence[str] | None = None,
    **kwargs,
) -> nn.Cell:
    """The model called `model_name`.

    Args:
        model_name: One of `list_models()`.
        num_classes: Classes of the classifier; 0 for none.
        pretrained: Start from published weights: MindCV's for True, or those of one of the `sources` in the model's
            `get_pretrained_cfg`, such as "fb". `act` and `norm_eps` are then those the weights were trained with,
            unless given. With `checkpoint_path`, which then holds what became of such weights, nothing is fetched.
        in_channels: Channels of the images.
        checkpoint_path: A checkpoint to start from: MindSpore's .ckpt, .safetensors, or PyTorch's .pth, under this
            project's, MindCV's, the ConViT authors' or timm's names.
        ema: Take the moving averages from the checkpoint in place of the weights.
        auto_mapping: Load what fits of the checkpoint and warn about the rest, in place of refusing it.
        adapt: In which arguments the checkpoint's model may differ from this one, and its weights be adapted: any of
            "num_classes", "in_channels", "image_size", "local_up_to_layer" (see `mindcv.weights.load`). By default
            those that are given here: what is left at its default must be as in the checkpoint. Published weights
            are adapted in all.
        features_only: Give feature maps in place of logits: a `Features` of the model, whatever its classes.
        out_indices: The blocks whose maps `features_only` gives; see `Features`.
        class_names: The classes in the order of the outputs. Where the checkpoint names its classes too, its
            classifier's rows go by name, and other classes get a fresh classifier. By default rows go by their number.
        **kwargs: As the model takes them, such as `image_size` or `drop_path_rate`; None stands for its default.

    Raises:
        ValueError: no such model, a value out of range, or a checkpoint that does not fit.
        TypeError: a keyword that the model does not take.
        FileNotFoundError: no such checkpoint.
        OSError: published weights cannot be fetched.
    """
    if ema and not checkpoint_path:
        raise ValueError("ema=True takes moving averages from a checkpoint: give checkpoint_path=… too")
    if features_only:
        num_classes = 0
    given = {name: value for name, value in kwargs.items() if value is not None}
    entrypoint = model_entrypoint(model_name)
    if not checkpoint_path:
        model = entrypoint(pretrained, num_classes, in_channels, **given)
        return Features(model, out_indices) if features_only else model
    source = _source(get_pretrained_cfg(model_name), pretrained)
    model = entrypoint(False, num_classes, in_channels, **{**_trained_with(source), **given})
    model.pretrained_cfg = source
    if adapt is None:
        asked = {"num_classes": num_classes != _CLASSES or bool(class_names), "in_channels": in_channels != _CHANNELS}
        adapt = [name for name in weights.ARGUMENTS if asked.get(name, name in given)]
    adapt = [*adapt, *["num_classes"] * features_only]
    weights.load(model, checkpoint_path, ema=ema, strict=not auto_mapping, adapt=adapt, class_names=class_names)
    return Features(model, out_indices) if features_only else model


def build_pretrained(build: Callable[..., nn.Cell], cfg: dict, pretrained: bool | str, **arguments) -> nn.Cell:
    """`build(**arguments)`, with the published weights of `cfg` that `pretrained` names, adapted to the arguments.

    Raises:
        ValueError: there are no such weights, or they do not fit.
        OSError: they cannot be fetched.
    """
    if not pretrained:
        return build(**arguments)
    source = _source(cfg, pretrained)
    model = build(**{**_trained_with(source), **arguments})
    model.pretrained_cfg = source
    weights.load(model, weights.fetch_published(source), adapt=weights.ARGUMENTS, grid=source.get("grid"))
    return model


def _source(cfg: dict, pretrained: bool | str) -> dict:
    """The published weights that `pretrained` names; True stands for the first, and False for none."""
    if not pretrained:
        return {}
    sources = cfg.get("sources", {})
    if pretrained is True and sources:
        return next(iter(sources.values()))
    if pretrained not in sources:
        nearest = get_close_matches(str(pretrained), sources, n=1) or sources
        raise ValueError(
            f"no published weights of this model are called {pretrained!r}; "
            + (f"there is {', '.join(map(repr, nearest))}" if sources else "there are none")
        )
    return sources[pretrained]


def trained_with(model_name: str, pretrained: bool | str) -> dict:
    """Arguments of the model that come with the published weights that `pretrained` names; see `create_model`."""
    return _trained_with(_source(get_pretrained_cfg(model_name), pretrained))


def _trained_with(source: dict) -> dict:
    """Arguments without which the weights compute something else than they were trained for."""
    return {name: source[name] for name in ("act", "norm_eps") if name in source}
