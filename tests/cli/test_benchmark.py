"""The command `mindcv benchmark`."""

import json
from types import SimpleNamespace

import pytest

from mindcv.cli import benchmark
from mindcv.graph.graph_cache import graph_cache

SMALL = ["convit_tiny", "--image_resize", "16", "--patch_size", "8", "--num_classes", "3", "--mode", "1"]


@pytest.fixture(autouse=True)
def _short(monkeypatch, pynative):
    monkeypatch.setattr(benchmark, "_SECONDS", 0)
    monkeypatch.setattr(benchmark, "_MIN_STEPS", 1)


def test_benchmark_prints_and_writes_a_row_for_each_batch_size(tmp_path, capsys):
    out = tmp_path / "speed.json"
    out.write_text('{"benchmark": "inference"}')  # its own file is replaced
    assert benchmark.main([*SMALL, "--batch_size", "1", "2", "--json", str(out)]) == 0
    record = json.loads(out.read_text())
    assert (record["model"], record["benchmark"], record["image_size"]) == ("convit_tiny", "inference", "16x16")
    assert [row["batch_size"] for row in record["rows"]] == [1, 2]
    for row in record["rows"]:
        assert row["images_per_second"] == pytest.approx(1000 * row["batch_size"] / row["milliseconds"])
        assert row["peak_memory"] > 1e7
    lines = capsys.readouterr().out.splitlines()[-4:]
    assert lines[0] == "convit_tiny, inference on CPU, O0, images of 16x16"
    assert [line.split()[0] for line in lines[2:]] == ["1", "2"]


def test_benchmark_of_training_makes_steps(capsys, monkeypatch):
    monkeypatch.delenv("MS_COMPILER_CACHE_ENABLE")
    assert benchmark.main([*SMALL, "--train", "--batch_size", "2"]) == 0
    out = capsys.readouterr().out
    assert "convit_tiny, training on CPU" in out
    assert out.splitlines()[-1].split()[0] == "2"
    assert graph_cache() is None, "else it would measure how fast a kept graph is loaded"


CONFIG = SimpleNamespace(device_target="Ascend", image_resize=2, in_channels=3, num_classes=3)


def test_measure_doubles_the_batch_size_until_the_memory_ends():
    def step(images, labels):
        if len(images) > 4:
            raise RuntimeError("Allocate memory failed")
        return images

    assert [speed.batch_size for speed in benchmark.measure(CONFIG, step, None)] == [1, 2, 4]


def test_measure_on_a_cpu_stops_before_the_memory_ends(monkeypatch):
    config = SimpleNamespace(**{**vars(CONFIG), "device_target": "CPU"})
    peaks = iter([100, 150, 200, 300])
    monkeypatch.setattr(benchmark.device, "peak_memory", lambda: next(peaks))
    monkeypatch.setattr(benchmark.psutil, "virtual_memory", lambda: SimpleNamespace(available=199))
    sizes = [speed.batch_size for speed in benchmark.measure(config, lambda images, _labels: images, None)]
    assert sizes == [1, 2, 4]


def test_measure_with_another_error_passes_it_on():
    def step(images, labels):
        raise RuntimeError("no kernel")

    with pytest.raises(RuntimeError, match="no kernel"):
        next(benchmark.measure(CONFIG, step, None))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--batch_size", "0"], "argument --batch_size: got '0', wanted a whole number above 0"),
        (["--batch_sizes", "2"], "unknown option 'batch_sizes'"),
        (["--json", "README.md"], "is not figures of mindcv benchmark"),
    ],
)
def test_benchmark_mistake_is_one_line(words, message, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "README.md").write_text("mine")
    try:
        code = benchmark.main([*SMALL, *words])
    except SystemExit as end:
        code = end.code
    assert code == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
