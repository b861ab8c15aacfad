"""Losses: called as `loss(logits, labels)`, computed in float32 whatever the logits' type."""

from mindcv.loss.binary_cross_entropy import BinaryCrossEntropySmooth
from mindcv.loss.cross_entropy import CrossEntropySmooth
from mindcv.loss.factory import create_loss

__all__ = ["BinaryCrossEntropySmooth", "CrossEntropySmooth", "create_loss"]
