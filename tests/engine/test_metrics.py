"""Reading metrics.jsonl, also after interruptions and edits by hand."""

import json
import re
import subprocess
import sys

import pytest

from mindcv.engine.metrics import read_metrics, scan_metrics

RECORDS = [{"epoch": 1, "top_1": 50.0, "loss": 1.5}, {"epoch": 2, "top_1": None, "loss": float("inf")}]
FIRST, SECOND = map(json.dumps, RECORDS)

TOLERATED = {
    "as a run writes it": f"{FIRST}\n{SECOND}\n",
    "blank lines": f"\n{FIRST}\n\n  \n{SECOND}\n\n",
    "a byte-order mark": f"\ufeff{FIRST}\n{SECOND}\n",
    "Windows line ends": f"{FIRST}\r\n{SECOND}\r\n",
    "no line end": f"{FIRST}\n{SECOND}",
    "a torn last line": f"{FIRST}\n{SECOND}\n{SECOND[:20]}",
    "zeros where the power went": f"{FIRST}\n{SECOND}\n" + "\0" * 40,
}
OTHERS = {
    "a comment": "# rate lowered here",
    "a list": "[1, 2]",
    "a number": "7",
    "null": "null",
    "no epoch": '{"top_1": 1.0}',
    "no top_1": '{"epoch": 1}',
    "an epoch in words": '{"epoch": "one", "top_1": 1.0}',
    "a top_1 in words": '{"epoch": 1, "top_1": "high"}',
    "a torn line": SECOND[:20],
    "a record with a comment": f"{FIRST} # good",
    "a record without a comma": '{"epoch": 3, "top_1" 53.0}',
    "brackets without end": "[" * 100_000,
}


@pytest.mark.parametrize("case", TOLERATED)
def test_read_metrics_skips_blank_and_torn_lines(case, tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(TOLERATED[case].encode())
    assert read_metrics(path) == RECORDS
    assert scan_metrics(path) == (RECORDS, {})


@pytest.mark.parametrize("case", OTHERS)
def test_read_metrics_with_a_line_that_is_not_a_record_names_it(case, tmp_path):
    path, line = tmp_path / "metrics.jsonl", OTHERS[case]
    path.write_text(f"{FIRST}\n\n{line}\n{SECOND}\n")
    assert scan_metrics(path) == (RECORDS, {3: line})
    with pytest.raises(ValueError, match=rf"^{re.escape(str(path))} line 3: got .*, wanted a JSON object with epoch"):
        read_metrics(path)


@pytest.mark.parametrize("case", [case for case in OTHERS if case != "a torn line"])
def test_scan_metrics_skips_a_last_line_only_if_it_is_a_torn_record(case, tmp_path):
    (tmp_path / "metrics.jsonl").write_text(f"{FIRST}\n{OTHERS[case]}")
    assert scan_metrics(tmp_path / "metrics.jsonl").others == {2: OTHERS[case]}


def test_scan_metrics_skips_every_beginning_of_a_record(tmp_path):
    """These are all that an interrupted write can leave; the values are of every kind that a record has."""
    record = json.dumps(
        {"epoch": 12, "top_1": None, "loss": float("-inf"), "rate": 1.5e-07, "best": True, "a": [1, "b"]}
    )
    for length in range(1, len(record)):
        (tmp_path / "metrics.jsonl").write_text(f"{FIRST}\n{record[:length]}")
        assert scan_metrics(tmp_path / "metrics.jsonl") == (RECORDS[:1], {}), record[:length]


def test_read_metrics_of_another_encoding_names_the_line(tmp_path):
    (tmp_path / "metrics.jsonl").write_bytes(FIRST.encode("utf-16"))
    with pytest.raises(ValueError, match=r"metrics\.jsonl line 1: got"):
        read_metrics(tmp_path / "metrics.jsonl")


def test_read_metrics_without_a_file_returns_an_empty_list(tmp_path):
    assert read_metrics(tmp_path / "metrics.jsonl") == []


def test_importing_metrics_and_report_does_not_import_mindspore():
    code = "import sys, mindcv.engine.metrics, mindcv.cli.report; assert 'mindspore' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
