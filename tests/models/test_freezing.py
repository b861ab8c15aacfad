"""`freeze`: which parameters stop training, and that they stay as they are."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor

import mindcv
from mindcv.loss import create_loss
from mindcv.models import freeze

SMALL = {"image_size": 16, "patch_size": 8, "embed_dim": 16, "depth": 4, "local_up_to_layer": 2, "num_classes": 3}


@pytest.fixture
def model():
    return mindcv.create_model("convit_tiny", **SMALL)


def trainable_parts(model):
    """The parts of the model that have trainable parameters: "blocks.0", "norm", …"""
    return {".".join(p.name.split(".")[: 2 if p.name.startswith("blocks") else 1]) for p in model.trainable_params()}


ALL = {"cls_token", "pos_embed", "patch_embed", "blocks.0", "blocks.1", "blocks.2", "blocks.3", "norm", "classifier"}
PARTS = {
    "stem": ALL - {"cls_token", "pos_embed", "patch_embed"},
    "blocks:1": ALL - {"blocks.1"},
    "blocks:0-2": ALL - {"blocks.0", "blocks.1", "blocks.2"},
    "backbone": {"classifier"},
    "stem,blocks:2-3": ALL - {"cls_token", "pos_embed", "patch_embed", "blocks.2", "blocks.3"},
}


@pytest.mark.parametrize("parts", PARTS)
def test_freeze_part_leaves_the_others_trainable(parts, model):
    freeze(model, parts)
    assert trainable_parts(model) == PARTS[parts]


@pytest.mark.parametrize(
    ("part", "frozen"), [("gates", {"gating_param"}), ("gpsa", {"gating_param", "pos_proj", "q", "k", "v", "proj"})]
)
def test_freeze_part_of_convit_freezes_only_parameters_of_gpsa(part, frozen, model):
    before = {p.name for p in model.trainable_params()}
    freeze(model, part)
    names = before - {p.name for p in model.trainable_params()}
    assert {name.split(".")[1] for name in names} == {"0", "1"}, "the GPSA blocks"
    assert {name.split(".")[3] for name in names} == frozen
    assert all(name.split(".")[2] == "attn" for name in names)


def test_freeze_part_that_the_model_lacks_raises():
    model = mindcv.create_model("convit_tiny", **{**SMALL, "local_up_to_layer": 0})
    for part in ("gates", "gpsa"):
        with pytest.raises(ValueError, match=f"freeze: this model has no {part}: leave it out"):
            freeze(model, part)


def test_freeze_none_changes_nothing(model):
    freeze(model, None)
    assert trainable_parts(model) == ALL


@pytest.mark.parametrize("part", ["head", "blocks", "blocks:4", "blocks:2-1", "blocks:-1", "stem "])
def test_freeze_unknown_part_raises_and_changes_nothing(part, model):
    with pytest.raises(ValueError, match="freeze: got '"):
        freeze(model, ["stem", part])
    assert trainable_parts(model) == ALL


def test_freeze_everything_raises():
    model = mindcv.create_model("convit_tiny", **{**SMALL, "num_classes": 0})
    with pytest.raises(ValueError, match="freeze backbone leaves nothing to train"):
        freeze(model, ["backbone"])


def test_freeze_keeps_parameters_bit_identical_and_without_optimizer_state(model):
    freeze(model, ["stem", "blocks:0-1"])
    optimizer = mindcv.create_optimizer(model, "adamw", lr=0.1, weight_decay=0.1)
    frozen = {p.name for p in model.get_parameters()} - {p.name for p in model.trainable_params()}
    assert "blocks.1.attn.q.weight" in frozen
    held = {name.split(".", 1)[-1] for name in optimizer.state_parameters()}
    assert not held & frozen
    assert "blocks.2.attn.q.weight" in held
    before = {p.name: p.asnumpy().copy() for p in model.get_parameters()}
    loss = create_loss("CE")
    gradients_of = ms.value_and_grad(lambda x, y: loss(model(x), y), None, optimizer.parameters)
    rng = np.random.default_rng(0)
    images, labels = Tensor(rng.standard_normal((2, 3, 16, 16)).astype(np.float32)), Tensor([0, 2], ms.int32)
    for _ in range(2):
        optimizer(gradients_of(images, labels)[1])
    for parameter in model.get_parameters():
        changed = not np.array_equal(parameter.asnumpy(), before[parameter.name])
        assert changed == (parameter.name not in frozen), parameter.name
