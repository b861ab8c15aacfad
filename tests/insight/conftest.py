import numpy as np
import pytest
from mindspore import Tensor

from mindcv.models import ConViT


@pytest.fixture
def random_model():
    """A function that builds a ConViT with random weights: a 3 × 2 grid, two GPSA blocks and an MHSA block."""

    def build(**kwargs):
        shape = {"image_size": (24, 32), "patch_size": (8, 16), "num_classes": 5, "depth": 3, "local_up_to_layer": 2}
        model = ConViT(**{**shape, "num_heads": 4, "embed_dim": 32, **kwargs})
        for i, parameter in enumerate(model.get_parameters()):
            draw = np.random.default_rng(i).standard_normal(parameter.shape)
            parameter.set_data(Tensor((0.5 * draw).astype(np.float32)))
        return model

    return build


@pytest.fixture
def images():
    return np.random.default_rng(0).standard_normal((2, 3, 24, 32)).astype(np.float32)
