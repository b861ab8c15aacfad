import mindspore as ms
import pytest
from mindspore import Tensor

import mindcv
from tests.golden import rule


@pytest.fixture
def graph_mode():
    ms.set_context(mode=ms.GRAPH_MODE)


@pytest.fixture(params=[ms.GRAPH_MODE, ms.PYNATIVE_MODE], ids=["graph", "pynative"])
def both_modes(request):
    ms.set_context(mode=request.param)


@pytest.fixture
def golden_model(golden):
    """A function that builds a variant with its golden weights."""

    def build(name, **kwargs):
        model = mindcv.create_model(name, **kwargs)
        weights = rule.mindcv_weights(golden.facts("manifest")[name])
        for parameter in model.get_parameters():
            parameter.set_data(Tensor(weights[parameter.name]))
        return model

    return build
