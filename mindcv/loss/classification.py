"""What the classification losses share: soft targets, class weights, auxiliary logits and the reduction."""

import numpy as np
from mindspore import Tensor, nn, ops
from mindspore import dtype as mstype


class ClassificationLoss(nn.Cell):
    """A loss of logits (B, C) and labels, either class indices (B,) or probabilities (B, C).

    A class index outside 0..C-1 makes the loss NaN.

    A model that also returns auxiliary logits hands over a tuple (main, auxiliary, …): the result is then
    main + aux_factor · Σ auxiliary, and the auxiliary logits are left out if `aux_factor` is 0.

    Subclasses compute one pair of logits and labels in `compute(logits, labels)`, on float32 logits.

    Args:
        smoothing: ε in [0, 1); a target t becomes (1 - ε)·t + ε/C (Szegedy et al. 2016, section 7).
        aux_factor: weight of each auxiliary loss, at least 0.
        reduction: "mean", "sum" or "none".
        weight: C class weights (Tensor, array or list), or None.

    Raises:
        ValueError: an argument out of range; when called, shapes of logits, labels and weights that disagree.
    """

    def __init__(self, smoothing: float = 0.0, aux_factor: float = 0.0, reduction: str = "mean", weight=None):
        super().__init__()
        if not 0 <= smoothing < 1:
            raise ValueError(f"label smoothing must be in [0, 1), got {smoothing}")
        if aux_factor < 0:
            raise ValueError(f"aux_factor must be at least 0, got {aux_factor}")
        if reduction not in ("mean", "sum", "none"):
            raise ValueError(f"reduction must be 'mean', 'sum' or 'none', got {reduction!r}")
        self.smoothing = smoothing
        self.aux_factor = aux_factor
        self.reduction = reduction
        self.weight = per_class(weight, "weight")

    def construct(self, logits, labels):
        if not isinstance(logits, tuple):
            return self.compute(logits.astype(mstype.float32), labels)
        loss = self.compute(logits[0].astype(mstype.float32), labels)
        if self.aux_factor > 0:
            for auxiliary in logits[1:]:
                loss = loss + self.aux_factor * self.compute(auxiliary.astype(mstype.float32), labels)
        return loss

    def targets(self, logits, labels):
        """Labels as float32 probabilities (B, C), not yet smoothed."""
        if self.weight is not None and self.weight.shape[0] != logits.shape[1]:
            raise ValueError(f"{self.weight.shape[0]} class weights were given for {logits.shape[1]} classes")
        if labels.ndim == 1 and labels.shape[0] == logits.shape[0]:
            return one_hot(labels, logits.shape[1])
        if labels.shape != logits.shape:
            raise ValueError(
                f"labels must be (B,) class indices or (B, C) probabilities, got {labels.shape} "
                f"for logits {logits.shape}"
            )
        return labels.astype(mstype.float32)

    def smooth(self, targets):
        if self.smoothing == 0:
            return targets
        return (1 - self.smoothing) * targets + self.smoothing / targets.shape[1]

    def reduce(self, losses):
        if self.reduction == "none":
            return losses
        return losses.sum() if self.reduction == "sum" else losses.mean()


def one_hot(labels, num_classes: int) -> Tensor:
    """Class indices (B,) of any integer type as rows (B, C) float32; the row of an index outside 0..C-1 is NaN."""
    index = labels.astype(mstype.float32)  # int32 would wrap a large int64 back into the range
    in_range = ops.logical_and(index >= 0, index < num_classes)
    rows = ops.one_hot(labels.astype(mstype.int32), num_classes, 1.0, 0.0).astype(mstype.float32)
    return rows + ops.where(in_range, 0.0, float("nan")).expand_dims(1)


def per_class(values, name: str) -> Tensor | None:
    """A float32 Tensor (C,) of one value a class, or None for None."""
    if values is None:
        return None
    array = values.asnumpy() if isinstance(values, Tensor) else np.asarray(values)
    if array.ndim != 1:
        raise ValueError(f"{name} must hold one number a class, shape (C,), got shape {array.shape}")
    return Tensor(array.astype(np.float32))
