"""Linear layer with a transformer's initialisation."""

from mindspore import Tensor, nn, ops

from mindcv.device import has_fused_kernels
from mindcv.models.layers.precision import PolicyCell
from mindcv.models.layers.random_weights import RandomWeights


class AddBias(PolicyCell):
    """Add a bias (dim,) to x (rows, dim), with a gradient that is fast on a CPU.

    The bias's gradient is a plain sum over rows: 0.4 ms for (1568, 768), where the CPU's own kernel, which is
    single-threaded, takes 2.3 ms.
    """

    def construct(self, x: Tensor, bias: Tensor) -> Tensor:
        return ops.bias_add(x, bias)

    def bprop(self, x, bias, out, dout):
        return dout, dout.sum(0)


class Linear(PolicyCell, nn.Dense):
    """Compute x·Wᵀ + b on the last axis: x (…, in_channels) to (…, out_channels).

    W starts from a normal distribution of standard deviation 0.02, and b from zero. A weight with more than two axes is
    used as if flattened from its second axis on.
    """

    def __init__(self, in_channels: int, out_channels: int, has_bias: bool = True):
        weight = RandomWeights()
        super().__init__(in_channels, out_channels, weight_init=weight, bias_init="zeros", has_bias=has_bias)
        if has_bias and not has_fused_kernels():
            self.bias_add = AddBias()

    def construct(self, x: Tensor) -> Tensor:
        weight, compute = self.weight, self.policy.compute
        if weight.ndim > 2:
            weight = weight.reshape(weight.shape[0], -1)
        flat = self.cast(x.reshape(-1, x.shape[-1]), compute)
        flat = self.cast(self.matmul(flat, self.cast(weight, compute)), compute)
        if self.has_bias:
            flat = self.bias_add(flat, self.cast(self.bias, compute))
        return self.cast(flat, self.policy.output).reshape(x.shape[:-1] + (self.out_channels,))
