"""Every variant against the authors' code in float64, forward and backward, within float32 rounding."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn, ops

import mindcv
from mindcv.weights import write
from tests.golden import rule

ALL = ["convit_tiny", "convit_tiny_plus", "convit_small", "convit_small_plus", "convit_base", "convit_base_plus"]


class WithLoss(nn.Cell):
    """Return loss, logits, features and the tokens after every block."""

    def __init__(self, model):
        super().__init__(auto_prefix=False)
        self.model = model

    def construct(self, images, labels):
        states = self.model.hidden_states(images, cls_token_only=True)
        features = self.model.norm(states[-1][:, 0])
        logits = self.model.forward_head(features)
        return ops.cross_entropy(logits, labels), logits, features, states


def relative_error(out, ref):
    return np.linalg.norm(out.astype(np.float64) - ref) / np.linalg.norm(ref)


def check_forward(outputs, reference):
    loss, logits, features, states = outputs
    assert loss.asnumpy() == pytest.approx(reference["loss"], rel=2e-6)
    assert relative_error(logits.asnumpy(), reference["logits"]) < 2e-6
    assert relative_error(features.asnumpy(), reference["features"]) < 2e-6
    for i, state in enumerate(states):
        assert relative_error(state[:, 0].asnumpy(), reference["block_first_token"][i]) < 2e-6, f"block {i}"
    for i, state in enumerate(states[:-1]):
        rms = np.sqrt((state.asnumpy().astype(np.float64) ** 2).mean())
        assert rms == pytest.approx(reference["block_rms"][i], rel=2e-6), f"block {i}"


def outputs_and_gradients(model, case):
    """Return the outputs of `WithLoss`, and the gradient of each parameter in float64 by its name."""
    images, labels = rule.inputs(case["salt"])
    weights = model.trainable_params()
    evaluate = ms.value_and_grad(WithLoss(model), None, weights, has_aux=True)
    outputs, gradients = evaluate(Tensor(images), Tensor(labels, ms.int32))
    return outputs, {w.name: g.asnumpy().astype(np.float64) for w, g in zip(weights, gradients, strict=True)}


def check_forward_and_gradients(model, case, reference):
    outputs, gradients = outputs_and_gradients(model, case)
    check_forward(outputs, reference)
    probes, norms = [], []
    for torch_name, shape in case["shapes"].items():
        parts = [gradients[name] for name in rule.to_mindcv(torch_name, np.empty(shape))]
        gradient = np.concatenate([part.ravel() for part in parts])
        probes.append(gradient @ rule.gradient_probe(torch_name, gradient.size))
        norms.append(np.linalg.norm(gradient))
    assert relative_error(np.array(probes), reference["grad_probe"]) < 2e-5
    assert relative_error(np.array(norms), reference["grad_norm"]) < 2e-5
    for name, gradient in gradients.items():
        if name.endswith("pos_proj.bias"):
            assert not gradient.any(), f"{name}: softmax does not depend on it"


@pytest.mark.slow
@pytest.mark.parametrize("name", ALL)
def test_convit_in_graph_mode_matches_the_authors_code(name, golden, golden_model, graph_mode):
    check_forward_and_gradients(golden_model(name), golden.facts("manifest")[name], golden.array(name))


def test_two_blocks_in_graph_mode_match_pynative_mode(golden, golden_model, pynative):
    """The outputs and gradients of PyNative mode are compared with the authors' code below."""
    model, case = golden_model("convit_tiny", depth=2, local_up_to_layer=1), golden.facts("manifest")["convit_tiny"]
    outputs, gradients = outputs_and_gradients(model, case)
    ms.set_context(mode=ms.GRAPH_MODE)
    graph_outputs, graph_gradients = outputs_and_gradients(model, case)
    for out, wanted in zip([*graph_outputs[:3], *graph_outputs[3]], [*outputs[:3], *outputs[3]], strict=True):
        assert relative_error(out.asnumpy(), wanted.asnumpy().astype(np.float64)) < 2e-6
    for name, wanted in gradients.items():
        assert np.linalg.norm(graph_gradients[name] - wanted) <= 2e-5 * np.linalg.norm(wanted), name


@pytest.mark.parametrize("name", [
    "convit_tiny", "convit_small",
    *(pytest.param(name, marks=pytest.mark.slow) for name in ("convit_tiny_plus", "convit_small_plus")),
])  # fmt: skip
def test_convit_in_pynative_mode_matches_the_authors_code(name, golden, golden_model):
    ms.set_context(mode=ms.PYNATIVE_MODE)
    check_forward_and_gradients(golden_model(name), golden.facts("manifest")[name], golden.array(name))


@pytest.mark.parametrize("name", [
    "convit_tiny_plus", "convit_small_plus", "convit_base", pytest.param("convit_base_plus", marks=pytest.mark.slow),
])  # fmt: skip
def test_convit_forward_matches_the_authors_code(name, golden, golden_model):
    ms.set_context(mode=ms.PYNATIVE_MODE)
    images, labels = rule.inputs(golden.facts("manifest")[name]["salt"])
    model = golden_model(name)
    check_forward(WithLoss(model)(Tensor(images), Tensor(labels, ms.int32)), golden.array(name))


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("deit_tiny", 5_717_416),
        pytest.param("deit_small", 22_050_664, marks=pytest.mark.slow),
        pytest.param("deit_base", 86_567_656, marks=pytest.mark.slow),
    ],
)
def test_deit_with_a_file_of_timm_matches_timm(name, count, golden, tmp_path, pynative):
    case = golden.facts("deit")[name]
    file = {name: rule.weight(name, tuple(shape), case["salt"]) for name, shape in case["shapes"].items()}
    write(tmp_path / "model.safetensors", file)
    model = mindcv.create_model(name, checkpoint_path=str(tmp_path / "model.safetensors"))
    assert sum(p.size for p in model.get_parameters()) == count
    check_forward_and_gradients(model, case, golden.array(name))


def test_plain_attention_in_pynative_mode_matches_the_authors_code(golden, golden_model):
    ms.set_context(mode=ms.PYNATIVE_MODE)
    model = golden_model("convit_tiny", attn_impl="plain")
    check_forward_and_gradients(model, golden.facts("manifest")["convit_tiny"], golden.array("convit_tiny"))


@pytest.mark.slow
def test_plain_attention_in_graph_mode_matches_the_authors_code(golden, golden_model, graph_mode):
    model = golden_model("convit_tiny", attn_impl="plain")
    check_forward_and_gradients(model, golden.facts("manifest")["convit_tiny"], golden.array("convit_tiny"))


def test_mixed_attention_of_block_0_matches_the_authors_code(golden, golden_model, both_modes):
    model = golden_model("convit_tiny")
    images, _ = rule.inputs(golden.facts("manifest")["convit_tiny"]["salt"])
    reference = golden.array("convit_tiny")
    tokens = model.blocks[0].norm1(model.patch_embed(Tensor(images)) + model.pos_embed)
    maps = model.blocks[0].attn.mixed_attention(tokens).asnumpy().astype(np.float64)
    np.testing.assert_allclose(maps.sum(-1), 1, atol=1e-5)
    for query in (0, 97):
        assert relative_error(maps[:, :, query], reference[f"block0_attention_row{query}"]) < 2e-6

    patch = np.stack(np.divmod(np.arange(196), 14), -1)
    distance = np.linalg.norm(patch[:, None] - patch[None], axis=-1)
    assert relative_error((maps * distance).sum(-1).mean((0, 2)), reference["block0_nonlocality"]) < 2e-6
