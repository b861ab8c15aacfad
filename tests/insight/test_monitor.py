import json

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor

from mindcv import insight
from mindcv.insight import AttentionMonitor, gates, non_locality


def test_attention_monitor_follows_the_changing_model(random_model, images):
    """One compiled graph against PyNative mode."""
    model = random_model()
    monitor = AttentionMonitor(model, images)
    for _ in range(2):
        ms.set_context(mode=ms.GRAPH_MODE)
        measured = json.loads(json.dumps(monitor()))
        ms.set_context(mode=ms.PYNATIVE_MODE)
        assert list(measured) == ["gates", "non_locality"]
        for name, expected in (("gates", gates(model)), ("non_locality", non_locality(model, images))):
            assert np.array(measured[name]) == pytest.approx(expected, abs=1e-5)
        for parameter in model.get_parameters():
            parameter.set_data(Tensor(-parameter.asnumpy()))


def test_insight_old_name_warns():
    with pytest.warns(DeprecationWarning, match="mindcv.insight.Observer is now AttentionMonitor"):
        assert insight.Observer is AttentionMonitor
