"""What works for ConViT works for ViT, through the contract of families; resuming and the scripts at the end."""

import math

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, ops

import mindcv
from mindcv.cli import insight
from mindcv.cli.models import describe_model
from mindcv.deploy import export_model
from mindcv.insight import attention_maps, non_locality, rollout
from mindcv.models import Features, VisionTransformer, count_flops, freeze, registry, set_precision, vit
from mindcv.models.family import families
from mindcv.optim import parameter_groups
from mindcv.weights import load, write
from mindcv.weights.describe import describe
from mindcv.weights.resample import resample
from mindcv.weights.state_dict import to_pytorch
from tests.random_weights import randomise

TINY = {"image_size": 32, "patch_size": 8, "num_classes": 5, "embed_dim": 32, "num_heads": 2, "depth": 2}
HEADS = {"deit_tiny": 3, "deit_small": 6, "deit_base": 12}
PREPARATION = {"mean": (0, 0, 0), "std": (1, 1, 1), "crop_pct": 0.9, "interpolation": "bicubic"}


@pytest.fixture(autouse=True)
def _pynative(pynative):
    """Run every test here in PyNative mode."""


@pytest.fixture
def model():
    return randomise(VisionTransformer(**TINY))


@pytest.fixture
def images():
    return np.random.default_rng(0).standard_normal((2, 3, 32, 32)).astype(np.float32)


def values(model):
    return {parameter.name: parameter.asnumpy() for parameter in model.get_parameters()}


@pytest.mark.parametrize("name", HEADS)
def test_published_weights_state_where_they_are_and_how_images_are_prepared(name):
    cfg = mindcv.get_pretrained_cfg(name)
    assert list(cfg["sources"]) == ["timm", "fb"]
    assert cfg["hub"] == f"timm/{name}_patch16_224.fb_in1k/model.safetensors"
    assert (cfg["licence"], cfg["act"], cfg["norm_eps"]) == ("Apache-2.0", "gelu", 1e-6)
    assert cfg["top_1"] == {"deit_tiny": 72.2, "deit_small": 79.9, "deit_base": 81.8}[name]
    np.testing.assert_allclose(np.divide(cfg["mean"], 255), (0.485, 0.456, 0.406))
    np.testing.assert_allclose(np.divide(cfg["std"], 255), (0.229, 0.224, 0.225))
    assert [source["crop_pct"] for source in cfg["sources"].values()] == [0.9, 0.875]
    file = cfg["sources"]["fb"]["file"]
    assert file == f"{name}_patch16_224-{cfg['sources']['fb']['sha256']}.pth"
    assert cfg["sources"]["fb"]["url"].endswith(f"/deit/{file}")


def test_weights_of_timm_adapt_to_classes_channels_and_size(model, tmp_path):
    """The class token keeps its position; those of the patches are resampled."""
    old = values(model)
    write(tmp_path / "timm.safetensors", to_pytorch(old))
    other = VisionTransformer(**{**TINY, "num_classes": 3, "image_size": (48, 32)}, in_channels=1)
    fresh = values(other)
    load(other, tmp_path / "timm.safetensors", adapt=["num_classes", "in_channels", "image_size"])
    new = values(other)
    np.testing.assert_array_equal(new["pos_embed"][:, :1], old["pos_embed"][:, :1])
    np.testing.assert_array_equal(new["pos_embed"][:, 1:], resample(old["pos_embed"][:, 1:], (4, 4), (6, 4)))
    kernel = "patch_embed.proj.weight"
    np.testing.assert_allclose(new[kernel], old[kernel].sum(1, keepdims=True), rtol=1e-5, atol=1e-6)
    for name in old.keys() - {"pos_embed", kernel}:
        np.testing.assert_array_equal(new[name], fresh[name] if name.startswith("classifier") else old[name], name)


@pytest.mark.parametrize("layout", [dict, to_pytorch], ids=["MindCV", "PyTorch"])
def test_inspect_names_a_vit_and_its_image(layout, model, tmp_path):
    write(tmp_path / "vit.safetensors", layout(values(model)))
    lines = describe(tmp_path / "vit.safetensors", [family.checkpoints for family in families()])
    assert lines["model"] == "a ViT of width 32 with depth=2"
    assert lines["classes"] == "5"
    assert lines["image"] == "32x32, 16 patches of 8x8, 3 channels"


def test_inspect_tells_deit_from_a_convit_without_gpsa(golden):
    [convit, vit] = [family.checkpoints.identify for family in families()]
    shapes = golden.facts("deit")["deit_tiny"]["shapes"]
    weights = {name: np.empty(shape, np.float16) for name, shape in shapes.items()}
    assert (convit(weights, None), vit(weights, None)) == ("", "deit_tiny")
    weights["pos_embed"] = weights["pos_embed"][:, 1:]
    assert (convit(weights, None), vit(weights, None)) == ("convit_tiny with depth=12, local_up_to_layer=0", "")


@pytest.mark.parametrize("suffix", ["mindir", "onnx"])
def test_exported_vit_computes_the_model(suffix, model, tmp_path):
    """`export_model` runs the file and raises an error if its outputs differ."""
    if suffix == "onnx":
        pytest.importorskip("onnx")
        pytest.importorskip("onnxruntime")
    assert export_model(model, tmp_path / f"vit.{suffix}", dynamic_batch=True, **PREPARATION).stat().st_size > 1e5


def test_features_are_the_patches_after_a_block(model, images):
    states = [state.asnumpy() for state in model.hidden_states(Tensor(images))]
    backbone = Features(model, out_indices=(0, 1))
    assert backbone.feature_info.channels() == [32, 32]
    for found, state in zip(backbone(Tensor(images)), states, strict=True):
        expected = state[:, 1:].swapaxes(1, 2).reshape(2, 32, 4, 4)
        np.testing.assert_allclose(found.asnumpy(), expected, rtol=1e-5, atol=1e-5)


def test_freeze_and_layer_decay_take_the_stem_and_blocks_apart(model):
    freeze(model, "stem,blocks:0")
    frozen = {p.name for p in model.get_parameters() if not p.requires_grad}
    stem = {"cls_token", "pos_embed", "patch_embed.proj.weight", "patch_embed.proj.bias"}
    assert frozen == stem | {name for name in values(model) if name.startswith("blocks.0.")}
    groups = parameter_groups(VisionTransformer(**TINY), 1.0, 0.05, "auto", layer_decay=0.5)[:-1]
    rates = {p.name: group.get("lr", 1.0) for group in groups for p in group["params"]}
    decays = {p.name: group["weight_decay"] for group in groups for p in group["params"]}
    names = ("cls_token", "pos_embed", "blocks.0.attn.q.weight", "blocks.1.mlp.fc1.weight", "classifier.weight")
    assert [float(np.max(rates[name])) for name in names] == [0.125, 0.125, 0.25, 0.5, 1.0]
    assert [decays[name] for name in names] == [0, 0, 0.05, 0.05, 0.05]


@pytest.mark.parametrize(("level", "bound"), [("O0", 0), ("O1", 5e-3), ("O2", 5e-3), ("O3", 2e-2)])
def test_vit_in_mixed_precision_has_the_gradients_of_float32(level, bound, model, images):
    def gradients():
        parameters = model.trainable_params()
        labels = Tensor([1, 3], ms.int32)
        found = ms.grad(lambda x: ops.cross_entropy(model(x).astype(ms.float32), labels), None, parameters)(
            Tensor(images)
        )
        return np.concatenate([gradient.asnumpy().ravel() for gradient in found])

    wanted = gradients()
    set_precision(model, level)
    error = np.linalg.norm(gradients() - wanted) / np.linalg.norm(wanted)
    assert error <= bound
    assert (error > 0) == (level != "O0")


def test_flops_summary_and_info_describe_a_vit(model):
    """By hand: 17 tokens of 32 channels; the last block computes 17 keys and values for one query."""
    linear, attention = 32 * 32, 2 * 32 * 17
    first = 17 * (4 * linear + 2 * 4 * linear + attention)
    last = 2 * 17 * linear + 2 * linear + 2 * 4 * linear + attention
    assert count_flops(model) == 2 * (16 * 3 * 8 * 8 * 32 + first + last + 32 * 5)
    table = mindcv.summary(model)
    assert "(B, 17, 32)" in table
    assert f"{sum(array.size for array in values(model).values()):,}" in table
    lines = describe_model("deit_tiny")
    assert lines["blocks"] == ["12 MHSA, 3 heads of width 64, 192 channels"]
    assert lines["parameters"] == ["5,717,416"]
    assert lines["recipes"] == ["deit_tiny"]
    assert lines["weights"][0].startswith("--pretrained timm: by timm, reported Top-1 72.20 %, Top-5 91.10 %; ")


def test_attention_maps_and_rollout_are_those_of_the_equations(model, images):
    maps = attention_maps(model, images)
    flow = np.eye(17)
    for layer in maps:
        assert layer.position is None
        assert layer.mixed.shape == (2, 2, 17, 17)
        np.testing.assert_allclose(layer.mixed.sum(-1), 1, atol=1e-5)
        flow = (layer.mixed[0].mean(0, dtype=np.float64) + np.eye(17)) / 2 @ flow
    x = model.blocks[0].norm1(model.embed(Tensor(images)))
    q, k = (getattr(model.blocks[0].attn, part)(x).asnumpy().reshape(2, 17, 2, 16).swapaxes(1, 2) for part in "qk")
    scores = np.exp(q @ k.swapaxes(2, 3) / math.sqrt(16))
    np.testing.assert_allclose(maps[0].mixed, scores / scores.sum(-1, keepdims=True), rtol=1e-4, atol=1e-6)
    expected = flow[0, 1:].reshape(4, 4) / flow[0, 1:].sum()
    np.testing.assert_allclose(rollout(model, images[0]), expected, rtol=1e-5)
    assert non_locality(model, images).shape == (2, 2)


@pytest.fixture
def vit_mini(monkeypatch):
    """Register a ViT of two blocks during the test."""
    monkeypatch.setattr(registry, "_entrypoints", dict(registry._registered()))
    monkeypatch.setattr(registry, "_cfgs", dict(registry._cfgs))

    def vit_mini(pretrained=False, num_classes=1000, in_channels=3, **kwargs):
        return VisionTransformer(in_channels, num_classes, embed_dim=32, num_heads=2, depth=2, **kwargs)

    vit_mini.__module__ = vit.__name__  # of the ViT family
    registry.register_model(vit_mini)


def test_vit_trains_resumes_bit_for_bit_validates_and_predicts(vit_mini, tmp_path, run_in_process, photos):
    """With dropout, stochastic depth, moving averages, layer decay, a frozen stem and half precision."""
    shape = ["--model", "vit_mini", "--device_target", "CPU", "--mode", 1, "--patch_size", 8, "--image_resize", 16]
    shape += ["--in_channels", 1, "--mean", 0, "--std", 16, "--num_parallel_workers", 1]
    words = [*shape, "--dataset", "digits", "--num_samples", 64, "--batch_size", 32, "--epoch_size", 2, "--lr", 0.01]
    words += ["--warmup_epochs", 0, "--drop_rate", 0.1, "--attn_drop_rate", 0.1, "--drop_path_rate", 0.2, "--ema"]
    words += ["--layer_decay", 0.7, "--freeze", "stem", "--amp_level", "O2", "--val_while_train", "--val_interval", 2]
    whole = run_in_process("train", *words, "--ckpt_save_dir", tmp_path / "whole")
    assert whole.returncode == 0, whole.stderr
    parts = ["--ckpt_save_dir", tmp_path / "parts"]
    assert run_in_process("train", *words, *parts, "--steps", 1).returncode == 0
    resumed = run_in_process("train", "--resume", *parts)
    assert resumed.returncode == 0, resumed.stderr
    one, other = (mindcv.weights.read(tmp_path / run / "vit_mini-2_2.ckpt") for run in ("whole", "parts"))
    assert {"ema.pos_embed", "blocks.1.attn.k.bias"} <= one.keys()
    for name, array in one.items():
        if not name.startswith("run.options"):
            np.testing.assert_array_equal(array, other[name], err_msg=name)
    checkpoint = ["--ckpt_path", tmp_path / "whole/vit_mini-2_2.ckpt"]
    done = run_in_process("validate", *shape, "--dataset", "digits", "--use_ema", *checkpoint)
    assert "Top_1_Accuracy" in done.stdout, done.stderr
    done = run_in_process("infer", *shape, *checkpoint, "--image", photos)
    assert done.returncode == 0, done.stderr
    pytest.importorskip("matplotlib")
    assert insight.main([str(checkpoint[1]), "--out", str(tmp_path / "pictures")]) == 0
    assert {path.name for path in (tmp_path / "pictures").iterdir()} == {"attention.png", "non_locality.png"}
