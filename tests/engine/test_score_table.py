"""The table of several checkpoints' scores."""

import csv
import json

import pytest

from mindcv.engine import score_table

SCORES = {
    "b.ckpt": {"top_1": 51.25, "top_5": 90.0, "loss": 1.23456},
    "a.ckpt": {"top_1": 50.0, "top_5": 91.0, "loss": 2.0},
}


def test_find_checkpoints_takes_files_and_the_checkpoints_of_folders_once(tmp_path):
    for name in ("b.ckpt", "a.ckpt", "c.safetensors", "notes.txt", ".a.ckpt.part"):
        (tmp_path / name).touch()
    (tmp_path / "0.ckpt").mkdir()
    expected = [str(tmp_path / name) for name in ("b.ckpt", "a.ckpt", "c.safetensors")]
    assert score_table.find_checkpoints([str(tmp_path / "b.ckpt"), str(tmp_path)]) == expected


def test_find_checkpoints_without_any_names_the_place(tmp_path):
    (tmp_path / ".hidden.ckpt").touch()
    for place in (tmp_path, tmp_path / "missing.ckpt"):
        with pytest.raises(FileNotFoundError, match=r"^ckpt_paths: no checkpoint at "):
            score_table.find_checkpoints([str(place)])


@pytest.mark.parametrize("suffix", score_table.TABLES)
def test_write_table_keeps_order_and_scores_in_every_format(suffix, tmp_path):
    path = tmp_path / f"table{suffix}"
    path.write_text("mine")
    assert not score_table.is_table(path)
    score_table.write_table(path, SCORES)
    assert score_table.is_table(path)
    text = path.read_text()
    if suffix == ".json":
        rows = json.loads(text)["checkpoints"]
        assert rows == [{"checkpoint": name, **scores} for name, scores in SCORES.items()]
    elif suffix == ".csv":
        rows = list(csv.DictReader(text.splitlines()))
        assert [(row["checkpoint"], float(row["top_1"])) for row in rows] == [("b.ckpt", 51.25), ("a.ckpt", 50.0)]
    else:
        assert text.splitlines()[2:] == ["| b.ckpt | 51.25 | 90.00 | 1.2346 |", "| a.ckpt | 50.00 | 91.00 | 2.0000 |"]
