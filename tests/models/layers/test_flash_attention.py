"""FlashAttention, with a stand-in for Ascend's kernel that follows MindSpore's documentation."""

from inspect import signature

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, ops

from mindcv import device, mindspore_hooks
from mindcv.models import ConViT, set_precision

SHAPE = {"image_size": 32, "patch_size": 8, "num_classes": 5, "depth": 3, "local_up_to_layer": 2,
         "num_heads": 4, "embed_dim": 64}  # fmt: skip
documented = signature(ops.flash_attention_score)


def stand_in(query, key, value, head_num, keep_prob=1.0, scalar_value=1.0, input_layout="BSH"):
    """Compute what `ops.flash_attention_score` documents, and raise for inputs that it does not document."""
    batch, heads, _, width = query.shape
    if input_layout != "BNSD" or heads != head_num or keep_prob != 1.0:
        raise ValueError("undocumented layout")
    if key.shape != value.shape or key.shape[:2] != (batch, heads) or key.shape[3] != width or width % 16:
        raise ValueError("undocumented shapes")
    if query.dtype not in (ms.float16, ms.bfloat16) or key.dtype != query.dtype or value.dtype != query.dtype:
        raise TypeError("undocumented dtypes")
    scores = ops.matmul(query.astype(ms.float32), key.astype(ms.float32).swapaxes(-1, -2)) * scalar_value
    return ops.matmul(ops.softmax(scores, -1), value.astype(ms.float32)).astype(query.dtype)


@pytest.fixture
def on_atlas_a2(monkeypatch):
    monkeypatch.setattr("mindcv.models.layers.flash_attention.device_without_flash_attention", lambda: "")
    monkeypatch.setattr(ops, "flash_attention_score", stand_in)


def images(count=2):
    return Tensor(np.random.default_rng(0).standard_normal((count, 3, 32, 32)), ms.float32)


def pair(**kwargs):
    """A model with flash attention and one with plain attention, of the same weights and random state."""
    flash, plain = (ConViT(**{**SHAPE, "attn_impl": impl, **kwargs}) for impl in ("flash", "plain"))
    for i, parameter in enumerate(plain.get_parameters()):
        parameter.set_data(Tensor(0.3 * np.random.default_rng(i).standard_normal(parameter.shape), ms.float32))
    ms.load_param_into_net(flash, plain.parameters_dict())
    flash.rng_state.set_data(Tensor(plain.rng_state.asnumpy()))
    return flash, plain


def gradients(model):
    found = ms.grad(lambda x: (model(x) ** 2).sum(), None, ms.ParameterTuple(model.trainable_params()))(images())
    return np.concatenate([gradient.asnumpy().ravel() for gradient in found])


def relative_error(value, reference):
    return np.linalg.norm(value - reference) / np.linalg.norm(reference)


def test_stand_in_has_the_signature_of_the_operation():
    names = list(signature(stand_in).parameters)
    assert documented.parameters.keys() >= set(names)
    assert [documented.parameters[name].default for name in names[4:]] == [1.0, 1.0, "BSH"]


@pytest.mark.parametrize("level", ["O1", "O2", "O3"])
def test_flash_attention_logits_and_gradients_match_plain_attention(level, on_atlas_a2):
    """The error is that of half precision: the plain model's own rounding is as large."""
    ms.set_context(mode=ms.PYNATIVE_MODE)
    flash, plain = pair()
    exact, wanted = plain(images()).asnumpy(), gradients(plain)
    set_precision(plain, level)
    set_precision(flash, level)
    assert (
        relative_error(flash(images()).asnumpy(), exact) < 2 * relative_error(plain(images()).asnumpy(), exact) < 1e-2
    )
    assert relative_error(gradients(flash), wanted) < 2 * relative_error(gradients(plain), wanted) < 1e-2


def test_flash_attention_in_graph_mode_matches_plain_attention(on_atlas_a2, graph_mode):
    flash, plain = pair(depth=2, local_up_to_layer=1)
    set_precision(flash, "O1")
    assert 1e-5 < relative_error(flash(images()).asnumpy(), plain(images()).asnumpy()) < 5e-3


def test_flash_attention_is_called_by_every_block(on_atlas_a2, monkeypatch):
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
    assert shapes == [(patches, patches)] * 2 + [
        ((2, 4, 1, 16), (2, 4, 17, 16))
    ]  # in the last block, queries of the class token only


def test_flash_attention_with_active_attention_dropout_takes_the_plain_path(on_atlas_a2):
    """Dropout acts on the mixed map in training, so draws and results are equal to the plain model's."""
    ms.set_context(mode=ms.PYNATIVE_MODE)
    flash, plain = pair(attn_drop_rate=0.4, drop_path_rate=0.0)
    for model in (flash, plain):
        set_precision(model, "O1")
        model.set_train()
    np.testing.assert_array_equal(flash(images()).asnumpy(), plain(images()).asnumpy())
    assert relative_error(flash.set_train(False)(images()).asnumpy(), plain(images()).asnumpy()) > 0.01


@pytest.mark.parametrize(("target", "soc_version", "name"), [
    ("CPU", "", "a CPU"), ("GPU", "", "a GPU"), ("Ascend", "ascend910", "an ascend910"),
])  # fmt: skip
def test_flash_attention_on_an_unsupported_device_raises(target, soc_version, name, monkeypatch):
    context = type("Context", (), {"get_ascend_soc_version": lambda self: soc_version})
    monkeypatch.setattr(device.ms, "get_context", lambda what: target)
    monkeypatch.setattr(mindspore_hooks.MSContext, "get_instance", context)
    with pytest.raises(ValueError, match=rf"Atlas A2 .*this is {name}: pass attn_impl 'separable'$"):
        ConViT(**SHAPE, attn_impl="flash")


def test_device_without_flash_attention_on_an_atlas_a2_is_empty(monkeypatch):
    context = type("Context", (), {"get_ascend_soc_version": lambda self: "ascend910b"})
    monkeypatch.setattr(device.ms, "get_context", lambda what: "Ascend")
    monkeypatch.setattr(mindspore_hooks.MSContext, "get_instance", context)
    assert device.device_without_flash_attention() == ""


@pytest.mark.parametrize("width", [48, 64])
def test_flash_attention_accepts_the_head_widths_of_published_models(width, on_atlas_a2):
    assert (
        ConViT(**{**SHAPE, "num_heads": 1, "embed_dim": width}, attn_impl="flash").blocks[2].attn.attend.flash
        is not None
    )


@pytest.mark.parametrize("width", [24, 528])
def test_flash_attention_with_unsupported_head_width_raises(width, on_atlas_a2):
    with pytest.raises(ValueError, match=f"width 16, 32.*embed_dim / num_heads is {width}: pass attn_impl 'separable'"):
        ConViT(**{**SHAPE, "num_heads": 1, "embed_dim": width}, attn_impl="flash")


def test_flash_attention_in_float32_raises(on_atlas_a2, both_modes):
    flash, _ = pair()
    with pytest.raises(ValueError, match=r"half precision.*amp_level O2.*'separable'"):
        flash(images())
