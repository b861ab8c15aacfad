"""The command `mindcv average`."""

import json

import numpy as np
import pytest

from mindcv import weights
from mindcv.cli import average
from mindcv.weights.read import read


@pytest.fixture
def run_of_three(tmp_path):
    """Return the folder of a run with checkpoints after epochs 1 to 3, of 10 steps, whose weights are 1, 2 and 6."""
    records = []
    for epoch, value, top_1 in ((1, 1, 30.0), (2, 2, 10.0), (3, 6, 20.0)):
        weight = np.full(2, value, np.float32)
        arrays = {"head.weight": weight, "ema.head.weight": -weight, "run.class_names": np.array('["a", "b"]')}
        weights.write(tmp_path / f"convit_tiny-{epoch}_10.ckpt", arrays)
        records.append({"epoch": epoch, "step": 10 * epoch, "top_1": top_1})
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    return tmp_path


CASES = {
    "given": (["convit_tiny-1_10.ckpt", "convit_tiny-2_10.ckpt"], [], 1.5),
    "averages": (["convit_tiny-1_10.ckpt", "convit_tiny-2_10.ckpt"], ["--ema"], -1.5),
    "best": ([""], ["--best", "2"], 3.5),  # epochs 1 and 3
}


@pytest.mark.parametrize("case", CASES)
def test_average_writes_the_mean_of_the_weights(case, run_of_three, tmp_path, capsys):
    names, words, expected = CASES[case]
    out = tmp_path / "mean.ckpt"
    for _ in range(2):  # its own file is replaced
        assert average.main([*(str(run_of_three / name) for name in names), str(out), *words]) == 0
    contents = read(out)
    np.testing.assert_array_equal(contents["head.weight"], np.full(2, expected))
    assert contents["head.weight"].dtype == np.float32
    assert contents["run.class_names"] == '["a", "b"]'
    assert "ema.head.weight" not in contents
    assert capsys.readouterr().out.startswith(f"{out}: the mean of 1 tensors of ")


MISTAKES = {
    "one": (["convit_tiny-1_10.ckpt"], "mean.ckpt", [], "wanted two or more"),
    "too many": ([""], "mean.ckpt", ["--best", "4"], "--best 4: "),
    "no folder": (["convit_tiny-1_10.ckpt"], "mean.ckpt", ["--best", "2"], "--best takes the folder of one run"),
    "suffix": (["convit_tiny-1_10.ckpt", "convit_tiny-2_10.ckpt"], "mean.pth", [], "wanted a name that ends in .ckpt"),
    "taken": (["convit_tiny-1_10.ckpt", "convit_tiny-2_10.ckpt"], "convit_tiny-3_10.ckpt", [], "is not a mean of"),
    "shape": (["convit_tiny-1_10.ckpt", "wide.ckpt"], "mean.ckpt", [], "wide.ckpt has other weights than"),
    "not finite": (
        ["convit_tiny-1_10.ckpt", "diverged.ckpt"], "mean.ckpt", [],
        "diverged.ckpt: head.weight holds NaN or infinite values",
    ),
    "classes": (["convit_tiny-1_10.ckpt", "cats.ckpt"], "mean.ckpt", [], "cats.ckpt has other classes than"),
}  # fmt: skip


@pytest.mark.parametrize("case", MISTAKES)
def test_average_mistake_is_one_line_and_writes_nothing(case, run_of_three, capsys):
    names = np.array('["a", "b"]')
    weights.write(run_of_three / "wide.ckpt", {"head.weight": np.zeros(3, np.float32), "run.class_names": names})
    cats = {"head.weight": np.zeros(2, np.float32), "run.class_names": np.array('["c", "d"]')}
    weights.write(run_of_three / "cats.ckpt", cats)
    diverged = {"head.weight": np.array([1, np.inf], np.float32), "run.class_names": names}
    weights.write(run_of_three / "diverged.ckpt", diverged)
    sources, target, words, message = MISTAKES[case]
    before = {path: path.read_bytes() for path in run_of_three.iterdir()}
    assert average.main([*(str(run_of_three / name) for name in sources), str(run_of_three / target), *words]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert {path: path.read_bytes() for path in run_of_three.iterdir()} == before
