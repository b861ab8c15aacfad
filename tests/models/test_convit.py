"""ConViT's parameters, initialisation, arguments and random state; its numbers are checked in test_golden.py."""

import json
import re
import warnings
from inspect import signature

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor

import mindcv
from mindcv.models import GPSA, MHSA, ConViT, Features
from tests.conftest import GOLDEN, slow_in_graph_mode

PARAMETERS = {
    "convit_tiny": 5_710_512,
    "convit_tiny_plus": 9_972_912,
    "convit_small": 27_777_322,
    "convit_small_plus": 48_979_882,
    "convit_base": 86_540_040,
    "convit_base_plus": 153_134_856,
}
SMALL = {"image_size": 32, "patch_size": 8, "num_classes": 5, "depth": 2, "local_up_to_layer": 1}


def images(*shape):
    return Tensor(np.random.default_rng(0).standard_normal(shape).astype(np.float32))


@pytest.mark.parametrize("name", PARAMETERS)
def test_convit_parameters_have_the_released_names_and_count(name, undrawn_weights):
    model = mindcv.create_model(name)
    shapes = {p.name: list(p.shape) for p in model.get_parameters()}
    assert sum(np.prod(shape) for shape in shapes.values()) == PARAMETERS[name]
    tiny = json.loads((GOLDEN / "mindcv_convit_parameters.json").read_text())["convit_tiny"]
    assert set(shapes) == set(tiny)
    if name == "convit_tiny":
        assert shapes == tiny


def test_convit_small_starts_from_the_papers_initialisation():
    model = mindcv.create_model("convit_small")
    for block in model.blocks[:10]:
        attn = block.attn
        assert isinstance(attn, GPSA)
        np.testing.assert_array_equal(attn.gating_param.asnumpy(), np.ones(9))
        np.testing.assert_array_equal(attn.v.weight.asnumpy(), np.eye(432))
        weight = attn.pos_proj.weight.asnumpy()
        np.testing.assert_array_equal(weight[:, 2], -np.ones(9))
        offsets = {(dx / 2, dy / 2) for dx, dy, _ in weight.tolist()}
        assert offsets == {(dx, dy) for dx in (-1, 0, 1) for dy in (-1, 0, 1)}
    assert all(isinstance(block.attn, MHSA) for block in model.blocks[10:])
    for parameter in model.get_parameters():
        value = parameter.asnumpy()
        if parameter.name.endswith(("q.weight", "fc1.weight", "fc2.weight", "classifier.weight", "pos_embed")):
            assert value.std() == pytest.approx(0.02, rel=0.02), parameter.name
        elif parameter.name.endswith(("gamma",)):
            assert (value == 1).all(), parameter.name
        elif parameter.name.endswith(("beta", "bias")) and "patch_embed" not in parameter.name:
            assert not value.any(), parameter.name


def test_gpsa_at_the_start_attends_by_a_discrete_gaussian():
    """A_y ⊗ A_x is softmax(−α·‖Δ − δ‖²), centred on each head's offset δ (section 3)."""
    for strength in (1.0, 0.3):
        model = mindcv.create_model("convit_tiny", depth=2, local_up_to_layer=1, locality_strength=strength)
        rows, cols = (axis.asnumpy().astype(np.float64) for axis in model.blocks[0].attn.axis_attention())
        at = np.stack(np.divmod(np.arange(196), 14), -1).astype(np.float64)
        delta = at[None] - at[:, None]
        for head, (dx, dy) in enumerate([(x, y) for x in (-0.5, 0.5) for y in (-0.5, 0.5)]):
            score = -strength * ((delta[..., 0] - dy) ** 2 + (delta[..., 1] - dx) ** 2)
            expected = np.exp(score) / np.exp(score).sum(-1, keepdims=True)
            np.testing.assert_allclose(np.kron(rows[head], cols[head]), expected, atol=1e-6)


@slow_in_graph_mode
def test_gpsa_mixed_attention_of_equal_tokens_has_the_expected_non_locality(both_modes):
    """For equal tokens content attention is uniform, and the gates start at σ(1), so each head's distance is known."""
    attn = mindcv.create_model("convit_tiny", depth=2, local_up_to_layer=1).blocks[0].attn
    maps = attn.mixed_attention(Tensor(np.ones((1, 196, 192), np.float32))).asnumpy()[0].astype(np.float64)
    at = np.stack(np.divmod(np.arange(196), 14), -1).astype(np.float64)
    delta = at[None] - at[:, None]
    distance = np.linalg.norm(delta, axis=-1)
    gate = 1 / (1 + np.exp(-1))
    for head, (dx, dy) in enumerate([(x, y) for x in (-0.5, 0.5) for y in (-0.5, 0.5)]):
        position = np.exp(-((delta[..., 0] - dy) ** 2) - (delta[..., 1] - dx) ** 2)
        position /= position.sum(-1, keepdims=True)
        expected = ((1 - gate) * distance.mean(-1) + gate * (position * distance).sum(-1)).mean()
        assert (maps[head] * distance).sum(-1).mean() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("heads", [3, 5])
def test_gpsa_heads_beyond_the_kernel_attend_almost_uniformly(heads):
    attn = ConViT(**SMALL, num_heads=heads, embed_dim=8 * heads).blocks[0].attn
    side = int(heads**0.5)
    rows, cols = (axis.asnumpy() for axis in attn.axis_attention())
    ranges = [np.ptp(np.kron(rows[head], cols[head])) for head in range(heads)]
    assert min(ranges[: side * side]) > 0.3
    assert max(ranges[side * side :]) < 0.1


@slow_in_graph_mode
def test_convit_with_oblong_images_and_patches_matches_plain_attention(both_modes):
    shape = {**SMALL, "image_size": (48, 32), "patch_size": (8, 16)}
    model = ConViT(**shape, num_heads=4, embed_dim=32)
    assert model.grid_size == (6, 2)
    for parameter in model.get_parameters():
        draw = np.random.default_rng(len(parameter.name)).standard_normal(parameter.shape)
        parameter.set_data(Tensor((0.5 * draw).astype(np.float32)))
    logits = model(images(2, 3, 48, 32)).asnumpy()
    plain = ConViT(**shape, attn_impl="plain", num_heads=4, embed_dim=32)
    ms.load_param_into_net(plain, model.parameters_dict())
    np.testing.assert_allclose(logits, plain(images(2, 3, 48, 32)).asnumpy(), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"image_size": 225}, "multiple"),
        ({"image_size": (224, 224, 3)}, "height, width"),
        ({"patch_size": 0}, "positive"),
        ({"local_up_to_layer": 12}, "0 to 11"),
        ({"drop_path_rate": 1.0}, "below 1"),
        ({"act": "relu"}, "gelu_tanh"),
        ({"attn_impl": "fast"}, "separable"),
        ({"num_classes": -1}, "num_classes"),
        ({"num_heads": 0}, "num_heads"),
        ({"in_channels": 0}, "in_channels"),
    ],
)
def test_create_model_with_invalid_argument_raises(arguments, message):
    with pytest.raises(ValueError, match=message):
        mindcv.create_model("convit_tiny", **arguments)


def test_convit_with_images_of_another_size_raises(both_modes):
    with pytest.raises(ValueError, match=r"\(16, 16\).*\(32, 32\)"):
        ConViT(**SMALL, num_heads=1, embed_dim=8)(images(1, 3, 16, 16))


def test_convit_with_images_of_other_channels_raises(both_modes):
    with pytest.raises(ValueError, match=r"1 channels.*created for 3"):
        ConViT(**SMALL, num_heads=1, embed_dim=8)(images(1, 1, 32, 32))


@pytest.mark.parametrize("kind", [np.uint8, np.float64, np.int32])
def test_convit_with_images_of_another_dtype_raises(kind, both_modes):
    with pytest.raises(TypeError, match=r"got images of type \w+, wanted a mindspore.Tensor of float32: normalise"):
        ConViT(**SMALL, num_heads=1, embed_dim=16)(Tensor(np.ones((1, 3, 32, 32), kind)))


@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 1, 3, 32, 32)])
def test_convit_with_images_without_a_batch_axis_raises(shape, both_modes):
    with pytest.raises(ValueError, match=r"got images of shape \([\d, ]+\), wanted \(B, 3, height, width\): give"):
        ConViT(**SMALL, num_heads=1, embed_dim=16)(images(*shape))


@slow_in_graph_mode
@pytest.mark.parametrize("kind", [ms.float16, ms.bfloat16])
def test_convit_with_half_precision_images_computes_in_float32(kind, both_modes):
    model = ConViT(**{**SMALL, "depth": 1, "local_up_to_layer": 0}, num_heads=1, embed_dim=16)
    rounded = images(2, 3, 32, 32).astype(kind)
    logits = model(rounded)
    assert logits.dtype == ms.float32
    np.testing.assert_array_equal(logits.asnumpy(), model(rounded.astype(ms.float32)).asnumpy())


def test_convit_embed_dim_is_the_width_of_all_heads():
    model = ConViT(**SMALL, num_heads=4, embed_dim=192)
    assert model.num_features == 192
    assert model.blocks[0].attn.q.weight.shape == (192, 192)
    default = signature(ConViT).parameters
    assert (default["embed_dim"].default, default["num_heads"].default) == (12 * 48, 12)


@pytest.mark.parametrize(
    ("argument", "value"), [("mlp_ratio", 0), ("locality_strength", float("inf")), ("gate_init", float("nan"))]
)
def test_convit_with_a_number_out_of_range_raises(argument, value):
    with pytest.raises(ValueError, match=f"{argument} is {value}; it must be "):
        ConViT(**{**SMALL, argument: value})


def test_convit_embed_dim_not_divisible_by_heads_raises():
    with pytest.raises(ValueError, match=r"embed_dim 190 does not divide into num_heads 4: .*a multiple of 4"):
        ConViT(**SMALL, num_heads=4, embed_dim=190)


def test_convit_with_narrow_heads_warns_once_of_timms_embed_dim():
    with pytest.warns(UserWarning, match=r"heads of width 12: .*timm's width of one head pass embed_dim=192") as found:
        warnings.simplefilter("default")
        for _ in range(2):
            ConViT(**SMALL, num_heads=4, embed_dim=48)
    assert len(found) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ConViT(**SMALL, num_heads=4, embed_dim=64)


def test_convit_arguments_add_and_remove_their_parameters():
    default = {name for name, _ in ConViT(**SMALL, num_heads=1, embed_dim=8).parameters_and_names()}
    without = {
        name for name, _ in ConViT(**SMALL, num_heads=1, embed_dim=8, use_pos_embed=False).parameters_and_names()
    }
    assert default - without == {"pos_embed"}
    biased = {name for name, _ in ConViT(**SMALL, num_heads=1, embed_dim=8, qkv_bias=True).parameters_and_names()}
    assert biased - default == {f"blocks.{i}.attn.{part}.bias" for i in range(2) for part in "qkv"}
    grey = ConViT(**SMALL, num_heads=1, embed_dim=8, in_channels=1, mlp_ratio=2)
    assert grey.patch_embed.proj.weight.shape == (8, 1, 8, 8)
    assert grey.blocks[0].mlp.fc1.weight.shape == (16, 8)
    assert grey(images(2, 1, 32, 32)).shape == (2, 5)


@slow_in_graph_mode
def test_convit_cls_token_only_matches_the_full_last_block(both_modes):
    model = ConViT(**SMALL, num_heads=4, embed_dim=32)
    x = images(2, 3, 32, 32)
    expected = model.norm(model.hidden_states(x)[-1])[:, 0]
    np.testing.assert_allclose(model.forward_features(x).asnumpy(), expected.asnumpy(), rtol=1e-6, atol=1e-6)


def test_convit_reset_classifier_replaces_and_removes_the_classifier(both_modes):
    model = ConViT(**{**SMALL, "depth": 1, "local_up_to_layer": 0}, num_heads=4, embed_dim=32)
    x = images(2, 3, 32, 32)
    features = model.forward_features(x)
    assert features.shape == (2, model.num_features)
    np.testing.assert_allclose(model.forward_head(features).asnumpy(), model(x).asnumpy(), rtol=1e-6, atol=1e-6)
    model.reset_classifier(7)
    assert model(x).shape == (2, 7)
    assert model.classifier.weight.name == "classifier.weight"
    model.reset_classifier(0)
    np.testing.assert_allclose(model(x).asnumpy(), features.asnumpy(), rtol=1e-6, atol=1e-6)


def test_convit_group_matcher_matches_all_parameters_but_the_classifier():
    model = mindcv.create_model("convit_tiny")
    names = {p.name for p in model.get_parameters()}
    assert model.no_weight_decay() <= names
    groups = model.group_matcher()
    patterns = [groups["stem"], *(pattern for pattern, _ in groups["blocks"])]
    unmatched = {name for name in names if not any(re.match(pattern, name) for pattern in patterns)}
    assert unmatched == {"classifier.weight", "classifier.bias"}


RATES = [{"drop_path_rate": 0.5}, {"drop_rate": 0.3}, {"attn_drop_rate": 0.3}]


@pytest.mark.parametrize(("rates", "mode"), [
    *((rate, ms.PYNATIVE_MODE) for rate in RATES),
    (RATES[0] | RATES[1] | RATES[2], ms.GRAPH_MODE),
    *(pytest.param(rate, ms.GRAPH_MODE, marks=pytest.mark.slow) for rate in RATES),
])  # fmt: skip
def test_convit_in_training_draws_from_its_rng_state(rates, mode):
    """Each training step draws anew and evaluation draws nothing; the same state gives the same draws."""
    ms.set_context(mode=mode)
    model = ConViT(**SMALL, num_heads=4, embed_dim=32, **{"drop_path_rate": 0.0, **rates})
    for block in model.blocks:
        block.mlp.fc2.weight.set_data(block.mlp.fc2.weight * 20)
    x = images(4, 3, 32, 32)
    evaluated = model(x).asnumpy()
    start = model.rng_state.asnumpy().copy()
    model.set_train()
    first, second = model(x).asnumpy(), model(x).asnumpy()
    assert not np.allclose(first, second)
    assert not np.allclose(first, evaluated)
    assert model.rng_state.asnumpy().tolist() == [start[0], start[1] + 2]
    model.rng_state.set_data(Tensor(start))
    np.testing.assert_array_equal(model(x).asnumpy(), first)
    model.set_train(False)
    np.testing.assert_array_equal(model(x).asnumpy(), evaluated)


def test_convit_drop_path_rates_grow_linearly_over_the_blocks():
    model = ConViT(**SMALL, num_heads=4, embed_dim=32, drop_path_rate=0.3)
    for block, rate in zip(model.blocks, np.linspace(0, 0.3, len(model.blocks)), strict=True):
        assert block.drop_path1.rate == block.drop_path2.rate == pytest.approx(rate)


def test_convit_in_graph_mode_matches_pynative_mode():
    model = ConViT(**{**SMALL, "image_size": (48, 32), "patch_size": (8, 16)}, num_heads=4, embed_dim=32)
    x = images(2, 3, 48, 32)
    ms.set_context(mode=ms.GRAPH_MODE)
    graph = model(x).asnumpy()
    ms.set_context(mode=ms.PYNATIVE_MODE)
    np.testing.assert_allclose(model(x).asnumpy(), graph, rtol=1e-6, atol=1e-6)


def test_convit_and_features_grid_warns_and_returns_grid_size():
    model = ConViT(**SMALL, num_heads=1, embed_dim=16)
    with pytest.warns(DeprecationWarning, match="ConViT.grid is deprecated: use grid_size"):
        assert model.grid == model.grid_size == (4, 4)
    with pytest.warns(DeprecationWarning, match="Features.grid is deprecated: use grid_size"):
        assert Features(model).grid == (4, 4)


def test_convit_without_conv_init_has_random_values_and_positions():
    small = {"image_size": 32, "patch_size": 8, "embed_dim": 64, "num_heads": 4, "depth": 2, "local_up_to_layer": 1}
    plain = mindcv.create_model("convit_tiny", **small).blocks[0].attn
    model = mindcv.create_model("convit_tiny", conv_init=False, gate_init=-0.5, **small).blocks[0].attn
    np.testing.assert_array_equal(plain.v.weight.asnumpy(), np.eye(64))
    for weight in (model.v.weight.asnumpy(), model.pos_proj.weight.asnumpy()):
        assert 0.005 < np.abs(weight).mean() < 0.03, "as any linear layer"
    np.testing.assert_array_equal(model.gating_param.asnumpy(), np.full(4, -0.5, np.float32))
    np.testing.assert_array_equal(plain.gating_param.asnumpy(), np.ones(4, np.float32))
