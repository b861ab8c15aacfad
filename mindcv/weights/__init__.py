"""Reading checkpoints and fitting them to a model: names and arrays, whatever the model's class."""

from mindcv.weights.fit import load
from mindcv.weights.read import read

__all__ = ["load", "read"]
