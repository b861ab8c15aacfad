"""Linear layer with a transformer's initialisation."""

from mindspore import Tensor, nn
from mindspore.common.initializer import TruncatedNormal

from mindcv.models.layers.precision import Mixed


class Dense(Mixed, nn.Dense):
    """y = x·Wᵀ + b on the last axis; W from a normal law of deviation 0.02 (truncated at ±2), b zero."""

    def __init__(self, in_channels: int, out_channels: int, has_bias: bool = True):
        weight = TruncatedNormal(sigma=0.02)
        super().__init__(in_channels, out_channels, weight_init=weight, bias_init="zeros", has_bias=has_bias)

    def construct(self, x: Tensor) -> Tensor:
        flat = self.cast(x.reshape(-1, x.shape[-1]), self.operands)
        flat = self.cast(self.matmul(flat, self.cast(self.weight, self.operands)), self.operands)
        if self.has_bias:
            flat = self.bias_add(flat, self.cast(self.bias, self.operands))
        return self.cast(flat, self.outcome).reshape(x.shape[:-1] + (flat.shape[-1],))
