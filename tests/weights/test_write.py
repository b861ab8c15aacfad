import errno
import os

import numpy as np
import pytest

from mindcv import weights
from mindcv.weights.digest import digest

FORMATS = ["ckpt", "safetensors"]


@pytest.mark.parametrize("suffix", FORMATS)
def test_write_round_trip(suffix, some_arrays, assert_same, tmp_path):
    weights.write(tmp_path / f"a.{suffix}", some_arrays)
    assert_same(weights.read(tmp_path / f"a.{suffix}"), some_arrays)
    assert [path.name for path in tmp_path.iterdir()] == [f"a.{suffix}"]


@pytest.mark.parametrize("suffix", FORMATS)
def test_write_fortran_order(suffix, assert_same, tmp_path):
    array = np.arange(12, dtype=np.float32).reshape(3, 4).T
    weights.write(tmp_path / f"a.{suffix}", {"w": array})
    assert_same(weights.read(tmp_path / f"a.{suffix}"), {"w": array})


@pytest.mark.parametrize("suffix", FORMATS)
def test_read_finds_every_damage(suffix, some_arrays, assert_same, tmp_path):
    """A flipped bit anywhere, or a cut at any byte, is an error or leaves the contents unchanged."""
    weights.write(tmp_path / f"a.{suffix}", some_arrays)
    intact = (tmp_path / f"a.{suffix}").read_bytes()
    cuts = [intact[:size] for size in range(len(intact))]
    flips = [bytes([*intact[:at], intact[at] ^ 1 << at % 8, *intact[at + 1 :]]) for at in range(len(intact))]
    refused = 0
    for damaged in cuts + flips:
        (tmp_path / "b").write_bytes(damaged)
        try:
            assert_same(weights.read(tmp_path / "b"), some_arrays)
        except ValueError as error:
            assert str(tmp_path / "b") in str(error)
            assert "\n" not in str(error)
            refused += 1
    # The few that are read do not affect the contents: a space in a header, the name of the digest.
    assert refused >= len(cuts) + 0.95 * len(flips)


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("failing", ["fsync", "replace"])
def test_write_that_fails_leaves_the_old_file(suffix, failing, some_arrays, monkeypatch, assert_same, tmp_path):
    path = tmp_path / f"a.{suffix}"
    weights.write(path, some_arrays)

    def fail(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, failing, fail)
    with pytest.raises(OSError, match=rf"cannot write .*a.{suffix}: No space left"):
        weights.write(path, {"other": np.zeros(3, np.float32)})
    monkeypatch.undo()
    assert_same(weights.read(path), some_arrays)
    assert [path.name for path in tmp_path.iterdir()] == [f"a.{suffix}"]


def test_write_flushes_before_renaming(some_arrays, monkeypatch, tmp_path):
    calls = []
    for name in ("fsync", "replace"):
        real = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *a, real=real, name=name: (calls.append(name), real(*a)))
    weights.write(tmp_path / "a.ckpt", some_arrays)
    assert calls == ["fsync", "replace", "fsync"]


def test_write_wrong_arguments_are_refused(some_arrays, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no folder .*nowhere"):
        weights.write(tmp_path / "nowhere" / "a.ckpt", some_arrays)
    with pytest.raises(ValueError, match=r"'.pth'; weights are written to .ckpt or .safetensors"):
        weights.write(tmp_path / "a.pth", some_arrays)
    with pytest.raises(ValueError, match="names is text"):
        weights.write(tmp_path / "a.safetensors", {"names": np.array("a")})


def test_digest_depends_on_names_dtypes_shapes_and_values():
    array = np.arange(6, dtype=np.float32)
    same = digest({"a": array, "b": array})
    assert same == digest({"b": array.copy(), "a": array})
    others = [
        {"a": array, "c": array},
        {"a": array, "b": array.reshape(2, 3)},
        {"a": array, "b": array.view(np.int32)},
        {"a": array, "b": array + 1},
        {"a": array},
    ]
    assert same not in map(digest, others)
