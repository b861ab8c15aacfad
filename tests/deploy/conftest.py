import numpy as np
import pytest
from mindspore import Tensor

import mindcv

# The smallest ConViT with both kinds of blocks, on a grid that is not square.
SMALL = {"image_size": (32, 24), "patch_size": 8, "embed_dim": 32, "depth": 2, "local_up_to_layer": 1}


@pytest.fixture(autouse=True)
def _pynative(pynative):
    """Run every test here in PyNative mode."""


@pytest.fixture(scope="session")
def small_model():
    """A function that creates a very small ConViT with random parameters; it takes the arguments of create_model."""

    def create(num_classes=7, seed=0, **kwargs):
        model = mindcv.create_model("convit_tiny", num_classes=num_classes, **{**SMALL, **kwargs})
        rng = np.random.default_rng(seed)
        for parameter in model.get_parameters():
            noise = 0.2 * rng.standard_normal(parameter.shape).astype(np.float32)
            parameter.set_data(Tensor(parameter.asnumpy() + noise))
        return model

    return create
