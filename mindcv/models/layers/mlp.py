"""The two-layer perceptron of a transformer block."""

from mindspore import Tensor

from mindcv.models.layers.dense import Linear
from mindcv.models.layers.dropout import Dropout
from mindcv.models.layers.gelu import create_activation
from mindcv.models.layers.precision import PolicyCell


class Mlp(PolicyCell):
    """Compute dropout(fc2(dropout(act(fc1(x))))) on tokens (B, N, dim).

    Args:
        dim: Channels of input and output.
        hidden_dim: Channels between the two layers.
        act: Name of the activation, see `create_activation`.
        drop_rate: Dropout after each layer, in training: a probability in [0, 1).
    """

    def __init__(self, dim: int, hidden_dim: int, act: str, drop_rate: float):
        super().__init__()
        self.fc1 = Linear(dim, hidden_dim)
        self.act = create_activation(act)
        self.drop1 = Dropout(drop_rate)
        self.fc2 = Linear(hidden_dim, dim)
        self.drop2 = Dropout(drop_rate)

    def construct(self, x: Tensor) -> Tensor:
        hidden = self.drop1(self.act(self.fc1(x)))
        return self.drop2(self.fc2(hidden))
