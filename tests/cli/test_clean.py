"""The command `mindcv clean`."""

from hashlib import sha256

import numpy as np
import pytest

from mindcv import weights
from mindcv.cli import clean
from mindcv.weights.read import read


@pytest.fixture
def checkpoint(tmp_path):
    """Return the path of a training checkpoint with weights, averages, a slot and class names."""
    weight = np.arange(4, dtype=np.float32)
    arrays = {
        "head.weight": weight, "ema.head.weight": weight + 1, "optimizer.moments.head.weight": weight,
        "run.class_names": np.array('["a", "b"]'), "run.epoch": np.array(3, np.int32),
    }  # fmt: skip
    weights.write(tmp_path / "run.ckpt", arrays)
    return tmp_path / "run.ckpt"


@pytest.mark.parametrize(("words", "added"), [([], 0), (["--ema"], 1)])
def test_clean_writes_weights_alone_with_the_digest_in_the_name(words, added, checkpoint, tmp_path, capsys):
    assert clean.main([str(checkpoint), str(tmp_path / "model.ckpt"), *words]) == 0
    [written] = tmp_path.glob("model-*.ckpt")
    assert capsys.readouterr().out == f"{written}\n"
    assert written.stem == "model-" + sha256(written.read_bytes()).hexdigest()[:8]
    contents = read(written)
    assert contents.keys() == {"head.weight", "run.class_names"}
    np.testing.assert_array_equal(contents["head.weight"], np.arange(4) + added)
    assert sorted(path.name for path in tmp_path.iterdir()) == [written.name, "run.ckpt"]


def test_clean_to_another_format_or_place_is_one_line_and_writes_nothing(checkpoint, tmp_path, capsys):
    for target, message in (("model.pth", "wanted a name that ends in .ckpt or .safetensors"), ("no/m.ckpt", "no")):
        assert clean.main([str(checkpoint), str(tmp_path / target)]) == 2
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["run.ckpt"]


def test_clean_leaves_hidden_files_beside_it_alone(checkpoint, tmp_path):
    (tmp_path / ".model.ckpt").write_text("mine")
    assert clean.main([str(checkpoint), str(tmp_path / "model.ckpt")]) == 0
    assert (tmp_path / ".model.ckpt").read_text() == "mine"


def test_clean_of_weights_that_are_not_finite_names_the_first(tmp_path, capsys):
    arrays = {"head.bias": np.zeros(2, np.float32), "head.weight": np.array([1, np.nan], np.float32)}
    weights.write(tmp_path / "diverged.ckpt", arrays)
    assert clean.main([str(tmp_path / "diverged.ckpt"), str(tmp_path / "model.ckpt")]) == 2
    error = f"mindcv clean: checkpoint {tmp_path}/diverged.ckpt: head.weight holds NaN or infinite values: "
    assert capsys.readouterr().err.startswith(error)
    assert [path.name for path in tmp_path.iterdir()] == ["diverged.ckpt"]
