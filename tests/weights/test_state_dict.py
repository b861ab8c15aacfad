import numpy as np
import pytest

from mindcv.weights import state_dict, to_mindcv, to_pytorch

SIX = ["convit_tiny", "convit_tiny_plus", "convit_small", "convit_small_plus", "convit_base", "convit_base_plus"]


@pytest.mark.parametrize("name", ["convit_tiny", pytest.param("convit_base_plus", marks=pytest.mark.slow)])
def test_both_ways(name, pytorch_weights, mindcv_weights, assert_same):
    theirs, ours = pytorch_weights(name), mindcv_weights(name)
    assert state_dict.layout_of(theirs) == state_dict.PYTORCH
    assert state_dict.layout_of(ours) == state_dict.MINDCV
    assert_same(to_mindcv(theirs), ours)
    assert_same(to_pytorch(ours), theirs)
    assert_same(to_mindcv(ours), ours)
    assert_same(to_pytorch(theirs), theirs)


@pytest.mark.parametrize("name", SIX)
def test_names_and_shapes_of_all_six(name, golden):
    case = {key: np.empty(shape, bool) for key, shape in golden.facts("manifest")[name]["shapes"].items()}
    again = to_pytorch(to_mindcv(case))
    assert list(again) == list(case)
    assert {key: array.shape for key, array in again.items()} == {key: array.shape for key, array in case.items()}


def test_biases_and_plain_transformers(tiny, values, assert_same):
    for made in ({"qkv_bias": True}, {"local_up_to_layer": 0}, {"num_classes": 0, "use_pos_embed": False}):
        ours = values(tiny(**made))
        theirs = to_pytorch(ours)
        assert state_dict.layout_of(theirs) == state_dict.PYTORCH
        assert not any(name.endswith((".q.weight", ".gamma", ".q.bias")) for name in theirs)
        assert_same(to_mindcv(theirs), ours)


def test_the_order_of_stacking():
    stacked = np.arange(12.0).reshape(6, 2)
    parts = to_mindcv({"blocks.0.attn.qkv.weight": stacked, "norm.weight": np.ones(2)})
    assert parts["blocks.0.attn.q.weight"].tolist() == [[0, 1], [2, 3]]
    assert parts["blocks.0.attn.v.weight"].tolist() == [[8, 9], [10, 11]]
    assert parts["norm.gamma"].tolist() == [1, 1]


def test_what_does_not_stack():
    with pytest.raises(ValueError, match=r"qk.weight \(3, 2\) does not divide into q, k"):
        to_mindcv({"blocks.0.attn.qk.weight": np.ones((3, 2))})
    with pytest.raises(ValueError, match=r"blocks.0.attn.q.weight but no blocks.0.attn.k.weight"):
        to_pytorch({"blocks.0.attn.q.weight": np.ones((3, 2)), "norm.gamma": np.ones(2)})


@pytest.mark.parametrize("change", [to_mindcv, to_pytorch])
def test_renaming_returns_a_new_dict(change):
    for name in ("norm.gamma", "norm.weight"):
        weights = {name: np.ones(2)}
        change(weights).clear()
        assert weights.keys() == {name}
