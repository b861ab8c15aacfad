"""The device of a run."""

import mindspore as ms
import pytest

from mindcv import device
from mindcv.models import ConViT, create_model, registry

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


@pytest.mark.parametrize(("target", "expected"), [("CPU", True), ("Ascend", False)])
@pytest.mark.parametrize("kind", ["class", "own"])
def test_creating_a_model_makes_pynative_synchronous_on_a_cpu(kind, target, expected, monkeypatch):
    calls = []
    monkeypatch.setattr(device.ms, "get_context", lambda name: target if name == "device_target" else None)
    monkeypatch.setattr(device.ms.runtime, "launch_blocking", lambda: calls.append(None))
    monkeypatch.setitem(registry._entrypoints, "own", lambda *_: ms.nn.Identity())
    if kind == "own":
        create_model("own")
    else:
        ConViT(image_size=16, patch_size=8, embed_dim=64, num_heads=4, depth=1, local_up_to_layer=0)
    assert bool(calls) == expected
