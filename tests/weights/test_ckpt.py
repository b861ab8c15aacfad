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
def test_read_ckpt_written_by_mindspore(crc_check, some_arrays, assert_same, tmp_path):
    save(some_arrays, tmp_path / "a.ckpt", crc_check=crc_check)
    assert_same(weights.read(tmp_path / "a.ckpt"), some_arrays)


def test_write_ckpt_is_read_by_mindspore(some_arrays, assert_same, tmp_path):
    weights.write(tmp_path / "a.ckpt", some_arrays)
    found = ms.load_checkpoint(str(tmp_path / "a.ckpt"))
    assert_same({name: parameter.asnumpy() for name, parameter in found.items()}, some_arrays)


def test_ckpt_text_round_trips_with_mindspore(tmp_path):
    """MindSpore stores text in UTF-32."""
    weights.write(tmp_path / "ours.ckpt", {"run.classes": np.array("chat\nчат\n猫"), "w": np.ones(2, np.float32)})
    assert str(weights.read(tmp_path / "ours.ckpt")["run.classes"]) == "chat\nчат\n猫"
    assert ms.load_checkpoint(str(tmp_path / "ours.ckpt"))["run.classes"] == "chat\nчат\n猫"
    ms.save_checkpoint([], str(tmp_path / "mindspore.ckpt"), append_dict={"note": "猫 cat", "epoch": 3})
    assert str(weights.read(tmp_path / "mindspore.ckpt")["note"]) == "猫 cat"
    assert weights.read(tmp_path / "mindspore.ckpt")["epoch"] == 3


def test_read_ckpt_bfloat16_becomes_float32(tmp_path):
    values = np.array([1.0, -2.5, 3.140625, 1e30], np.float32)
    save({"w": Tensor(values, ms.bfloat16)}, tmp_path / "a.ckpt")
    expected = values.view(np.uint32) & 0xFFFF0000
    found = weights.read(tmp_path / "a.ckpt")["w"]
    assert found.dtype == np.float32
    assert np.abs(found.view(np.uint32).astype(np.int64) - expected).max() <= 1 << 16  # one unit of bfloat16
    np.testing.assert_array_equal(found[:3], values[:3])


def test_read_ckpt_joins_slices(monkeypatch, assert_same, tmp_path):
    """MindSpore splits large tensors; here those above 4 KiB."""
    monkeypatch.setattr("mindspore.train.serialization.SLICE_SIZE", 4)
    arrays = {"w": np.random.default_rng(0).standard_normal((50, 100)).astype(np.float32), "b": np.ones(3, np.float32)}
    save(arrays, tmp_path / "a.ckpt")
    assert (tmp_path / "a.ckpt").read_bytes().count(b"\x0a\x01w") == 5
    assert_same(weights.read(tmp_path / "a.ckpt"), arrays)


def test_read_ckpt_with_wrong_crc_raises(some_arrays, tmp_path):
    save(some_arrays, tmp_path / "a.ckpt", crc_check=True)
    damaged = bytearray((tmp_path / "a.ckpt").read_bytes())
    damaged[damaged.index(some_arrays["norm.gamma"].tobytes())] ^= 1
    (tmp_path / "b.ckpt").write_bytes(damaged)
    with pytest.raises(ValueError, match=r"b.ckpt.*CRC"):
        weights.read(tmp_path / "b.ckpt")


def test_write_ckpt_of_unsupported_dtype_raises(tmp_path):
    with pytest.raises(ValueError, match="w has the type complex128"):
        weights.write(tmp_path / "a.ckpt", {"w": np.ones(2, complex)})
    assert list(tmp_path.iterdir()) == []
