"""The .ckpt format against MindSpore's own reader and writer."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import Parameter, Tensor

from mindcv import weights


def save(arrays, path, **options):
    entries = [{"name": name, "data": Parameter(Tensor(array), name=name)} for name, array in arrays.items()]
    ms.save_checkpoint(entries, str(path), **options)


@pytest.mark.parametrize("crc_check", [False, True])
def test_reads_what_mindspore_writes(crc_check, some_arrays, assert_same, tmp_path):
    save(some_arrays, tmp_path / "a.ckpt", crc_check=crc_check)
    assert_same(weights.read(tmp_path / "a.ckpt"), some_arrays)


def test_mindspore_reads_what_is_written(some_arrays, assert_same, tmp_path):
    weights.write(tmp_path / "a.ckpt", some_arrays)
    found = ms.load_checkpoint(str(tmp_path / "a.ckpt"))
    assert_same({name: parameter.asnumpy() for name, parameter in found.items()}, some_arrays)


def test_text(tmp_path):
    """Names of classes and the like, as MindSpore keeps text: four bytes a letter."""
    weights.write(tmp_path / "ours.ckpt", {"run.classes": np.array("chat\nчат\n猫"), "w": np.ones(2, np.float32)})
    assert str(weights.read(tmp_path / "ours.ckpt")["run.classes"]) == "chat\nчат\n猫"
    assert ms.load_checkpoint(str(tmp_path / "ours.ckpt"))["run.classes"] == "chat\nчат\n猫"
    ms.save_checkpoint([], str(tmp_path / "theirs.ckpt"), append_dict={"note": "猫 cat", "epoch": 3})
    assert str(weights.read(tmp_path / "theirs.ckpt")["note"]) == "猫 cat"
    assert weights.read(tmp_path / "theirs.ckpt")["epoch"] == 3


def test_bfloat16_is_widened(tmp_path):
    wide = np.array([1.0, -2.5, 3.140625, 1e30], np.float32)
    save({"w": Tensor(wide, ms.bfloat16)}, tmp_path / "a.ckpt")
    expected = wide.view(np.uint32) & 0xFFFF0000
    found = weights.read(tmp_path / "a.ckpt")["w"]
    assert found.dtype == np.float32
    assert np.abs(found.view(np.uint32).astype(np.int64) - expected).max() <= 1 << 16  # one unit of bfloat16
    np.testing.assert_array_equal(found[:3], wide[:3])


def test_a_tensor_in_slices(monkeypatch, assert_same, tmp_path):
    """MindSpore cuts large tensors; here it takes 4 KiB for large."""
    monkeypatch.setattr("mindspore.train.serialization.SLICE_SIZE", 4)
    arrays = {"w": np.random.default_rng(0).standard_normal((50, 100)).astype(np.float32), "b": np.ones(3, np.float32)}
    save(arrays, tmp_path / "a.ckpt")
    assert (tmp_path / "a.ckpt").read_bytes().count(b"\x0a\x01w") == 5
    assert_same(weights.read(tmp_path / "a.ckpt"), arrays)


def test_a_flipped_bit_under_a_crc(some_arrays, tmp_path):
    save(some_arrays, tmp_path / "a.ckpt", crc_check=True)
    damaged = bytearray((tmp_path / "a.ckpt").read_bytes())
    damaged[damaged.index(some_arrays["norm.gamma"].tobytes())] ^= 1
    (tmp_path / "b.ckpt").write_bytes(damaged)
    with pytest.raises(ValueError, match=r"b.ckpt.*CRC"):
        weights.read(tmp_path / "b.ckpt")


def test_types_that_it_cannot_hold(tmp_path):
    with pytest.raises(ValueError, match="w has the type complex128"):
        weights.write(tmp_path / "a.ckpt", {"w": np.ones(2, complex)})
    assert list(tmp_path.iterdir()) == []
