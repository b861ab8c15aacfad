"""Test that the model card shows the figure that tools/draw_convit.py draws."""

import runpy
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("matplotlib")
ROOT = Path(__file__).parents[2]


def test_draw_convit_draws_figure_of_model_card(tmp_path):
    script = runpy.run_path(str(ROOT / "tools/draw_convit.py"))
    script["main"](tmp_path / "convit.png")
    with Image.open(tmp_path / "convit.png") as new, Image.open(ROOT / "configs/convit/convit.png") as card:
        assert new.size == card.size
        assert new.width >= 2 * 1000, "sharp on a display with two pixels per point"
        small = [np.asarray(picture.convert("L").resize((240, 132)), float) for picture in (new, card)]
    assert np.abs(small[0] - small[1]).mean() < 4, "equal except for fonts"
    for name in ("README.md", "README_CN.md"):
        assert "](convit.png)" in (ROOT / "configs/convit" / name).read_text()
