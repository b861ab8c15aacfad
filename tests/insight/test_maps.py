import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn

from mindcv.insight import attention_maps, gates


class Seen(nn.Cell):
    """In place of a block's attention: notes what goes in and comes out of it, in PyNative mode."""

    def __init__(self, attn):
        super().__init__(auto_prefix=False)
        self.attn = attn
        self.passed = []

    def construct(self, *words):
        out = self.attn(*words)
        self.passed.append((words[0].asnumpy(), out.asnumpy()))
        return out


@pytest.fixture
def maps(pynative, odd_model, images):
    return attention_maps(odd_model(), images)


def test_every_layer_has_its_maps(maps):
    assert [layer.mixed.shape for layer in maps] == [(2, 4, 6, 6)] * 2 + [(2, 4, 7, 7)]
    for layer in maps:
        for of_kind in layer:
            if of_kind is not None:
                assert of_kind.shape == layer.mixed.shape
                np.testing.assert_allclose(of_kind.sum(-1), 1, atol=1e-5)
                assert of_kind.min() >= 0
    assert maps[2].position is None
    np.testing.assert_array_equal(maps[2].mixed, maps[2].content)


def test_the_gate_mixes_content_and_position(maps, odd_model):
    for layer, share in zip(maps, gates(odd_model())[:, :, None, None].astype(np.float64), strict=False):
        np.testing.assert_allclose(
            layer.mixed, (1 - share) * layer.content + share * layer.position, rtol=1e-5, atol=1e-7
        )
        assert not np.allclose(layer.content, layer.position, atol=0.1)


def test_position_is_the_papers_softmax(maps, odd_model):
    """Over all keys at once, in float64, from the parameters alone."""
    model = odd_model()
    at = np.stack(np.divmod(np.arange(6), 2), -1).astype(np.float64)
    dy, dx = np.moveaxis(at[None] - at[:, None], -1, 0)
    for i, layer in enumerate(maps[:2]):
        weight = model.blocks[i].attn.pos_proj.weight.asnumpy().astype(np.float64)
        score = np.exp(np.einsum("hc,cqk->hqk", weight, np.stack([dx, dy, dx**2 + dy**2])))
        expected = score / score.sum(-1, keepdims=True)
        np.testing.assert_allclose(
            layer.position, np.broadcast_to(expected, layer.position.shape), rtol=1e-4, atol=1e-6
        )


def test_the_maps_are_what_the_fast_path_attends_by(odd_model, images, pynative):
    """Each layer's map times its values, projected, is what the separable path gives in the model itself."""
    model = odd_model(attn_impl="separable")
    maps = attention_maps(model, images)
    attentions = [block.attn for block in model.blocks]
    seen = [Seen(attn) for attn in attentions]
    for block, watched in zip(model.blocks, seen, strict=True):
        block.attn = watched
    model.hidden_states(Tensor(images))
    for layer, attn, watched in zip(maps, attentions, seen, strict=True):
        tokens, out = (x.astype(np.float64) for x in watched.passed[0])
        values = tokens @ attn.v.weight.asnumpy().astype(np.float64).T
        heads = values.reshape(*values.shape[:2], 4, 8).swapaxes(1, 2)
        gathered = (layer.mixed.astype(np.float64) @ heads).swapaxes(1, 2).reshape(values.shape)
        projected = gathered @ attn.proj.weight.asnumpy().T + attn.proj.bias.asnumpy()
        np.testing.assert_allclose(out, projected, rtol=1e-4, atol=1e-4)


def test_the_model_is_left_as_it_was(both_modes, odd_model, images):
    """Its phase, cell by cell, its random state, its compiled graphs, and what it computes, in training and out."""
    model = odd_model(drop_path_rate=0.5, drop_rate=0.2)
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


def test_what_cannot_be_looked_at(both_modes, odd_model, images):
    with pytest.raises(TypeError, match="Dense"):
        attention_maps(nn.Dense(1, 1), images)
    with pytest.raises(ValueError, match=r"\(32, 32\).*\(24, 32\)"):
        attention_maps(odd_model(), np.zeros((1, 3, 32, 32)))


def test_modes_agree(odd_model, images):
    both = []
    for mode in (ms.GRAPH_MODE, ms.PYNATIVE_MODE):
        ms.set_context(mode=mode)
        both.append(attention_maps(odd_model(), images))
    for one, other in zip(*both, strict=True):
        np.testing.assert_allclose(one.mixed, other.mixed, rtol=1e-4, atol=1e-6)
