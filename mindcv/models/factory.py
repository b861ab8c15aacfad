"""Create a model by name, with weights from a checkpoint or published ones."""

import inspect
import warnings
from collections.abc import Callable, Collection, Sequence

from mindspore import nn

from mindcv import weights
from mindcv.device import synchronize_pynative_on_cpu
from mindcv.errors import check_arguments, did_you_mean
from mindcv.models.family import family_of
from mindcv.models.features import Features
from mindcv.models.registry import get_pretrained_cfg, model_entrypoint

_NUM_CLASSES, _IN_CHANNELS = 1000, 3  # the defaults of `create_model`


def create_model(
    model_name: str,
    num_classes: int | None = 1000,
    pretrained: bool | str = False,
    in_channels: int | None = 3,
    checkpoint_path: str = "",
    ema: bool = False,
    auto_mapping: bool = False,
    adapt: Collection[str] | None = None,
    features_only: bool = False,
    out_indices: int | Sequence[int] = (-1,),
    class_names: Sequence[str] | None = None,
    **kwargs,
) -> nn.Cell:
    """Create a model, in evaluation mode.

    On a CPU, PyNative operations become synchronous, which makes them some ten times as fast on 2 cores.

    Args:
        model_name: One of `list_models()`.
        num_classes: Classes of the classifier, 1000 for None; 0 for no classifier, so that the model returns features
            (B, C).
        pretrained: Start from published weights: those of a source by name, such as "fb" (a key of "sources" in the
            model's `get_pretrained_cfg`), or of the first source for True. They are downloaded once and cached. `act`
            and `norm_eps` default to the values they were trained with. With `checkpoint_path` it says what the
            checkpoint was fine-tuned from: only those defaults are taken, and nothing is downloaded.
        in_channels: Channels of the images, 3 for None.
        checkpoint_path: Checkpoint to start from: MindSpore's .ckpt, .safetensors, or PyTorch's .pth, with parameter
            names of this project, MindCV, the models' authors or timm.
        ema: Load the moving averages of the checkpoint instead of its weights; without `checkpoint_path` it warns.
        auto_mapping: Load the weights that fit the model, and warn about the others instead of raising an error.
        adapt: Arguments in which the checkpoint's model may differ from this one; its weights are then adapted. Any of
            "num_classes", "in_channels", "image_size" and the family's own, as ConViT's "local_up_to_layer". None for
            those that this call sets; in the others the checkpoint must agree with the defaults. Published weights may
            differ in all of them.
        features_only: Return a backbone, a `Features` of the model, which gives feature maps instead of logits.
        out_indices: With `features_only`, the blocks whose maps are returned: their numbers in rising order, from 0 or
            negative from the end, or an int n for the last n blocks.
        class_names: Classes in the order of the model's outputs; unused without `checkpoint_path`. If the checkpoint
            names the same classes in another order, the rows of its classifier are reordered; if it names other
            classes, the classifier is newly initialised. None to keep the rows as they are.
        **kwargs: Further arguments of the model, such as `image_size` or `drop_path_rate`; None stands for the default.

    Returns:
        The model, with the configuration of its published weights as `pretrained_cfg` if `pretrained` is given; or a
        `Features` with `features_only`.

    Raises:
        ValueError: The model or the published weights do not exist, a value is out of range, or the checkpoint does not
            fit the model.
        TypeError: The model has no such argument, or one is not of its type.
        FileNotFoundError: The checkpoint does not exist.
        OSError: Published weights cannot be downloaded.
    """
    if ema and not checkpoint_path:
        warnings.warn("ema=True loads the averages of a checkpoint, and no checkpoint_path is given", stacklevel=2)
    num_classes = _NUM_CLASSES if num_classes is None else num_classes
    in_channels = _IN_CHANNELS if in_channels is None else in_channels
    if features_only:
        num_classes = 0
    given = {name: value for name, value in kwargs.items() if value is not None}
    entrypoint = model_entrypoint(model_name)
    check_arguments(entrypoint, given)
    _check_call(entrypoint, given)
    source = {}
    if checkpoint_path:
        source, pretrained = _source(get_pretrained_cfg(model_name), pretrained), False
    model = entrypoint(pretrained, num_classes, in_channels, **{**_trained_with(source), **given})
    if not isinstance(model, nn.Cell):
        raise TypeError(f"{model_name} returned {model!r}; it must return the model, an nn.Cell")
    synchronize_pynative_on_cpu()
    with_facts(model, num_classes=num_classes, in_channels=in_channels)
    if not checkpoint_path:
        return Features(model, out_indices) if features_only else model
    model.pretrained_cfg = source
    if adapt is None:
        differs = {
            "num_classes": num_classes != _NUM_CLASSES or bool(class_names),
            "in_channels": in_channels != _IN_CHANNELS,
        }
        arguments = family_of(model).checkpoints.all_differences
        adapt = [name for name in arguments if differs.get(name, name in given)]
    adapt = [*adapt, *["num_classes"] * features_only]
    weights.load(model, checkpoint_path, ema=ema, strict=not auto_mapping, adapt=adapt, class_names=class_names)
    return Features(model, out_indices) if features_only else model


def build_pretrained(build: Callable[..., nn.Cell], cfg: dict, pretrained: bool | str, **arguments) -> nn.Cell:
    """Build a model and load published weights into it, adapted to the arguments.

    Args:
        build: Returns the model for `arguments`.
        cfg: The model's pretrained configuration, with those of all its published weights by name under "sources".
        pretrained: True for the first of `cfg["sources"]`, or the name of one; False for random weights.
        **arguments: Arguments of `build`; `act` and `norm_eps` default to those the weights were trained with.

    Returns:
        The model; its attribute `pretrained_cfg` is the configuration of the weights, if any were loaded.

    Raises:
        TypeError: `build` has no such argument, or one is not of its type.
        ValueError: There are no such weights, or they do not fit the model.
        OSError: The weights cannot be downloaded.
    """
    check_arguments(build, arguments)
    if not pretrained:
        return build(**arguments)
    source = _source(cfg, pretrained)
    model = build(**{**_trained_with(source), **arguments})
    model.pretrained_cfg = source
    adapt = family_of(model).checkpoints.all_differences
    weights.load(model, weights.fetch_published(source), adapt=adapt, grid=source.get("grid"))
    return model


def _check_call(entrypoint: Callable, given: dict) -> None:
    """Raise a TypeError if a registered function cannot be called with what every model gets and with `given`."""
    try:
        inspect.signature(entrypoint).bind(False, _NUM_CLASSES, _IN_CHANNELS, **given)
    except TypeError as error:
        raise TypeError(
            f"{entrypoint.__name__} is called with pretrained, num_classes, in_channels and "
            f"{', '.join(given) or 'nothing else'}: {error}; --model_args or keyword arguments give what is missing"
        ) from None


def with_facts(model: nn.Cell, **facts) -> nn.Cell:
    """Return `model`, which gets those of the attributes `facts` that it lacks, see `mindcv.models.family.Model`."""
    for name, value in facts.items():
        if not hasattr(model, name):
            setattr(model, name, value)
    return model


def _source(cfg: dict, pretrained: bool | str) -> dict:
    """Return the configuration of the published weights that `pretrained` selects from `cfg["sources"]`.

    Args:
        cfg: The model's pretrained configuration.
        pretrained: The name of a source, True for the first, or False for {}.

    Raises:
        ValueError: There is no such source.
    """
    if not pretrained:
        return {}
    sources = cfg.get("sources", {})
    if pretrained is True and sources:
        return next(iter(sources.values()))
    if pretrained not in sources:
        hint = did_you_mean(pretrained, sources) if sources else "; this model has none"
        raise ValueError(f"no published weights of this model are called {pretrained!r}{hint}")
    return sources[pretrained]


def trained_with(model_name: str, pretrained: bool | str) -> dict:
    """Return the model arguments that published weights of `model_name` were trained with: "act" and "norm_eps".

    Args:
        model_name: One of `list_models()`.
        pretrained: True for the first source, the name of one, such as "fb", or False for {}.

    Raises:
        ValueError: There is no such model or source.
    """
    return _trained_with(_source(get_pretrained_cfg(model_name), pretrained))


def _trained_with(source: dict) -> dict:
    """Return those entries of a source's configuration that are arguments of the model: "act" and "norm_eps"."""
    return {name: source[name] for name in ("act", "norm_eps") if name in source}
