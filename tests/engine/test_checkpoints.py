import numpy as np
import pytest

from mindcv import weights
from mindcv.engine.checkpoints import CheckpointManager, TrainPosition, require_free_names


def names(folder):
    """Return the names of the files in `folder`, sorted."""
    return sorted(path.name for path in folder.iterdir())


ARRAYS = {"x": np.arange(3.0)}


def save_all(checkpoints, scores):
    """Save and rate a checkpoint for each score, and return the names of the files that are left."""
    for epoch, score in enumerate(scores, 1):
        checkpoints.save(ARRAYS, TrainPosition(epoch, 44))
        checkpoints.rate(score)
    return names(checkpoints.folder)


def test_require_free_names_refuses_a_folder_named_like_a_checkpoint(tmp_path):
    (tmp_path / "convit_tiny-1_3.ckpt").touch()
    (tmp_path / "convit_small-2_3.ckpt").mkdir()
    require_free_names(tmp_path, "convit_tiny")
    with pytest.raises(IsADirectoryError, match=r"convit_small-2_3\.ckpt is a folder, and checkpoints have such names"):
        require_free_names(tmp_path, "convit_small")


def test_save_with_latest_k_keeps_the_newest(tmp_path):
    checkpoints = CheckpointManager(tmp_path / "new" / "folder", "convit_tiny", "latest_k", 2)
    assert save_all(checkpoints, [50.0, 90.0, 10.0]) == ["convit_tiny-2_44.ckpt", "convit_tiny-3_44.ckpt"]


def test_save_with_top_k_keeps_the_best_and_the_newest(tmp_path):
    checkpoints = CheckpointManager(tmp_path, "convit_tiny", "top_k", 2)
    assert save_all(checkpoints, [50.0, 90.0, 60.0, 10.0]) == ["convit_tiny-2_44.ckpt", "convit_tiny-4_44.ckpt"]


def test_save_without_a_policy_keeps_all(tmp_path):
    checkpoints = CheckpointManager(tmp_path, "convit_tiny", None, 1)
    assert save_all(checkpoints, [50.0, 90.0, 10.0]) == [f"convit_tiny-{epoch}_44.ckpt" for epoch in (1, 2, 3)]


def test_save_of_weights_that_are_not_finite_fails_and_writes_nothing(tmp_path):
    checkpoints = CheckpointManager(tmp_path, "convit_tiny", "latest_k", 1)
    checkpoints.save(ARRAYS, TrainPosition(1, 44))
    with pytest.raises(FloatingPointError, match=r"x is not finite after step 3 of epoch 2.*--resume"):
        checkpoints.save({"x": np.array([1.0, np.inf])}, TrainPosition(2, 3))
    assert names(tmp_path) == ["convit_tiny-1_44.ckpt"]


def test_save_best_writes_only_a_higher_score(tmp_path):
    checkpoints = CheckpointManager(tmp_path, "convit_tiny", "latest_k", 2)
    assert checkpoints.save_best(ARRAYS, 50.0)
    assert not checkpoints.save_best({"x": np.zeros(3)}, 50.0)
    np.testing.assert_array_equal(weights.read(tmp_path / "best.ckpt")["x"], ARRAYS["x"])
    assert checkpoints.save_best(ARRAYS, 51.0)


def test_save_best_without_arrays_links_the_newest_checkpoint(tmp_path):
    checkpoints = CheckpointManager(tmp_path, "convit_tiny", "latest_k", 1)
    for epoch, score in ((1, 50.0), (2, 40.0), (3, 60.0)):
        checkpoints.save({"x": np.full(3, score)}, TrainPosition(epoch, 44))
        checkpoints.save_best({}, score)
    assert names(tmp_path) == ["best.ckpt", "convit_tiny-3_44.ckpt"]
    checkpoints.save({"x": np.zeros(3)}, TrainPosition(4, 44))
    assert weights.read(tmp_path / "best.ckpt")["x"][0] == 60.0
