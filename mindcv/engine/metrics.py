"""Reading `metrics.jsonl`: one JSON object a line, one line an epoch. Needs no MindSpore."""

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np


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
    """Read the records and the other lines of `path`; a file that does not exist has neither.

    Blank lines, a byte-order mark and a last line that is the beginning of a JSON object are skipped.

    Raises:
        OSError: the file cannot be read.
    """
    metrics = Metrics([], {})
    if not path.exists():
        return metrics
    text = path.read_text(encoding="utf-8-sig", errors="replace").rstrip(
        "\0"
    )  # zeros may be left after a power failure
    lines = text.split("\n")
    for number, line in enumerate(map(str.strip, lines), 1):
        value = _parsed(line)
        if _is_record(value):
            metrics.records.append(value)
        elif line and not (number == len(lines) and _is_torn(line)):
            metrics.others[number] = line
    return metrics


def read_metrics(path: Path) -> list[dict]:
    """Return the records of `path`, in the file's order; an empty list if it does not exist.

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
    """Return the JSON value of a line, or None if it is not JSON."""
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _is_torn(line: str) -> bool:
    """Whether a line is the beginning of a JSON object whose end is missing."""
    try:
        json.loads(line)
    except RecursionError:
        pass
    except json.JSONDecodeError as error:
        rest = line[error.pos :]  # "" or the beginning of a word or of a number's end, where only the end is missing
        words = ("true", "false", "null", "NaN", "Infinity", "-Infinity", ".", "e+", "e-")
        is_unfinished = error.msg.startswith("Unterminated string") or any(word.startswith(rest) for word in words)
        return line.startswith("{") and is_unfinished
    return False


def _is_record(value) -> bool:
    """Whether a JSON value is an epoch's record: an object with an integer "epoch", and a number or null as "top_1"."""
    return (
        isinstance(value, dict)
        and type(value.get("epoch")) is int
        and type(value.get("top_1", "missing")) in (int, float, type(None))
    )


def gate_history(records: list[dict], path: Path) -> dict[str, np.ndarray]:
    """Return "gates" and "non_locality" of a run's epochs, each (epochs, layers, heads), in the order of `records`.

    Epochs without such values are left out, and so is a name that no epoch has.

    Args:
        records: As `read_metrics` returns them.
        path: The file they come from, for the message.

    Raises:
        ValueError: The values are not one number for each layer and head.
    """
    history: dict[str, np.ndarray] = {}
    for name in ("gates", "non_locality"):
        values = [record[name] for record in records if name in record]
        try:
            history |= {name: np.array(values, float)} if values else {}
            wrong = values and history[name].ndim != 3
        except (ValueError, TypeError):
            wrong = True
        if wrong:
            wanted = "one number for each layer and head in every epoch"
            raise ValueError(f"{path}: {name} is not {wanted}: move the file away")
    return history
