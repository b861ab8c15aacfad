"""Asymmetric losses: easy negatives count less than easy positives (Ridnik et al. 2021)."""

import math

from mindspore import dtype as mstype
from mindspore import nn, ops

from mindcv.loss.binary_cross_entropy import softplus
from mindcv.loss.classification import ClassificationLoss


class AsymmetricLossMultilabel(nn.Cell):
    """Asymmetric loss of independent classes, summed over batch and classes (equations 4 to 7).

    With p = sigmoid(logit), q = 1 - p for positives and q = max(p - clip, 0) for negatives, an element with
    target y is y · q^gamma_pos · (-log p) + (1 - y) · q^gamma_neg · (-log(1 - q)), logarithms cut at log eps.

    Called with logits (B, C) and labels (B, C) of 0 and 1; the result is a float32 scalar.

    Args:
        gamma_neg, gamma_pos: focusing exponents, at least 0.
        clip: probability below which a negative counts nothing, in [0, 1).
        eps: smallest argument of a logarithm, over 0.

    Raises:
        ValueError: an argument out of range, or labels of another shape than the logits.
    """

    def __init__(self, gamma_neg: float = 4, gamma_pos: float = 1, clip: float = 0.05, eps: float = 1e-8):
        super().__init__()
        check_gammas(gamma_pos, gamma_neg)
        if not 0 <= clip < 1:
            raise ValueError(f"clip must be in [0, 1), got {clip}")
        if not eps > 0:
            raise ValueError(f"eps must be over 0, got {eps}")
        self.gamma_neg, self.gamma_pos, self.clip, self.log_eps = gamma_neg, gamma_pos, clip, math.log(eps)

    def construct(self, logits, labels):
        if labels.shape != logits.shape:
            raise ValueError(f"labels must be (B, C) like the logits {logits.shape}, got {labels.shape}")
        logits, labels = logits.astype(mstype.float32), labels.astype(mstype.float32)
        log_p = -softplus(-logits)
        alarm = ops.relu(ops.sigmoid(logits) - self.clip)
        log_not_alarm = ops.log1p(-alarm) if self.clip > 0 else -softplus(logits)
        positive = power(ops.sigmoid(-logits), self.gamma_pos) * ops.maximum(log_p, self.log_eps)
        negative = power(alarm, self.gamma_neg) * ops.maximum(log_not_alarm, self.log_eps)
        return -(labels * positive + (1 - labels) * negative).sum()


class AsymmetricLossSingleLabel(ClassificationLoss):
    """Asymmetric loss over softmax probabilities p, with label smoothing.

    A sample's loss is -Σ_c t_c · w_c · log p_c with the smoothed target t, w_c = (1 - p_c)^gamma_pos for the
    label's class and w_c = p_c^gamma_neg for the others: the single-label form of the authors' code. Labels
    are class indices (B,) or one-hot (B, C).

    Args:
        gamma_pos, gamma_neg: focusing exponents, at least 0.
        eps: the authors' name for `smoothing`; may be left at 0.1 or agree with it.
        reduction: "mean", "sum" or "none", over the batch.
        smoothing: in [0, 1).

    Raises:
        ValueError: an argument out of range, or shapes that disagree.
    """

    def __init__(
        self,
        gamma_pos: float = 1,
        gamma_neg: float = 4,
        eps: float = 0.1,
        reduction: str = "mean",
        smoothing: float = 0.1,
    ):
        check_gammas(gamma_pos, gamma_neg)
        if eps not in (0.1, smoothing):
            raise ValueError(f"eps is another name for smoothing, but eps={eps} and smoothing={smoothing}")
        super().__init__(smoothing, reduction=reduction)
        self.gamma_pos, self.gamma_neg = gamma_pos, gamma_neg

    def compute(self, logits, labels):
        targets = self.targets(logits, labels)
        log_p = ops.log_softmax(logits, -1)
        p = ops.exp(log_p)
        weights = targets * power(1 - p, self.gamma_pos) + (1 - targets) * power(p, self.gamma_neg)
        return self.reduce(-(self.smooth(targets) * weights * log_p).sum(1))


def power(base, exponent: float):
    """base^exponent, by products if it is whole: `ops.pow` on a CPU may differ from call to call."""
    if exponent != int(exponent):
        return base**exponent
    product = ops.ones_like(base)
    for _ in range(int(exponent)):
        product = product * base
    return product


def check_gammas(gamma_pos: float, gamma_neg: float) -> None:
    if gamma_pos < 0 or gamma_neg < 0:
        raise ValueError(f"gamma_pos and gamma_neg must be at least 0, got {gamma_pos} and {gamma_neg}")
