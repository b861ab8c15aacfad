import json

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor

from mindcv.insight import AttentionMonitor, gates, non_locality


def test_it_sees_the_model_change(odd_model, images):
    """By one graph, against what is computed afresh without any."""
    model = odd_model()
    observer = AttentionMonitor(model, images)
    for _ in range(2):
        ms.set_context(mode=ms.GRAPH_MODE)
        seen = json.loads(json.dumps(observer()))
        ms.set_context(mode=ms.PYNATIVE_MODE)
        assert list(seen) == ["gates", "non_locality"]
        for name, expected in (("gates", gates(model)), ("non_locality", non_locality(model, images))):
            assert np.array(seen[name]) == pytest.approx(expected, abs=1e-5)
        for parameter in model.get_parameters():
            parameter.set_data(Tensor(-parameter.asnumpy()))
