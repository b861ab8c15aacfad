"""Test what the sample-efficiency benchmark records, reports and draws."""

import json
import runpy
import sys
from pathlib import Path
from statistics import mean, stdev

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("matplotlib")
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def script():
    return runpy.run_path(str(ROOT / "benchmarks/sample_efficiency.py"))


@pytest.fixture
def runs():
    """All runs of three seeds, with different scores."""
    rng = np.random.default_rng(0)
    return [
        {
            "gpsa_layers": gpsa_layers, "ratio": ratio, "seed": seed, "steps": 7, "batch_size": 8,
            "images": round(1438 * ratio), "top_1": float(rng.uniform(20, 90)),
        }
        for gpsa_layers in (10, 0) for ratio in (0.1, 0.3, 1.0) for seed in range(3)
    ]  # fmt: skip


def scores_of(runs, gpsa_layers, ratio):
    return [run["top_1"] for run in runs if (run["gpsa_layers"], run["ratio"]) == (gpsa_layers, ratio)]


def test_report_prints_and_writes_table_and_figure(script, runs, tmp_path, capsys):
    script["report"](runs[::-1], 7, 8, tmp_path)
    record = json.loads((tmp_path / "sample_efficiency.json").read_text())
    assert (record["steps"], record["batch_size"], len(record["rows"])) == (7, 8, 6)
    printed = capsys.readouterr().out.splitlines()
    for row, line in zip(record["rows"], printed, strict=True):
        scores = scores_of(runs, row["gpsa_layers"], row["ratio"])
        assert row["top_1"] == scores, "in the order of the seeds"
        assert row["mean"] == pytest.approx(mean(scores), abs=0.005)
        assert row["deviation"] == pytest.approx(stdev(scores), abs=0.005)
        assert f"{row['mean']:.2f} ± {row['deviation']:.2f} %" in line
    with Image.open(tmp_path / "sample_efficiency.png") as picture:
        assert min(picture.size) >= 700


def test_plot_shows_rows_of_table(script, runs):
    rows = script["summarise"](runs)
    figure = script["plot"](rows, 7, 8)
    figure.canvas.draw()
    [axis] = figure.axes
    assert [text.get_text() for text in axis.get_legend().texts] == ["ConViT, 10 GPSA layers", "the same without GPSA"]
    for bars, gpsa_layers in zip(axis.containers, (10, 0), strict=True):
        network_rows = [row for row in rows if row["gpsa_layers"] == gpsa_layers]
        line, _caps, [error_bars] = bars
        assert line.get_ydata().tolist() == [row["mean"] for row in network_rows]
        for segment, row in zip(error_bars.get_segments(), network_rows, strict=True):
            assert np.ptp(segment[:, 1]) == pytest.approx(2 * row["deviation"])


def test_main_with_finished_runs_trains_missing_run_only(script, runs, tmp_path, monkeypatch, capsys):
    """The file of runs lacks one run, and has one of another length."""
    runs_file = tmp_path / "runs.jsonl"
    last = runs.pop()
    other = {**last, "steps": 6}
    runs_file.write_text("".join(json.dumps(run) + "\n" for run in [*runs, other]))
    trained = []

    class Trainer:
        def __init__(self, *length):
            assert length == (0, 7, 8)

        def __call__(self, ratio, seed):
            trained.append((ratio, seed))
            return last

    monkeypatch.setitem(script["main"].__globals__, "Trainer", Trainer)
    arguments = ["--seeds", "3", "--steps", "7", "--batch_size", "8", "--out", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["sample_efficiency.py", *arguments])
    script["main"]()
    assert trained == [(1.0, 2)]
    assert len(runs_file.read_text().splitlines()) == 19
    script["main"]()
    assert trained == [(1.0, 2)]
    assert capsys.readouterr().out.count("100%") == 4


@pytest.mark.slow
def test_trainer_second_call_starts_from_initial_weights(script):
    trainer = script["Trainer"](10, 10, 8)
    first, other, again = trainer(0.1, 0), trainer(0.3, 1), trainer(0.1, 0)
    assert (first["images"], other["images"]) == (143, 434)
    for run in (first, again):
        run.pop("cpu_seconds")
    assert first == again
    assert other["train_loss"] != first["train_loss"]
