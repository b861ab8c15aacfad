"""The table of how cost grows, and the README's copy of it."""

import json
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def growth(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return import_module("growth")


def figures(line):
    return [cell.strip() for cell in line.split("|")[2:-1]]


def test_readme_has_the_table_of_the_record(growth):
    record = json.loads((ROOT / "benchmarks/results/growth.json").read_text())
    assert growth.is_complete(record)
    table = "\n".join(growth.table(record))
    assert table in (ROOT / "README.md").read_text()
    chinese = [figures(line) for line in (ROOT / "README_CN.md").read_text().splitlines() if line.startswith("|")]
    assert all(figures(line) in chinese for line in table.splitlines()[2:])


def test_table_of_cost_that_is_quadratic_in_tokens_has_exponent_2(growth):
    def rows(case):
        seconds = case.batch * (case.image / 224) ** 4
        return [{"name": name, "images_per_second": case.batch / seconds, "peak_mib": 100} for name in growth.BOTH]

    lines = list(growth.table({name: {"rows": rows(case)} for name, case in growth.cases().items()}))
    assert "| tokens 3,136 | 256,000 | 256,000 | 100 | 100 | 256,000 | 256,000 | 100 | 100 |" in lines
    assert "| **exponent, tokens** | 2.00 | 2.00 | 0.00 | 0.00 | 2.00 | 2.00 | 0.00 | 0.00 |" in lines
    assert "| **exponent, batch** | 1.00 | 1.00 | 0.00 | 0.00 | 1.00 | 1.00 | 0.00 | 0.00 |" in lines


def test_measurement_without_timm_is_not_complete(growth):
    absent = {"rows": [{"name": growth.PEER, "absent": "not given"}, {"name": growth.OURS}]}
    assert not growth.is_complete(dict.fromkeys(growth.cases(), absent))
    assert not growth.is_complete({})
