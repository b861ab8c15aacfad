"""Random weights for tests."""

import numpy as np
from mindspore import Tensor, nn


def randomise(model: nn.Cell) -> nn.Cell:
    """Give a model weights that are large enough that no part of it is close to linear, and return it."""
    rng = np.random.default_rng(1)
    for parameter in model.get_parameters():
        centre = float(parameter.name.endswith("gamma"))
        parameter.set_data(Tensor((centre + 0.3 * rng.standard_normal(parameter.shape)).astype(np.float32)))
    return model
