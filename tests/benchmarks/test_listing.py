"""Test that a folder of ImageNet's size is listed in seconds, and that memory does not grow from epoch to epoch."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
IMAGES, IMAGES_LOADED = 1_281_167, 100 * 32  # in the folder, and loaded per epoch


@pytest.mark.slow
def test_listing_imagenet_size_is_fast_and_memory_stays_constant(tmp_path):
    command = [sys.executable, "benchmarks/listing.py", "--json", str(tmp_path / "listing.json")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path), "MALLOC_ARENA_MAX": "1"}
    subprocess.run(command, cwd=ROOT, check=True, timeout=600, env=environment)
    result = json.loads((tmp_path / "listing.json").read_text())
    assert result["images"] == IMAGES
    scratch, from_index = result["seconds"]
    assert 3 * from_index < scratch < 30
    _, *held = result["held_mib"]
    growth = (held[-1] - held[0]) / (len(held) - 1)
    assert growth < result["list_mib"] / 4, "each epoch leaks a list"
    assert growth * 2**20 / IMAGES_LOADED < 1000, "each image leaks memory"
