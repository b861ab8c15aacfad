"""What the tests share."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from mindcv.device import run_pynative_in_turn

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture(scope="session")
def golden():
    """Reference figures: `golden.array("convit_tiny")` opens arrays, `golden.facts("manifest")` a JSON."""
    return SimpleNamespace(
        array=lambda name: np.load(GOLDEN / f"{name}.npz"),
        facts=lambda name: json.loads((GOLDEN / f"{name}.json").read_text()),
    )


@pytest.fixture(scope="session", autouse=True)
def pynative_in_turn():
    run_pynative_in_turn()
