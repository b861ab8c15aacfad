"""`create_model(features_only=True)`: the maps, their description and the removed layers."""

import numpy as np
import pytest
from mindspore import Tensor

import mindcv
from mindcv import weights

SMALL = {"image_size": (32, 24), "patch_size": 8, "embed_dim": 32, "depth": 4, "local_up_to_layer": 2}
IMAGES = Tensor(np.random.default_rng(0).standard_normal((2, 3, 32, 24)).astype(np.float32))


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A small model of seven classes, and the path of its checkpoint."""
    model = mindcv.create_model("convit_tiny", num_classes=7, **SMALL)
    path = tmp_path_factory.mktemp("saved") / "a.ckpt"
    weights.write(path, {parameter.name: parameter.asnumpy() for parameter in model.get_parameters()})
    return model, str(path)


def test_features_are_the_tokens_after_each_chosen_block(saved, both_modes):
    model, path = saved
    backbone = mindcv.create_model(
        "convit_tiny", checkpoint_path=path, features_only=True, out_indices=(0, -2, 3), **SMALL
    )
    maps = backbone(IMAGES)
    states = model.hidden_states(IMAGES)
    assert len(maps) == 3
    for found, index in zip(maps, (0, 2, 3), strict=True):
        tokens = states[index].asnumpy()[:, -12:]
        assert found.shape == (2, 32, 4, 3)
        for row in range(4):
            for col in range(3):
                np.testing.assert_allclose(
                    found[:, :, row, col].asnumpy(), tokens[:, 3 * row + col], rtol=1e-5, atol=1e-5
                )


def test_feature_info_describes_the_maps(saved):
    _, path = saved
    backbone = mindcv.create_model("convit_tiny", checkpoint_path=path, features_only=True, out_indices=2, **SMALL)
    info = backbone.feature_info
    assert info.channels() == [32, 32]
    assert info.reduction() == [8, 8]
    assert [feature_map["module"] for feature_map in info] == ["blocks.2", "blocks.3"]
    oblong = mindcv.create_model("convit_tiny", features_only=True, **{**SMALL, "patch_size": (8, 4)})
    assert oblong.feature_info.reduction() == [(8, 4)]
    assert oblong(IMAGES)[0].shape == (2, 32, 4, 6)


def test_features_drop_the_layers_after_the_last_map(saved):
    _, path = saved
    backbone = mindcv.create_model("convit_tiny", checkpoint_path=path, features_only=True, out_indices=[1], **SMALL)
    kept = {name for name in weights.read(path) if not name.startswith(("blocks.2", "blocks.3", "norm", "classifier"))}
    assert {parameter.name for parameter in backbone.get_parameters()} == kept
    assert backbone(IMAGES)[0].shape == (2, 32, 4, 3)


@pytest.mark.parametrize("out_indices", [(), (4,), (-5,), (1, 0), (1, -3), 0, 5])
def test_features_with_invalid_out_indices_raise(out_indices):
    with pytest.raises(ValueError, match=r"out_indices is .*0 to 3 or -4 to -1"):
        mindcv.create_model("convit_tiny", features_only=True, out_indices=out_indices, **SMALL)
