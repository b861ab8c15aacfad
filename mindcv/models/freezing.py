"""Keeping parts of a model as they are while the rest trains."""

import re
from collections.abc import Iterable

from mindspore import nn

_CLASSIFIER = "classifier."


def freeze(model: nn.Cell, parts: str | Iterable[str] | None) -> None:
    """Take the parameters of `parts` out of training: no gradient is computed for them, no optimizer holds them.

    Args:
        model: One with a `group_matcher`.
        parts: Any of "stem" (patch embedding, position embedding and class token), "blocks:3" or "blocks:0-5" (numbered
            from 0, both ends included) and "backbone" (all but the classifier), with commas between them in one text;
            None for nothing.

    Raises:
        ValueError: no such part, or nothing is left to train. The model is then left as it was.
    """
    parts = parts.split(",") if isinstance(parts, str) else parts
    names = [parameter.name for parameter in model.get_parameters()]
    frozen = {name for part in parts or () for name in _named_by(part, names, model.group_matcher())}
    if frozen and all(p.name in frozen for p in model.trainable_params()):
        raise ValueError(f"freeze {' '.join(parts)} leaves nothing to train: freeze less")
    for parameter in model.get_parameters():
        if parameter.name in frozen:
            parameter.requires_grad = False


def _named_by(part: str, names: list[str], matcher: dict) -> list[str]:
    """Which of `names` belong to `part`."""
    if part == "backbone":
        return [name for name in names if not name.startswith(_CLASSIFIER)]
    if part == "stem":
        return [name for name in names if re.match(matcher["stem"], name)]
    span = re.fullmatch(r"blocks:(\d+)(?:-(\d+))?", part)
    if span is None:
        raise ValueError(f"freeze: got {part!r}, wanted backbone, stem, blocks:3 or blocks:0-5, or several of them")
    block = re.compile(matcher["blocks"][0][0])
    numbers = {name: int(match[1]) for name in names if (match := block.match(name))}
    first, last = int(span[1]), int(span[2] or span[1])
    highest = max(numbers.values())
    if not first <= last <= highest:
        raise ValueError(f"freeze: got {part!r}, wanted blocks from 0 to {highest}, the lower number first")
    return [name for name, number in numbers.items() if first <= number <= last]
