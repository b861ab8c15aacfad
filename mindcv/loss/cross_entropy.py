"""Cross-entropy with label smoothing."""

from mindspore import Tensor, ops
from mindspore import dtype as mstype

from mindcv.device import has_fused_kernels
from mindcv.loss.classification import ClassificationLoss


class CrossEntropySmooth(ClassificationLoss):
    """Softmax cross-entropy with label smoothing, class weights, ignored labels and auxiliary logits.

    With the smoothed targets t, the loss of a sample is -Σ_c weight_c · t_c · log softmax(logits)_c, and 0 if its class
    index is `ignore_index`. The reductions are those of PyTorch's and MindSpore's `cross_entropy`: "mean" divides the
    sum by the batch size for soft labels, and by the total class weight of the samples that are not ignored for class
    indices (their number, without class weights). The mean of a batch of ignored samples only is NaN.

    Inputs are logits (B, C), or a tuple (main, auxiliary, …) of such, and labels: class indices (B,) or
    probabilities (B, C). Any other class index outside 0..C-1 makes the loss NaN.

    Args:
        smoothing: ε in [0, 1); a target t becomes (1 - ε) · t + ε / C (Szegedy et al. 2016, section 7).
        aux_factor: Weight of each auxiliary loss, at least 0; at 0 the auxiliary logits are ignored.
        reduction: "mean", "sum", or "none" for one value per sample, (B,).
        weight: C class weights (Tensor, array or list), or None.
        ignore_index: Class index of the samples to ignore; it may be outside 0..C-1.

    Raises:
        ValueError: An argument is out of range; or, when called, the shapes of logits, labels and weights do not fit.
    """

    def __init__(
        self,
        smoothing: float = 0.0,
        aux_factor: float = 0.0,
        reduction: str = "mean",
        weight=None,
        ignore_index: int = -100,
    ):
        super().__init__(smoothing, aux_factor, reduction, weight)
        self.ignore_index = ignore_index
        self.log_softmax = log_softmax if has_fused_kernels() else accurate_log_softmax

    def compute(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the loss of float32 logits (B, C) and labels: class indices (B,) or probabilities (B, C).

        It is a scalar, or (B,) for reduction "none".

        Raises:
            ValueError: The shapes of logits, labels and weights do not fit.
        """
        if labels.ndim != 1:
            return self.reduce(self.losses(logits, self.soft_targets(logits, labels)))
        kept = labels.astype(mstype.float32) != self.ignore_index
        targets = self.soft_targets(logits, ops.where(kept, labels, ops.zeros_like(labels)))
        losses = ops.where(kept, self.losses(logits, targets), 0.0)
        if self.reduction != "mean":
            return self.reduce(losses)
        weights = kept.astype(mstype.float32)
        if self.weight is not None:
            weights = weights * (targets * self.weight).sum(1)
        return losses.sum() / weights.sum()

    def losses(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the loss of each sample, (B,), from logits (B, C) and targets (B, C) before smoothing.

        Smoothing and class weights are applied here; `ignore_index` is not.
        """
        smoothed = self.smooth(targets)
        if self.weight is not None:
            smoothed = smoothed * self.weight
        return -(smoothed * self.log_softmax(logits)).sum(1)


def log_softmax(logits: Tensor) -> Tensor:
    """Return log softmax of each row of `logits`, (B, C)."""
    return ops.log_softmax(logits, -1)


def accurate_log_softmax(logits: Tensor) -> Tensor:
    """Return log softmax of each row of `logits`, (B, C), for a CPU, with the gradient of `ops.log_softmax`.

    There the rows of `ops.log_softmax` are off by up to 5e-6 each; the log of the sum of their exponentials shows by
    how much. (`ops.log` on a CPU may differ in the last bit from call to call, `ops.log1p` does not.)
    """
    log_p = ops.log_softmax(logits, -1)
    largest = log_p.max(-1, keepdims=True)
    error = largest + ops.log1p(ops.exp(log_p - largest).sum(-1, keepdims=True) - 1)
    return log_p - ops.stop_gradient(error)
