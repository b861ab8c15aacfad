"""Cross-entropy with label smoothing."""

from mindspore import ops

from mindcv.loss.classification import ClassificationLoss


class CrossEntropySmooth(ClassificationLoss):
    """Softmax cross-entropy with label smoothing, class weights and auxiliary logits.

    A sample's loss is -Σ_c w_c · t_c · log softmax(logits)_c with the smoothed target t. "none" gives these,
    (B,); "sum" their sum; "mean" divides the sum by the batch, or, for class indices with class weights, by
    the sum of the labels' weights: the definitions of PyTorch's and MindSpore's `cross_entropy`.

    See `ClassificationLoss` for arguments, inputs and errors.
    """

    def compute(self, logits, labels):
        targets = self.targets(logits, labels)
        smoothed = self.smooth(targets)
        if self.weight is not None:
            smoothed = smoothed * self.weight
        losses = -(smoothed * ops.log_softmax(logits, -1)).sum(1)
        if self.reduction == "mean" and self.weight is not None and labels.ndim == 1:
            return losses.sum() / (targets * self.weight).sum()
        return self.reduce(losses)
