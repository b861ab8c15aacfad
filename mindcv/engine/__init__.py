"""Training and validation, from a configuration."""

from mindcv.engine.training import train
from mindcv.engine.validation import validate

__all__ = ["train", "validate"]
