"""The architecture's figure is what the project's script draws."""

import runpy
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("matplotlib")
ROOT = Path(__file__).parents[1]


def test_the_script_draws_the_figure_of_the_model_card(tmp_path):
    drawing = runpy.run_path(str(ROOT / "tools/draw_convit.py"))
    drawing["main"](tmp_path / "convit.png")
    with Image.open(tmp_path / "convit.png") as new, Image.open(ROOT / "configs/convit/convit.png") as kept:
        assert new.size == kept.size
        assert new.width >= 2 * 1000, "crisp on a display of two pixels a point"
        small = [np.asarray(picture.convert("L").resize((240, 132)), float) for picture in (new, kept)]
    assert np.abs(small[0] - small[1]).mean() < 4, "the same but for fonts"
    for name in ("README.md", "README_CN.md"):
        assert "](convit.png)" in (ROOT / "configs/convit" / name).read_text()
