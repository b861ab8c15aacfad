"""Asymmetric losses, which weight easy negatives less than easy positives (Ridnik et al. 2021)."""

import math

from mindspore import Tensor, nn, ops
from mindspore import dtype as mstype

from mindcv.errors import require_in_range
from mindcv.loss.binary_cross_entropy import softplus
from mindcv.loss.classification import ClassificationLoss


class AsymmetricLossMultilabel(nn.Cell):
    """Asymmetric loss for independent classes, summed over batch and classes (Ridnik et al. 2021, equations 4 to 7).

    With p = sigmoid(logit) and the shifted probability p_m = max(p - clip, 0), the loss of an element with target y is
    y · (1 - p)^gamma_pos · (-log p) + (1 - y) · p_m^gamma_neg · (-log(1 - p_m)), each logarithm at least log(eps).

    Inputs are logits (B, C) and labels (B, C) of 0 and 1; the output is a float32 scalar.

    Args:
        gamma_neg, gamma_pos: Focusing exponents of negatives and positives, at least 0.
        clip: Probability up to which a negative does not contribute, in [0, 1).
        eps: Smallest argument of a logarithm, above 0.

    Raises:
        ValueError: An argument is out of range; or, when called, logits and labels differ in shape.
    """

    def __init__(self, gamma_neg: float = 4, gamma_pos: float = 1, clip: float = 0.05, eps: float = 1e-8):
        super().__init__()
        require_in_range("gamma_neg", gamma_neg, at_least=0)
        require_in_range("gamma_pos", gamma_pos, at_least=0)
        require_in_range("clip", clip, at_least=0, below=1)
        require_in_range("eps", eps, above=0)
        self.gamma_neg, self.gamma_pos, self.clip, self.log_eps = gamma_neg, gamma_pos, clip, math.log(eps)

    def construct(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the loss, a float32 scalar, of logits (B, C) and labels (B, C). Raises ValueError for other shapes."""
        if labels.shape != logits.shape:
            raise ValueError(f"labels must be (B, C) like the logits {logits.shape}, got {labels.shape}")
        logits, labels = logits.astype(mstype.float32), labels.astype(mstype.float32)
        log_p = -softplus(-logits)
        p_shifted = ops.relu(ops.sigmoid(logits) - self.clip)
        log_1m_p_shifted = ops.log1p(-p_shifted) if self.clip > 0 else -softplus(logits)
        positive = power(ops.sigmoid(-logits), self.gamma_pos) * ops.maximum(log_p, self.log_eps)
        negative = power(p_shifted, self.gamma_neg) * ops.maximum(log_1m_p_shifted, self.log_eps)
        return -(labels * positive + (1 - labels) * negative).sum()


class AsymmetricLossSingleLabel(ClassificationLoss):
    """Asymmetric loss over softmax probabilities, with label smoothing (the authors' code of Ridnik et al. 2021).

    With p = softmax(logits) and the smoothed targets t, the loss of a sample is -Σ_c t_c · w_c · log p_c, where
    w_c = (1 - p_c)^gamma_pos for the label's class and w_c = p_c^gamma_neg for the others.

    Inputs are logits (B, C) and labels, either class indices (B,) or one-hot rows (B, C).

    Args:
        gamma_pos, gamma_neg: Focusing exponents of the label's class and of the others, at least 0.
        eps: The authors' name of `smoothing`; leave it at 0.1 or make it equal to `smoothing`.
        reduction: Over the batch: "mean", "sum", or "none" for one value per sample.
        smoothing: Label smoothing, in [0, 1).

    Raises:
        ValueError: An argument is out of range; or, when called, the shapes of logits and labels do not fit.
    """

    def __init__(
        self,
        gamma_pos: float = 1,
        gamma_neg: float = 4,
        eps: float = 0.1,
        reduction: str = "mean",
        smoothing: float = 0.1,
    ):
        require_in_range("gamma_pos", gamma_pos, at_least=0)
        require_in_range("gamma_neg", gamma_neg, at_least=0)
        if eps not in (0.1, smoothing):
            raise ValueError(f"eps is another name for smoothing, but eps={eps} and smoothing={smoothing}")
        super().__init__(smoothing, reduction=reduction)
        self.gamma_pos, self.gamma_neg = gamma_pos, gamma_neg

    def compute(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the loss of float32 logits (B, C) and labels: class indices (B,) or probabilities (B, C).

        It is a scalar, or (B,) for reduction "none".

        Raises:
            ValueError: The shapes of logits, labels and weights do not fit.
        """
        targets = self.soft_targets(logits, labels)
        log_p = ops.log_softmax(logits, -1)
        p = ops.exp(log_p)
        weights = targets * power(1 - p, self.gamma_pos) + (1 - targets) * power(p, self.gamma_neg)
        return self.reduce(-(self.smooth(targets) * weights * log_p).sum(1))


def power(base: Tensor, exponent: float) -> Tensor:
    """Return base^exponent elementwise, for an exponent of at least 0, by repeated multiplication if it is an integer.

    `ops.pow` on a CPU may return different last bits from call to call.
    """
    if exponent != int(exponent):
        return base**exponent
    product = ops.ones_like(base)
    for _ in range(int(exponent)):
        product = product * base
    return product
