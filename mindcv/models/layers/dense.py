"""Linear layer with a transformer's initialisation."""

from mindspore import nn
from mindspore.common.initializer import TruncatedNormal


class Dense(nn.Dense):
    """y = x·Wᵀ + b on the last axis; W from a normal law of deviation 0.02 (truncated at ±2), b zero."""

    def __init__(self, in_channels: int, out_channels: int, has_bias: bool = True):
        weight = TruncatedNormal(sigma=0.02)
        super().__init__(in_channels, out_channels, weight_init=weight, bias_init="zeros", has_bias=has_bias)
