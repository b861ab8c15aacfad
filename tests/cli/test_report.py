"""The command `mindcv report`."""

import json
from pathlib import Path

import pytest
from PIL import Image

from mindcv.cli.report import main, plot_curves, read_run
from mindcv.config import Config


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
    assert first == f"| {runs[0]} | 2 | 3 | 1.5 | 1.5 | 62.5 | 90 |  |  |  |"
    assert second == f"| {runs[1]} | 2 | 2 | 1 |  |  |  |  |  |  |"
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


@pytest.fixture
def seeds(tmp_path):
    """Three runs with gates and non-locality: two that differ in the seed alone, and one of another learning rate."""
    for name, seed, lr, top_1 in (("s0", 0, 1e-3, 60.0), ("s1", 1, 1e-3, 64.0), ("other", 0, 2e-3, 50.0)):
        Config(seed=seed, lr=lr, ckpt_save_dir=str(tmp_path / name)).save(tmp_path / name / "config.yaml")
        layers = {"gates": [[0.5, 0.7], [0.1, 0.3]], "non_locality": [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]}
        records = [{"epoch": 1, "top_1": 10.0}, {"epoch": 2, "loss": 1.0, "top_1": top_1, **layers}]
        (tmp_path / name / "metrics.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    return [str(tmp_path / name) for name in ("s0", "s1", "other")]


def test_report_of_runs_that_differ_in_the_seed_averages_them(seeds, tmp_path, capsys):
    assert main([*seeds, "--out", str(tmp_path)]) == 0
    *_, other, mean = capsys.readouterr().out.splitlines()
    assert other == f"| {seeds[2]} | 2 | 2 | 1 |  | 50 |  |  | 0.4 | 3.5 |"
    assert mean == (
        f"| mean of {seeds[0]}, {seeds[1]} | 2 ± 0 | 2 ± 0 | 1 ± 0 |  | 62 ± 2.8 |  |  | 0.4 ± 0 | 3.5 ± 0 |"
    )


def test_plot_curves_draws_gates_and_non_locality_by_layer(seeds):
    *_, gates, non_locality = plot_curves({name: read_run(Path(name)) for name in seeds}).axes
    assert [line.get_label() for line in gates.lines] == seeds
    assert gates.lines[0].get_xydata().tolist() == [[1, pytest.approx(0.6)], [2, pytest.approx(0.2)]]
    assert non_locality.lines[0].get_ydata().tolist() == [1.5, 3.5, 5.5]


def test_report_of_gates_that_are_no_numbers_names_the_file(seeds, tmp_path, capsys):
    (tmp_path / "s0/metrics.jsonl").write_text('{"epoch": 1, "top_1": 1.0, "gates": [["a"]]}\n')
    assert main([*seeds, "--out", str(tmp_path)]) == 2
    assert "s0/metrics.jsonl: gates is not one number for each layer and head" in capsys.readouterr().err


def test_plot_curves_shows_every_runs_name_in_the_legend(seeds):
    figure = plot_curves({name: read_run(Path(seeds[0])) for name in ("_first", "$x_{$")})
    figure.draw_without_rendering()
    gates = figure.axes[2]
    assert [text.get_text() for text in gates.get_legend().get_texts()] == [" _first", r"\$x_{\$"]
