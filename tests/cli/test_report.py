"""The command `mindcv report`."""

import json
from pathlib import Path

import pytest
from PIL import Image

from mindcv.cli.report import main, plot_curves, read_run


@pytest.fixture
def runs(tmp_path):
    """Two runs: three epochs with validation, and two epochs without it and with an incomplete last line."""
    records = [
        {"epoch": n + 1, "loss": 2.5 - n, "val_loss": 2.0 - n / 2, "top_1": (10.0, 62.5, 50.0)[n], "top_5": 90.0}
        for n in range(3)
    ]
    for name, lines in (("a", records), ("b", [{"epoch": n, "loss": 1.0, "top_1": None} for n in (1, 2)])):
        (tmp_path / name).mkdir()
        (tmp_path / name / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    with (tmp_path / "b/metrics.jsonl").open("a") as file:
        file.write('{"epoch": 3, "lo')
    return [str(tmp_path / name) for name in "ab"]


def test_report_of_several_runs_writes_a_picture_and_a_table(runs, tmp_path, capsys):
    assert main([*runs, "--out", str(tmp_path / "out")]) == 0
    text = (tmp_path / "out/report.md").read_text()
    assert capsys.readouterr().out == text
    _, _, first, second = text.splitlines()
    assert first == f"| {runs[0]} | 2 | 3 | 1.5 | 1.5 | 62.5 | 90 |  |"
    assert second == f"| {runs[1]} | 2 | 2 | 1 |  |  |  |  |"
    with Image.open(tmp_path / "out/report.png") as picture:
        assert picture.width > 1000


def test_plot_curves_draws_the_records(runs):
    loss, accuracy = plot_curves({"a": read_run(Path(runs[0]))}).axes
    drawn = {line.get_label(): line.get_xydata().tolist() for axes in (loss, accuracy) for line in axes.lines}
    assert drawn["a: training"] == [[1, 2.5], [2, 1.5], [3, 0.5]]
    assert drawn["a: top-1"] == [[1, 10], [2, 62.5], [3, 50]]
    assert set(drawn) == {"a: training", "a: validation", "a: top-1", "a: top-5"}


def test_report_replaces_its_own_files_and_moves_others_away(runs, tmp_path, caplog):
    for name in ("report.md", "report.png"):
        (tmp_path / name).write_text("mine")
    for _ in range(2):
        assert main([*runs, "--out", str(tmp_path)]) == 0
    assert [(tmp_path / "earlier-1" / name).read_text() for name in ("report.md", "report.png")] == ["mine"] * 2
    assert not (tmp_path / "earlier-2").exists(), "the second call replaced the files of the first"
    assert f"{tmp_path}/report.md was not written by this program" in caplog.text


def test_report_of_a_damaged_metrics_file_names_the_line(runs, tmp_path, capsys):
    with (tmp_path / "a/metrics.jsonl").open("a") as file:
        file.write("# stopped here\n")
    assert main([*runs, "--out", str(tmp_path)]) == 2
    assert f"{tmp_path}/a/metrics.jsonl line 4: got '# stopped here', wanted" in capsys.readouterr().err


def test_report_of_a_folder_without_a_run_writes_nothing(tmp_path, capsys):
    assert main([str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "out").exists()
