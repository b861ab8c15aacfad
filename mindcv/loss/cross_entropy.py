"""Cross-entropy with label smoothing."""

from mindspore import dtype as mstype
from mindspore import ops

from mindcv.loss.classification import ClassificationLoss


class CrossEntropySmooth(ClassificationLoss):
    """Softmax cross-entropy with label smoothing, class weights, ignored labels and auxiliary logits.

    A sample's loss is -Σ_c w_c · t_c · log softmax(logits)_c with the smoothed target t, and 0 if its class index is
    `ignore_index`. "none" gives these, (B,); "sum" their sum; "mean" divides the sum by the batch or, for class
    indices, by the number of samples that are not ignored, with class weights by the sum of these samples' weights:
    the definitions of PyTorch's and MindSpore's `cross_entropy`. The mean over a batch of ignored samples is NaN.

    Args:
        ignore_index: class index of samples to leave out; it may be outside 0..C-1.

    See `ClassificationLoss` for the other arguments, inputs and errors.
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

    def compute(self, logits, labels):
        if labels.ndim != 1:
            return self.reduce(self.losses(logits, self.targets(logits, labels)))
        kept = labels.astype(mstype.float32) != self.ignore_index
        targets = self.targets(logits, ops.where(kept, labels, ops.zeros_like(labels)))
        losses = ops.where(kept, self.losses(logits, targets), 0.0)
        if self.reduction != "mean":
            return self.reduce(losses)
        weights = kept.astype(mstype.float32)
        if self.weight is not None:
            weights = weights * (targets * self.weight).sum(1)
        return losses.sum() / weights.sum()

    def losses(self, logits, targets):
        """-Σ_c w_c · t_c · log softmax(logits)_c of each sample, (B,), with the smoothed target t."""
        smoothed = self.smooth(targets)
        if self.weight is not None:
            smoothed = smoothed * self.weight
        return -(smoothed * ops.log_softmax(logits, -1)).sum(1)
