"""What a figure shows of users' names."""

import warnings

import pytest
from matplotlib import font_manager
from matplotlib.figure import Figure
from PIL import Image

from mindcv.errors import warn_once
from mindcv.io.pictures import as_label, save_figures

A, B = "a" * 20, "b" * 20


@pytest.mark.parametrize(
    ("name", "label"),
    [("cat", "cat"), ("$5", r"\$5"), ("_run", " _run"), ("a\nb", r"a\nb"), (A + B + B, f"{A}…{B}")],
)
def test_as_label_escapes_what_matplotlib_reads_as_code(name, label):
    assert as_label(name, 40) == label


@pytest.fixture
def draw(tmp_path):
    """Return a function that saves a figure with the tick label "猫" and the title "犬", and returns its texts."""

    def save():
        figure = Figure()
        axes = figure.subplots()
        axes.set_xticks([0], ["猫"])
        axes.set_title("犬")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            save_figures({tmp_path / "names.png": figure}, dpi=40)
        with Image.open(tmp_path / "names.png") as picture:
            assert picture.size == (256, 192)
        return axes.get_xticklabels()[0], axes.title

    return save


def test_save_figures_draws_chinese_names_in_a_font_that_has_them(draw, caplog):
    texts = draw()
    if "install one" in caplog.text:
        pytest.skip("no font of this machine has Chinese characters")
    for text in texts:
        default, fallback = text.get_fontfamily()
        assert default == "sans-serif"
        font = font_manager.get_font(font_manager.findfont(font_manager.FontProperties(family=[fallback])))
        assert font.get_char_index(ord("猫"))
    assert caplog.text == ""


def test_save_figures_without_a_font_for_the_names_warns_in_one_line(draw, monkeypatch, caplog):
    fonts = [font_manager.findfont(None), "gone.ttf"]
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda: fonts)
    warn_once.cache_clear()
    draw()
    [line] = caplog.records
    assert line.getMessage().startswith("no font of this machine has the character 犬, ")
