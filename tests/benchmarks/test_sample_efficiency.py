"""The comparison of networks on a part of the digits: what it keeps, reports and draws."""

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
    """Every run of three seeds, with scores that tell them apart."""
    rng = np.random.default_rng(0)
    return [
        {
            "gpsa_layers": gpsa_layers, "ratio": ratio, "seed": seed, "steps": 7, "batch_size": 8,
            "images": round(1438 * ratio), "top_1": float(rng.uniform(20, 90)),
        }
        for gpsa_layers in (10, 0) for ratio in (0.1, 0.3, 1.0) for seed in range(3)
    ]  # fmt: skip


def of(runs, gpsa_layers, ratio):
    return [run["top_1"] for run in runs if (run["gpsa_layers"], run["ratio"]) == (gpsa_layers, ratio)]


def test_table_and_files(script, runs, tmp_path, capsys):
    script["report"](runs[::-1], 7, 8, tmp_path)
    record = json.loads((tmp_path / "sample_efficiency.json").read_text())
    assert (record["steps"], record["batch_size"], len(record["rows"])) == (7, 8, 6)
    printed = capsys.readouterr().out.splitlines()
    for row, line in zip(record["rows"], printed, strict=True):
        scores = of(runs, row["gpsa_layers"], row["ratio"])
        assert row["top_1"] == scores, "in the order of the seeds"
        assert row["mean"] == pytest.approx(mean(scores), abs=0.005)
        assert row["deviation"] == pytest.approx(stdev(scores), abs=0.005)
        assert f"{row['mean']:.2f} ± {row['deviation']:.2f} %" in line
    with Image.open(tmp_path / "sample_efficiency.png") as picture:
        assert min(picture.size) >= 700


def test_the_figure_shows_the_table(script, runs):
    rows = script["rows_of"](runs)
    figure = script["figure_of"](rows, 7, 8)
    figure.canvas.draw()
    [axis] = figure.axes
    assert [text.get_text() for text in axis.get_legend().texts] == ["ConViT, 10 GPSA layers", "the same without GPSA"]
    for bars, gpsa_layers in zip(axis.containers, (10, 0), strict=True):
        mine = [row for row in rows if row["gpsa_layers"] == gpsa_layers]
        line, _caps, [spread] = bars
        assert line.get_ydata().tolist() == [row["mean"] for row in mine]
        for segment, row in zip(spread.get_segments(), mine, strict=True):
            assert np.ptp(segment[:, 1]) == pytest.approx(2 * row["deviation"])


def test_what_is_done_is_not_done_again(script, runs, tmp_path, monkeypatch, capsys):
    """All runs but one are in the journal, beside one of another length: one is made, and the report comes."""
    journal = tmp_path / "runs.jsonl"
    last = runs.pop()
    other = {**last, "steps": 6}
    journal.write_text("".join(json.dumps(run) + "\n" for run in [*runs, other]))
    made = []

    class Trainer:
        def __init__(self, *length):
            assert length == (0, 7, 8)

        def __call__(self, ratio, seed):
            made.append((ratio, seed))
            return last

    monkeypatch.setitem(script["main"].__globals__, "Trainer", Trainer)
    words = ["--seeds", "3", "--steps", "7", "--batch_size", "8", "--out", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["sample_efficiency.py", *words])
    script["main"]()
    assert made == [(1.0, 2)]
    assert len(journal.read_text().splitlines()) == 19
    script["main"]()
    assert made == [(1.0, 2)]
    assert capsys.readouterr().out.count("100%") == 4


@pytest.mark.slow
def test_a_run_starts_afresh(script):
    trainer = script["Trainer"](10, 10, 8)
    first, other, again = trainer(0.1, 0), trainer(0.3, 1), trainer(0.1, 0)
    assert (first["images"], other["images"]) == (143, 434)
    for run in (first, again):
        run.pop("cpu_seconds")
    assert first == again
    assert other["train_loss"] != first["train_loss"]
