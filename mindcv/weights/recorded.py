"""The options of a run that its checkpoints record."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from mindcv.weights import state_dict
from mindcv.weights.read import read

RECORDED = state_dict.RUN + "options"  # a JSON object of those options whose change at --resume matters


def recorded_in(contents: Mapping[str, np.ndarray]) -> dict | None:
    """Return the options recorded in a checkpoint's `contents`, JSON values by name; None if there are none."""
    return json.loads(str(contents[RECORDED])) if RECORDED in contents else None


def model_entry(contents: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the entry that records a run's model and its `model_args` alone, {} if `contents` record no arguments."""
    options = recorded_in(contents) or {}
    model = {name: options.get(name) for name in ("model", "model_args")}
    return {RECORDED: np.array(json.dumps(model))} if model["model_args"] else {}


def options_in(path: str | Path) -> dict:
    """Return the options that the checkpoint `path` records, JSON values by name; {} if it records none.

    Raises:
        FileNotFoundError: the file does not exist.
        ValueError: it is damaged or not a checkpoint.
    """
    return recorded_in(read(path)) or {}
