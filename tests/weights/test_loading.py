import mindspore as ms
import numpy as np
import pytest
from mindspore import Parameter, Tensor

import mindcv

SMALL = {"image_size": 32, "patch_size": 16, "depth": 2, "local_up_to_layer": 1}


@pytest.fixture
def model():
    return mindcv.create_model("convit_tiny", num_classes=3, **SMALL)


def values(model):
    return {p.name: p.asnumpy() for p in model.get_parameters()}


def test_load_round_trip(model, tmp_path):
    ms.save_checkpoint(model, str(tmp_path / "a.ckpt"))
    twin = mindcv.create_model("convit_tiny", num_classes=3, checkpoint_path=str(tmp_path / "a.ckpt"), **SMALL)
    for name, value in values(model).items():
        np.testing.assert_array_equal(values(twin)[name], value)


def test_load_training_checkpoint_takes_weights_or_averages(model, tmp_path):
    averages = {f"ema.{name}": value + 1 for name, value in values(model).items()}
    contents = {**values(model), **averages, "optimizer.global_step": np.zeros(1, np.int32)}
    entries = [{"name": name, "data": Parameter(Tensor(value))} for name, value in contents.items()]
    ms.save_checkpoint(entries, str(tmp_path / "a.ckpt"))
    path = str(tmp_path / "a.ckpt")
    raw = mindcv.create_model("convit_tiny", num_classes=3, checkpoint_path=path, **SMALL)
    averaged = mindcv.create_model("convit_tiny", num_classes=3, checkpoint_path=path, ema=True, **SMALL)
    for name, value in values(model).items():
        np.testing.assert_array_equal(values(raw)[name], value)
        np.testing.assert_array_equal(values(averaged)[name], value + 1)


def test_load_other_shapes_leaves_the_model_unchanged(model, tmp_path):
    ms.save_checkpoint(model, str(tmp_path / "a.ckpt"))
    other = mindcv.create_model("convit_tiny", num_classes=7, **SMALL)
    before = values(other)
    with pytest.raises(ValueError, match=r"a.ckpt does not fit.*2 of another shape \(classifier.weight \(3, 192\)"):
        mindcv.weights.load(other, tmp_path / "a.ckpt")
    for name, value in values(other).items():
        np.testing.assert_array_equal(value, before[name])


def test_load_auto_mapping_loads_what_fits(model, tmp_path, caplog):
    ms.save_checkpoint(model, str(tmp_path / "a.ckpt"))
    options = {"checkpoint_path": str(tmp_path / "a.ckpt"), "auto_mapping": True, "adapt": ()}
    other = mindcv.create_model("convit_tiny", num_classes=7, **{**SMALL, "depth": 3}, **options)
    assert "a.ckpt fits the model in part: 13 missing (blocks.2" in caplog.text
    assert "2 of another shape (classifier.weight (3, 192), the model's is (7, 192)" in caplog.text
    for name, value in values(model).items():
        if not name.startswith("classifier"):
            np.testing.assert_array_equal(values(other)[name], value)
    assert other.classifier.weight.shape == (7, 192)


def test_create_model_default_num_classes_is_not_adapted(model, tmp_path):
    ms.save_checkpoint(model, str(tmp_path / "a.ckpt"))
    path = str(tmp_path / "a.ckpt")
    with pytest.raises(ValueError, match="num_classes is 3 in the file and 1000 in the model"):
        mindcv.create_model("convit_tiny", checkpoint_path=path, **SMALL)
    wanted = mindcv.create_model("convit_tiny", checkpoint_path=path, adapt=["num_classes"], **SMALL)
    assert wanted.classifier.weight.shape == (1000, 192)
    with pytest.raises(ValueError, match="num_classes is 3 in the file and 7 in the model"):
        mindcv.create_model("convit_tiny", num_classes=7, checkpoint_path=path, adapt=["image_size"], **SMALL)


def test_load_missing_and_unexpected_parameters_are_listed(model, tmp_path):
    ms.save_checkpoint(model, str(tmp_path / "a.ckpt"))
    deeper = {**SMALL, "depth": 3}
    with pytest.raises(ValueError, match=r"13 missing \(blocks.2"):
        mindcv.create_model("convit_tiny", num_classes=3, checkpoint_path=str(tmp_path / "a.ckpt"), **deeper)
    with pytest.raises(ValueError, match=r"1 unexpected \(pos_embed\)"):
        mindcv.create_model(
            "convit_tiny", num_classes=3, checkpoint_path=str(tmp_path / "a.ckpt"), use_pos_embed=False, **SMALL
        )


@pytest.mark.parametrize("content", [b"", b"no checkpoint at all", b"\x80\x04."])
def test_load_unreadable_file_is_named(content, tmp_path):
    (tmp_path / "bad.ckpt").write_bytes(content)
    with pytest.raises(ValueError, match=r"bad.ckpt"):
        mindcv.create_model("convit_tiny", checkpoint_path=str(tmp_path / "bad.ckpt"))


def test_load_missing_file_raises(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        mindcv.create_model("convit_tiny", checkpoint_path=str(tmp_path / "nowhere.ckpt"))


def test_load_ema_without_averages_is_refused(model, tmp_path):
    ms.save_checkpoint(model, str(tmp_path / "a.ckpt"))
    with pytest.raises(ValueError, match="no moving averages"):
        mindcv.create_model("convit_tiny", num_classes=3, checkpoint_path=str(tmp_path / "a.ckpt"), ema=True, **SMALL)
    with pytest.warns(UserWarning, match="no checkpoint_path is given"):
        mindcv.create_model("convit_tiny", ema=True, **SMALL)
