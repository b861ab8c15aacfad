import numpy as np
import pytest

from mindcv.weights import state_dict, to_mindcv, to_pytorch
from tests.weights.conftest import VARIANTS


@pytest.mark.parametrize("name", ["convit_tiny", pytest.param("convit_base_plus", marks=pytest.mark.slow)])
def test_adapters_convert_golden_weights_both_ways(name, pytorch_weights, mindcv_weights, assert_same):
    original, renamed = pytorch_weights(name), mindcv_weights(name)
    assert state_dict.layout_of(original) == state_dict.PYTORCH
    assert state_dict.layout_of(renamed) == state_dict.MINDCV
    assert_same(to_mindcv(original), renamed)
    assert_same(to_pytorch(renamed), original)
    assert_same(to_mindcv(renamed), renamed)
    assert_same(to_pytorch(original), original)


@pytest.mark.parametrize("name", VARIANTS)
def test_adapters_round_trip_keeps_names_and_shapes(name, golden):
    original = {key: np.empty(shape, bool) for key, shape in golden.facts("manifest")[name]["shapes"].items()}
    again = to_pytorch(to_mindcv(original))
    assert list(again) == list(original)
    assert {key: array.shape for key, array in again.items()} == {key: array.shape for key, array in original.items()}


def test_adapters_convert_biases_and_models_without_gpsa(tiny, values, assert_same):
    for arguments in ({"qkv_bias": True}, {"local_up_to_layer": 0}, {"num_classes": 0, "use_pos_embed": False}):
        expected = values(tiny(**arguments))
        original = to_pytorch(expected)
        assert state_dict.layout_of(original) == state_dict.PYTORCH
        assert not any(name.endswith((".q.weight", ".gamma", ".q.bias")) for name in original)
        assert_same(to_mindcv(original), expected)


def test_to_mindcv_splits_in_the_order_q_k_v():
    stacked = np.arange(12.0).reshape(6, 2)
    parts = to_mindcv({"blocks.0.attn.qkv.weight": stacked, "norm.weight": np.ones(2)})
    assert parts["blocks.0.attn.q.weight"].tolist() == [[0, 1], [2, 3]]
    assert parts["blocks.0.attn.v.weight"].tolist() == [[8, 9], [10, 11]]
    assert parts["norm.gamma"].tolist() == [1, 1]


def test_adapters_refuse_incomplete_stacks():
    with pytest.raises(ValueError, match=r"qk.weight \(3, 2\) does not divide into q, k"):
        to_mindcv({"blocks.0.attn.qk.weight": np.ones((3, 2))})
    with pytest.raises(ValueError, match=r"blocks.0.attn.q.weight but no blocks.0.attn.k.weight"):
        to_pytorch({"blocks.0.attn.q.weight": np.ones((3, 2)), "norm.gamma": np.ones(2)})


@pytest.mark.parametrize("adapter", [to_mindcv, to_pytorch])
def test_adapters_return_a_new_dict(adapter):
    for name in ("norm.gamma", "norm.weight"):
        weights = {name: np.ones(2)}
        adapter(weights).clear()
        assert weights.keys() == {name}
