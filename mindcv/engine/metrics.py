"""Reading `metrics.jsonl`: one JSON object a line, one line an epoch. Needs no MindSpore."""

import json
from pathlib import Path
from typing import NamedTuple


class Metrics(NamedTuple):
    """The contents of a metrics file.

    Attributes:
        records: One for each epoch, in the file's order, with at least "epoch" (an integer, from 1) and "top_1" (in per
            cent; None where the epoch was not validated).
        others: The lines that are not records, by their number (from 1).
    """

    records: list[dict]
    others: dict[int, str]


def scan_metrics(path: Path) -> Metrics:
    """Read `path`, and tell records and other lines apart. A file that does not exist has neither.

    Blank lines and a byte-order mark are passed over, and so is a last line that a break has cut off.

    Raises:
        OSError: the file cannot be read.
    """
    metrics = Metrics([], {})
    if not path.exists():
        return metrics
    text = path.read_text(encoding="utf-8-sig", errors="replace").rstrip("\0")  # of a disk that lost its power
    lines = text.split("\n")
    for number, line in enumerate(map(str.strip, lines), 1):
        value = _parsed(line)
        if _is_record(value):
            metrics.records.append(value)
        elif line and not (number == len(lines) and line.startswith("{") and value is None):
            metrics.others[number] = line
    return metrics


def read_metrics(path: Path) -> list[dict]:
    """Return the records of `path`, as `scan_metrics` does; none if it does not exist.

    Raises:
        ValueError: a line is not a record; the message names the file and the line.
        OSError: the file cannot be read.
    """
    records, others = scan_metrics(path)
    for number, line in others.items():
        raise ValueError(
            f"{path} line {number}: got {line[:40]!r}, wanted a JSON object with epoch and top_1, as a run writes it: "
            "correct the line or remove it"
        )
    return records


def _parsed(line: str):
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _is_record(value) -> bool:
    return (
        isinstance(value, dict)
        and type(value.get("epoch")) is int
        and type(value.get("top_1", "missing")) in (int, float, type(None))
    )
