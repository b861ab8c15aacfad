"""A folder of ImageNet's size: listed in seconds, and memory that stays as it is from epoch to epoch."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("images", [3000, pytest.param(1_281_167, marks=pytest.mark.slow)])
def test_listing(images, tmp_path):
    line = [sys.executable, "benchmarks/listing.py", "--images", str(images), "--json", str(tmp_path / "found.json")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)}
    subprocess.run(line, cwd=ROOT, check=True, timeout=600, env=environment)
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["images"] == images
    assert max(found["seconds"]) < 30
    second, *_, last = found["held_mib"][1:]
    loaded = 4 * 93 * 32
    assert (last - second) * 2**20 / loaded < 500, f"bytes an image that stay; MiB: {found['held_mib']}"
