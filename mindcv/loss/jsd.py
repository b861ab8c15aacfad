"""Cross-entropy with Jensen-Shannon consistency, for AugMix."""

import math

from mindspore import Tensor, ops

from mindcv.errors import require_in_range
from mindcv.loss.cross_entropy import CrossEntropySmooth


class JSDCrossEntropy(CrossEntropySmooth):
    """Cross-entropy of the clean images plus alpha · the divergence of their augmented views (Hendrycks et al. 2020).

    In training, a batch holds `num_splits` views of B images, all clean images first: logits (num_splits · B, C), and
    labels of the clean images, (B,) or (B, C), or of all views. The Jensen-Shannon divergence of an image is the mean
    over its views of KL(view ‖ mean of the views) (section 3). In evaluation (`set_train(False)`) the loss is the plain
    cross-entropy of logits (B, C).

    Args:
        num_splits: Number of views per image, at least 2.
        alpha: Weight of the divergence, at least 0.
        smoothing: Label smoothing of the cross-entropy, in [0, 1).
        weight: C class weights of the cross-entropy (Tensor, array or list), or None.
        reduction: Of cross-entropy and divergence: "mean", "sum", or "none" for one value per image, (B,).
        aux_factor: Weight of each auxiliary loss of a model that returns a tuple of logits, at least 0.

    Raises:
        ValueError: An argument is out of range; or, when called, the shapes of logits, labels and weights do not fit.
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
        require_in_range("num_splits", num_splits, at_least=2)
        require_in_range("alpha", alpha, at_least=0)
        super().__init__(smoothing, aux_factor, reduction, weight)
        self.num_splits = num_splits
        self.alpha = alpha

    def compute(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the loss of float32 logits and labels: a scalar, or one value per image for reduction "none".

        In training, logits are (num_splits · B, C), those of the B clean images first, and only the labels of these are
        used. In evaluation, logits are (B, C).

        Raises:
            ValueError: The shapes do not fit, or the logits do not divide into `num_splits` views.
        """
        if not self.training:
            return super().compute(logits, labels)
        if logits.shape[0] % self.num_splits != 0:
            raise ValueError(f"{logits.shape[0]} logits do not split into {self.num_splits} views")
        images = logits.shape[0] // self.num_splits
        cross_entropy = super().compute(logits[:images], labels[:images])
        log_p = ops.log_softmax(logits, -1).reshape(self.num_splits, images, -1)
        divergence = (ops.exp(log_p) * (log_p - log_mean(log_p))).sum(2).mean(0)
        return cross_entropy + self.alpha * self.reduce(divergence)


def log_mean(log_p: Tensor) -> Tensor:
    """Return log(mean of exp(log_p) over axis 0), (…), for logarithms of probabilities (K, …).

    Each of the K entries gives it as log p_k - log softmax(log p)_k - log K, the more accurately the larger p_k is, so
    the K values are averaged with the softmax as weights. (`ops.log` on a CPU may differ in the last bit from call to
    call.)
    """
    log_weights = ops.log_softmax(log_p, 0)
    return (ops.exp(log_weights) * (log_p - log_weights)).sum(0) - math.log(log_p.shape[0])
