"""Losses, called as `loss(logits, labels)` and computed in float32 whatever the dtype of the logits."""

from mindcv.loss.asymmetric import AsymmetricLossMultilabel, AsymmetricLossSingleLabel
from mindcv.loss.binary_cross_entropy import BinaryCrossEntropySmooth
from mindcv.loss.cross_entropy import CrossEntropySmooth
from mindcv.loss.factory import create_loss
from mindcv.loss.jsd import JSDCrossEntropy

__all__ = [
    "AsymmetricLossMultilabel",
    "AsymmetricLossSingleLabel",
    "BinaryCrossEntropySmooth",
    "CrossEntropySmooth",
    "JSDCrossEntropy",
    "create_loss",
]
