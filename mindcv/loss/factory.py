"""Losses by name."""

import warnings

from mindspore import nn

from mindcv.errors import did_you_mean, explain_unknown, signature
from mindcv.loss.asymmetric import AsymmetricLossMultilabel, AsymmetricLossSingleLabel
from mindcv.loss.binary_cross_entropy import BinaryCrossEntropySmooth
from mindcv.loss.cross_entropy import CrossEntropySmooth
from mindcv.loss.jsd import JSDCrossEntropy

LOSSES = {
    "ce": CrossEntropySmooth,
    "bce": BinaryCrossEntropySmooth,
    "asl_single_label": AsymmetricLossSingleLabel,
    "asl_multi_label": AsymmetricLossMultilabel,
    "jsd": JSDCrossEntropy,
}


@explain_unknown(
    loss="name", loss_name="name", smoothing="label_smoothing", smooth_factor="label_smoothing", class_weight="weight"
)
def create_loss(
    name: str = "CE",
    weight=None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
    aux_factor: float = 0.0,
    ignore_index: int = -100,
) -> nn.Cell:
    """Create a loss, called as `loss(logits, labels)` with logits (B, C) and labels (B,) or (B, C).

    Labels are class indices (B,) or probabilities (B, C); for "asl_multi_label" 0 and 1, (B, C). An option that the
    loss does not have is ignored, with a warning if it is set. The losses' further arguments are those of their
    classes; the defaults below apply even where a class has others.

    Args:
        name: In upper or lower case: "CE" (softmax cross-entropy), "BCE" (sigmoid cross-entropy of each class),
            "asl_single_label", "asl_multi_label" (asymmetric losses) or "jsd" (cross-entropy with Jensen-Shannon
            consistency, for AugMix).
        weight: C class weights, or None.
        reduction: "mean", "sum" or "none" (one value per sample; for BCE, one per element). "asl_multi_label" has
            none and is always summed.
        label_smoothing: ε in [0, 1); a target t becomes (1 - ε) · t + ε / C, for class indices and soft labels.
        aux_factor: Weight of the loss of each auxiliary output of a model that returns a tuple, at least 0.
        ignore_index: Class index of samples that the cross-entropy ignores; it may be outside 0..C-1.

    Raises:
        TypeError: An argument does not exist; the message names the one to use.
        ValueError: The name is unknown, or an argument is out of range.
    """
    key = name.lower()
    if key not in LOSSES:
        raise ValueError(f"unknown loss {name!r}{did_you_mean(key, LOSSES)}")
    options = {
        "smoothing": label_smoothing,
        "aux_factor": aux_factor,
        "reduction": reduction,
        "weight": weight,
        "ignore_index": ignore_index,
    }
    is_set = {
        "smoothing": label_smoothing != 0,
        "aux_factor": aux_factor != 0,
        "reduction": reduction != "mean",
        "weight": weight is not None,
        "ignore_index": ignore_index != -100,
    }
    own = signature(LOSSES[key]).parameters
    for option in options.keys() - own.keys():
        if is_set[option]:
            warnings.warn(f"the loss {name} has no {option}: {options[option]!r} does nothing", stacklevel=3)
    return LOSSES[key](**{option: value for option, value in options.items() if option in own})
