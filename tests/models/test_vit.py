"""VisionTransformer against a reference in NumPy and float64; published shapes are checked in test_golden.py."""

import math
import re

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, ops

from mindcv.models import ConViT, VisionTransformer
from tests.random_weights import randomise

SMALL = {"image_size": 32, "patch_size": 8, "num_classes": 5, "embed_dim": 32, "num_heads": 2, "depth": 2}
OBLONG = {**SMALL, "image_size": (48, 32), "patch_size": (8, 16), "num_heads": 4, "depth": 3, "mlp_ratio": 2.0}


def images(*shape):
    return Tensor(np.random.default_rng(0).standard_normal(shape).astype(np.float32))


def reference_logits(w, x, patch, heads):
    """Return the logits of a ViT with weights `w`, by name, for images `x`, as the papers write them."""

    def linear(name, x):
        return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]

    def norm(name, x):
        centred = x - x.mean(-1, keepdims=True)
        return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-6) * w[f"{name}.gamma"] + w[f"{name}.beta"]

    def split(x):
        return x.reshape(*x.shape[:2], heads, -1).swapaxes(1, 2)

    kernel = w["patch_embed.proj.weight"].reshape(w["cls_token"].shape[2], -1)
    patches = [
        x[:, :, top : top + patch[0], left : left + patch[1]].reshape(len(x), -1)
        for top in range(0, x.shape[2], patch[0])
        for left in range(0, x.shape[3], patch[1])
    ]
    tokens = np.stack(patches, 1) @ kernel.T + w["patch_embed.proj.bias"]
    x = np.concatenate([np.repeat(w["cls_token"], len(x), 0), tokens], 1) + w["pos_embed"]
    for i in range(sum(name.endswith("attn.q.weight") for name in w)):
        y = norm(f"blocks.{i}.norm1", x)
        q, k, v = (split(linear(f"blocks.{i}.attn.{part}", y)) for part in "qkv")
        scores = np.exp(q @ k.swapaxes(2, 3) / math.sqrt(q.shape[3]))
        attended = (scores / scores.sum(-1, keepdims=True)) @ v
        x = x + linear(f"blocks.{i}.attn.proj", attended.swapaxes(1, 2).reshape(x.shape))
        hidden = linear(f"blocks.{i}.mlp.fc1", norm(f"blocks.{i}.norm2", x))
        hidden = hidden * (1 + np.vectorize(math.erf)(hidden / math.sqrt(2))) / 2
        x = x + linear(f"blocks.{i}.mlp.fc2", hidden)
    return linear("classifier", norm("norm", x[:, 0]))


def reference_loss(w, x, labels, patch, heads):
    logits = reference_logits(w, x, patch, heads)
    log_probabilities = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    return -log_probabilities[np.arange(len(labels)), labels].mean()


@pytest.mark.parametrize(
    ("arguments", "mode"), [(SMALL, ms.PYNATIVE_MODE), (OBLONG, ms.GRAPH_MODE)], ids=["square", "oblong in a graph"]
)
def test_vit_logits_and_gradients_match_a_float64_reference(arguments, mode):
    """The gradient is compared along a random direction of each parameter, with the reference's central difference."""
    ms.set_context(mode=mode)
    model = randomise(VisionTransformer(**arguments))
    x, labels = images(2, 3, *model.image_size), np.array([1, 3])
    patch = tuple(side // count for side, count in zip(model.image_size, model.grid_size, strict=True))
    heads = arguments["num_heads"]
    weights = {p.name: p.asnumpy().astype(np.float64) for p in model.get_parameters()}
    wide = x.asnumpy().astype(np.float64)
    logits = reference_logits(weights, wide, patch, heads)
    assert np.linalg.norm(model(x).asnumpy() - logits) < 2e-6 * np.linalg.norm(logits)

    def loss(x):
        return ops.cross_entropy(model(x), Tensor(labels, ms.int32))

    parameters = model.trainable_params()
    gradients = ms.grad(loss, None, parameters)(x)
    slopes, expected = [], []
    for parameter, gradient in zip(parameters, gradients, strict=True):
        direction = np.random.default_rng(len(slopes)).standard_normal(gradient.shape)
        slopes.append((gradient.asnumpy().astype(np.float64) * direction).sum())
        moved = [{**weights, parameter.name: weights[parameter.name] + side * 1e-6 * direction} for side in (1, -1)]
        up, down = (reference_loss(w, wide, labels, patch, heads) for w in moved)
        expected.append((up - down) / 2e-6)
    assert np.linalg.norm(np.subtract(slopes, expected)) < 2e-5 * np.linalg.norm(expected)


@pytest.mark.parametrize("rates", [{"drop_path_rate": 0.5}, {"drop_rate": 0.3}, {"attn_drop_rate": 0.3}])
def test_vit_in_training_draws_from_its_rng_state(rates, pynative):
    model = randomise(VisionTransformer(**SMALL, **{"drop_path_rate": 0.0, **rates}))
    x = images(4, 3, 32, 32)
    evaluated, start = model(x).asnumpy(), model.rng_state.asnumpy().copy()
    model.set_train()
    first, second = model(x).asnumpy(), model(x).asnumpy()
    assert not np.allclose(first, second)
    assert not np.allclose(first, evaluated)
    model.rng_state.set_data(Tensor(start))
    np.testing.assert_array_equal(model(x).asnumpy(), first)
    model.set_train(False)
    np.testing.assert_array_equal(model(x).asnumpy(), evaluated)


def test_vit_without_classifier_returns_the_features_that_the_classifier_reads(pynative):
    model = randomise(VisionTransformer(**SMALL))
    x = images(2, 3, 32, 32)
    features = model.forward_features(x)
    np.testing.assert_array_equal(model.forward_head(features).asnumpy(), model(x).asnumpy())
    full = model.norm(model.hidden_states(x)[-1])[:, 0]
    np.testing.assert_allclose(features.asnumpy(), full.asnumpy(), rtol=1e-5, atol=1e-6)
    model.reset_classifier(0)
    np.testing.assert_array_equal(model(x).asnumpy(), features.asnumpy())
    model.reset_classifier(7)
    assert model(x).shape == (2, 7)
    assert model.classifier.weight.name == "classifier.weight"


def test_vit_in_evaluation_is_a_convit_without_gpsa_whose_class_token_has_its_position_added(pynative):
    model = randomise(VisionTransformer(**SMALL))
    weights = {p.name: p.asnumpy() for p in model.get_parameters()}
    first, weights["pos_embed"] = np.split(weights["pos_embed"], [1], 1)
    weights["cls_token"] = weights["cls_token"] + first
    convit = ConViT(**SMALL, local_up_to_layer=0, qkv_bias=True)
    for parameter in convit.get_parameters():
        parameter.set_data(Tensor(weights.pop(parameter.name)))
    assert not weights
    x = images(2, 3, 32, 32)
    np.testing.assert_allclose(model(x).asnumpy(), convit(x).asnumpy(), rtol=1e-5, atol=1e-5)


def test_vit_of_one_block_takes_grey_images(pynative):
    model = VisionTransformer(**{**SMALL, "depth": 1}, in_channels=1, qkv_bias=False)
    assert model(images(2, 1, 32, 32)).shape == (2, 5)
    assert not [p.name for p in model.get_parameters() if re.search(r"attn\.[qkv]\.bias", p.name)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"image_size": 33}, "multiple"),
        ({"num_heads": 3}, "embed_dim 32 does not divide into num_heads 3: pass a multiple of 3"),
        ({"depth": 0}, "depth is 0; it must be at least 1"),
        ({"mlp_ratio": 0}, "mlp_ratio is 0; it must be at least"),
        ({"mlp_ratio": float("inf")}, "mlp_ratio is inf; it must be at least .* and below inf"),
        ({"drop_path_rate": 1.0}, "below 1"),
        ({"num_classes": -1}, "num_classes is -1; it must be at least 1, or 0"),
        ({"attn_impl": "fast"}, "flash"),
    ],
)
def test_vit_with_invalid_argument_raises(arguments, message):
    with pytest.raises(ValueError, match=message):
        VisionTransformer(**{**SMALL, **arguments})
