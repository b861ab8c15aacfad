"""The guide builds as a site in two languages, with every option and page."""

import html
import json
import pkgutil
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from mindcv.config import OPTIONS
from tests.documents.reading import ROOT
from tests.insight.browser import CHROMIUM, Browser
from tools import options_table

LANGUAGES = ("en", "zh")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Build the site and return its folder."""
    out = tmp_path_factory.mktemp("site")
    mkdocs = shutil.which("mkdocs", path=str(Path(sys.executable).parent)) or pytest.skip("mkdocs is not installed")
    done = subprocess.run([mkdocs, "build", "--strict", "-d", str(out)], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return out


def test_site_lists_every_option(site):
    for page in ("options.html", "zh/options.html"):
        text = (site / page).read_text()
        assert re.findall(r"<tr>\s*<td><code>(\w+)</code></td>", text) == list(OPTIONS)
    assert f"<td>{options_table.chinese()['options']['seed']}</td>" in text


def test_site_has_every_page_in_both_languages(site):
    pages = {page.stem for page in ROOT.glob("docs/*.md") if ".zh" not in page.name}
    for page in pages:
        assert (site / f"{page}.html").is_file()
        assert (site / f"zh/{page}.html").is_file()
    assert pages == set(re.findall(r": (\w+)\.md$", (ROOT / "mkdocs.yml").read_text(), re.M))


def test_site_shows_the_docstrings_on_the_python_page(site):
    page = html.unescape((site / "api.html").read_text())
    for name in re.findall(r"^::: (\S+)", (ROOT / "docs/api.md").read_text(), re.M):
        beginning = re.split(r"[`\n]", pkgutil.resolve_name(name).__doc__)[0]
        assert f'id="{name}"' in page
        assert beginning.strip() in page


def test_site_shows_functions_and_not_the_modules_of_their_names(site):
    page = html.unescape(re.sub(r"<[^>]+>", "", (site / "api.html").read_text()))
    assert "model_name: str" in page
    assert not re.search(r"=\s*_[A-Z]", page), "a default is shown as its value"
    for module in re.findall(r"^::: (\S+)$", (ROOT / "docs/api.md").read_text(), re.M):
        assert not isinstance(pkgutil.resolve_name(module), ModuleType), module


def test_site_has_a_search_index_for_each_language(site):
    english, chinese = (json.loads((site / path / "search/search_index.json").read_text()) for path in ("", "zh"))
    places = {entry["location"].split("#")[0] for entry in english["docs"]}
    assert {entry["location"].split("#")[0] for entry in chinese["docs"]} == places
    assert not any(place.startswith("zh/") for place in places)
    assert '"base": "."' in (site / "zh/index.html").read_text()


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium or google-chrome to open the site with")
def test_site_opened_from_a_disk_finds_pages_in_its_own_language(site, tmp_path):
    pytest.importorskip("jieba", reason="jieba finds the limits of Chinese words for the search")
    with Browser(tmp_path / "profile") as browser:
        for page, word, folder in (("index.html", "attention", ""), ("zh/index.html", "注意力", "zh/")):
            browser.call("Page.navigate", url=(site / page).as_uri())
            links = []
            for _ in range(50):  # the search is not ready at once
                if links:
                    break
                time.sleep(0.2)
                if browser.run("document.readyState") == "complete":
                    browser.run(
                        "(field => { field.value = ''; field.focus(); })(document.querySelector('.md-search__input'))"
                    )
                    browser.call("Input.insertText", text=word)
                    links = browser.run("[...document.querySelectorAll('.md-search-result__link')].map(a => a.href)")
            assert links
            assert all(link.startswith(f"{site.as_uri()}/{folder}") for link in links)
            assert folder or not any("/zh/" in link for link in links)
        assert browser.errors == []


def test_options_table_has_a_chinese_text_for_every_option():
    texts = options_table.chinese()
    assert list(texts["options"]) == list(OPTIONS)
    assert list(texts["groups"]) == list(dict.fromkeys(option.group for option in OPTIONS.values()))
    assert all(re.search(r"[\u4e00-\u9fff]", text) for text in texts["options"].values())


@pytest.mark.parametrize("language", LANGUAGES)
def test_options_table_describes_accepted_values_and_aliases(language):
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*?) \| `", options_table.reference(language), re.M))
    assert rows["label_smoothing"] == "0 ≤ X < 1"
    assert rows["scale"] == "2 × (0 < X ≤ 1) ↑"
    assert rows["image_resize"] == "1 ≤ N ≤ 8192 \\| 2 × (1 ≤ N ≤ 8192)"
    assert rows["val_split"] == "NAME \\| none"
    assert set(re.findall(r"`(\w+)` \|$", options_table.other_names(language), re.M)) == {
        option.name for option in OPTIONS.values() if option.aliases
    }


@pytest.mark.parametrize("page", ["coming_from.md", "coming_from.zh.md"])
def test_coming_from_page_names_existing_functions(page):
    here = [
        line.rsplit(" | ", 1)[1] for line in (ROOT / "docs" / page).read_text().splitlines() if line.startswith("| ")
    ]
    names = {name for cell in here for name in re.findall(r"`(mindcv[\w.]+)`", cell)}
    assert len(names) > 15
    for name in names:
        assert pkgutil.resolve_name(name)


@pytest.mark.parametrize("page", ["errors.md", "errors.zh.md"])
def test_errors_pages_have_the_same_messages_in_both_languages(page):
    def rows(name):
        cells = [
            line.strip("| ").split(" | ")
            for line in (ROOT / "docs" / name).read_text().splitlines()
            if line[:2] == "| "
        ]
        return [row[1] for row in cells if row[0] not in ("what", "情形") and "---" not in row[0]]

    assert len(rows(page)) > 60
    assert rows(page) == rows("errors.md")


def test_navigation_is_translated():
    text = (ROOT / "mkdocs.yml").read_text()
    titles = set(re.findall(r"^ +- ([^:\n]+):(?: \w+\.md)?$", text.split("\nnav:\n")[1].split("\n\n")[0], re.M))
    translated = yaml.safe_load(
        "{" + text.split("nav_translations:\n")[1].split("\n  - ")[0].strip().replace("\n", ", ") + "}"
    )
    assert titles == set(translated)
