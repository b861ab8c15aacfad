"""The scores of several checkpoints in one table."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from mindcv.io.files import atomic_write_text, first_bytes, json_object
from mindcv.io.tables import csv_text, markdown_table
from mindcv.weights.write import FORMATS

_COLUMNS = {"top_1": "top-1 (%)", "top_5": "top-5 (%)", "loss": "loss"}
_MARKDOWN = "| checkpoint | top-1 (%) |"
_CSV = "checkpoint,top_1,"

Scores = Mapping[str, Mapping[str, float]]


def find_checkpoints(places: Sequence[str]) -> list[str]:
    """Return the checkpoints at `places`, each once, in the order of the places and sorted within a folder.

    Args:
        places: Files, and folders whose .ckpt and .safetensors files, without hidden ones, are taken.

    Raises:
        FileNotFoundError: a place does not exist, or a folder has no checkpoint.
    """
    found: dict[str, None] = {}
    for place in map(Path, places):
        names = sorted(place.glob("[!.]*")) if place.is_dir() else []
        paths = [path for path in names if path.suffix in FORMATS and path.is_file()] or [place]
        if not paths[0].is_file():
            raise FileNotFoundError(f"ckpt_paths: no checkpoint at {place}: name a file, or a folder of checkpoints")
        found |= dict.fromkeys(map(str, paths))
    return list(found)


def as_markdown(scores: Scores) -> str:
    """Return a Markdown table with a row for each checkpoint; scores by checkpoint, as `validate` returns them."""
    shown = [name for name in _COLUMNS if all(name in row for row in scores.values())]
    rows = (
        [checkpoint, *(f"{row[name]:.4f}" if name == "loss" else f"{row[name]:.2f}" for name in shown)]
        for checkpoint, row in scores.items()
    )
    return markdown_table(["checkpoint", *(_COLUMNS[name] for name in shown)], rows)


def _as_json(scores: Scores) -> str:
    """Return {"checkpoints": [{"checkpoint", "top_1", …}]} as text, in the order of `scores`."""
    return json.dumps({"checkpoints": [{"checkpoint": name, **row} for name, row in scores.items()]}, indent=2) + "\n"


def _as_csv(scores: Scores) -> str:
    """Return CSV text with the columns checkpoint, top_1, top_5 (empty with fewer than five classes) and loss."""
    rows = ([name, *(row.get(column, "") for column in _COLUMNS)] for name, row in scores.items())
    return csv_text(["checkpoint", *_COLUMNS], rows)


TABLES = {".json": _as_json, ".csv": _as_csv, ".md": as_markdown}


def write_table(path: Path, scores: Scores) -> None:
    """Write the scores by checkpoint to `path`, in the format of its suffix, one of `TABLES`."""
    atomic_write_text(path, TABLES[path.suffix](scores))


def is_table(path: Path) -> bool:
    """Return whether `write_table` wrote `path`, judged by its first line or its key; False if it cannot be read."""
    if path.suffix == ".json":
        return {*json_object(path)} == {"checkpoints"}
    return first_bytes(path).startswith((_CSV if path.suffix == ".csv" else _MARKDOWN).encode())
