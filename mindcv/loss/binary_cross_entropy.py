"""Binary cross-entropy with label smoothing."""

from mindspore import Tensor, ops

from mindcv.loss.classification import ClassificationLoss, as_class_weights


class BinaryCrossEntropySmooth(ClassificationLoss):
    """Sigmoid cross-entropy of each class separately, with label smoothing.

    With the logit x and the smoothed target t, the loss of element (b, c) is
    weight_c · (pos_weight_c · t · softplus(-x) + (1 - t) · softplus(x)), as in PyTorch's and MindSpore's
    `binary_cross_entropy_with_logits`.

    Inputs are logits (B, C), or a tuple (main, auxiliary, …) of such, and labels: class indices (B,), or
    probabilities or multi-hot rows (B, C). A class index outside 0..C-1 makes the loss NaN.

    Args:
        smoothing: ε in [0, 1); a target t becomes (1 - ε) · t + ε / C.
        aux_factor: Weight of each auxiliary loss, at least 0; at 0 the auxiliary logits are ignored.
        reduction: Over all elements: "mean", "sum", or "none" for a result of shape (B, C).
        weight: C class weights (Tensor, array or list), or None.
        pos_weight: C weights of the positive term (Tensor, array or list), or None.

    Raises:
        ValueError: An argument is out of range; or, when called, the shapes of logits, labels and weights do not fit.
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
        self.pos_weight = as_class_weights(pos_weight, "pos_weight")

    def compute(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the loss of float32 logits (B, C) and labels: class indices (B,) or probabilities (B, C).

        It is a scalar, or (B, C) for reduction "none".

        Raises:
            ValueError: The shapes of logits, labels and weights do not fit.
        """
        targets = self.smooth(self.soft_targets(logits, labels))
        positive = targets * softplus(-logits)
        if self.pos_weight is not None:
            positive = positive * self.pos_weight
        losses = positive + (1 - targets) * softplus(logits)
        if self.weight is not None:
            losses = losses * self.weight
        return self.reduce(losses)


def softplus(x: Tensor) -> Tensor:
    """Return log(1 + eˣ) elementwise.

    The logarithm in `ops.softplus` on a CPU may differ in the last bit from call to call.
    """
    return ops.maximum(x, 0) + ops.log1p(ops.exp(-ops.abs(x)))
