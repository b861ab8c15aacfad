"""Losses by name."""

import inspect
from difflib import get_close_matches

from mindspore import nn

from mindcv.errors import explain_unknown
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
    """Create a loss, called as `loss(logits, labels)`.

    An option that the loss does not have is an error unless it is left at its default. (The losses' further
    arguments are those of their classes.)

    Args:
        name: in upper or lower case, "CE" (softmax cross-entropy), "BCE" (a sigmoid a class),
            "asl_single_label", "asl_multi_label" (asymmetric) or "jsd" (cross-entropy with consistency, for
            AugMix).
        weight: C class weights, or None.
        reduction: "mean", "sum" or "none" (one value a sample; BCE: one an element).
        label_smoothing: in [0, 1), applied to class indices and to soft labels alike, once, here.
        aux_factor: weight of the auxiliary logits of models that return a tuple.
        ignore_index: class index of samples that the cross-entropy leaves out; see `CrossEntropySmooth`.

    Raises:
        TypeError: an argument that does not exist, with the one to use.
        ValueError: an unknown name, an argument out of range, or an option that the loss does not have.
    """
    key = name.lower()
    if key not in LOSSES:
        near = get_close_matches(key, LOSSES, cutoff=0.3)
        hint = f"did you mean {near[0]!r}?" if near else "there is no such loss."
        raise ValueError(f"unknown loss {name!r}: {hint} Known: {', '.join(LOSSES)}")
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
    own = inspect.signature(LOSSES[key]).parameters
    for option in options.keys() - own.keys():
        if is_set[option]:
            raise ValueError(f"the loss {name} has no {option}, so {options[option]!r} would do nothing")
    return LOSSES[key](**{option: value for option, value in options.items() if option in own})
