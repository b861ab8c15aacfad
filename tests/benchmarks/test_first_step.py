"""The table of seconds to the first training step, in the README as in the record."""

import json
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def first_step(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return import_module("first_step")


def test_table_has_the_medians_of_the_turns(first_step):
    seconds = {"first start": [1.0, 9.0, 2.0], "second start": [0.5, 0.5, 0.7], "MindCV": [3.0, 4.0, 5.04]}
    rows = [{"name": name, "seconds": found} for name, found in seconds.items()]
    assert first_step.table({"convit_tiny": {"rows": rows}})[2:] == ["| `convit_tiny`, batch 8 | 2.0 | 0.5 | 4.0 |"]


@pytest.mark.parametrize("name", ["README.md", "README_CN.md"])
def test_readme_has_the_rows_of_the_record(name, first_step):
    record = json.loads((ROOT / "benchmarks/results/first_step.json").read_text())
    assert list(record) == list(first_step.MODELS)
    readme = (ROOT / name).read_text(encoding="utf-8").splitlines()
    assert set(first_step.table(record)[2:]) <= set(readme)


def test_seconds_of_a_second_start_are_those_of_a_process_that_finds_the_graph(first_step, monkeypatch):
    homes = []

    def started(name, case, options, **variables):
        if name == "MindCV":
            return None
        homes.append(variables["MINDCV_HOME"])
        output = "9.0\n800\n" if homes.count(homes[-1]) == 1 else "3.0\n800\n"
        return SimpleNamespace(communicate=lambda _input: (output, None), returncode=0)

    monkeypatch.setattr(first_step, "start", started)
    rows = first_step.compare(first_step.MODELS["convit_tiny"], SimpleNamespace(turns=2))
    assert rows == [
        {"name": "first start", "seconds": [9.0, 9.0]},
        {"name": "second start", "seconds": [3.0, 3.0]},
    ]
