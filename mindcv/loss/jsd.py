"""Cross-entropy with Jensen-Shannon consistency, for AugMix."""

import math

from mindspore import ops

from mindcv.loss.cross_entropy import CrossEntropySmooth


class JSDCrossEntropy(CrossEntropySmooth):
    """Cross-entropy of clean images plus alpha · the divergence of augmented copies (Hendrycks et al. 2020).

    In training the batch holds `num_splits` views of B images, all clean ones first: logits of shape
    (num_splits·B, C), labels of the clean images, (B,) or (B, C), or of all views. The Jensen-Shannon
    divergence is the mean over views of KL(view ‖ mean of the views), section 3. Out of training
    (`set_train(False)`) the cross-entropy is all there is.

    Args:
        num_splits: views of an image, at least 2.
        alpha: weight of the divergence, at least 0.
        smoothing, weight, reduction, aux_factor: of the cross-entropy, see `ClassificationLoss`; the
            divergence is reduced alike.

    Raises:
        ValueError: an argument out of range, or shapes that disagree.
    """

    def __init__(
        self,
        num_splits: int = 3,
        alpha: float = 12,
        smoothing: float = 0.1,
        weight=None,
        reduction: str = "mean",
        aux_factor: float = 0.0,
    ):
        if num_splits < 2:
            raise ValueError(f"num_splits must be at least 2, got {num_splits}")
        if alpha < 0:
            raise ValueError(f"alpha must be at least 0, got {alpha}")
        super().__init__(smoothing, aux_factor, reduction, weight)
        self.num_splits = num_splits
        self.alpha = alpha

    def compute(self, logits, labels):
        if not self.training:
            return super().compute(logits, labels)
        if logits.shape[0] % self.num_splits != 0:
            raise ValueError(f"{logits.shape[0]} logits do not split into {self.num_splits} views")
        images = logits.shape[0] // self.num_splits
        clean = super().compute(logits[:images], labels[:images])
        log_p = ops.log_softmax(logits, -1).reshape(self.num_splits, images, -1)
        divergence = (ops.exp(log_p) * (log_p - log_mean(log_p))).sum(2).mean(0)
        return clean + self.alpha * self.reduce(divergence)


def log_mean(log_p):
    """Logarithm of the mean over axis 0, from logarithms.

    Each entry k gives it as log p_k - log softmax(log p)_k - log K, the larger the more exactly; hence the
    weights. (`ops.log` on a CPU may differ in the last bit between calls.)
    """
    log_share = ops.log_softmax(log_p, 0)
    return (ops.exp(log_share) * (log_p - log_share)).sum(0) - math.log(log_p.shape[0])
