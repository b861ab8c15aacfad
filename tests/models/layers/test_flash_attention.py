"""Attention by Ascend's kernel, for which a stand-in that follows MindSpore's documentation computes here."""

from inspect import signature

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, ops

from mindcv import device
from mindcv.models import ConViT, set_precision

SHAPE = {"image_size": 32, "patch_size": 8, "num_classes": 5, "depth": 3, "local_up_to_layer": 2,
         "num_heads": 4, "embed_dim": 64}  # fmt: skip
documented = signature(ops.flash_attention_score)


def stand_in(query, key, value, head_num, keep_prob=1.0, scalar_value=1.0, input_layout="BSH"):
    """What `ops.flash_attention_score` is documented to compute, and to take, of what this project gives it."""
    batch, heads, _, width = query.shape
    if input_layout != "BNSD" or heads != head_num or keep_prob != 1.0:
        raise ValueError("these inputs are of another layout")
    if key.shape != value.shape or key.shape[:2] != (batch, heads) or key.shape[3] != width or width % 16:
        raise ValueError("these shapes are not documented")
    if query.dtype not in (ms.float16, ms.bfloat16) or key.dtype != query.dtype or value.dtype != query.dtype:
        raise TypeError("these types are not documented")
    scores = ops.matmul(query.astype(ms.float32), key.astype(ms.float32).swapaxes(-1, -2)) * scalar_value
    return ops.matmul(ops.softmax(scores, -1), value.astype(ms.float32)).astype(query.dtype)


@pytest.fixture
def on_an_atlas(monkeypatch):
    monkeypatch.setattr("mindcv.models.layers.flash_attention.without_flash_attention", lambda: "")
    monkeypatch.setattr(ops, "flash_attention_score", stand_in)


def images(count=2):
    return Tensor(np.random.default_rng(0).standard_normal((count, 3, 32, 32)), ms.float32)


def pair(**kwargs):
    """A model by the kernel, and the plain one of the same weights."""
    flash, plain = (ConViT(**{**SHAPE, "attn_impl": impl, **kwargs}) for impl in ("flash", "plain"))
    for i, parameter in enumerate(plain.get_parameters()):
        parameter.set_data(Tensor(0.3 * np.random.default_rng(i).standard_normal(parameter.shape), ms.float32))
    ms.load_param_into_net(flash, plain.parameters_dict())
    flash.rng_state.set_data(Tensor(plain.rng_state.asnumpy()))
    return flash, plain


def gradients(model):
    found = ms.grad(lambda x: (model(x) ** 2).sum(), None, ms.ParameterTuple(model.trainable_params()))(images())
    return np.concatenate([gradient.asnumpy().ravel() for gradient in found])


def relative(value, reference):
    return np.linalg.norm(value - reference) / np.linalg.norm(reference)


def test_the_stand_in_takes_no_more_than_the_operation():
    names = list(signature(stand_in).parameters)
    assert documented.parameters.keys() >= set(names)
    assert [documented.parameters[name].default for name in names[4:]] == [1.0, 1.0, "BSH"]


@pytest.mark.parametrize("level", ["O1", "O2", "O3"])
def test_logits_and_gradients_are_the_plain_ones(level, on_an_atlas):
    """To float16's precision: the rounding of the plain model's own products is as large."""
    ms.set_context(mode=ms.PYNATIVE_MODE)
    flash, plain = pair()
    exact, wanted = plain(images()).asnumpy(), gradients(plain)
    set_precision(plain, level)
    set_precision(flash, level)
    assert relative(flash(images()).asnumpy(), exact) < 2 * relative(plain(images()).asnumpy(), exact) < 1e-2
    assert relative(gradients(flash), wanted) < 2 * relative(gradients(plain), wanted) < 1e-2


def test_in_a_graph(on_an_atlas, graph_mode):
    flash, plain = pair(depth=2, local_up_to_layer=1)
    set_precision(flash, "O1")
    assert 1e-5 < relative(flash(images()).asnumpy(), plain(images()).asnumpy()) < 5e-3


def test_every_block_asks_the_kernel(on_an_atlas, monkeypatch):
    ms.set_context(mode=ms.PYNATIVE_MODE)
    shapes = []

    def watch(query, key, *args, **kwargs):
        shapes.append((query.shape, key.shape))
        return stand_in(query, key, *args, **kwargs)

    monkeypatch.setattr(ops, "flash_attention_score", watch)
    flash, _ = pair()
    set_precision(flash, "O2")
    flash(images())
    patches = (2, 4, 16, 16)
    assert shapes == [(patches, patches)] * 2 + [((2, 4, 1, 16), (2, 4, 17, 16))]  # the last for the class token alone


def test_dropout_of_the_maps_takes_maps(on_an_atlas):
    """In training it acts on the mixed map, so the draws and the outcome are the plain path's."""
    ms.set_context(mode=ms.PYNATIVE_MODE)
    flash, plain = pair(attn_drop_rate=0.4, drop_path_rate=0.0)
    for model in (flash, plain):
        set_precision(model, "O1")
        model.set_train()
    np.testing.assert_array_equal(flash(images()).asnumpy(), plain(images()).asnumpy())
    assert relative(flash.set_train(False)(images()).asnumpy(), plain(images()).asnumpy()) > 0.01


@pytest.mark.parametrize(("target", "generation", "name"), [
    ("CPU", "", "a CPU"), ("GPU", "", "a GPU"), ("Ascend", "ascend910", "an ascend910"),
])  # fmt: skip
def test_other_devices_are_refused(target, generation, name, monkeypatch):
    context = type("Context", (), {"get_ascend_soc_version": lambda self: generation})
    monkeypatch.setattr(device.ms, "get_context", lambda what: target)
    monkeypatch.setattr(device.MSContext, "get_instance", context)
    with pytest.raises(ValueError, match=rf"Atlas A2 .*this is {name}: pass attn_impl 'separable'$"):
        ConViT(**SHAPE, attn_impl="flash")


def test_an_atlas_a2_is_not(monkeypatch):
    context = type("Context", (), {"get_ascend_soc_version": lambda self: "ascend910b"})
    monkeypatch.setattr(device.ms, "get_context", lambda what: "Ascend")
    monkeypatch.setattr(device.MSContext, "get_instance", context)
    assert device.without_flash_attention() == ""


@pytest.mark.parametrize("width", [48, 64])
def test_the_published_models_widths_are_taken(width, on_an_atlas):
    assert (
        ConViT(**{**SHAPE, "num_heads": 1, "embed_dim": width}, attn_impl="flash").blocks[2].attn.attend.flash
        is not None
    )


@pytest.mark.parametrize("width", [24, 528])
def test_other_widths_are_refused(width, on_an_atlas):
    with pytest.raises(ValueError, match=f"width 16, 32.*embed_dim / num_heads is {width}: pass attn_impl 'separable'"):
        ConViT(**{**SHAPE, "num_heads": 1, "embed_dim": width}, attn_impl="flash")


def test_float32_is_refused(on_an_atlas, both_modes):
    flash, _ = pair()
    with pytest.raises(ValueError, match=r"half precision.*amp_level O2.*'separable'"):
        flash(images())
