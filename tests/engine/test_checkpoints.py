import numpy as np
import pytest

from mindcv import weights
from mindcv.engine.checkpoints import CheckpointManager, TrainPosition
from mindcv.engine.train_state import model_entries


def names(folder):
    return sorted(path.name for path in folder.iterdir())


ARRAYS = {"x": np.arange(3.0)}


def save_all(checkpoints, scores):
    for epoch, score in enumerate(scores, 1):
        checkpoints.save(ARRAYS, TrainPosition(epoch, 44))
        checkpoints.rate(score)
    return names(checkpoints.folder)


def test_latest_k(tmp_path):
    checkpoints = CheckpointManager(tmp_path / "new" / "folder", "convit_tiny", "latest_k", 2)
    assert save_all(checkpoints, [50.0, 90.0, 10.0]) == ["convit_tiny-2_44.ckpt", "convit_tiny-3_44.ckpt"]


def test_top_k_keeps_the_newest_too(tmp_path):
    checkpoints = CheckpointManager(tmp_path, "convit_tiny", "top_k", 2)
    assert save_all(checkpoints, [50.0, 90.0, 60.0, 10.0]) == ["convit_tiny-2_44.ckpt", "convit_tiny-4_44.ckpt"]


def test_weights_that_are_not_finite_are_not_saved(tmp_path):
    checkpoints = CheckpointManager(tmp_path, "convit_tiny", "latest_k", 1)
    checkpoints.save(ARRAYS, TrainPosition(1, 44))
    with pytest.raises(FloatingPointError, match=r"x is not finite after step 3 of epoch 2.*--resume"):
        checkpoints.save({"x": np.array([1.0, np.inf])}, TrainPosition(2, 3))
    assert names(tmp_path) == ["convit_tiny-1_44.ckpt"]


def test_best(tmp_path):
    checkpoints = CheckpointManager(tmp_path, "convit_tiny", "latest_k", 2)
    assert checkpoints.save_best(ARRAYS, 50.0)
    assert not checkpoints.save_best({"x": np.zeros(3)}, 50.0)
    np.testing.assert_array_equal(weights.read(tmp_path / "best.ckpt")["x"], ARRAYS["x"])
    assert checkpoints.save_best(ARRAYS, 51.0)


def test_the_best_is_the_checkpoint_saved_last(tmp_path):
    checkpoints = CheckpointManager(tmp_path, "convit_tiny", "latest_k", 1)
    for epoch, score in ((1, 50.0), (2, 40.0), (3, 60.0)):
        checkpoints.save({"x": np.full(3, score)}, TrainPosition(epoch, 44))
        checkpoints.save_best({}, score)
    assert names(tmp_path) == ["best.ckpt", "convit_tiny-3_44.ckpt"]
    checkpoints.save({"x": np.zeros(3)}, TrainPosition(4, 44))
    assert weights.read(tmp_path / "best.ckpt")["x"][0] == 60.0


def test_a_checkpoint_makes_the_model_again(small_model, tmp_path):
    model = small_model(image_size=(16, 8))
    weights.write(tmp_path / "a.ckpt", model_entries(model, ["cat", "dog"]))
    assert weights.classes_in(tmp_path / "a.ckpt") == (7, ["cat", "dog"])
    twin = small_model(image_size=(16, 8))
    for parameter in twin.get_parameters():
        parameter.set_data(parameter * 0)
    weights.load(twin, tmp_path / "a.ckpt")
    for one, other in zip(model.get_parameters(), twin.get_parameters(), strict=True):
        np.testing.assert_array_equal(one.asnumpy(), other.asnumpy())


def test_a_checkpoint_of_others_names_no_classes(small_model, tmp_path):
    weights.write(tmp_path / "a.ckpt", {p.name: p.asnumpy() for p in small_model().get_parameters()})
    assert weights.classes_in(tmp_path / "a.ckpt").names is None
