"""Mixed precision against float32: gradients of a whole model, and the dtype of each kind of operation."""

import sys

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, amp, nn, ops

from mindcv.loss import create_loss
from mindcv.models import ConViT, precision, set_precision
from mindcv.models.layers import Linear, TokenNorm

# Bounds of the relative error of all gradients as one vector: float16 has 11 significant bits, bfloat16 8.
BOUND = {"float16": 5e-3, "bfloat16": 4e-2}
LEVELS = ["O1", "O2", "O3"]


@pytest.fixture(autouse=True)
def pynative():
    ms.set_context(mode=ms.PYNATIVE_MODE)


def build(**kwargs):
    ms.set_seed(0)
    kwargs = {"depth": 2, "local_up_to_layer": 1, "drop_path_rate": 0.1, **kwargs}
    return ConViT(image_size=16, patch_size=4, num_classes=7, num_heads=4, embed_dim=32, **kwargs).set_train()


def gradients(model, weights=None):
    rng = np.random.default_rng(0)
    images = Tensor(rng.standard_normal((4, 3, 16, 16)), ms.float32)
    labels = Tensor(rng.integers(0, 7, 4), ms.int32)
    loss = create_loss("CE")

    def scaled(images, labels):
        return loss(model(images), labels) * 1024.0

    weights = ms.ParameterTuple(weights or model.trainable_params())
    value, found = ms.value_and_grad(scaled, None, weights)(images, labels)
    assert value.dtype == ms.float32 and all(gradient.dtype == ms.float32 for gradient in found)
    return np.concatenate([gradient.asnumpy().ravel() for gradient in found])


@pytest.fixture(scope="module")
def reference():
    """Gradients in float32, and the random state that they were computed with."""
    ms.set_context(mode=ms.PYNATIVE_MODE)
    model = build()
    state = model.rng_state.asnumpy().copy()
    return gradients(model), state


def gradient_error(reference, mode=ms.PYNATIVE_MODE, level="O1", dtype="float16", cells=None, **kwargs):
    """Relative error of a model's gradients after `set_precision`; `cells` is its cast_list."""
    wanted, state = reference
    ms.set_context(mode=mode)
    model = build(**kwargs)
    model.rng_state.set_data(Tensor(state))
    set_precision(model, level, dtype, cells)
    return np.linalg.norm(gradients(model) - wanted) / np.linalg.norm(wanted)


@pytest.mark.parametrize("dtype", BOUND)
@pytest.mark.parametrize("level", ["O1", "O2", "O3", "auto"])
def test_set_precision_gradients_are_close_to_float32(level, dtype, reference):
    assert BOUND[dtype] / 1000 < gradient_error(reference, level=level, dtype=dtype) < BOUND[dtype]


@pytest.mark.parametrize(("level", "dtype"), [("O1", "bfloat16"), ("O2", "float16")])
def test_set_precision_in_graph_mode_gradients_are_close_to_float32(level, dtype, reference):
    found = gradient_error(reference, ms.GRAPH_MODE, level, dtype)
    assert BOUND[dtype] / 1000 < found < BOUND[dtype]


def test_set_precision_o0_is_bit_identical_to_float32(reference):
    assert gradient_error(reference, level="O0") == 0


def test_set_precision_with_plain_attention_gradients_are_close_to_float32(reference):
    assert gradient_error(reference, level="O2", attn_impl="plain") < BOUND["float16"]


@pytest.mark.parametrize("level", ["O1", "O2", "auto"])
def test_set_precision_cast_list_leaves_other_cells_in_float32(level, reference):
    everything = gradient_error(reference, level=level, dtype="bfloat16")
    perceptron = gradient_error(reference, level=level, dtype="bfloat16", cells=["blocks.0.mlp"])
    assert 1e-5 < perceptron < 0.8 * everything
    assert gradient_error(reference, level=level, dtype="bfloat16", cells=["Mlp", "GPSA"]) > perceptron


@pytest.fixture
def dtypes(monkeypatch):
    """Dtypes of the inputs and outputs of layers, by kind of layer, recorded while a model runs."""
    seen = {"softmax": set(), "norm": set(), "norm_out": set(), "product": set()}
    softmax, norm, construct = ops.softmax, TokenNorm.normalise, TokenNorm.construct
    product = ops.BatchMatMul.__call__

    def watch_norm(self, x):
        seen["norm"].add(x.dtype)
        return norm(self, x)

    def watch_construct(self, x):
        result = construct(self, x)
        seen["norm_out"].add(result.dtype)
        return result

    def watch_product(self, a, b):
        seen["product"] |= {a.dtype, b.dtype}
        return product(self, a, b)

    def watch_softmax(x, axis):
        seen["softmax"].add(x.dtype)
        return softmax(x, axis)

    monkeypatch.setattr(ops, "softmax", watch_softmax)
    monkeypatch.setattr(ops.BatchMatMul, "__call__", watch_product)
    monkeypatch.setattr(TokenNorm, "normalise", watch_norm)
    monkeypatch.setattr(TokenNorm, "construct", watch_construct)
    return seen


@pytest.mark.parametrize(("level", "norm_dtype", "norm_out"), [
    ("O1", ms.float32, ms.float32), ("auto", ms.float32, ms.float32), ("O2", ms.float32, ms.float16),
    ("O3", ms.float16, ms.float16),
])  # fmt: skip
def test_set_precision_level_sets_the_dtype_of_each_operation(level, norm_dtype, norm_out, dtypes):
    model = build()
    set_precision(model, level)
    logits = model.set_train(False)(Tensor(np.zeros((2, 3, 16, 16)), ms.float32))
    assert dtypes["product"] == {ms.float16}
    assert dtypes["softmax"] == dtypes["norm"] == {norm_dtype}
    assert dtypes["norm_out"] == {norm_out}
    assert logits.dtype == (ms.float32 if level == "O1" else ms.float16)


def test_set_precision_bfloat16_on_a_cpu_rounds_float32():
    layer = Linear(1, 1, has_bias=False)
    layer.weight.set_data(Tensor([[1.0]], ms.float32))
    x = Tensor([[1 + 2.0**-9]], ms.float32)
    assert layer(x).asnumpy() == 1 + 2.0**-9
    set_precision(layer, "O1", "bfloat16")
    assert layer(x).asnumpy() == 1


@pytest.mark.parametrize(("arguments", "message"), [
    (("O4",), "amp_level is 'O4'; it can be O0"),
    (("O1", "float8"), "amp_dtype is 'float8'"),
    (("O1", "float16", ["blocks.1.mpl"]), "no cell 'blocks.1.mpl'; did you mean blocks.1.mlp"),
])  # fmt: skip
def test_set_precision_with_unknown_level_dtype_or_cell_raises(arguments, message):
    with pytest.raises(ValueError, match=message):
        set_precision(build(), *arguments)


def test_set_precision_on_a_device_without_bfloat16_raises(monkeypatch):
    def no_kernel(*_):
        raise RuntimeError("no kernel")

    monkeypatch.setattr(ms, "get_context", lambda _: "Ascend")
    monkeypatch.setattr(precision.ops, "matmul", no_kernel)
    with pytest.raises(ValueError, match="has no products of bfloat16: pass --amp_dtype float16"):
        set_precision(build(), "O2", "bfloat16")


@pytest.fixture(scope="module")
def rewriting_allowed(tmp_path_factory):
    """Work in a temporary folder: MindSpore's "O1" writes generated code there and adds to sys.path."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("rewritten"))
        patch.setattr(sys, "path", list(sys.path))
        yield


@pytest.fixture(scope="module")
def rewritten(rewriting_allowed):
    """A model, and the network with its parameters that MindSpore's "O1" makes of it, in seconds."""
    ms.set_context(mode=ms.PYNATIVE_MODE)
    model = build()
    return model, amp.auto_mixed_precision(model, "O1")


def mindspore_gradient_error(reference, model, converted):
    """Relative error of the gradients of `converted`, which `mindspore.amp` made of `model`."""
    wanted, state = reference
    model.rng_state.set_data(Tensor(state))
    found = gradients(converted.set_train(), model.trainable_params())
    return np.linalg.norm(found - wanted) / np.linalg.norm(wanted)


def test_mindspore_amp_o1_gradients_are_close_to_float32(reference, rewritten):
    assert BOUND["float16"] / 1000 < mindspore_gradient_error(reference, *rewritten) < BOUND["float16"]


@pytest.mark.parametrize("level", ["O2", "O3"])
def test_mindspore_amp_gradients_are_close_to_float32(level, reference):
    model = build()
    error = mindspore_gradient_error(reference, model, amp.auto_mixed_precision(model, level))
    assert BOUND["float16"] / 1000 < error < BOUND["float16"]


def test_mindspore_amp_auto_gives_logits_close_to_float32():
    model = build().set_train(False)
    images = Tensor(np.random.default_rng(0).standard_normal((2, 3, 16, 16)), ms.float32)
    wanted = model(images).asnumpy()
    found = amp.auto_mixed_precision(model, "auto")(images).asnumpy()
    assert BOUND["float16"] / 1000 < np.linalg.norm(found - wanted) / np.linalg.norm(wanted) < BOUND["float16"]


def test_mindspore_amp_o0_is_bit_identical_to_float32(reference):
    model = build()
    assert mindspore_gradient_error(reference, model, amp.auto_mixed_precision(model, "O0")) == 0


def test_mindspore_amp_o3_in_bfloat16_on_a_cpu_rounds_float32(reference):
    model = build()
    error = mindspore_gradient_error(reference, model, amp.auto_mixed_precision(model, "O3", ms.bfloat16))
    assert BOUND["bfloat16"] / 1000 < error < BOUND["bfloat16"]


def test_mindspore_amp_o1_computes_every_product_but_norms_in_half_precision(rewritten, monkeypatch):
    seen = []

    def watch(kind):
        product = kind.__call__

        def watched(self, a, b):
            seen.append(a.dtype)
            return product(self, a, b)

        monkeypatch.setattr(kind, "__call__", watched)

    watch(ops.BatchMatMul)
    watch(ops.MatMul)
    images = Tensor(np.zeros((2, 3, 16, 16)), ms.float32)
    build().set_train(False)(images)
    count, of_norms = len(seen), 4 * 5  # four products in each of five LayerNorms, which stay in float32
    seen.clear()
    rewritten[1].set_train(False)(images)
    assert len(seen) == count
    assert seen.count(ms.float16) == count - of_norms


def test_mindspore_amp_o1_normalises_large_tokens_in_float32(rewritten):
    """Their squares overflow float16."""
    model, (original, converted) = build().set_train(False), rewritten
    large = model.pos_embed * 5e4
    model.pos_embed.set_data(large)
    images = Tensor(np.random.default_rng(0).standard_normal((2, 3, 16, 16)), ms.float32)
    wanted = model(images).asnumpy()
    small = Tensor(original.pos_embed.asnumpy().copy())
    original.pos_embed.set_data(large)
    found = converted.set_train(False)(images).asnumpy()
    original.pos_embed.set_data(small)
    assert np.linalg.norm(found - wanted) < BOUND["float16"] * np.linalg.norm(wanted)


@pytest.mark.parametrize(("level", "mode", "depth"), [
    ("O1", ms.PYNATIVE_MODE, 1), pytest.param("O1", ms.PYNATIVE_MODE, 2, marks=pytest.mark.slow),
    *(pytest.param(level, ms.GRAPH_MODE, 2, marks=pytest.mark.slow) for level in LEVELS),
])  # fmt: skip
def test_mindspore_model_with_amp_level_trains_like_set_precision(level, mode, depth, rewriting_allowed):
    ms.set_context(mode=mode)
    rng = np.random.default_rng(0)
    images, labels = Tensor(rng.standard_normal((4, 3, 16, 16)), ms.float32), Tensor(rng.integers(0, 7, 4), ms.int32)

    def losses(model, amp_level):
        optimizer = nn.SGD(model.trainable_params(), 0.1)
        trainer = ms.Model(model, create_loss("CE"), optimizer, amp_level=amp_level, loss_scale_manager=None)
        return [trainer.train_network(images, labels).asnumpy() for _ in range(3)]

    shape = {"depth": depth, "local_up_to_layer": depth - 1, "drop_path_rate": 0.0}
    ours = build(**shape)
    set_precision(ours, level)
    wanted = losses(ours, "O0")
    assert wanted[2] < 0.99 * wanted[0]
    np.testing.assert_allclose(losses(build(**shape), level), wanted, rtol=1e-3)


def test_set_precision_cast_list_accepts_a_base_class():
    model = build()
    set_precision(model, "O1", cast_list=["Dense"])
    assert model.blocks[0].attn.q.policy.compute == model.classifier.policy.compute == ms.float16
    assert model.blocks[0].attn.matmul.policy.compute == ms.float32
