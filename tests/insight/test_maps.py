import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn

from mindcv.insight import attention_maps, gates


class Recorder(nn.Cell):
    """Wraps a block's attention and records its first input and its output, in PyNative mode."""

    def __init__(self, attn):
        super().__init__(auto_prefix=False)
        self.attn = attn
        self.calls = []

    def construct(self, *inputs):
        out = self.attn(*inputs)
        self.calls.append((inputs[0].asnumpy(), out.asnumpy()))
        return out


@pytest.fixture
def maps(pynative, random_model, images):
    return attention_maps(random_model(), images)


def test_attention_maps_are_distributions_of_every_layer(maps):
    assert [layer.mixed.shape for layer in maps] == [(2, 4, 6, 6)] * 2 + [(2, 4, 7, 7)]
    for layer in maps:
        for kind in layer:
            if kind is not None:
                assert kind.shape == layer.mixed.shape
                np.testing.assert_allclose(kind.sum(-1), 1, atol=1e-5)
                assert kind.min() >= 0
    assert maps[2].position is None
    np.testing.assert_array_equal(maps[2].mixed, maps[2].content)


def test_attention_maps_mixed_is_gated_sum(maps, random_model):
    for layer, gate in zip(maps, gates(random_model())[:, :, None, None].astype(np.float64), strict=False):
        np.testing.assert_allclose(
            layer.mixed, (1 - gate) * layer.content + gate * layer.position, rtol=1e-5, atol=1e-7
        )
        assert not np.allclose(layer.content, layer.position, atol=0.1)


def test_attention_maps_position_is_softmax_of_the_papers_score(maps, random_model):
    """Over all keys at once, in float64, from the parameters."""
    model = random_model()
    at = np.stack(np.divmod(np.arange(6), 2), -1).astype(np.float64)
    dy, dx = np.moveaxis(at[None] - at[:, None], -1, 0)
    for i, layer in enumerate(maps[:2]):
        weight = model.blocks[i].attn.pos_proj.weight.asnumpy().astype(np.float64)
        score = np.exp(np.einsum("hc,cqk->hqk", weight, np.stack([dx, dy, dx**2 + dy**2])))
        expected = score / score.sum(-1, keepdims=True)
        np.testing.assert_allclose(
            layer.position, np.broadcast_to(expected, layer.position.shape), rtol=1e-4, atol=1e-6
        )


def test_attention_maps_give_the_separable_paths_output(random_model, images, pynative):
    """Each layer's map times its values, projected, is the output of the separable path in the model."""
    model = random_model(attn_impl="separable")
    maps = attention_maps(model, images)
    attentions = [block.attn for block in model.blocks]
    recorders = [Recorder(attn) for attn in attentions]
    for block, recorder in zip(model.blocks, recorders, strict=True):
        block.attn = recorder
    model.hidden_states(Tensor(images))
    for layer, attn, recorder in zip(maps, attentions, recorders, strict=True):
        tokens, out = (x.astype(np.float64) for x in recorder.calls[0])
        values = tokens @ attn.v.weight.asnumpy().astype(np.float64).T
        heads = values.reshape(*values.shape[:2], 4, 8).swapaxes(1, 2)
        attended = (layer.mixed.astype(np.float64) @ heads).swapaxes(1, 2).reshape(values.shape)
        projected = attended @ attn.proj.weight.asnumpy().T + attn.proj.bias.asnumpy()
        np.testing.assert_allclose(out, projected, rtol=1e-4, atol=1e-4)


def test_attention_maps_leave_the_model_unchanged(both_modes, random_model, images):
    """Each cell's mode, the random state, the compiled graphs, and the outputs, in training and in evaluation."""
    model = random_model(depth=2, local_up_to_layer=1, drop_path_rate=0.5, drop_rate=0.2)
    model.set_train()
    model.blocks[1].set_train(False)
    model(Tensor(images))
    parameters = {p.name: p.asnumpy() for p in [*model.get_parameters(), model.rng_state]}

    def state():
        cells = [(name, cell.training) for name, cell in model.cells_and_names()]
        return cells, model.phase, set(model.compile_cache)

    before = state()
    first = attention_maps(model, images)
    assert state() == before
    for parameter in [*model.get_parameters(), model.rng_state]:
        np.testing.assert_array_equal(parameter.asnumpy(), parameters[parameter.name])
    for one, other in zip(first, attention_maps(model.set_train(False), Tensor(images)), strict=True):
        np.testing.assert_array_equal(one.mixed, other.mixed)


def test_attention_maps_of_wrong_model_or_images_raise(both_modes, random_model, images):
    with pytest.raises(TypeError, match="Dense"):
        attention_maps(nn.Dense(1, 1), images)
    with pytest.raises(ValueError, match=r"\(32, 32\).*\(24, 32\)"):
        attention_maps(random_model(), np.zeros((1, 3, 32, 32)))


def test_attention_maps_agree_in_both_modes(random_model, images):
    both = []
    for mode in (ms.GRAPH_MODE, ms.PYNATIVE_MODE):
        ms.set_context(mode=mode)
        both.append(attention_maps(random_model(depth=2, local_up_to_layer=1), images))
    for one, other in zip(*both, strict=True):
        np.testing.assert_allclose(one.mixed, other.mixed, rtol=1e-4, atol=1e-6)
