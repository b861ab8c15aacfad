"""The two-layer perceptron of a transformer block."""

from mindspore import Tensor

from mindcv.models.layers.dense import Linear
from mindcv.models.layers.gelu import create_activation
from mindcv.models.layers.precision import Mixed
from mindcv.models.layers.random import Dropout


class Mlp(Mixed):
    """dim -> hidden -> dim on the last axis, `act` between them, dropout of rate `drop_rate` after each layer."""

    def __init__(self, dim: int, hidden: int, act: str, drop_rate: float, streams: tuple[int, int]):
        super().__init__()
        self.fc1 = Linear(dim, hidden)
        self.act = create_activation(act)
        self.drop1 = Dropout(drop_rate, streams[0])
        self.fc2 = Linear(hidden, dim)
        self.drop2 = Dropout(drop_rate, streams[1])

    def construct(self, x: Tensor, rng_state: Tensor) -> Tensor:
        x = self.drop1(self.act(self.fc1(x)), rng_state)
        return self.drop2(self.fc2(x), rng_state)
