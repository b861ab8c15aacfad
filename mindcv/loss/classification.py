"""Base class of the classification losses: soft targets, class weights, auxiliary logits and the reduction."""

import numpy as np
from mindspore import Tensor, nn, ops
from mindspore import dtype as mstype

from mindcv.errors import require_in_range


class ClassificationLoss(nn.Cell):
    """Base class of losses of logits (B, C) and labels, either class indices (B,) or probabilities (B, C).

    A class index outside 0..C-1 makes the loss NaN. A model with auxiliary outputs passes a tuple (main, auxiliary, …)
    of logits; the result is then the main loss + aux_factor · Σ auxiliary losses.

    Subclasses implement `compute(logits, labels)` for one tensor of float32 logits.

    Args:
        smoothing: ε in [0, 1); a target t becomes (1 - ε) · t + ε / C (Szegedy et al. 2016, section 7).
        aux_factor: Weight of each auxiliary loss, at least 0; at 0 the auxiliary logits are ignored.
        reduction: "mean", "sum" or "none".
        weight: C class weights (Tensor, array or list), or None.

    Raises:
        ValueError: An argument is out of range; or, when called, the shapes of logits, labels and weights do not fit.
    """

    def __init__(self, smoothing: float = 0.0, aux_factor: float = 0.0, reduction: str = "mean", weight=None):
        super().__init__()
        self.smoothing = require_in_range("label smoothing", smoothing, at_least=0, below=1)
        self.aux_factor = require_in_range("aux_factor", aux_factor, at_least=0)
        if reduction not in ("mean", "sum", "none"):
            raise ValueError(f"reduction must be 'mean', 'sum' or 'none', got {reduction!r}")
        self.reduction = reduction
        self.weight = as_class_weights(weight, "weight")

    def construct(self, logits: Tensor | tuple[Tensor, ...], labels: Tensor) -> Tensor:
        """Return the loss of logits (B, C), or of main and auxiliary ones in a tuple, reduced as `reduction` says."""
        if not isinstance(logits, tuple):
            return self.compute(logits.astype(mstype.float32), labels)
        loss = self.compute(logits[0].astype(mstype.float32), labels)
        if self.aux_factor > 0:
            for auxiliary in logits[1:]:
                loss = loss + self.aux_factor * self.compute(auxiliary.astype(mstype.float32), labels)
        return loss

    def soft_targets(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the labels as float32 probabilities (B, C), before smoothing.

        Args:
            logits: (B, C); only their shape is used.
            labels: Class indices (B,), which become one-hot rows, NaN for an index outside 0..C-1; or probabilities
                (B, C), returned as they are.

        Raises:
            ValueError: The shapes of logits, labels and class weights do not fit.
        """
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

    def smooth(self, targets: Tensor) -> Tensor:
        """Return (1 - ε) · targets + ε / C for targets (B, C), where ε is the label smoothing."""
        if self.smoothing == 0:
            return targets
        return (1 - self.smoothing) * targets + self.smoothing / targets.shape[1]

    def reduce(self, losses: Tensor) -> Tensor:
        """Return `losses` of any shape unchanged, their sum or their mean over all elements, as `reduction` says."""
        if self.reduction == "none":
            return losses
        return losses.sum() if self.reduction == "sum" else losses.mean()


def one_hot(labels: Tensor, num_classes: int) -> Tensor:
    """Return integer class indices (B,) as float32 one-hot rows (B, C); rows of indices outside 0..C-1 are NaN."""
    index = labels.astype(mstype.float32)  # int32 would wrap a large int64 back into the range
    in_range = ops.logical_and(index >= 0, index < num_classes)
    rows = ops.one_hot(labels.astype(mstype.int32), num_classes, 1.0, 0.0).astype(mstype.float32)
    return rows + ops.where(in_range, 0.0, float("nan")).expand_dims(1)


def as_class_weights(values, name: str) -> Tensor | None:
    """Return `values`, one number per class, as a float32 Tensor (C,), or None for None.

    Args:
        values: A Tensor, array or list.
        name: The argument's name, for the message.

    Raises:
        ValueError: `values` is not one-dimensional. Its length is not checked here.
    """
    if values is None:
        return None
    array = values.asnumpy() if isinstance(values, Tensor) else np.asarray(values)
    if array.ndim != 1:
        raise ValueError(f"{name} must hold one number per class, shape (C,), got shape {array.shape}")
    return Tensor(array.astype(np.float32))
