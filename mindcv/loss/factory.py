"""Losses by name."""

from difflib import get_close_matches

from mindspore import nn

from mindcv.loss.binary_cross_entropy import BinaryCrossEntropySmooth
from mindcv.loss.cross_entropy import CrossEntropySmooth

LOSSES = {"ce": CrossEntropySmooth, "bce": BinaryCrossEntropySmooth}


def create_loss(
    name: str = "CE",
    weight=None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
    aux_factor: float = 0.0,
) -> nn.Cell:
    """Create a loss, called as `loss(logits, labels)`.

    Args:
        name: "CE" (softmax cross-entropy) or "BCE" (a sigmoid a class), in upper or lower case.
        weight: C class weights, or None.
        reduction: "mean", "sum" or "none" (CE: one value a sample; BCE: one an element).
        label_smoothing: in [0, 1), applied to class indices and to soft labels alike, once, here.
        aux_factor: weight of the auxiliary logits of models that return a tuple.

    Raises:
        ValueError: an unknown name, or an argument out of range.
    """
    if name.lower() not in LOSSES:
        near = get_close_matches(name.lower(), LOSSES, cutoff=0.3)
        hint = f"did you mean {near[0]!r}?" if near else "there is no such loss."
        raise ValueError(f"unknown loss {name!r}: {hint} Known: {', '.join(LOSSES)}")
    return LOSSES[name.lower()](
        smoothing=label_smoothing, aux_factor=aux_factor, reduction=reduction, weight=weight
    )
