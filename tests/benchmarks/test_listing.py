"""A folder of ImageNet's size: listed in seconds, and memory that stays as it is from epoch to epoch."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


IMAGES, LOADED = 1_281_167, 100 * 32  # LOADED of an epoch


@pytest.mark.slow
def test_listing(tmp_path):
    line = [sys.executable, "benchmarks/listing.py", "--json", str(tmp_path / "found.json")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path), "MALLOC_ARENA_MAX": "1"}
    subprocess.run(line, cwd=ROOT, check=True, timeout=600, env=environment)
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["images"] == IMAGES
    anew, from_index = found["seconds"]
    assert 3 * from_index < anew < 30
    _, *held = found["held_mib"]
    grows = (held[-1] - held[0]) / (len(held) - 1)
    assert grows < found["list_mib"] / 4, "a list stays behind each epoch"
    assert grows * 2**20 / LOADED < 1000, "of each image something stays behind"
