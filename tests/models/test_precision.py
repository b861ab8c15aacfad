"""Mixed precision against float32: gradients of the whole model, and what is computed in which type."""

import sys

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, amp, nn, ops

from mindcv.loss import create_loss
from mindcv.models import ConViT, precision, set_precision
from mindcv.models.layers import Linear, TokenNorm

# The relative error of all gradients together, as a vector: float16 keeps 11 bits of a number, bfloat16 8.
BOUND = {"float16": 5e-3, "bfloat16": 4e-2}


@pytest.fixture(autouse=True)
def pynative():
    ms.set_context(mode=ms.PYNATIVE_MODE)


def build(**kwargs):
    ms.set_seed(0)
    return ConViT(image_size=16, patch_size=4, num_classes=7, num_heads=4, embed_dim=32, depth=3, local_up_to_layer=2,
                  **{"drop_path_rate": 0.1, **kwargs}).set_train()  # fmt: skip


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
def exact():
    ms.set_context(mode=ms.PYNATIVE_MODE)
    model = build()
    state = model.rng_state.asnumpy().copy()
    return gradients(model), state


def error(exact, mode=ms.PYNATIVE_MODE, level="O1", dtype="float16", cells=None, **kwargs):
    wanted, state = exact
    ms.set_context(mode=mode)
    model = build(**kwargs)
    model.rng_state.set_data(Tensor(state))
    set_precision(model, level, dtype, cells)
    return np.linalg.norm(gradients(model) - wanted) / np.linalg.norm(wanted)


@pytest.mark.parametrize("dtype", BOUND)
@pytest.mark.parametrize("level", ["O1", "O2", "O3", "auto"])
def test_gradients_are_near_those_of_float32(level, dtype, exact):
    assert BOUND[dtype] / 1000 < error(exact, level=level, dtype=dtype) < BOUND[dtype]


@pytest.mark.parametrize(("level", "dtype"), [("O1", "bfloat16"), ("O2", "float16")])
def test_in_graph_mode_too(level, dtype, exact):
    found = error(exact, ms.GRAPH_MODE, level, dtype)
    assert BOUND[dtype] / 1000 < found < BOUND[dtype]


def test_o0_is_float32_to_the_bit(exact):
    assert error(exact, level="O0") == 0


def test_as_the_paper_writes_it(exact):
    assert error(exact, level="O2", attn_impl="plain") < BOUND["float16"]


@pytest.mark.parametrize("level", ["O1", "O2", "auto"])
def test_listed_cells_alone_are_in_half_precision(level, exact):
    everything = error(exact, level=level, dtype="bfloat16")
    perceptron = error(exact, level=level, dtype="bfloat16", cells=["blocks.1.mlp"])
    assert 1e-5 < perceptron < 0.8 * everything
    assert error(exact, level=level, dtype="bfloat16", cells=["Mlp", "GPSA"]) > perceptron


@pytest.fixture
def types(monkeypatch):
    """The types that layers were given and gave, by kind, while a model ran."""
    seen = {"softmax": set(), "norm": set(), "norm_out": set(), "product": set()}
    softmax, norm, construct = ops.softmax, TokenNorm.normalised, TokenNorm.construct
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
    monkeypatch.setattr(TokenNorm, "normalised", watch_norm)
    monkeypatch.setattr(TokenNorm, "construct", watch_construct)
    return seen


@pytest.mark.parametrize(("level", "exact_type", "norm_out"), [
    ("O1", ms.float32, ms.float32), ("auto", ms.float32, ms.float32), ("O2", ms.float32, ms.float16),
    ("O3", ms.float16, ms.float16),
])  # fmt: skip
def test_what_is_computed_in_which_type(level, exact_type, norm_out, types):
    model = build()
    set_precision(model, level)
    logits = model.set_train(False)(Tensor(np.zeros((2, 3, 16, 16)), ms.float32))
    assert types["product"] == {ms.float16}
    assert types["softmax"] == types["norm"] == {exact_type}
    assert types["norm_out"] == {norm_out}
    assert logits.dtype == (ms.float32 if level == "O1" else ms.float16)


def test_bfloat16_rounds_on_a_cpu():
    layer = Linear(1, 1, has_bias=False)
    layer.weight.set_data(Tensor([[1.0]], ms.float32))
    x = Tensor([[1 + 2.0**-9]], ms.float32)
    assert layer(x).asnumpy() == 1 + 2.0**-9
    set_precision(layer, "O1", "bfloat16")
    assert layer(x).asnumpy() == 1


@pytest.mark.parametrize(("arguments", "message"), [
    (("O4",), "amp_level is 'O4'; it can be O0"),
    (("O1", "float8"), "amp_dtype is 'float8'"),
    (("O1", "float16", ["blocks.1.mpl"]), "no cell 'blocks.1.mpl'; there is blocks.1.mlp"),
])  # fmt: skip
def test_what_there_is_not(arguments, message):
    with pytest.raises(ValueError, match=message):
        set_precision(build(), *arguments)


def test_a_device_without_products_of_a_type_says_so(monkeypatch):
    def no_kernel(*_):
        raise RuntimeError("no kernel")

    monkeypatch.setattr(ms, "get_context", lambda _: "Ascend")
    monkeypatch.setattr(precision.ops, "matmul", no_kernel)
    with pytest.raises(ValueError, match="has no products of bfloat16: pass --amp_dtype float16"):
        set_precision(build(), "O2", "bfloat16")


@pytest.fixture
def rewriting(tmp_path, monkeypatch):
    """MindSpore's "O1" writes the code that it makes into the working folder, and adds to sys.path."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))


def mindspore_error(exact, level, dtype=ms.float16):
    """As `error`, of a model that MindSpore's own function converted."""
    wanted, state = exact
    model = build()
    model.rng_state.set_data(Tensor(state))
    weights = model.trainable_params()
    found = gradients(amp.auto_mixed_precision(model, level, dtype), weights)
    return np.linalg.norm(found - wanted) / np.linalg.norm(wanted)


@pytest.mark.parametrize("level", ["O1", "O2", "O3", "auto"])
def test_mindspores_levels_give_gradients_as_near_to_float32(level, exact, rewriting):
    assert BOUND["float16"] / 1000 < mindspore_error(exact, level) < BOUND["float16"]


def test_mindspores_o0_is_float32_to_the_bit(exact):
    assert mindspore_error(exact, "O0") == 0


def test_mindspores_o3_in_bfloat16_is_rounded_on_a_cpu(exact):
    assert BOUND["bfloat16"] / 1000 < mindspore_error(exact, "O3", ms.bfloat16) < BOUND["bfloat16"]


def test_mindspores_o1_takes_every_product_in_half_precision(rewriting, monkeypatch):
    seen = []

    def watch(kind):
        product = kind.__call__

        def watched(self, a, b):
            seen.append(a.dtype)
            return product(self, a, b)

        monkeypatch.setattr(kind, "__call__", watched)

    watch(ops.BatchMatMul)
    watch(ops.MatMul)
    model = build().set_train(False)
    images = Tensor(np.zeros((2, 3, 16, 16)), ms.float32)
    model(images)
    count, of_norms = len(seen), 4 * 7  # four products in each of seven LayerNorms, which stay in float32
    seen.clear()
    amp.auto_mixed_precision(model, "O1")(images)
    assert len(seen) == count
    assert seen.count(ms.float16) == count - of_norms


def test_mindspores_o1_keeps_the_norms_of_large_tokens(rewriting):
    """Their squares are past float16's range."""
    model = build().set_train(False)
    model.pos_embed.set_data(model.pos_embed * 5e4)
    images = Tensor(np.random.default_rng(0).standard_normal((2, 3, 16, 16)), ms.float32)
    wanted = model(images).asnumpy()
    found = amp.auto_mixed_precision(model, "O1")(images).asnumpy()
    assert np.linalg.norm(found - wanted) < BOUND["float16"] * np.linalg.norm(wanted)


@pytest.mark.parametrize("level", [
    "O1", "O2", pytest.param("O3", marks=pytest.mark.slow), pytest.param("auto", marks=pytest.mark.slow),
])  # fmt: skip
def test_mindspores_model_trains_as_ours_at_each_level(level, rewriting):
    ms.set_context(mode=ms.GRAPH_MODE)
    rng = np.random.default_rng(0)
    images, labels = Tensor(rng.standard_normal((4, 3, 16, 16)), ms.float32), Tensor(rng.integers(0, 7, 4), ms.int32)

    def losses(model, amp_level):
        optimizer = nn.SGD(model.trainable_params(), 0.1)
        trainer = ms.Model(model, create_loss("CE"), optimizer, amp_level=amp_level, loss_scale_manager=None)
        return [trainer.train_network(images, labels).asnumpy() for _ in range(3)]

    kwargs = {"depth": 2, "local_up_to_layer": 1, "drop_path_rate": 0.0}
    ours = build(**kwargs)
    set_precision(ours, level)
    wanted = losses(ours, "O0")
    assert wanted[2] < 0.99 * wanted[0]
    np.testing.assert_allclose(losses(build(**kwargs), level), wanted, rtol=1e-3)


def test_a_base_class_in_the_cast_list_stands_for_its_cells():
    model = build()
    set_precision(model, "O1", cast_list=["Dense"])
    assert model.blocks[0].attn.q.operands == model.classifier.operands == ms.float16
    assert model.blocks[0].attn.multiply.operands == ms.float32
