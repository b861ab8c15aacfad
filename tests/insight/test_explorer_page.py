"""The explorer's page holds the maps to half a step, and shows them in a browser."""

import base64
import json
import re
import zlib

import mindspore as ms
import numpy as np
import pytest

from mindcv import insight
from mindcv.deploy.preprocess import Preprocessor
from mindcv.insight import explorer_page
from tests.insight.browser import CHROMIUM, Browser

needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="no chromium or google-chrome to open the page with")
NAMES = ["</script><b>cat", "dog", "owl", "fox", "bee"]


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    """Return a model's page, the file it is in, and the maps of its two images."""
    from mindspore import Tensor

    from mindcv.models import ConViT

    before = ms.get_context("mode")
    ms.set_context(mode=ms.PYNATIVE_MODE)
    model = ConViT(
        image_size=(24, 32), patch_size=(8, 16), num_classes=5, depth=3, local_up_to_layer=2, num_heads=4, embed_dim=32
    )
    for i, parameter in enumerate(model.get_parameters()):
        draw = np.random.default_rng(i).standard_normal(parameter.shape)
        parameter.set_data(Tensor((0.5 * draw).astype(np.float32)))
    pixels = np.random.default_rng(0).integers(0, 256, (2, 24, 32, 3), np.uint8)
    page = insight.explorer(model, pixels, NAMES)
    preprocessor = Preprocessor(model.image_size)
    maps = insight.attention_maps(model, preprocessor.batch([preprocessor.crop(image) for image in pixels]))
    gates = insight.gates(model)
    ms.set_context(mode=before)
    file = tmp_path_factory.mktemp("explorer") / "page.html"
    page.save(file)
    return page, file, maps, gates


def record_of(page):
    return json.loads(re.search(r'<script id="data" type="application/json">(.*?)</script>', page.html, re.S)[1])


def unpack(text, shapes):
    """Return the maps, each with its rows' steps, from what a page stores of maps of these shapes."""
    data, offset, maps = zlib.decompress(base64.b64decode(text)), 0, []
    for heads, tokens in shapes:
        steps = np.frombuffer(data, "<f4", heads * tokens, offset).reshape(heads, tokens, 1)
        offset += steps.nbytes
        values = np.frombuffer(data, np.uint8, heads * tokens**2, offset).reshape(heads, tokens, tokens)
        offset += values.nbytes
        maps.append((values * steps, steps))
    assert offset == len(data)
    return maps


def test_explorer_stores_maps_to_half_a_step(case):
    page, _file, maps, gates = case
    record = record_of(page)
    shapes = [(layer["heads"], layer["tokens"]) for layer in record["layers"]]
    assert shapes == [(4, 6), (4, 6), (4, 7)]
    assert [layer["gates"] is not None for layer in record["layers"]] == [True, True, False]
    np.testing.assert_allclose([layer["gates"] for layer in record["layers"][:2]], gates)
    position = unpack(record["position"], shapes[:2])
    largest = 0
    for i, image in enumerate(record["images"]):
        for layer, (content, steps) in enumerate(unpack(image["content"], shapes)):
            assert (abs(content - maps[layer].content[i]) <= steps * 0.5001).all()
            largest = max(largest, steps.max())
            if layer < 2:
                where, where_steps = position[layer]
                assert (abs(where - maps[layer].position[i]) <= where_steps * 0.5001).all()
                gate = gates[layer][:, None, None]
                mixed = (1 - gate) * content + gate * where
                bound = (1 - gate) * steps + gate * where_steps
                assert (abs(mixed - maps[layer].mixed[i]) <= bound * 0.501 + 1e-6).all()
                largest = max(largest, where_steps.max())
    assert page.step == pytest.approx(largest)


def test_explorer_names_images_and_classes_and_is_shown_by_a_notebook(case):
    page, *_ = case
    images = record_of(page)["images"]
    assert [image["name"] for image in images] == ["image 1", "image 2"]
    assert {name for name, _ in images[0]["predictions"]} == {*NAMES}
    assert sum(probability for _, probability in images[0]["predictions"]) == pytest.approx(1)
    shown = page._repr_html_()
    assert shown.startswith("<iframe srcdoc=")
    assert "<script" not in shown


def test_explorer_of_a_model_without_attention_or_of_no_image_says_so(case):
    from mindspore import nn

    from mindcv.models import ConViT

    with pytest.raises(TypeError, match="there is no attention to look into"):
        insight.explorer(nn.Conv2d(3, 4, 3), np.zeros((8, 8, 3), np.uint8))
    small = ConViT(image_size=16, patch_size=8, num_classes=2, depth=1, local_up_to_layer=0, num_heads=2, embed_dim=32)
    with pytest.raises(ValueError, match="images is empty"):
        insight.explorer(small, [])


def test_explorer_of_convit_tiny_at_224_is_below_5_mb_whatever_its_maps():
    rng = np.random.default_rng(0)
    maps = [rng.random((4, tokens, tokens), np.float32) + 1e-3 for tokens in 10 * [196] + 2 * [197] + 10 * [196]]
    packed, _step = explorer_page._pack(maps)
    picture = explorer_page._as_url(rng.integers(0, 256, (224, 224, 3), np.uint8))
    assert len(packed) + len(picture) + 50_000 < 5_000_000


def shown_weights(browser):
    """Return the enlarged head's mixed, content and positional weight at the pointed patch; None for no map."""
    text = browser.run("document.getElementById('reading').textContent").split(": ")[1]
    return [None if "\u2013" in part else float(part.split()[-2]) / 100 for part in text.split(", ")]


def centre(browser, element, patch):
    """Return the window's coordinates of a patch (from 0) of a picture with 3 x 2 patches."""
    left, top, width, height = browser.run(
        f"(() => {{ const b = document.getElementById('{element}').getBoundingClientRect();"
        "return [b.left, b.top, b.width, b.height]; })()"
    )
    row, col = divmod(patch, 2)
    return left + width * (col + 0.5) / 2, top + height * (row + 0.5) / 3


@needs_browser
def test_explorer_in_a_browser_shows_the_weights_of_the_pointed_patches(case, tmp_path):
    page, file, maps, _gates = case
    with Browser(tmp_path / "profile") as browser:
        browser.open(file)
        assert browser.run("document.querySelector('fieldset').checkVisibility()") is True
        query, key = 3, 4
        browser.point(*centre(browser, "stage", query))
        assert browser.run("document.getElementById('where').textContent") == "Looking from row 2, column 2"
        browser.run("document.querySelector('.card').click()")
        browser.point(*centre(browser, "large", key))
        for of_layer in maps:
            prefix = int(of_layer.position is None)
            for head in range(4):
                shown = shown_weights(browser)
                for name, weight in zip(("mixed", "content", "position"), shown, strict=True):
                    expected = getattr(of_layer, name)
                    if expected is None:
                        assert weight is None
                        continue
                    assert weight == pytest.approx(expected[0, head, prefix + query, prefix + key], abs=page.step)
                browser.run("document.getElementById('next').click()")
        browser.run("document.getElementById('close').click()")

        browser.run("document.getElementById('token').click()")
        browser.run("document.querySelectorAll('.card')[8].click()")
        browser.point(*centre(browser, "large", 5))
        assert shown_weights(browser)[0] == pytest.approx(maps[2].mixed[0, 0, 0, 6], abs=page.step)
        first = browser.run("document.querySelector('#most tr').textContent")
        largest = int(maps[2].mixed[0, 0, 0].argmax())
        assert first.startswith("class token" if largest == 0 else f"row {(largest - 1) // 2 + 1}, column")
        assert browser.errors == []


@needs_browser
def test_explorer_in_a_browser_of_a_model_without_position_offers_no_other_map(tmp_path, pynative):
    from mindcv.models import VisionTransformer

    model = VisionTransformer(image_size=16, patch_size=8, num_classes=2, depth=1, num_heads=2, embed_dim=32)
    pixels = np.random.default_rng(0).integers(0, 256, (1, 16, 16, 3), np.uint8)
    page = insight.explorer(model, pixels)
    page.save(tmp_path / "page.html")
    with Browser(tmp_path / "profile") as browser:
        browser.open(tmp_path / "page.html")
        assert browser.run("document.querySelectorAll('.card').length") == 2
        assert browser.run("document.querySelector('fieldset').checkVisibility()") is False
        assert browser.errors == []


@needs_browser
def test_explorer_in_a_browser_has_keys_labels_languages_and_a_phones_width(case, tmp_path):
    _page, file, *_ = case
    with Browser(tmp_path / "profile") as browser:
        browser.open(file, width=360, height=700, scheme="dark")
        assert browser.run("document.documentElement.scrollWidth") <= 360
        dark = browser.run("getComputedStyle(document.body).backgroundColor")
        browser.run("document.getElementById('theme').click()")
        assert browser.run("getComputedStyle(document.body).backgroundColor") != dark
        browser.run("document.getElementById('stage').focus()")
        for key in ("ArrowUp", "ArrowLeft", "ArrowLeft", "ArrowDown"):
            browser.press(key)
        assert browser.run("document.getElementById('where').textContent") == "Looking from row 2, column 1"
        unnamed = (
            "[...document.querySelectorAll('button')].filter("
            "b => !(b.ariaLabel || b.textContent.trim() || b.querySelector('img[alt]'))).length"
        )
        assert browser.run(unnamed) == 0
        label = browser.run("document.querySelector('.card').ariaLabel")
        assert re.fullmatch(r"Layer 1, Head 1, gate 0\.\d\d, looks most at row \d, column \d, [\d.]+ %", label)
        browser.run("document.querySelector('[value=position]').click()")
        assert "no such map" in browser.run("document.querySelectorAll('.card')[8].ariaLabel")
        browser.run("document.getElementById('language').click()")
        assert browser.run("document.documentElement.lang") == "zh"
        assert browser.run("document.querySelector('h1').textContent") == "注意力浏览器"
        browser.run("document.querySelectorAll('#images button')[1].click()")
        assert browser.run("document.getElementById('top').querySelector('li').children[0].textContent") in NAMES
        assert browser.errors == []
