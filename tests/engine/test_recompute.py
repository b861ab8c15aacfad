import mindspore as ms
import numpy as np
import pytest
from mindspore import nn

from mindcv.engine.build import recompute_blocks
from mindcv.engine.step import TrainStep
from mindcv.loss import create_loss
from mindcv.optim import create_optimizer

DRAWS = {"drop_path_rate": 0.3, "drop_rate": 0.1}


class WithLoss(nn.Cell):
    """The loss of a model."""

    def __init__(self, model):
        super().__init__(auto_prefix=False)
        self.model, self.loss = model, create_loss("CE")

    def construct(self, images, labels):
        return self.loss(self.model(images), labels)


@pytest.mark.parametrize(
    ("mode", "depth"),
    [
        pytest.param(ms.GRAPH_MODE, 1, id="graph"),
        pytest.param(ms.GRAPH_MODE, 2, id="graph-2", marks=pytest.mark.slow),
        pytest.param(ms.PYNATIVE_MODE, 2, id="pynative"),
    ],
)
def test_recompute_blocks_keeps_gradients_equal_bit_for_bit(mode, depth, small_model, batch):
    """Dropout and stochastic depth draw the same random numbers in the second forward pass."""
    ms.set_context(mode=mode)
    results = []
    for recomputes in (False, True):
        np.random.seed(0)
        model = small_model(depth=depth, local_up_to_layer=depth - 1, **DRAWS).set_train()
        if recomputes:
            recompute_blocks(model)
        gradients_of = ms.value_and_grad(WithLoss(model), None, model.trainable_params())
        (first, gradients), (second, more) = gradients_of(*batch), gradients_of(*batch)
        assert first != second, "the second pass draws other random numbers"
        results.append([array.asnumpy() for array in (first, second, *gradients, *more)])
    for one, other in zip(*results, strict=True):
        np.testing.assert_array_equal(one, other)


def test_recompute_blocks_computes_each_block_twice(small_model, batch):
    ms.set_context(mode=ms.PYNATIVE_MODE)
    model, calls = small_model(), []
    for block in model.blocks:
        block.norm1.register_forward_pre_hook(lambda cell, inputs: calls.append(cell))
    step = TrainStep(model, create_loss("CE"), create_optimizer(model, "sgd", lr=0.1)).set_train()
    step(*batch)
    kept = len(calls)
    recompute_blocks(model)
    step(*batch)
    assert (kept, len(calls) - kept) == (2, 4)
