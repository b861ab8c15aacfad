"""Freeze parts of a model."""

import re
from collections.abc import Iterable

from mindspore import nn

_CLASSIFIER = "classifier."


def freeze(model: nn.Cell, parts: str | Iterable[str] | None) -> None:
    """Set `requires_grad` to False for the parameters of `parts`; call it before the optimizer is created.

    Other parameters keep their `requires_grad`: nothing is unfrozen.

    Args:
        model: A model with a `group_matcher`, such as ConViT.
        parts: Names of parts, or one string of names with commas, and no spaces, between them; None or () for nothing
            ("" is an error). A part is "stem" (patch embedding, position embedding and class token), "blocks:3",
            "blocks:0-5" (blocks from 0, both ends included), "backbone" (everything but the classifier), or one that
            the model's `freezable_parts` names: "gates" and "gpsa" of a ConViT.

    Raises:
        ValueError: A part does not exist, the model has no parts, or nothing would be left to train. The model is then
            unchanged.
    """
    parts = parts.split(",") if isinstance(parts, str) else list(parts or ())
    names = [parameter.name for parameter in model.get_parameters()]
    matcher = model.group_matcher() if hasattr(model, "group_matcher") else {}
    own = model.freezable_parts() if hasattr(model, "freezable_parts") else {}
    frozen = {name for part in parts for name in _names_in(part, names, matcher, own)}
    if frozen and all(p.name in frozen for p in model.trainable_params()):
        raise ValueError(f"freeze {' '.join(parts)} leaves nothing to train: freeze less")
    for parameter in model.get_parameters():
        if parameter.name in frozen:
            parameter.requires_grad = False


def _names_in(part: str, names: list[str], matcher: dict, own: dict[str, str]) -> list[str]:
    """Return those of `names` that belong to `part`, in their order.

    Args:
        part: "stem", "backbone", "blocks:3", "blocks:0-5" or a key of `own`, as in `freeze`.
        names: Names of all the model's parameters.
        matcher: The result of the model's `group_matcher`; {} for a model without one, which has the part "backbone"
            and those in `own` only.
        own: The result of the model's `freezable_parts`; {} without one.

    Raises:
        ValueError: `part` has another form, names a block that does not exist, or the higher block first, or the model
            does not have the part.
    """
    if part == "backbone":
        return [name for name in names if not name.startswith(_CLASSIFIER)]
    if part in own:
        found = [name for name in names if re.search(own[part], name)]
        if not found:
            raise ValueError(f"freeze: this model has no {part}: leave it out")
        return found
    if not matcher:
        raise ValueError(f"freeze: got {part!r}, wanted backbone: a model without a group_matcher() has no other part")
    if part == "stem":
        return [name for name in names if re.match(matcher["stem"], name)]
    span = re.fullmatch(r"blocks:(\d+)(?:-(\d+))?", part)
    if span is None:
        wanted = ", ".join(["backbone", "stem", *own, "blocks:3 or blocks:0-5"])
        raise ValueError(f"freeze: got {part!r}, wanted {wanted}, or several of them")
    block = re.compile(matcher["blocks"][0][0])
    numbers = {name: int(match[1]) for name in names if (match := block.match(name))}
    first, last = int(span[1]), int(span[2] or span[1])
    highest = max(numbers.values())
    if not first <= last <= highest:
        raise ValueError(f"freeze: got {part!r}, wanted blocks from 0 to {highest}, the lower number first")
    return [name for name, number in numbers.items() if first <= number <= last]
