"""Which parameter gets which learning rate and which weight decay."""

import re
from collections.abc import Iterable

import numpy as np
from mindspore import Parameter, Tensor, nn

FILTERS = ("disable", "auto", "norm_and_bias")
SPARED_BY_AUTO = {"pos_embed", "cls_token"}
_UNMATCHED = ""  # a name that no pattern matches, like the head's
WITH_PREVIOUS = 99999  # timm's mark for a pattern that joins the layer before it


def parameter_groups(
    model_or_params: nn.Cell | Iterable,
    lr,
    weight_decay: float = 0.0,
    weight_decay_filter: str = "disable",
    layer_decay: float | None = None,
    head_lr_multiple: float = 1.0,
) -> list[dict]:
    """Parameter groups as MindSpore's optimizers take them, in the order in which the parameters came.

    Args:
        model_or_params: a model, whose trainable parameters are taken; Parameters; or dicts with "params"
            and, where they differ, "lr" (a number, or one for every step) and "weight_decay". One dict may
            be {"order_params": …}, the order of them all.
        lr: the learning rate, a number or one for every step.
        weight_decay: for every parameter whose dict sets none and which the filter does not spare.
        weight_decay_filter: "disable" decays all; "auto" spares 1-D parameters, pos_embed, cls_token and
            what `model.no_weight_decay()` names; "norm_and_bias" spares every gamma, beta and bias.
        layer_decay: None, or the factor in (0, 1] by which each layer's learning rate is smaller than that of
            the layer after it; the layers are those of `model.group_matcher()`.
        head_lr_multiple: factor over 0 for the learning rate of what no pattern of `model.group_matcher()` matches,
            the head.

    Raises:
        ValueError, TypeError: nothing to train, an unknown filter or key, or no model where one is needed.
    """
    if weight_decay_filter not in FILTERS:
        raise ValueError(f"weight_decay_filter must be one of {', '.join(FILTERS)}, got {weight_decay_filter!r}")
    model = model_or_params if isinstance(model_or_params, nn.Cell) else None
    given, order = _given_groups(model.trainable_params() if model else list(model_or_params))
    spared = SPARED_BY_AUTO | set(getattr(model, "no_weight_decay", set)())
    scales = _scales(model, layer_decay, head_lr_multiple)

    groups = {}
    for number, group in enumerate(given):
        for parameter in group["params"]:
            spare = _spares(weight_decay_filter, spared, parameter)
            decay = group.get("weight_decay", 0.0 if spare else weight_decay)
            scale = scales.get(parameter.name, 1.0)
            key = (number, decay, scale)
            if key not in groups:
                groups[key] = {"params": [], "weight_decay": decay}
                if "lr" in group or scale != 1:
                    groups[key]["lr"] = _scaled(group.get("lr", lr), scale)
            groups[key]["params"].append(parameter)
    return [*groups.values(), {"order_params": order}]


def _given_groups(params: list) -> tuple[list[dict], list[Parameter]]:
    """The groups and the order of their parameters."""
    given = params if params and isinstance(params[0], dict) else [{"params": params}]
    for group in given:
        unknown = set(group) - {"params", "lr", "weight_decay", "order_params"}
        if unknown:
            raise ValueError(
                f"unknown key {sorted(unknown)[0]!r} in a parameter group: known are params, lr, weight_decay"
            )
    order = [list(group["order_params"]) for group in given if "order_params" in group]
    given = [{**group, "params": list(group["params"])} for group in given if "params" in group]
    found = [parameter for group in given for parameter in group["params"]]
    if not found:
        raise ValueError("there is nothing to train: no parameter was given, or all are frozen")
    for parameter in found:
        if not isinstance(parameter, Parameter):
            raise TypeError(f"expected a mindspore.Parameter to train, got {type(parameter).__name__}")
    return given, order[0] if order else found


def _spares(weight_decay_filter: str, spared: set[str], parameter: Parameter) -> bool:
    if weight_decay_filter == "auto":
        return parameter.ndim == 1 or parameter.name in spared
    if weight_decay_filter == "norm_and_bias":
        return parameter.name.rsplit(".", 1)[-1] in ("gamma", "beta", "bias")
    return False


def _scaled(lr, scale: float):
    if isinstance(lr, nn.Cell):
        if scale == 1:
            return lr
        raise TypeError("layer_decay and head_lr_multiple need lr as a number or one a step, got a schedule cell")
    scaled = np.asarray(lr.asnumpy() if isinstance(lr, Tensor) else lr, np.float64) * scale
    return scaled.tolist()


def _scales(model: nn.Cell | None, layer_decay: float | None, head_lr_multiple: float) -> dict[str, float]:
    """The factor of each parameter's learning rate, by its name.

    It is layer_decay to the power of the number of layers behind the parameter's own, frozen ones among them, and for
    the head that multiple too.
    """
    if layer_decay is None and head_lr_multiple == 1:
        return {}
    layer_decay = 1.0 if layer_decay is None else layer_decay
    if not 0 < layer_decay <= 1:
        raise ValueError(f"layer_decay must be in (0, 1], got {layer_decay}")
    if not head_lr_multiple > 0:
        raise ValueError(f"head_lr_multiple must be over 0, got {head_lr_multiple}")
    if not hasattr(model, "group_matcher"):
        raise ValueError("layer_decay and head_lr_multiple need a model that has a group_matcher()")
    names = [parameter.name for parameter in model.get_parameters()]
    layers = layers_of([*names, _UNMATCHED], model.group_matcher(coarse=False))
    head = layers.pop(_UNMATCHED)
    last = max(layers.values())
    return {
        name: layer_decay ** (last - layer) * (head_lr_multiple if layer == head else 1)
        for name, layer in layers.items()
    }


def layers_of(names: list[str], matcher: dict) -> dict[str, int]:
    """The number of each parameter's layer, from 0 at the input, by timm's rules.

    `matcher` maps a stage to a pattern or to a list of (pattern, suffix). A name belongs to the first pattern
    that matches its beginning; layers are sorted by stage, then by the numbers that the pattern captured. The
    suffix (99999,) joins the layer before; names that nothing matches (the head) come last.
    """
    patterns = [
        (stage, re.compile(pattern), suffix or ())
        for stage, spec in enumerate(matcher.values())
        for pattern, suffix in ([(spec, None)] if isinstance(spec, str) else spec)
    ]

    def place(name: str) -> tuple:
        for stage, pattern, suffix in patterns:
            if match := pattern.match(name):
                captured = tuple(int(number) for number in match.groups() if number is not None)
                return (stage, *captured, *suffix)
        return (len(matcher),)

    places = {name: place(name) for name in names}
    number, layer = {}, -1
    for key in sorted(set(places.values())):
        if layer < 0 or key[-1] != WITH_PREVIOUS:
            layer += 1
        number[key] = layer
    return {name: number[key] for name, key in places.items()}
