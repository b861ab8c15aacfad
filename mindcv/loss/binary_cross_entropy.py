"""Binary cross-entropy with label smoothing."""

from mindspore import ops

from mindcv.loss.classification import ClassificationLoss, per_class


class BinaryCrossEntropySmooth(ClassificationLoss):
    """Sigmoid cross-entropy of every class on its own, with label smoothing.

    Element (b, c) is w_c · (p_c · t · softplus(-x) + (1 - t) · softplus(x)), with the smoothed target t, the
    logit x and `pos_weight` p. Labels may be class indices (B,), probabilities or multi-hot vectors (B, C).
    "none" gives the elements, (B, C), "mean" and "sum" are over all of them, as in PyTorch's and MindSpore's
    `binary_cross_entropy_with_logits`.

    Args:
        pos_weight: C weights of the positive part (Tensor, array or list), or None.

    See `ClassificationLoss` for the other arguments, inputs and errors.
    """

    def __init__(
        self,
        smoothing: float = 0.0,
        aux_factor: float = 0.0,
        reduction: str = "mean",
        weight=None,
        pos_weight=None,
    ):
        super().__init__(smoothing, aux_factor, reduction, weight)
        self.pos_weight = per_class(pos_weight, "pos_weight")

    def compute(self, logits, labels):
        targets = self.smooth(self.targets(logits, labels))
        positive = targets * softplus(-logits)
        if self.pos_weight is not None:
            positive = positive * self.pos_weight
        losses = positive + (1 - targets) * softplus(logits)
        if self.weight is not None:
            losses = losses * self.weight
        return self.reduce(losses)


def softplus(x):
    """log(1 + eˣ). Not `ops.softplus`, whose logarithm on a CPU may differ in the last bit between calls."""
    return ops.maximum(x, 0) + ops.log1p(ops.exp(-ops.abs(x)))
