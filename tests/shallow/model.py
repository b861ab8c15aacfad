"""The scripts with a convit_tiny of two blocks, for tests in which twelve blocks prove nothing more."""

import sys
from collections.abc import Callable
from functools import partial, wraps
from importlib import import_module
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from mindcv.cli import scripts


def make_shallow(set_entry: Callable = dict.__setitem__) -> None:
    """Register a convit_tiny of one GPSA and one MHSA block, by `set_entry(entries, name, function)`."""
    entries = import_module("mindcv.models.registry")._entrypoints
    full = import_module("mindcv.models").convit_tiny
    set_entry(entries, "convit_tiny", wraps(full)(partial(full, depth=2, local_up_to_layer=1)))


def import_and_make_shallow(name: str):
    """Import the module of a script that is about to run here; a launcher of workers imports none."""
    module = import_module(name)
    make_shallow()
    return module


def run(name: str) -> int:
    """Run the script `name` in this process with a shallow convit_tiny and return its exit code."""
    scripts.import_module = import_and_make_shallow
    return scripts.run_script(name, "")
