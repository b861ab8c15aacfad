"""The device of a run."""

import mindspore as ms
import pytest

from mindcv import device

GRAPH, PYNATIVE = ms.GRAPH_MODE, ms.PYNATIVE_MODE


@pytest.mark.parametrize(
    ("target", "mode", "jit_level", "expected"),
    [
        ("Ascend", GRAPH, None, "O2"),
        ("Ascend", GRAPH, "O0", "O0"),
        ("Ascend", PYNATIVE, None, None),
        ("CPU", GRAPH, None, None),
        ("CPU", GRAPH, "O1", "O1"),
        ("CPU", PYNATIVE, "O1", None),
    ],
)
def test_set_up_jit_level_is_set_in_graph_mode(target, mode, jit_level, expected, monkeypatch):
    context = {"device_target": target}
    monkeypatch.setattr(device.ms, "get_context", context.get)
    monkeypatch.setattr(device.ms, "set_context", lambda **settings: context.update(settings))
    monkeypatch.setattr(device.ms.runtime, "launch_blocking", lambda: None)
    device.set_up(target, mode, jit_level)
    assert context.get("jit_config", {}).get("jit_level") == expected
