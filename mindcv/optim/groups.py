"""Parameter groups: which parameter gets which learning rate and weight decay."""

import re
from collections.abc import Iterable

import numpy as np
from mindspore import Parameter, Tensor, nn

from mindcv.errors import require_in_range

WEIGHT_DECAY_FILTERS = ("disable", "auto", "norm_and_bias")
AUTO_NO_WEIGHT_DECAY = {"pos_embed", "cls_token"}
MATCH_PREV_GROUP = 99999  # timm's suffix of a pattern whose parameters join the layer before
_UNMATCHED = ""  # a name that no pattern matches, like the head's


def parameter_groups(
    model_or_params: nn.Cell | Iterable,
    lr,
    weight_decay: float = 0.0,
    weight_decay_filter: str = "disable",
    layer_decay: float | None = None,
    head_lr_multiple: float = 1.0,
) -> list[dict]:
    """Return parameter groups for an optimizer, one per combination of given group, weight decay and learning rate.

    Args:
        model_or_params: A model, of which the trainable parameters are taken; or Parameters; or dicts with "params"
            and optionally "lr" (a number, or one number per step), "weight_decay" and "grad_centralization" (True to
            subtract from each gradient its mean over all axes but the first). One dict may be {"order_params": […]},
            the order of all parameters.
        lr: The learning rate, a number or one number per step.
        weight_decay: Of every parameter whose dict sets none and that the filter does not exempt.
        weight_decay_filter: Which parameters to exempt from weight decay: "disable" none; "auto" the 1-D parameters,
            pos_embed, cls_token and those that `model.no_weight_decay()` names; "norm_and_bias" every gamma, beta and
            bias.
        layer_decay: Factor in (0, 1] from a layer's learning rate to that of the layer before it, None for no decay.
            The layers are those of `model.group_matcher()`.
        head_lr_multiple: Factor, above 0, of the head's learning rate. The head is what no pattern of
            `model.group_matcher()` matches.

    Returns:
        Dicts with "params", "weight_decay", "grad_centralization" if it is given, and "lr" where it differs from `lr`;
        then {"order_params": […]} with all
        parameters in the order in which they were given.

    Raises:
        ValueError: There is nothing to train; a filter or key is unknown; a factor is out of range; or layer_decay or
            head_lr_multiple is set without a model that has a `group_matcher`.
        TypeError: An element of "params" is not a Parameter, or `lr` is a schedule cell that would have to be scaled.
    """
    if weight_decay_filter not in WEIGHT_DECAY_FILTERS:
        wanted = ", ".join(WEIGHT_DECAY_FILTERS)
        raise ValueError(f"weight_decay_filter must be one of {wanted}, got {weight_decay_filter!r}")
    model = model_or_params if isinstance(model_or_params, nn.Cell) else None
    given, order = _given_groups(model.trainable_params() if model else list(model_or_params))
    no_decay = AUTO_NO_WEIGHT_DECAY | set(getattr(model, "no_weight_decay", set)())
    lr_scales = _lr_scales(model, layer_decay, head_lr_multiple)

    groups = {}
    for number, group in enumerate(given):
        for parameter in group["params"]:
            exempt = _is_exempt(weight_decay_filter, no_decay, parameter)
            decay = group.get("weight_decay", 0.0 if exempt else weight_decay)
            scale = lr_scales.get(parameter.name, 1.0)
            key = (number, decay, scale)
            if key not in groups:
                groups[key] = {"params": [], "weight_decay": decay}
                if "grad_centralization" in group:
                    groups[key]["grad_centralization"] = group["grad_centralization"]
                if "lr" in group or scale != 1:
                    groups[key]["lr"] = _scale_lr(group.get("lr", lr), scale)
            groups[key]["params"].append(parameter)
    return [*groups.values(), {"order_params": order}]


def _given_groups(params: list) -> tuple[list[dict], list[Parameter]]:
    """Return the groups in `params`, Parameters (one group) or dicts, and all their parameters in order.

    The groups are copies with lists under "params". The order is that of "order_params" if a dict has it, else that in
    which the parameters were given.

    Raises:
        ValueError: A dict has an unknown key, or there are no parameters.
        TypeError: An element is not a Parameter.
    """
    given = params if params and isinstance(params[0], dict) else [{"params": params}]
    for group in given:
        unknown = set(group) - {"params", "lr", "weight_decay", "grad_centralization", "order_params"}
        if unknown:
            raise ValueError(
                f"unknown key {sorted(unknown)[0]!r} in a parameter group: known are params, lr, weight_decay, "
                "grad_centralization"
            )
    order = [list(group["order_params"]) for group in given if "order_params" in group]
    given = [{**group, "params": list(group["params"])} for group in given if "params" in group]
    parameters = [parameter for group in given for parameter in group["params"]]
    if not parameters:
        raise ValueError("there is nothing to train: no parameter was given, or all are frozen")
    for parameter in parameters:
        if not isinstance(parameter, Parameter):
            raise TypeError(f"expected a mindspore.Parameter to train, got {type(parameter).__name__}")
    return given, order[0] if order else parameters


def _is_exempt(weight_decay_filter: str, no_decay: set[str], parameter: Parameter) -> bool:
    """Return whether the filter exempts `parameter` from weight decay.

    "disable" exempts none, "auto" 1-D parameters and the names in `no_decay`, "norm_and_bias" every gamma, beta and
    bias.
    """
    if weight_decay_filter == "auto":
        return parameter.ndim == 1 or parameter.name in no_decay
    if weight_decay_filter == "norm_and_bias":
        return parameter.name.rsplit(".", 1)[-1] in ("gamma", "beta", "bias")
    return False


def _scale_lr(lr, scale: float):
    """Return `lr`, a number or one number per step, multiplied by `scale`, as a float or a list of floats.

    A schedule cell is returned as it is if `scale` is 1.

    Raises:
        TypeError: `lr` is a schedule cell and `scale` is not 1.
    """
    if isinstance(lr, nn.Cell):
        if scale == 1:
            return lr
        raise TypeError("layer_decay and head_lr_multiple need lr as a number or one per step, got a schedule cell")
    scaled = np.asarray(lr.asnumpy() if isinstance(lr, Tensor) else lr, np.float64) * scale
    return scaled.tolist()


def _lr_scales(model: nn.Cell | None, layer_decay: float | None, head_lr_multiple: float) -> dict[str, float]:
    """Return the factor of each parameter's learning rate, by the parameter's name.

    It is layer_decay to the power of the number of layers after the parameter's own, frozen layers included; for the
    head it is head_lr_multiple. Empty if neither is set (None and 1).

    Raises:
        ValueError: A factor is out of range, or the model is None or has no `group_matcher`.
    """
    if layer_decay is None and head_lr_multiple == 1:
        return {}
    layer_decay = 1.0 if layer_decay is None else require_in_range("layer_decay", layer_decay, above=0, at_most=1)
    require_in_range("head_lr_multiple", head_lr_multiple, above=0)
    if model is None or not hasattr(model, "group_matcher"):
        raise ValueError("layer_decay and head_lr_multiple need a model that has a group_matcher()")
    names = [parameter.name for parameter in model.get_parameters()]
    layers = layer_ids([*names, _UNMATCHED], model.group_matcher(coarse=False))
    head = layers.pop(_UNMATCHED)
    last = max(layers.values())
    return {
        name: layer_decay ** (last - layer) * (head_lr_multiple if layer == head else 1)
        for name, layer in layers.items()
    }


def layer_ids(names: list[str], matcher: dict) -> dict[str, int]:
    """Return the number of each parameter's layer, from 0 at the input, by timm's rules for group matchers.

    Args:
        names: Names of parameters.
        matcher: For each stage, in order, a regular expression or a list of pairs (regular expression, suffix). A name
            belongs to the first expression that matches its beginning; layers are sorted by stage, then by the numbers
            that the expression captured. The suffix (99999,) joins the layer before, None stands for no suffix.
            Names that nothing matches (the head's) come last.
    """
    patterns = [
        (stage, re.compile(pattern), suffix or ())
        for stage, spec in enumerate(matcher.values())
        for pattern, suffix in ([(spec, None)] if isinstance(spec, str) else spec)
    ]

    def sort_key(name: str) -> tuple:
        """Return stage, captured numbers and suffix of the first pattern that matches; (number of stages,) if none."""
        for stage, pattern, suffix in patterns:
            if match := pattern.match(name):
                captured = tuple(int(number) for number in match.groups() if number is not None)
                return (stage, *captured, *suffix)
        return (len(matcher),)

    keys = {name: sort_key(name) for name in names}
    ids, layer = {}, -1
    for key in sorted(set(keys.values())):
        if layer < 0 or key[-1] != MATCH_PREV_GROUP:
            layer += 1
        ids[key] = layer
    return {name: ids[key] for name, key in keys.items()}
