import mindspore as ms
import numpy as np
import pytest

from mindcv.engine import checkpoints
from mindcv.engine.checkpoints import Keeper, write


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_latest_k(small_model, tmp_path):
    keeper = Keeper(tmp_path / "new" / "folder", "convit_tiny", "latest_k", 2)
    for epoch, score in enumerate([50.0, 90.0, 10.0], 1):
        keeper.save(small_model(), epoch, 44, score)
    assert names(keeper.folder) == ["convit_tiny-2_44.ckpt", "convit_tiny-3_44.ckpt"]


def test_top_k(small_model, tmp_path):
    keeper = Keeper(tmp_path, "convit_tiny", "top_k", 2)
    for epoch, score in enumerate([50.0, 90.0, 10.0], 1):
        keeper.save(small_model(), epoch, 44, score)
    assert names(tmp_path) == ["convit_tiny-1_44.ckpt", "convit_tiny-2_44.ckpt"]


def test_best(small_model, tmp_path):
    keeper = Keeper(tmp_path, "convit_tiny", "latest_k", 2)
    model = small_model()
    assert keeper.save_best(model, 50.0)
    model.cls_token.set_data(model.cls_token + 1)
    assert not keeper.save_best(model, 50.0)
    saved = ms.load_checkpoint(str(tmp_path / "best.ckpt"))["cls_token"].asnumpy()
    np.testing.assert_allclose(saved + 1, model.cls_token.asnumpy(), rtol=1e-6)
    assert keeper.save_best(model, 51.0)


def test_a_checkpoint_appears_only_when_whole(small_model, tmp_path, monkeypatch):
    path = tmp_path / "a.ckpt"
    write(small_model(), path)
    whole = path.read_bytes()

    def torn(cell, name):
        with open(name, "wb") as file:
            file.write(b"half")
        raise RuntimeError("no space left")

    monkeypatch.setattr(checkpoints.ms, "save_checkpoint", torn)
    with pytest.raises(OSError, match=r"a\.ckpt: no space left"):
        write(small_model(), path)
    assert path.read_bytes() == whole
    assert names(tmp_path) == ["a.ckpt"]
