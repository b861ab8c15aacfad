import numpy as np
import pytest
from mindspore import Tensor

from mindcv.insight import gates
from mindcv.models import ConViT


def test_gates_are_sigmoids_of_parameters(both_modes, random_model):
    model = random_model()
    assert gates(random_model(local_up_to_layer=0)).shape == (0, 4)
    for i, block in enumerate(model.blocks[:2]):
        block.attn.gating_param.set_data(Tensor(np.array([-9, 0, i, 9], np.float32)))
    expected = 1 / (1 + np.exp(-np.array([[-9, 0, 0, 9], [-9, 0, 1, 9]], np.float64)))
    np.testing.assert_allclose(gates(model), expected, rtol=1e-5)


def test_gates_of_a_new_model_are_sigmoid_of_1():
    model = ConViT(image_size=16, patch_size=8, num_heads=4, embed_dim=16, depth=2, local_up_to_layer=1)
    assert gates(model).ravel().tolist() == pytest.approx([1 / (1 + np.exp(-1))] * 4, rel=1e-6)
