import numpy as np
import pytest
from mindspore import Tensor

from mindcv.insight import attention_maps, effective_kernel, gates, non_locality, rollout

FUNCTIONS = {
    "blocks.0.attn.gating_param": lambda model, images: gates(model),
    "blocks.0.attn.pos_proj.weight": lambda model, images: effective_kernel(model, 0),
    "blocks.0.norm1.gamma": non_locality,
    "blocks.1.norm1.gamma": attention_maps,
    "blocks.2.norm1.gamma": lambda model, images: rollout(model, images[0]),
}


@pytest.mark.parametrize("weight", FUNCTIONS)
def test_insight_of_nonfinite_weights_raises(weight, pynative, random_model, images):
    model = random_model()
    parameter = model.parameters_dict()[weight]
    parameter.set_data(Tensor(np.full(parameter.shape, np.nan, np.float32)))
    with pytest.raises(FloatingPointError, match=rf"not finite: {weight} holds NaN or infinite values: use another"):
        FUNCTIONS[weight](model, images)
