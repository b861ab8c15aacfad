"""Test that `make test-version` records a run, and that the documents show the record."""

import json
import platform
import subprocess
import sys
from datetime import date
from importlib.metadata import version
from pathlib import Path

import pytest

from tools.tested_versions import DOCUMENTS, RECORD, rows, table_rows

ROOT = Path(__file__).parents[2]
TESTS = """
import pytest

@pytest.fixture
def broken():
    raise OSError

def test_passes(): pass
def test_passes_too(): pass
def test_fails(): assert False
def test_has_an_error(broken): pass
def test_is_skipped(): pytest.skip("not here")
"""
OTHER = {"mindspore": "1.10.0", "python": "3.9.1", "numpy": "1.25.0", "system": "Plan9", "date": "2020-01-01",
         "passed": 1234, "failed": 5, "skipped": 6}  # fmt: skip
HERE = {"mindspore": version("mindspore"), "python": platform.python_version()}


@pytest.fixture
def project(tmp_path):
    """A folder with tests, a record of two other legs and an earlier run of this one, and documents without rows."""
    legs = [OTHER, {**OTHER, **HERE}, {**OTHER, "mindspore": "12.0.0"}]
    for name in [RECORD, *DOCUMENTS]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / RECORD).write_text(json.dumps(legs))
    for name in DOCUMENTS:
        (tmp_path / name).write_text("版本\n\n| MindSpore | Python | NumPy | … |\n| --- | --- | ---: | --- |\n\nend\n")
    (tmp_path / "test_some.py").write_text(TESTS)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    return tmp_path


def run_tests(project, *options):
    words = ["-q", "-p", "tools.tested_versions", "-p", "no:cacheprovider", "--rootdir", str(project), str(project)]
    line = [sys.executable, "-m", "pytest", *words, *options]
    return subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=120).returncode


def test_run_of_two_processes_replaces_its_leg_in_record_and_tables(project):
    assert run_tests(project, "-n", "2") == 1
    legs = json.loads((project / RECORD).read_text())
    system = f"{platform.system()} {platform.machine()}"
    counts = {"date": date.today().isoformat(), "passed": 2, "failed": 2, "skipped": 1}
    assert legs == [
        OTHER,
        {**HERE, "numpy": version("numpy"), "system": system, **counts},
        {**OTHER, "mindspore": "12.0.0"},
    ]
    for name in DOCUMENTS:
        text = (project / name).read_text()
        assert table_rows(text) == rows(legs)
        assert text.endswith("6 |\n\nend\n")
    assert rows(legs)[0] == "| 1.10.0 | 3.9.1 | 1.25.0 | Plan9 | 2020-01-01 | 1,234 | 5 | 6 |"


def test_run_that_could_not_collect_is_not_recorded(project):
    before = (project / RECORD).read_text()
    (project / "test_some.py").write_text("import")
    assert run_tests(project) == 2
    assert (project / RECORD).read_text() == before


@pytest.mark.parametrize("document", DOCUMENTS)
def test_table_has_the_rows_of_the_record(document):
    legs = json.loads((ROOT / RECORD).read_text())
    assert table_rows((ROOT / document).read_text()) == rows(legs)
