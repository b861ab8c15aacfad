"""Formats recognised by contents, and files that are damaged or not checkpoints."""

import errno
import io
import json
import os
import pickle
import sys
import zipfile
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
import safetensors.numpy
from mindspore import Parameter, Tensor

from mindcv import weights
from mindcv.weights.digest import digest
from mindcv.weights.read import DamagedCheckpoint


class Bomb:
    """Creates a folder when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_read_ignores_the_suffix(some_arrays, assert_same, tmp_path):
    weights.write(tmp_path / "a.ckpt", some_arrays)
    weights.write(tmp_path / "b.safetensors", some_arrays)
    (tmp_path / "a.ckpt").rename(tmp_path / "a.safetensors")
    (tmp_path / "b.safetensors").rename(tmp_path / "b.pth")
    assert_same(weights.read(tmp_path / "a.safetensors"), some_arrays)
    assert_same(weights.read(str(tmp_path / "b.pth")), some_arrays)


def test_read_ckpt_with_a_brace_in_its_digest(assert_same, tmp_path):
    """Byte 8, a brace in .safetensors, is part of the digest in .ckpt."""
    arrays = next(a for a in ({"w": np.array([i])} for i in range(10_000)) if bytes.fromhex(digest(a))[5:6] == b"{")
    weights.write(tmp_path / "a.ckpt", arrays)
    assert (tmp_path / "a.ckpt").read_bytes()[8:9] == b"{"
    assert_same(weights.read(tmp_path / "a.ckpt"), arrays)


def test_read_safetensors_of_other_programs(some_arrays, assert_same, tmp_path):
    safetensors.numpy.save_file(some_arrays, tmp_path / "plain.safetensors", metadata={"format": "pt"})
    assert_same(weights.read(tmp_path / "plain.safetensors"), some_arrays)
    entries = [{"name": name, "data": Parameter(Tensor(array), name=name)} for name, array in some_arrays.items()]
    ms.save_checkpoint(entries, str(tmp_path / "ms.safetensors"), format="safetensors")
    assert_same(weights.read(tmp_path / "ms.safetensors"), some_arrays)


def test_read_safetensors_with_null_metadata(tmp_path):
    header = json.dumps({"__metadata__": None, "w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    (tmp_path / "a").write_bytes(len(header).to_bytes(8, "little") + header + np.float32(3).tobytes())
    assert weights.read(tmp_path / "a")["w"].tolist() == [3]


def test_read_zip_with_any_bit_changed_names_the_file(tmp_path):
    path = tmp_path / "a.pth"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/data.pkl", bytes(50))
        archive.writestr("a/data/0", bytes(50))
    data = path.read_bytes()
    for i in range(4, len(data)):
        changed = bytearray(data)
        changed[i] ^= 1 << i % 8
        path.write_bytes(changed)
        with pytest.raises(DamagedCheckpoint, match=rf"^cannot read the checkpoint {path}: \S[^\n]*$"):
            weights.read(path)


def test_read_safetensors_bfloat16_becomes_float32(tmp_path):
    header = json.dumps({"w": {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}}).encode()
    halves = np.array([0x3F80, 0xC020], np.uint16)  # 1.0 and -2.5
    (tmp_path / "a").write_bytes(len(header).to_bytes(8, "little") + header + halves.tobytes())
    found = weights.read(tmp_path / "a")["w"]
    assert found.dtype == np.float32
    assert found.tolist() == [1.0, -2.5]


@pytest.mark.parametrize("suffix", ["ckpt", "safetensors"])
def test_read_returns_aligned_arrays(suffix, some_arrays, tmp_path):
    for shift in range(8):  # numbers begin at any byte of the file
        weights.write(tmp_path / f"a.{suffix}", {f"{'x' * shift}{name}": a for name, a in some_arrays.items()})
        found = weights.read(tmp_path / f"a.{suffix}")
        assert not [name for name, array in found.items() if not array.flags.aligned]


def npz():
    file = io.BytesIO()
    np.savez(file, w=np.ones(3))
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"no checkpoint at all", "damaged, or not a MindSpore"),
        (b"<!DOCTYPE html><html><body>Not found</body></html>", "damaged, or not a MindSpore"),
        (b"\xff" * 100, "damaged, or not a MindSpore"),
        (b"PK\x03\x04 and no more", "damaged zip"),
        (npz(), "not a PyTorch file"),
        (safetensors.numpy.save({}), "holds no tensors"),
        (safetensors.numpy.save({"w": np.ones(9)})[:-1], "cannot read"),
        (b"\x08\x00\x00\x00\x00\x00\x00\x00{[not js", "cannot read"),
    ],
    ids=["empty", "text", "html", "ones", "zip", "npz", "hollow", "cut", "header"],
)
def test_read_file_that_is_not_a_checkpoint_raises(content, message, tmp_path):
    (tmp_path / "bad.ckpt").write_bytes(content)
    with pytest.raises(ValueError, match=message) as error:
        weights.read(tmp_path / "bad.ckpt")
    assert "bad.ckpt" in str(error.value)
    assert "\n" not in str(error.value)


def test_read_file_that_the_disk_cannot_read_raises(tmp_path, monkeypatch):
    weights.write(tmp_path / "a.ckpt", {"w": np.ones(2)})

    def bad_sector(_):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(Path, "read_bytes", bad_sector)
    with pytest.raises(weights.DamagedCheckpoint, match="cannot be read: Input/output error"):
        weights.read(tmp_path / "a.ckpt")


def test_read_missing_file_raises(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        weights.read(tmp_path / "nowhere.ckpt")
    with pytest.raises(FileNotFoundError, match=str(tmp_path)):
        weights.read(tmp_path)


def pickled(tree):
    """Return a pickle in the zip archive that torch.save writes."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(tree, protocol=2))
        archive.writestr("archive/version", "3\n")
    return file.getvalue()


@pytest.mark.parametrize("wrap", [pickle.dumps, pickled], ids=["plain", "archive"])
@pytest.mark.parametrize("installed", [False, True], ids=["without torch", "with torch"])
def test_read_pickle_runs_no_code(wrap, installed, monkeypatch, tmp_path):
    if installed:
        pytest.importorskip("torch")
    else:
        monkeypatch.setitem(sys.modules, "torch", None)
    (tmp_path / "bomb.pth").write_bytes(wrap({"model": Bomb(tmp_path / "exploded")}))
    with pytest.raises(ValueError, match=r"bomb.pth.*" + ("could run code" if installed else "pip install torch")):
        weights.read(tmp_path / "bomb.pth")
    assert not (tmp_path / "exploded").exists()
    pickle.loads(pickle.dumps(Bomb(tmp_path / "exploded")))
    assert (tmp_path / "exploded").exists()
