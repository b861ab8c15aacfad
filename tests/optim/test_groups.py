"""Test which parameter gets which weight decay and learning rate."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn

from mindcv.optim import parameter_groups
from mindcv.optim.groups import layer_ids

SHAPES = {
    "cls_token": (1, 1, 4),
    "pos_embed": (1, 4, 4),
    "patch_embed.proj.weight": (4, 3, 2, 2),
    "patch_embed.proj.bias": (4,),
    "blocks.0.norm1.gamma": (4,),
    "blocks.0.norm1.beta": (4,),
    "blocks.0.attn.gating_param": (2,),
    "blocks.0.attn.q.weight": (4, 4),
    "blocks.10.attn.q.weight": (4, 4),
    "blocks.2.attn.q.weight": (4, 4),
    "blocks.2.scale": (2, 2),
    "norm.gamma": (4,),
    "classifier.weight": (3, 4),
    "classifier.bias": (3,),
}
MATCHER = {
    "stem": r"^cls_token|pos_embed|patch_embed",
    "blocks": [(r"^blocks\.(\d+)", None), (r"^norm", (99999,))],
}
LAYER = dict.fromkeys(SHAPES, 0) | {
    **dict.fromkeys([name for name in SHAPES if name.startswith("blocks.0")], 1),
    "blocks.2.attn.q.weight": 2,
    "blocks.2.scale": 2,
    "blocks.10.attn.q.weight": 3,
    "norm.gamma": 3,
    "classifier.weight": 4,
    "classifier.bias": 4,
}


class Model(nn.Cell):
    def __init__(self):
        super().__init__(auto_prefix=False)
        for i, (name, shape) in enumerate(SHAPES.items()):
            setattr(self, f"p{i}", ms.Parameter(ms.Tensor(np.zeros(shape, np.float32)), name=name))

    def no_weight_decay(self):
        return {"blocks.2.scale"}

    def group_matcher(self, coarse=False):
        return MATCHER


def weight_decays(groups):
    return {p.name: group["weight_decay"] for group in groups[:-1] for p in group["params"]}


def exempt(groups):
    return {name for name, decay in weight_decays(groups).items() if decay == 0}


ONE_DIMENSIONAL = {name for name, shape in SHAPES.items() if len(shape) == 1}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("disable", set()),
        ("auto", ONE_DIMENSIONAL | {"cls_token", "pos_embed", "blocks.2.scale"}),
        ("norm_and_bias", ONE_DIMENSIONAL - {"blocks.0.attn.gating_param"}),
    ],
)
def test_parameter_groups_filter_exempts_documented_parameters(name, expected):
    groups = parameter_groups(Model(), 1.0, 0.05, name)
    assert exempt(groups) == expected
    assert set(weight_decays(groups).values()) <= {0.0, 0.05}
    assert not any("lr" in group for group in groups)


def test_parameter_groups_keep_order_of_model():
    order = parameter_groups(Model(), 1.0, 0.05, "auto", 0.5)[-1]["order_params"]
    assert [parameter.name for parameter in order] == list(SHAPES)


def test_parameter_groups_omit_frozen_parameters():
    model = Model()
    for parameter in model.get_parameters():
        parameter.requires_grad = parameter.name.startswith("classifier")
    assert set(weight_decays(parameter_groups(model, 1.0))) == {"classifier.weight", "classifier.bias"}


def test_layer_ids_count_from_the_input():
    assert layer_ids(list(SHAPES), MATCHER) == LAYER


@pytest.mark.parametrize("lr", [0.8, [0.8, 0.4]])
def test_parameter_groups_layer_decay_scales_lr_by_distance_from_head(lr):
    groups = parameter_groups(Model(), lr, 0.05, "auto", layer_decay=0.5)
    for group in groups[:-1]:
        (layer,) = {LAYER[parameter.name] for parameter in group["params"]}
        np.testing.assert_allclose(group.get("lr", lr), np.array(lr) * 0.5 ** (4 - layer), rtol=1e-12)
    assert len(weight_decays(groups)) == len(SHAPES)
    assert "cls_token" in exempt(groups)


@pytest.mark.parametrize("layer_decay", [None, 0.5])
def test_parameter_groups_head_lr_multiple_scales_head_only(layer_decay):
    groups = parameter_groups(Model(), [0.8, 0.4], layer_decay=layer_decay, head_lr_multiple=10)
    for group in groups[:-1]:
        for parameter in group["params"]:
            factor = 10 if LAYER[parameter.name] == 4 else (layer_decay or 1) ** (4 - LAYER[parameter.name])
            np.testing.assert_allclose(group.get("lr", [0.8, 0.4]), np.array([0.8, 0.4]) * factor, rtol=1e-12)
    assert len(weight_decays(groups)) == len(SHAPES)


def test_parameter_groups_layer_decay_counts_frozen_layers():
    model = Model()
    for parameter in model.get_parameters():
        parameter.requires_grad = LAYER[parameter.name] != 2
    for group in parameter_groups(model, 1.0, layer_decay=0.5)[:-1]:
        (layer,) = {LAYER[parameter.name] for parameter in group["params"]}
        assert layer != 2
        assert group.get("lr", 1.0) == pytest.approx(0.5 ** (4 - layer))


def test_parameter_groups_given_groups_keep_their_settings():
    p = {name: ms.Parameter(ms.Tensor(np.zeros((2, 2), np.float32)), name=name) for name in "abc"}
    given = [
        {"params": [p["a"]], "lr": 0.5},
        {"params": [p["b"], p["c"]], "weight_decay": 0.3},
        {"order_params": [p["c"], p["a"], p["b"]]},
    ]
    first, second, last = parameter_groups(given, 0.1, 0.05)
    assert (first["lr"], first["weight_decay"]) == (0.5, 0.05)
    assert "lr" not in second and second["weight_decay"] == 0.3
    assert [parameter.name for parameter in last["order_params"]] == ["c", "a", "b"]


def test_parameter_groups_filter_applies_to_given_groups_without_weight_decay():
    vectors = [ms.Parameter(ms.Tensor(np.zeros(2, np.float32)), name=name) for name in "ab"]
    given = [{"params": vectors[:1]}, {"params": vectors[1:], "weight_decay": 0.3}]
    assert weight_decays(parameter_groups(given, 0.1, 0.05, "auto")) == {"a": 0.0, "b": 0.3}


@pytest.mark.parametrize(
    ("params", "options", "message"),
    [
        ([], {}, "nothing to train"),
        ([{"params": [], "momentum": 1}], {}, "unknown key 'momentum'"),
        (Model(), {"weight_decay_filter": "bias"}, "weight_decay_filter must be one of"),
        (Model(), {"layer_decay": 1.5}, "layer_decay is 1.5; it must be above 0 and at most 1"),
        (Model(), {"head_lr_multiple": 0}, "head_lr_multiple is 0; it must be above 0"),
        (nn.Dense(2, 2), {"layer_decay": 0.5}, "group_matcher"),
        (nn.Dense(2, 2), {"head_lr_multiple": 2}, "group_matcher"),
        (nn.Dense(2, 2).trainable_params(), {"layer_decay": 0.5}, "group_matcher"),
    ],
)
def test_parameter_groups_invalid_argument_raises(params, options, message):
    with pytest.raises(ValueError, match=message):
        parameter_groups(params, 0.1, **options)


def test_parameter_groups_of_other_type_raise_type_error():
    with pytest.raises(TypeError, match=r"expected a mindspore\.Parameter to train, got str"):
        parameter_groups(["weight"], 0.1)
